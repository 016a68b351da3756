use super::*;

#[track_caller]
fn parsed(line: &str) -> Command {
    parse_line(line).unwrap().unwrap()
}

#[track_caller]
fn refused(line: &str) -> String {
    parse_line(line).unwrap_err().to_string()
}

fn server(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

#[test]
fn the_originals_commands_are_understood_in_any_case() {
    let add = Command::Change(Change::Add(server("127.0.0.1:6000"), 160));
    for line in
        ["add 127.0.0.1 6000 160", "ADD 127.0.0.1 6000 160", "  Add\t127.0.0.1  6000 160 \r"]
    {
        assert_eq!(parsed(line), add);
    }
    let client = Client::parse("127.0.0.1", "5000").unwrap();
    assert_eq!(parsed("GET 127.0.0.1 5000"), Command::Get(client));
    for word in ["getVirNum", "getvirnum", "GETVIRNUM"] {
        assert_eq!(parsed(&format!("{word} a 1")), Command::GetVirNum(server("a:1")));
    }
    assert_eq!(parsed("SHOWtime"), Command::ShowTime);
    assert_eq!(parsed("del ::1 1"), Command::Change(Change::Del(server("[::1]:1"))));
}

#[test]
fn the_other_commands_are_understood() {
    assert_eq!(parsed("dist"), Command::Dist(DEFAULT_CLIENTS));
    assert_eq!(parsed("dist 7"), Command::Dist(7));
    assert_eq!(parsed("moved"), Command::Moved(None));
    let change = Change::Del(server("a:1"));
    assert_eq!(parsed("moved DEL a 1"), Command::Moved(Some(change)));
    assert_eq!(
        parsed("import 'my nginx.conf' --upstream=chat"),
        Command::Import { file: "my nginx.conf".into(), upstream: Some("chat".to_owned()) }
    );
    assert_eq!(
        parsed("export --reload a.conf --conf /etc/nginx.conf"),
        Command::Export {
            target: Target {
                file: "a.conf".into(),
                conf: Some("/etc/nginx.conf".into()),
                reload: true,
                force: false,
            },
            upstream: None,
        }
    );
    assert_eq!(parsed("import my\\ nginx.conf"), parsed("import 'my nginx.conf'"));
    assert_eq!((parsed("exit"), parsed("HELP")), (Command::Quit, Command::Help));
    assert!(matches!(parsed("help GET"), Command::HelpOn(usage) if usage.word == "get"));
    for nothing in ["", "  \t", "# a comment", "#"] {
        assert_eq!(parse_line(nothing), Ok(None));
    }
}

#[test]
fn what_is_wrong_is_said_and_what_to_do() {
    assert_eq!(refused("foo 1"), "unknown command \"foo\"; help lists the commands");
    assert_eq!(refused("add 127.0.0.1 6000"), "add is written so: add host port num");
    assert_eq!(refused("get 1.1.1.1"), "get is written so: get host port");
    assert_eq!(refused("help me"), "unknown command \"me\"; help lists the commands");
    assert_eq!(
        refused("get 1.1.1.1 5 --key addr-port"),
        "get has no option --key; it is written so: get host port. What concerns the whole \
         program stands before the command"
    );
    assert!(refused("moved sideways").starts_with("moved is written so: moved [add"));
    assert!(
        refused("add 127.0.0.1 70000 160")
            .starts_with("\"70000\" is not a port: give a number from 1")
    );
    for number in ["0", "-1", "x", "1600001", "99999999999"] {
        let said = refused(&format!("add 127.0.0.1 6000 {number}"));
        assert!(said.starts_with(&format!("{number:?} is not a number of points")), "{said}");
    }
    assert!(refused("dist 0").starts_with("\"0\" is not a number of clients"));
    assert!(refused("get localhost 5000").starts_with("\"localhost\" is not an IP address"));
    assert!(refused("export a --state x").starts_with("export has no option --state"));
    assert_eq!(refused("export a --conf"), "--conf needs a value behind it");
    assert!(refused("export a b").starts_with("export is written so"));
    assert!(refused("export").starts_with("export is written so"));
    assert!(refused("import a --upstream 'x y'").contains("is not a name of an upstream"));
    assert_eq!(refused("import 'a"), "a quote is opened and never closed");
    // What is said is safe for a terminal.
    assert!(!refused("\u{1b}[2J").contains('\u{1b}'));
}

#[test]
fn every_usage_is_a_command() {
    for usage in &USAGES {
        let bare = parse_line(usage.word);
        let form = matches!(bare, Err(CommandError::Form { word, .. }) if word == usage.word);
        assert!(form || bare.is_ok(), "{}", usage.word);
    }
}
