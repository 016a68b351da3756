//! `export` to a whole configuration and to a new file: what nginx agrees to, or
//! what was there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use crate::confs::{UPSTREAM, listing, read, refused, tool, whole};
use crate::tool::Tool;

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
    let run = tool.run("export enabled/chat --force");
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
    let run = tool.run("export nginx.conf --force");
    refused(&run, "/nginx.conf is left as it was. The new text does not pass `nginx -t`:\n");
    let words = format!(
        "unknown directive \"no_such_directive\" in {}:11",
        tool.path("nginx.conf").display()
    );
    assert!(run.err.contains(&words), "{}", run.err);
    assert_eq!(read(&tool, "nginx.conf"), before);
    assert_eq!(listing(&tool), ["nginx.conf"], "nothing is left beside it");
    refused(&tool.run("moved"), "nothing was imported or exported yet");
    refused(
        &tool.run("--nginx /no/such/nginx export nginx.conf --force"),
        "cannot run /no/such/nginx",
    );
    assert_eq!(read(&tool, "nginx.conf"), before);
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
        (
            "events {}\n",
            "it has no upstream chat_servers in stream { }; export into a file of its own",
        ),
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
    assert_eq!(tool.run("export x.conf --upstream other --force").code, Some(0));
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
    let run = tool.run("export nginx.conf --reload --force");
    refused(&run, "nginx.conf is written, but nginx was not told to reload: ");
    assert!(read(&tool, "nginx.conf").contains("server 127.0.0.1:6002 weight=2"));
    assert!(tool.answer("moved").contains("nginx has this ring already"));
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
fn a_reader_sees_the_old_text_or_the_new_one_and_nothing_else() {
    let tool = tool().with(&["--nginx", "true"]);
    // Long enough that it is not written at once.
    let padding = format!("# {}\n", "x".repeat(100)).repeat(500);
    fs::write(tool.path("nginx.conf"), whole(&tool, &format!("{padding}{UPSTREAM}"))).unwrap();
    tool.answer("import nginx.conf");
    let old = read(&tool, "nginx.conf");
    tool.answer("add 127.0.0.1 7002 160");
    tool.answer("export nginx.conf");
    let new = read(&tool, "nginx.conf");
    let path = tool.path("nginx.conf");
    let writing = thread::spawn(move || {
        for change in ["del 127.0.0.1 7002", "add 127.0.0.1 7002 160"].repeat(5) {
            tool.answer(change);
            tool.answer("export nginx.conf");
        }
        tool
    });
    let mut seen = [0, 0];
    while !writing.is_finished() {
        let text = fs::read_to_string(&path).unwrap();
        let which = [&old, &new].iter().position(|known| **known == text);
        seen[which.unwrap_or_else(|| panic!("{} bytes", text.len()))] += 1;
    }
    writing.join().unwrap();
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}
