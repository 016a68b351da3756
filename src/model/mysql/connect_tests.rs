//! URLs: what is told of them, and that no password is.

use super::*;

fn refusal(url: &str) -> String {
    let options = MysqlOptions::new(url);
    match Target::new(&options).map(drop) {
        Err(StoreError::Misconfigured(text)) => text,
        other => panic!("{url} gave {other:?}"),
    }
}

#[test]
fn a_url_is_described_without_its_password() {
    assert_eq!(
        describe_url("mysql://chat:s3cret@db.example:3307/chat?stmt_cache_size=3"),
        "mysql://chat@db.example:3307/chat"
    );
    assert_eq!(describe_url("mysql://localhost/chat"), "mysql://localhost:3306/chat");
}

#[test]
fn a_password_with_raw_special_characters_is_never_shown() {
    for url in [
        "mysql://chat:s3cret/x@db/chat",
        "mysql://chat:33#s3cret@db/chat",
        "mysql://chat:33?s3cret@db/chat",
        "mysql://chat:33/s3cret@db/chat",
        "s3cret",
        "postgres://chat:s3cret@db/chat",
    ] {
        let shown = format!("{} {}", describe_url(url), refusal(url));
        assert!(!shown.contains("s3cret") && !shown.contains("33"), "{url} gave {shown}");
    }
}

#[test]
fn a_url_without_a_database_says_where_it_goes() {
    let text = refusal("mysql://chat:s3cret@db");
    assert!(text.contains("names no database") && text.contains("chat@db:3306/chat"), "{text}");
    assert!(!text.contains("s3cret"));
}

#[test]
fn an_unknown_parameter_is_named() {
    assert!(refusal("mysql://db/chat?colour=red").contains("\"colour\""));
}

#[test]
fn a_lock_gives_up_before_the_socket_does() {
    let target = |seconds| {
        let options = MysqlOptions {
            read_timeout: Duration::from_secs(seconds),
            ..MysqlOptions::new("mysql://db/chat")
        };
        Target::new(&options).unwrap()
    };
    assert_eq!(target(2).lock_wait_seconds, 1);
    assert_eq!(target(5).lock_wait_seconds, 4);
}

#[test]
fn options_do_not_show_the_password() {
    let text = format!("{:?}", MysqlOptions::new("mysql://chat:s3cret@db/chat"));
    assert!(!text.contains("s3cret") && text.contains("chat@db"), "{text}");
}
