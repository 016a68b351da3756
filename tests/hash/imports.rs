//! `import`: what it says beside the ring.

use std::fs;
use std::process::Command;

use crate::confs::{UPSTREAM, refused, whole};
use crate::tool::Tool;

#[test]
fn what_is_imported_is_said_with_what_could_surprise() {
    let tool = Tool::new();
    let stream = UPSTREAM.replace("7000;", "7000 max_conns=5;");
    fs::write(tool.path("nginx.conf"), whole(&tool, &stream)).unwrap();
    let run = tool.run("--key addr-port import nginx.conf");
    assert_eq!(run.code, Some(0));
    assert!(
        run.err.contains("as --key addr-port says, $remote_addr:$remote_port is meant here"),
        "{}",
        run.err
    );
    assert!(run.err.contains("127.0.0.1:7000 has max_conns"), "{}", run.err);
    fs::write(tool.path("nginx.conf"), whole(&tool, &stream.replace("hash", "# hash"))).unwrap();
    let run = tool.run("import nginx.conf");
    refused(&run, "nginx.conf, line 6: upstream chat_servers has no `hash … consistent`");
    assert_eq!(tool.answer("getVirNum 127.0.0.1 7000"), "160\n", "the ring is the one of before");
}

#[test]
fn a_listener_of_both_kinds_of_addresses_is_named_on_import() {
    let tool = Tool::new();
    let server = |to: &str, options: &str| {
        format!("\nserver {{\n listen [::]:8000 {options};\n proxy_pass {to};\n}}")
    };
    for (servers, line) in [
        (server("chat_servers", "ipv6only=off"), Some(11)),
        (server("chat_servers", "ipv6only=on"), None),
        (server("others", "ipv6only=off"), None),
    ] {
        fs::write(tool.path("nginx.conf"), whole(&tool, &format!("{UPSTREAM}{servers}"))).unwrap();
        let run = tool.run("import nginx.conf");
        assert_eq!(run.code, Some(0), "{run:?}");
        match line {
            Some(line) => {
                let part = format!("nginx.conf, line {line}: with ipv6only=off nginx hashes");
                assert!(run.err.contains(&part), "{}", run.err);
            }
            None => assert_eq!(run.err, ""),
        }
    }
}

/// Whether nginx itself takes `nginx.conf`.
fn nginx_takes(tool: &Tool) -> bool {
    let mut nginx = Command::new("nginx");
    let path = std::env::var("PATH").unwrap();
    nginx.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    nginx.args(["-t", "-q", "-e", "stderr", "-c"]).arg(tool.path("nginx.conf"));
    nginx.output().unwrap().status.success()
}

#[test]
fn what_nginx_refuses_is_not_imported() {
    let tool = Tool::new();
    let server =
        |words: &str| UPSTREAM.replace("server 127.0.0.1:7000", &format!("server {words}"));
    let (mut taken, mut refused) = (0, 0);
    let words = [
        "127.0.0.1:7000 weight=01",
        "127.0.0.1:7000 weight=+1",
        "127.0.0.1:7000 weight=1x",
        "127.0.0.1:7000 weight=",
        "127.0.0.1:7000 weight=0",
        "127.0.0.1:7000 weight=1 weight=2",
        "127.0.0.1:7000 Weight=1",
        "127.0.0.1:7000 max_conns=-1",
        "127.0.0.1:7000 max_fails=",
        "127.0.0.1:7000 max_fails=0",
        "127.0.0.1:7000 fail_timeout=1m30s",
        "127.0.0.1:7000 fail_timeout=1m30",
        "127.0.0.1:7000 fail_timeout=30s1m",
        "127.0.0.1:7000 fail_timeout=30ms",
        "127.0.0.1:7000 fail_timeout=1y",
        "127.0.0.1:7000 fail_timeout=1x",
        "127.0.0.1:7000 fail_timeout=",
        "127.0.0.1:7000 DOWN",
        "127.0.0.1:7000 down down",
        "127.0.0.1:7000 down=1",
        "127.0.0.1:7000 resolve",
        "127.0.0.1:7000 {}",
        "127.0.0.1:0",
        "127.0.0.1",
        "[::1]:7000",
        "[::1]7000",
        "::1:7000",
        "[0::1]:7000",
        "UNIX:/a",
        "unix:",
        "127.0.0.1:70x",
        "'127.0.0.1:7000'x",
        "\\127.0.0.1:7000",
        "\"127.0.0.1:7000\" \"down\"",
        "127.0.0.1:7000${{}",
        "",
    ];
    for words in words {
        fs::write(tool.path("nginx.conf"), whole(&tool, &server(words))).unwrap();
        let run = tool.run("import nginx.conf");
        assert_eq!(run.code == Some(0), nginx_takes(&tool), "{words}: {run:?}");
        if run.code == Some(0) { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 5 && refused > 5, "{taken} {refused}");
}

#[test]
fn the_configuration_that_comes_along_is_imported_as_it_stands() {
    let tool = Tool::new();
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/nginx/nginx-hash.conf");
    let said = tool.answer(&format!("import {conf}"));
    assert_eq!(said, "Imported chat_servers: 2 servers, 320 points, hash $remote_addr.\n");
    assert_eq!(tool.answer("getVirNum 127.0.0.1 6002"), "160\n");
    // The others take turns, of which no ring knows anything.
    for other in ["nginx.conf", "nginx-tls.conf"] {
        let conf = conf.replace("nginx-hash.conf", other);
        refused(&tool.run(&format!("import {conf}")), "takes turns there");
    }
}
