use proptest::prelude::*;

use super::*;
use crate::ring::{KeyForm, ServerName, conf};

fn server(name: &str, points: u32) -> Server {
    Server::new(ServerName::parse(name).unwrap(), points)
}

fn upstream(servers: Vec<Server>) -> Upstream {
    Upstream { servers, ..Upstream::default() }
}

#[track_caller]
fn rewritten(text: &str, upstream: &Upstream) -> Result<String, Refused> {
    let directives = conf::parse(text).unwrap();
    let mut all = directives.iter().flat_map(|d| std::iter::once(d).chain(d.inner()));
    in_place(text, all.find(|d| d.name() == "upstream").unwrap(), upstream)
}

/// What the text says after a rewriting is what was to be said.
#[track_caller]
fn reads_back(text: &str, upstream: &Upstream) {
    let directives = conf::parse(text).unwrap();
    let mut all = directives.iter().flat_map(|d| std::iter::once(d).chain(d.inner()));
    let block = all.find(|d| d.name() == "upstream").unwrap();
    let of = |name: &'static str| block.inner().iter().filter(move |d| d.name() == name);
    let servers: Vec<Server> = of("server").map(|d| read_server(d.arguments()).unwrap()).collect();
    assert_eq!(servers, upstream.servers, "{text}");
    let keys: Vec<KeyForm> = of("hash").map(|d| read_hash(d.arguments()).unwrap()).collect();
    assert_eq!(keys, [upstream.key], "{text}");
}

#[test]
fn a_fragment_says_what_the_upstream_is() {
    let mut down = server("[::1]:6002", 320);
    down.down = true;
    let upstream = upstream(vec![server("127.0.0.1:6000", 160), down]);
    let text = fragment(&upstream);
    reads_back(&text, &upstream);
    assert!(text.contains("\n    server 127.0.0.1:6000 max_fails=3 fail_timeout=30s;\n"), "{text}");
    let line = "\n    server [::1]:6002 weight=2 max_fails=3 fail_timeout=30s down;\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn only_what_changes_is_changed() {
    let text = "\
events {}
stream {
    # Ours.
    upstream chat_servers {
        zone chat_servers 64k;

        hash $remote_addr consistent; # by address
        # The servers.
        server  127.0.0.1:6000  fail_timeout=30s max_fails=3; # the old one
        server 127.0.0.1:6002 max_fails=3 fail_timeout=30s;   # to be larger
        server 127.0.0.1:6004 max_fails=3 fail_timeout=30s;   # to go
        # The end.
    }
    server { listen 8000; proxy_pass chat_servers; }
}
";
    let expected = text.replace("6002 max_fails", "6002 weight=2 max_fails").replace(
        "        server 127.0.0.1:6004 max_fails=3 fail_timeout=30s;   # to go\n",
        "        server 127.0.0.1:6006 max_fails=3 fail_timeout=30s;\n",
    );
    let upstream = upstream(vec![
        server("127.0.0.1:6000", 160),
        server("127.0.0.1:6002", 320),
        server("127.0.0.1:6006", 160),
    ]);
    let new = rewritten(text, &upstream).unwrap();
    assert_eq!(new, expected);
    assert_eq!(rewritten(&new, &upstream).unwrap(), new, "a second time changes nothing");
}

#[test]
fn a_block_on_one_line_or_without_servers_is_rewritten_too() {
    let upstream = upstream(vec![server("a:1", 160), server("b:2", 160)]);
    for text in [
        "stream { upstream u { server a:1; server c:3 weight=2; } server { listen 1; } }",
        "stream { upstream u { hash $remote_port; server a:1; } }",
        "stream {\n  upstream u {\n  }\n}\n",
        "stream {\n  upstream u {}\n}\n",
        "upstream u { server b:2;\n server a:1 # x\n down; }",
        "upstream u {\n\tserver b:2 # x\n; server d:2; # y\n}\n",
    ] {
        let new = rewritten(text, &upstream).unwrap();
        reads_back(&new, &upstream);
        assert_eq!(conf::parse(text).unwrap().len(), conf::parse(&new).unwrap().len(), "{new}");
        assert_eq!(text.matches("listen 1").count(), new.matches("listen 1").count(), "{new}");
    }
}

#[test]
fn another_method_or_an_include_is_refused_with_its_line() {
    let upstream = upstream(vec![server("a:1", 160)]);
    for (line, why) in [
        ("least_conn;", Unfit::OtherMethod("least_conn".to_owned())),
        ("include servers.conf;", Unfit::Directive("include".to_owned())),
    ] {
        let text = format!("upstream u {{\n  server a:1;\n  {line}\n}}\n");
        assert_eq!(rewritten(&text, &upstream), Err(Refused { line: 3, why }));
    }
}

const COMMENTED: &str = "\
upstream chat_servers {
    hash $remote_addr consistent;

    # The first rack.
    server 127.0.0.1:6000 max_fails=3 fail_timeout=30s; # a

    # The second rack,
    # with the new machines.
    server 127.0.0.1:6002 max_fails=3   fail_timeout=30s;   # b
    zone chat_servers 64k; # between them
    # The third.
    server 127.0.0.1:6004 fail_timeout=30s max_fails=3;
}
";

fn three() -> Vec<Server> {
    ["127.0.0.1:6000", "127.0.0.1:6002", "127.0.0.1:6004"].map(|name| server(name, 160)).to_vec()
}

#[test]
fn comments_stay_with_their_servers() {
    assert_eq!(rewritten(COMMENTED, &upstream(three())).unwrap(), COMMENTED);
    // A server more in the middle, one less, another weight: in place.
    let mut servers = three();
    servers.insert(1, server("127.0.0.1:6001", 160));
    servers[2] = server("127.0.0.1:6002", 320);
    servers.remove(3);
    let line = "    server 127.0.0.1:6001 max_fails=3 fail_timeout=30s;\n";
    let expected = COMMENTED
        .replace("; # a\n", &format!("; # a\n{line}"))
        .replace("6002 max_fails=3   fail", "6002 weight=2 max_fails=3 fail")
        .replace("    server 127.0.0.1:6004 fail_timeout=30s max_fails=3;\n", "");
    assert_eq!(rewritten(COMMENTED, &upstream(servers)).unwrap(), expected);
}

#[test]
fn servers_in_another_order_take_their_comments_along() {
    let mut servers = three();
    servers.rotate_left(1);
    let upstream = upstream(servers);
    let new = rewritten(COMMENTED, &upstream).unwrap();
    reads_back(&new, &upstream);
    let expected = "\
upstream chat_servers {
    hash $remote_addr consistent;

    # The second rack,
    # with the new machines.
    server 127.0.0.1:6002 max_fails=3   fail_timeout=30s;   # b
    # The third.
    server 127.0.0.1:6004 fail_timeout=30s max_fails=3;
    # The first rack.
    server 127.0.0.1:6000 max_fails=3 fail_timeout=30s; # a

    zone chat_servers 64k; # between them
}
";
    assert_eq!(new, expected);
}

#[test]
fn a_block_with_a_server_of_ours_in_it_is_edited_wherever_the_line_breaks_are() {
    let upstream = upstream(vec![server("b:2", 160), server("a:1", 160), server("c:3", 160)]);
    for text in [
        "upstream u { server a:1; server d:4; } # end\n",
        "upstream u { server d:4; # x\n server a:1; server c:3 weight=2; # y\n}\n",
        "upstream u {\n server a:1; # x\n server b:2; }",
        "upstream u { # x\n server b:2;\n # y\n server c:3;\n hash $remote_addr; }",
        "upstream u { server a:1; server a:1; }",
    ] {
        let new = rewritten(text, &upstream).unwrap();
        reads_back(&new, &upstream);
        assert_eq!(rewritten(&new, &upstream).unwrap(), new, "a second time changes nothing");
        for comment in ["# x", "# y", "# end"] {
            assert_eq!(new.contains(comment), text.contains(comment), "{new}");
        }
    }
}

#[test]
fn the_memory_of_a_new_file_grows_with_its_servers() {
    let zone = |servers: u16| {
        let all = (1..=servers).map(|port| server(&format!("a:{port}"), 160)).collect();
        fragment(&upstream(all)).lines().find(|line| line.contains("zone")).unwrap().to_owned()
    };
    assert_eq!(zone(2), "    zone chat_servers 64k;");
    assert_eq!(zone(1000), "    zone chat_servers 1032k;");
}

#[test]
fn lines_end_as_the_others_do() {
    let text = "upstream chat_servers {\r\n    hash $remote_addr consistent;\r\n    \
                # first\r\n    server a:1; # one\r\n    server b:1;\r\n}\r\n";
    let added = upstream(vec![server("a:1", 160), server("b:1", 160), server("c:1", 320)]);
    let other_order = upstream(vec![server("b:1", 160), server("c:1", 160), server("a:1", 160)]);
    for upstream in [added, other_order] {
        let new = rewritten(text, &upstream).unwrap();
        reads_back(&new, &upstream);
        assert!(new.lines().count() > 5, "{new}");
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count(), "{new:?}");
        assert!(!new.contains("\r\r"), "{new:?}");
        assert!(new.contains("# first\r\n    server a:1"), "{new:?}");
    }
}

/// What may stand in a block, and what may follow it.
fn pieces() -> impl Strategy<Value = String> {
    let what = prop_oneof![
        4 => "server [a-d]:[12]( weight=2| max_fails=3 fail_timeout=30s| down| slow_start=1s)?;",
        1 => "zone chat_servers 64k;",
        1 => "# [a-z;{}\"']{0,9}\r?\n",
        1 => Just(String::new()),
    ];
    let behind = "( |\t|\n|\r\n|\n\n| # [a-z;{}\"']{0,5}\n|\n    |\r\n\t)";
    proptest::collection::vec((what, behind).prop_map(|(what, behind)| what + &behind), 0..9)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_block_says_in_the_end_what_was_to_be_said(
        before in "(# x\r?\n|events \\{\\}\n)?",
        pieces in pieces(),
        hash in "(hash \\$remote_addr consistent;( |\n| # h\n))?",
        hash_first: bool,
        after in "( # y)?(\r?\n(# z\n)?)?",
        servers in proptest::sample::subsequence(vec!["a:1", "b:1", "c:1", "d:1", "a:2", "e:9"], 1..6)
            .prop_shuffle(),
        weights in proptest::collection::vec(1u32..3, 6),
    ) {
        let inner = if hash_first { hash + &pieces } else { pieces + &hash };
        let text = format!("{before}upstream chat_servers {{ {inner}}}{after}");
        let servers = servers.into_iter().zip(weights).map(|(name, w)| server(name, 160 * w));
        let upstream = upstream(servers.collect());
        let new = rewritten(&text, &upstream).unwrap();
        reads_back(&new, &upstream);
        prop_assert!(new.starts_with(&format!("{before}upstream chat_servers {{")), "{}", new);
        prop_assert!(new.ends_with(&format!("}}{after}")), "{}", new);
        prop_assert_eq!(new.matches("zone ").count(), text.matches("zone ").count());
        prop_assert_eq!(rewritten(&new, &upstream).unwrap(), new, "a second time changes nothing");
    }
}
