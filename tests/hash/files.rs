//! `import` and `export`: files that nginx agrees to, or files as they were.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::services::{Service, Variant};
use crate::tool::{Run, Tool};
use crate::upstreams::{Client, Upstream};

/// A tool with two servers on its ring.
fn tool() -> Tool {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    tool.answer("add 127.0.0.1 6002 320");
    tool
}

/// A configuration for nginx with this inside of `stream`, run by nobody.
fn whole(tool: &Tool, stream: &str) -> String {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load =
        if Path::new(module).exists() { format!("load_module {module};") } else { String::new() };
    let dir = tool.path("").display().to_string();
    format!("{load}\npid {dir}/pid;\nerror_log stderr;\nevents {{}}\nstream {{\n{stream}\n}}\n")
}

const UPSTREAM: &str = "\
    upstream chat_servers {
        hash $remote_addr consistent;
        server 127.0.0.1:7000; # ours
    }";

/// What lies in the tool's folder, hidden files too.
fn listing(tool: &Tool) -> Vec<String> {
    let entries = fs::read_dir(tool.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "data" && name != "pid");
    names.sort();
    names
}

#[track_caller]
fn read(tool: &Tool, name: &str) -> String {
    fs::read_to_string(tool.path(name)).unwrap()
}

#[track_caller]
fn refused(run: &Run, part: &str) {
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.err.contains(part), "{}", run.err);
}

#[test]
fn what_is_exported_can_be_imported() {
    let tool = tool();
    let said = tool.answer("export new.conf");
    assert_eq!(
        said,
        "new.conf: upstream chat_servers has 2 servers now, hash $remote_addr; nginx -t agrees.\n"
    );
    let said = tool.answer("export new.conf");
    assert_eq!(said, "new.conf: upstream chat_servers said so already; nginx -t agrees.\n");
    assert_eq!(listing(&tool), ["new.conf"]);
    let other = Tool::new();
    let said = other.answer(&format!("import {}", tool.path("new.conf").display()));
    assert_eq!(said, "Imported chat_servers: 2 servers, 480 points, hash $remote_addr.\n");
    assert_eq!(other.answer("showTime"), tool.answer("showTime"));
}

#[test]
fn a_whole_configuration_keeps_all_but_its_servers() {
    let tool = tool();
    let before = whole(&tool, UPSTREAM);
    fs::write(tool.path("nginx.conf"), &before).unwrap();
    fs::set_permissions(tool.path("nginx.conf"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(tool.path("enabled")).unwrap();
    symlink(tool.path("nginx.conf"), tool.path("enabled/chat")).unwrap();
    let run = tool.run("export enabled/chat");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("was not imported: `server 127.0.0.1:7000` is gone."), "{}", run.err);
    let lines = "server 127.0.0.1:6000 max_fails=3 fail_timeout=30s;
        server 127.0.0.1:6002 weight=2 max_fails=3 fail_timeout=30s;";
    let expected = before.replace("server 127.0.0.1:7000; # ours", lines);
    assert_eq!(read(&tool, "nginx.conf"), expected);
    let mode = fs::metadata(tool.path("nginx.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(fs::symlink_metadata(tool.path("enabled/chat")).unwrap().is_symlink());
}

#[test]
fn an_export_right_after_an_import_changes_not_a_byte() {
    let tool = Tool::new();
    let stream =
        UPSTREAM.replace("; # ours", " weight=1; # ours\n\n # theirs\n\tserver  127.0.0.1:7002;");
    let before = whole(&tool, &stream);
    fs::write(tool.path("nginx.conf"), &before).unwrap();
    tool.answer("import nginx.conf");
    assert!(tool.answer("export nginx.conf").contains("said so already"));
    assert_eq!(read(&tool, "nginx.conf"), before);
}

#[test]
fn a_large_ring_fits_into_the_memory_of_a_new_file() {
    let tool = Tool::new();
    let lines: String = (1..=150).map(|port| format!("add 127.0.0.1 {port} 160\n")).collect();
    assert_eq!(tool.lines(&lines).code, Some(0));
    tool.answer("export new.conf");
}

#[test]
fn a_file_that_nginx_refuses_stays_as_it_was() {
    let tool = tool();
    let before = whole(&tool, &format!("{UPSTREAM}\n    no_such_directive on;"));
    fs::write(tool.path("nginx.conf"), &before).unwrap();
    let run = tool.run("export nginx.conf");
    refused(&run, "/nginx.conf is left as it was. The new text does not pass `nginx -t`:\n");
    let words = format!(
        "unknown directive \"no_such_directive\" in {}:11",
        tool.path("nginx.conf").display()
    );
    assert!(run.err.contains(&words), "{}", run.err);
    assert_eq!(read(&tool, "nginx.conf"), before);
    assert_eq!(listing(&tool), ["nginx.conf"], "nothing is left beside it");
    refused(&tool.run("moved"), "nothing was imported or exported yet");
    refused(&tool.run("--nginx /no/such/nginx export nginx.conf"), "cannot run /no/such/nginx");
    assert_eq!(read(&tool, "nginx.conf"), before);
}

#[test]
fn an_included_file_comes_back_if_the_whole_is_refused() {
    let tool = tool();
    let before = format!("{UPSTREAM}\n");
    fs::write(tool.path("chat.conf"), &before).unwrap();
    let include = format!("    include {}/chat.*;", tool.path("").display());
    for (main, part) in [
        (whole(&tool, &format!("{include}\n{UPSTREAM}")), "duplicate upstream"),
        (whole(&tool, UPSTREAM), "main.conf does not include it"),
    ] {
        fs::write(tool.path("main.conf"), main).unwrap();
        let run = tool.run("export chat.conf --conf main.conf");
        refused(&run, part);
        assert!(run.err.contains("chat.conf is left as it was"), "{}", run.err);
        assert_eq!(read(&tool, "chat.conf"), before);
        let run = tool.run("export chat.new --conf main.conf");
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(listing(&tool), ["chat.conf", "main.conf"], "what was not there goes again");
    }
    fs::write(tool.path("main.conf"), whole(&tool, &include)).unwrap();
    assert_eq!(tool.run("export chat.conf --conf main.conf").code, Some(0));
    assert!(read(&tool, "chat.conf").contains("server 127.0.0.1:6002 weight=2"));
    assert_eq!(listing(&tool), ["chat.conf", "main.conf"]);
}

#[test]
fn points_that_are_no_weight_are_refused_with_the_nearest_ones() {
    let tool = tool();
    tool.answer("add 127.0.0.1 6000 200");
    let run = tool.run("export new.conf");
    refused(&run, "127.0.0.1:6000 has 200 points");
    assert!(run.err.contains("take 160 (weight 1) or 320 (weight 2)"), "{}", run.err);
    tool.answer("add 127.0.0.1 6000 7");
    let run = tool.run("export new.conf");
    assert!(run.err.contains("take 160 (weight 1)\n"), "{}", run.err);
    assert!(!tool.path("new.conf").exists());
}

#[test]
fn a_file_without_a_place_for_it_is_left_alone() {
    let tool = tool();
    for (text, part) in [
        ("not nginx's at all", "line 1: the text ends inside of a directive"),
        ("events {}\n", "it has no upstream chat_servers in stream { }"),
        ("stream { upstream other { server a:1; } }", "it has: other (--upstream NAME names one)"),
        (
            "upstream chat_servers {\n least_conn;\n server a:1; }",
            "line 2: `least_conn` is another method",
        ),
        ("upstream chat_servers {\n include servers; }", "line 2: `include` in an upstream"),
    ] {
        fs::write(tool.path("x.conf"), text).unwrap();
        let run = tool.run("export x.conf");
        refused(&run, part);
        assert_eq!(read(&tool, "x.conf"), text);
    }
    fs::write(tool.path("x.conf"), "upstream other { server 127.0.0.1:1; }\n").unwrap();
    assert_eq!(tool.run("export x.conf --upstream other").code, Some(0));
    assert!(
        read(&tool, "x.conf").contains("hash $remote_addr consistent;"),
        "it took turns before"
    );
    refused(&tool.run("export /no/such/folder/x.conf"), "cannot find /no/such/folder/x.conf");
    refused(&Tool::new().run("export new.conf"), "the ring is empty");
}

#[test]
fn nginx_that_cannot_be_told_is_a_failure_but_the_file_stands() {
    let tool = tool();
    fs::write(tool.path("nginx.conf"), whole(&tool, UPSTREAM)).unwrap();
    let run = tool.run("export nginx.conf --reload");
    refused(&run, "nginx.conf is written, but nginx was not told to reload: ");
    assert!(read(&tool, "nginx.conf").contains("server 127.0.0.1:6002 weight=2"));
    assert!(tool.answer("moved").contains("nginx has this ring already"));
}

#[test]
fn a_part_of_a_running_nginx_is_replaced_and_reloaded() {
    let servers = [Upstream::start(), Upstream::start()];
    let nginx = Service::nginx_as(Variant::Hash, &[servers[0].address()]);
    // Its upstream moves into a file of its own.
    let (tool, conf) = (Tool::new(), nginx.conf());
    let text = fs::read_to_string(conf).unwrap();
    let begin = text.find("    upstream ").unwrap();
    let end = begin + text[begin..].find("    }\n").unwrap() + "    }\n".len();
    let part = tool.path("chat.conf");
    fs::write(&part, &text[begin..end]).unwrap();
    let include = format!("    include {};\n", part.display());
    fs::write(conf, text.replace(&text[begin..end], &include)).unwrap();
    nginx.reload();
    tool.answer(&format!("import {}", conf.display()));
    tool.answer(&format!("del 127.0.0.1 {}", servers[0].address().port()));
    tool.answer(&format!("add 127.0.0.1 {} 160", servers[1].address().port()));
    tool.answer(&format!("export chat.conf --reload --conf {}", conf.display()));
    nginx.reload();
    let client = Client::connect([127, 0, 0, 1].into(), nginx.address());
    assert_eq!(client.server, servers[1].address().to_string());
    let export = format!("export chat.conf --reload --conf {}", conf.display());
    assert!(tool.answer(&export).ends_with("clients who are connected stay where they are.\n"));
    let text = fs::read_to_string(conf).unwrap();
    fs::write(conf, text + "\nworker_shutdown_timeout 50s;\n").unwrap();
    let said = tool.answer(&export);
    assert!(said.contains("stay where they are for 50s, then worker_shutdown_timeout"), "{said}");
}

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
fn what_was_added_by_hand_since_the_import_is_not_lost() {
    let tool = Tool::new();
    fs::write(tool.path("nginx.conf"), whole(&tool, UPSTREAM)).unwrap();
    tool.answer("import nginx.conf");
    tool.answer("add 127.0.0.1 6000 160");
    let by_hand = UPSTREAM
        .replace("# ours", "\n server 127.0.0.1:7002 backup;\n server 127.0.0.1:6000 weight=3;");
    let by_hand = whole(&tool, &by_hand);
    fs::write(tool.path("nginx.conf"), &by_hand).unwrap();
    let run = tool.run("export nginx.conf");
    refused(&run, "its upstream is not the one that was last imported or exported");
    for part in [
        "`server 127.0.0.1:7002 backup` would go",
        "`server 127.0.0.1:6000 weight=3` would change",
        "export --force writes over it",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert!(!run.err.contains("127.0.0.1:7000"), "that one stays: {}", run.err);
    assert_eq!(read(&tool, "nginx.conf"), by_hand);
    let run = tool.run("export nginx.conf --force");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("`server 127.0.0.1:7002 backup` is gone"), "{}", run.err);
    assert!(!read(&tool, "nginx.conf").contains("7002"));
    tool.answer("del 127.0.0.1 7000");
    tool.answer("export nginx.conf");
    let other_key = read(&tool, "nginx.conf").replace("$remote_addr ", "$binary_remote_addr ");
    fs::write(tool.path("nginx.conf"), other_key).unwrap();
    let run = tool.run("export nginx.conf");
    refused(&run, "`hash $binary_remote_addr consistent` would change");
}

#[test]
fn a_server_that_was_removed_by_hand_comes_back_with_a_word() {
    let tool = tool();
    tool.answer("export chat.conf");
    let text = read(&tool, "chat.conf");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(":6002")).collect();
    fs::write(tool.path("chat.conf"), lines.join("\n") + "\n").unwrap();
    let run = tool.run("export chat.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("did not have 127.0.0.1:6002, as last imported"), "{}", run.err);
    assert_eq!(read(&tool, "chat.conf"), text);
}

#[test]
fn an_included_file_may_need_what_stands_around_it() {
    let tool = tool();
    let part = format!(
        "{UPSTREAM}\nserver {{ listen 127.0.0.1:1; proxy_pass chat_servers; access_log {}/log chat; }}\n\
         server {{ listen 127.0.0.1:2; proxy_pass others; }}\n",
        tool.path("").display()
    );
    fs::write(tool.path("chat.conf"), &part).unwrap();
    let around = "log_format chat $remote_addr;\nupstream others { server 127.0.0.1:9; }";
    let main = whole(&tool, &format!("{around}\ninclude chat.conf;"));
    fs::write(tool.path("main.conf"), main).unwrap();
    let run = tool.run("export chat.conf");
    refused(&run, "if the file needs what stands around it");
    assert!(!run.err.contains(".check"), "{}", run.err);
    assert!(!run.err.contains(".new"), "{}", run.err);
    assert_eq!(read(&tool, "chat.conf"), part);
    let run = tool.run("export chat.conf --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read(&tool, "chat.conf").contains("server 127.0.0.1:6002 weight=2"));
    let said = tool.answer("export chat.conf --conf main.conf");
    assert!(said.contains("said so already"), "{said}");
    fs::write(tool.path("main.conf"), whole(&tool, around)).unwrap();
    refused(&tool.run("export chat.conf --conf main.conf"), "main.conf does not include it");
    let run = tool.run("export chat.conf --conf chat.conf");
    assert_eq!(run.code, Some(1), "a part is no configuration: {run:?}");
}

#[test]
fn an_included_file_may_name_a_certificate_beside_the_whole() {
    let tool = tool();
    fs::create_dir(tool.path("parts")).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["chat.example".to_owned()]).unwrap();
    fs::write(tool.path("chat.pem"), made.cert.pem()).unwrap();
    fs::write(tool.path("chat.key"), made.signing_key.serialize_pem()).unwrap();
    let part = format!(
        "{UPSTREAM}\nserver {{ listen 127.0.0.1:1 ssl; proxy_pass chat_servers;\n\
         ssl_certificate chat.pem; ssl_certificate_key chat.key; }}\n"
    );
    fs::write(tool.path("parts/chat.conf"), &part).unwrap();
    fs::write(tool.path("main.conf"), whole(&tool, "include parts/chat.conf;")).unwrap();
    refused(&tool.run("export parts/chat.conf"), "chat.pem");
    let run = tool.run("export parts/chat.conf --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read(&tool, "parts/chat.conf").contains("server 127.0.0.1:6002 weight=2"));
}

#[test]
fn the_including_file_is_not_where_the_upstream_is_written() {
    let tool = tool();
    fs::write(tool.path("chat.conf"), UPSTREAM).unwrap();
    fs::write(tool.path("main.conf"), whole(&tool, "include chat.conf;")).unwrap();
    let dir = fs::canonicalize(tool.path("")).unwrap();
    let advice = format!("export {0}/chat.conf --conf {0}/main.conf\n", dir.display());
    refused(&tool.run("export main.conf"), &advice);
}

#[test]
fn nginx_that_cannot_be_asked_is_no_nginx_that_refuses() {
    let tool = tool();
    for (flags, part) in [
        (["--nginx", ""], "--nginx is empty: name a program"),
        (["--nginx", "/no/such/nginx"], "cannot run /no/such/nginx: No such file"),
        (["--nginx", "/"], "cannot run /: Permission denied"),
    ] {
        let tool = Tool::new().with(&flags);
        tool.answer("add 127.0.0.1 6000 160");
        let run = tool.run("export new.conf");
        refused(&run, part);
        assert!(!run.err.contains("does not pass"), "{}", run.err);
        assert!(run.err.contains("nginx was not asked"), "{}", run.err);
    }
    assert_eq!(tool.answer("export new.conf").lines().count(), 1);
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
