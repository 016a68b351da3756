use super::*;

fn parse(args: &[&str]) -> Result<Config, clap::Error> {
    Config::try_parse_from(["ChatServer"].iter().chain(args))
}

#[test]
fn two_words_are_enough() {
    let config = parse(&["127.0.0.1", "6000"]).unwrap();
    assert_eq!(config.address(), "127.0.0.1:6000".parse().unwrap());
    assert!(config.check().is_ok());
}

#[test]
fn what_makes_no_sense_is_refused_with_a_sentence() {
    for bad in [
        &["127.0.0.1"][..],
        &["localhost.", "6000"],
        &["127.0.0.1", "65536"],
        &["127.0.0.1", "6000", "--reactors", "0"],
        &["127.0.0.1", "6000", "--idle-timeout", "-1"],
        &["127.0.0.1", "6000", "--max-frame", "16777216"],
        &["127.0.0.1", "6000", "--trusted-proxies", "localhost"],
        &["127.0.0.1", "6000", "--proxy-protocol", "--trusted-proxies", "10.0.0.0/33"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    let redis_alone = parse(&["127.0.0.1", "6000", "--redis", "redis://h"]).unwrap();
    assert!(redis_alone.check().unwrap_err().contains("--database mysql"));
    let elsewhere = ["127.0.0.1", "6000", "--database", "postgres://u:hunter2@h/d"];
    let sentence = parse(&elsewhere).unwrap().check().unwrap_err();
    assert!(sentence.contains("sqlite:FILE") && !sentence.contains("hunter2"), "{sentence}");
    let wildcard = parse(&["0.0.0.0", "6000", "--database", "mysql://h/d"]).unwrap();
    assert!(wildcard.check().unwrap_err().contains("--server-id"));
}

#[test]
fn zero_turns_a_bound_on_missed_messages_off() {
    let max = |flags: &[&str]| {
        let args: Vec<&str> = ["127.0.0.1", "6000"].iter().chain(flags).copied().collect();
        parse(&args).unwrap().max_offline()
    };
    assert_eq!(max(&[]), OfflineSize { rows: 50_000, bytes: 64 << 20 });
    let bytes = ["--max-offline-bytes", "0"];
    assert_eq!(max(&bytes), OfflineSize { bytes: u64::MAX, ..max(&[]) });
    let rows = ["--max-offline", "0"];
    assert_eq!(max(&rows), OfflineSize { rows: u32::MAX, ..max(&[]) });
    assert_eq!(max(&[bytes, rows].concat()), OfflineSize::MAX);
    assert!(parse(&["127.0.0.1", "6000", "--max-offline-bytes", "-1"]).is_err());
}

#[test]
fn proxies_are_trusted_only_when_that_is_asked_for() {
    let plain = parse(&["127.0.0.1", "6000"]).unwrap();
    assert!(!plain.proxy_protocol);
    // A list without the flag does nothing, and does no harm.
    let list = parse(&["127.0.0.1", "6000", "--trusted-proxies", "10.0.0.0/8"]).unwrap();
    assert!(!list.proxy_protocol && list.check().is_ok());
    let on = parse(&["127.0.0.1", "6000", "--proxy-protocol"]).unwrap();
    assert!(on.proxy_protocol);
    assert_eq!(on.trusted_proxies.to_string(), "127.0.0.1, ::1");
    let bad = parse(&["127.0.0.1", "6000", "--trusted-proxies", "10.0.0.1,proxy"]);
    assert!(bad.unwrap_err().to_string().contains("'proxy' is neither an address nor"));
}

#[test]
fn a_database_password_is_not_printed() {
    let config = parse(&["::1", "1", "--database", "mysql://u:hunter2@h/d"]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_readme_lists_every_flag_with_its_default() {
    use clap::CommandFactory;
    let readme = include_str!("../README.md");
    for arg in Config::command().get_arguments() {
        let Some(flag) = arg.get_long().filter(|flag| !["help", "version"].contains(flag)) else {
            continue;
        };
        let row = readme.lines().find(|line| line.starts_with(&format!("| `--{flag}` |")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for --{flag}"));
        for default in arg.get_default_values() {
            let default = default.to_string_lossy();
            assert!(row.contains(&*default), "--{flag}: {default} is not in {row}");
        }
        let variable = format!("CHAT_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(arg.get_env(), Some(variable.as_ref()), "--{flag}");
    }
}
