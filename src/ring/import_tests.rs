use std::fs;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Folder(dir)
    }

    fn import(&self, name: Option<&str>) -> Result<Upstream, String> {
        let path = self.0.path().join("nginx.conf");
        // What is said begins with the path.
        let plain = |e: ImportError| e.to_string().replace(&path.display().to_string(), "CONF");
        import(&path, name).map_err(plain)
    }
}

fn import_text(text: &str) -> Result<Upstream, String> {
    Folder::new(&[("nginx.conf", text)]).import(None)
}

#[test]
fn servers_come_with_their_parameters_in_order() {
    let text = "
        events {}
        http { upstream web { server 127.0.0.1:80; } }
        stream {
            upstream chat { # ours
                zone chat 64k;
                hash \"${remote_addr}:$remote_port\" consistent;
                server localhost:6000 max_fails=1 fail_timeout=1m30s;
                server 127.0.0.1:6000 weight=2 max_conns=9 down;
                server 'unix:/run/chat.sock';
                server [::1]:6000;
            }
            server { listen 8000; proxy_pass chat; }
        }";
    let upstream = import_text(text).unwrap();
    assert_eq!((upstream.name.as_str(), upstream.key), ("chat", KeyForm::AddrPort));
    let shown: Vec<(&str, u32, bool)> =
        upstream.servers.iter().map(|s| (s.server.as_str(), s.points, s.down)).collect();
    let expected = [
        ("localhost:6000", 160, false),
        ("127.0.0.1:6000", 320, true),
        ("unix:/run/chat.sock", 160, false),
        ("[::1]:6000", 160, false),
    ];
    assert_eq!(shown, expected);
    assert_eq!(upstream.servers[0].fail_timeout.as_ref().map(Time::as_str), Some("1m30s"));
    assert_eq!((upstream.servers[0].max_fails, upstream.servers[1].max_fails), (Some(1), None));
    assert_eq!(upstream.servers[1].max_conns, Some(9));
}

#[test]
fn includes_are_followed() {
    let folder = Folder::new(&[
        ("nginx.conf", "include mods/*.conf;\nstream { include conf.d/*.conf; }"),
        ("conf.d/chat.conf", "upstream chat { hash $remote_addr consistent; include list; }"),
        ("conf.d/other.bak", "nonsense {"),
        ("list", "server a:1;\nserver b:2;"),
    ]);
    assert_eq!(folder.import(None).unwrap().servers.len(), 2);
    let folder = Folder::new(&[("nginx.conf", "stream {\n include missing.conf; }")]);
    let why = folder.import(None).unwrap_err();
    assert!(
        why.starts_with("CONF, line 2: cannot follow include \"missing.conf\": No such"),
        "{why}"
    );
    let folder = Folder::new(&[("nginx.conf", "include nginx.conf;")]);
    assert!(folder.import(None).unwrap_err().contains("16 deep"));
    // Not for ever, but ten times as many at each level.
    let mut files = vec![("nginx.conf".to_owned(), "include 0;".to_owned())];
    let next = |level: usize| format!("include {};", level + 1).repeat(10);
    files.extend((0..12).map(|level| (level.to_string(), next(level))));
    files.push(("12".to_owned(), String::new()));
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let why = Folder::new(&files).import(None).unwrap_err();
    assert!(why.contains("the includes come to more than 10000 files"), "{why}");
}

#[test]
fn which_upstream_is_meant_is_asked_only_if_it_is_not_plain() {
    let hashed =
        |name: &str| format!("upstream {name} {{ hash $remote_addr consistent; server a:1; }}");
    let turns = "upstream turns { server a:1; }";
    let (one, other) = (hashed("one"), hashed("other"));
    assert_eq!(import_text(&format!("stream {{ {turns} {one} }}")).unwrap().name, "one");
    let both = Folder::new(&[("nginx.conf", &format!("stream {{ {one} {other} }}"))]);
    let why = both.import(None).unwrap_err();
    assert_eq!(why, "CONF has several upstreams, one, other: say which one with --upstream NAME");
    assert_eq!(both.import(Some("other")).unwrap().name, "other");
    let why = both.import(Some("web")).unwrap_err();
    assert_eq!(why, "CONF has no upstream web in stream { }; it has: one, other");
    let why = import_text("http { upstream web { server a:1; } }").unwrap_err();
    assert_eq!(why, "CONF has no upstream in a stream { } block");
    assert!(import_text(&other).is_ok(), "a file for stream {{ }}");
}

#[test]
fn what_no_ring_answers_for_is_refused_with_its_line() {
    for (directives, line, part) in [
        ("server a:1;", 1, "no `hash … consistent`"),
        ("hash $remote_addr;\nserver a:1;", 2, "without `consistent`"),
        ("hash $ssl_session_id consistent;\nserver a:1;", 2, "cannot be computed"),
        ("least_conn;\nserver a:1;", 2, "another method"),
        ("hash $remote_addr consistent;\nserver a:1 backup;", 3, "backup"),
        ("hash $remote_addr consistent;\n\nserver a:1 slow_start=1s;", 4, "slow_start"),
        ("hash $remote_addr consistent;\nserver a:1 weight=0;", 3, "weight=0"),
        ("hash $remote_addr consistent;\nserver a:1 weight=99999999;", 3, "weight=99999999"),
        ("hash $remote_addr consistent;\nserver a:1 down=1;", 3, "down=1"),
        ("hash $remote_addr consistent;\nserver a:1 weight=+2;", 3, "weight=+2"),
        ("hash $remote_addr consistent;\nserver a:1 fail_timeout=30x;", 3, "fail_timeout=30x"),
        ("hash $remote_addr consistent;\nserver a:1 { }", 3, "`server`"),
        ("hash $remote_addr consistent;\nserver a;", 3, "has no port"),
        ("hash $remote_addr consistent;\nserver a:01;", 3, "is not a port"),
        ("hash $remote_addr consistent;\nserver $a:1;", 3, "is not a host"),
        ("hash $remote_addr consistent;\nserver;", 3, "has no port"),
        ("hash $remote_addr consistent;\nserver a:1;\nserver a:1;", 4, "there already"),
        ("hash $remote_addr consistent;\nhash $remote_addr consistent;", 3, "second time"),
        ("hash $remote_addr consistent;\nstate /x;", 3, "`state`"),
    ] {
        let why =
            import_text(&format!("stream {{ upstream u {{\n{directives}\n}} }}")).unwrap_err();
        assert!(why.starts_with(&format!("CONF, line {line}: ")), "{directives}: {why}");
        assert!(why.contains(part), "{directives}: {why}");
    }
}

#[test]
fn a_name_that_needs_quotes_is_refused() {
    let text = "upstream \"a; b\" { hash $remote_addr consistent; server a:1; }";
    let why = import_text(text).unwrap_err();
    assert!(why.starts_with("CONF: \"a; b\" as an upstream's name needs quotes"), "{why}");
}

#[test]
fn a_file_that_is_no_configuration_is_named() {
    let missing = import(Path::new("/no/such/file"), None).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read /no/such/file: No such file"), "{missing}");
    assert_eq!(
        import_text("stream {").unwrap_err(),
        "CONF, line 1: the text ends inside of a block: \"}\" is missing"
    );
    let folder = Folder::new(&[]);
    fs::write(folder.0.path().join("nginx.conf"), b"\xff\xfe").unwrap();
    assert!(folder.import(None).unwrap_err().starts_with("CONF, line 1: the text ends inside"));
}

#[test]
fn latin_1_in_comments_is_nobodys_business_and_in_a_server_refused() {
    let folder = Folder::new(&[]);
    let conf = folder.0.path().join("nginx.conf");
    let with = |server: &[u8]| {
        let parts: [&[u8]; 3] =
            [b"upstream u { # caf\xe9\n hash $remote_addr consistent; server ", server, b"; }"];
        fs::write(&conf, parts.concat()).unwrap();
        folder.import(None)
    };
    assert_eq!(with(b"a:1").unwrap().servers.len(), 1);
    for bad in [&b"caf\xe9:1"[..], b"unix:/caf\xe9"] {
        // The ring would have the points of another text.
        assert!(with(bad).unwrap_err().starts_with("CONF, line 2: "));
    }
}

#[test]
fn includes_with_bytes_and_patterns_anywhere_are_followed() {
    let folder = Folder::new(&[("a1/x.conf", "server a:1;"), ("b2/x.conf", "server b:1;")]);
    let conf =
        b"upstream u { hash $remote_addr consistent; include [a-b]?/*.conf; include caf\xe9; }";
    fs::write(folder.0.path().join("nginx.conf"), conf).unwrap();
    let latin = std::os::unix::ffi::OsStrExt::from_bytes(&b"caf\xe9"[..]);
    fs::write(folder.0.path().join(Path::new::<std::ffi::OsStr>(latin)), "server c:1;").unwrap();
    let servers = folder.import(None).unwrap().servers;
    let names: Vec<&str> = servers.iter().map(|server| server.server.as_str()).collect();
    assert_eq!(names, ["a:1", "b:1", "c:1"]);
    fs::write(folder.0.path().join("nginx.conf"), "include a b;").unwrap();
    let why = folder.import(None).unwrap_err();
    assert!(why.contains("line 1: cannot follow include \"a b\": it names one file"), "{why}");
}
