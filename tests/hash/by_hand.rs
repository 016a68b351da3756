//! What people write into a configuration by hand is not lost.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::confs::{UPSTREAM, read, refused, tool, whole};
use crate::slow::{BEFORE, exporting, go, tool_with_slow_nginx};
use crate::support::wait::{SOON, eventually};
use crate::tool::{Run, Tool};

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
fn what_was_never_imported_is_not_written_over() {
    // A ring that was begun in another folder, say, and knows of no other server.
    let tool = tool();
    let before = whole(&tool, UPSTREAM);
    fs::write(tool.path("nginx.conf"), &before).unwrap();
    let run = tool.run("export nginx.conf");
    refused(&run, "`server 127.0.0.1:7000` would go");
    assert_eq!(read(&tool, "nginx.conf"), before);
    let turns = before.replace("hash $remote_addr consistent;", "");
    fs::write(tool.path("nginx.conf"), &turns).unwrap();
    refused(&tool.run("import nginx.conf"), "or `export --force` a ring of your own");
    refused(&tool.run("export nginx.conf"), "`server 127.0.0.1:7000` would go");
    assert_eq!(tool.run("export nginx.conf --force").code, Some(0));
    assert!(read(&tool, "nginx.conf").contains("hash $remote_addr consistent;"));
}

#[test]
fn what_an_editor_saves_while_nginx_thinks_is_not_lost() {
    let before = format!("events {{}}\nstream {{\n{BEFORE}}}\n");
    let tool = tool_with_slow_nginx(&before, "exit 0");
    let export = exporting(&tool, &["chat.conf"]);
    fs::write(tool.path("chat.conf"), format!("# By hand.\n{before}")).unwrap();
    go(&tool);
    let run = Run::of(export.wait_with_output().unwrap());
    refused(&run, "somebody has changed it while nginx was asked about the new text; try again");
    assert_eq!(read(&tool, "chat.conf"), format!("# By hand.\n{before}"));
    let run = tool.run("export chat.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read(&tool, "chat.conf").starts_with("# By hand."));
    assert!(read(&tool, "chat.conf").contains("127.0.0.1:6000"));
}

#[test]
fn two_exports_at_once_take_turns() {
    let before = format!("events {{}}\nstream {{\n{BEFORE}}}\n");
    let tool = tool_with_slow_nginx(&before, "exit 0");
    let other = Tool::new().with(&["--nginx", "true"]);
    let conf = tool.path("chat.conf").canonicalize().unwrap();
    other.answer(&format!("import {}", conf.display()));
    other.answer("add 127.0.0.1 6002 160");
    let first = exporting(&tool, &["chat.conf"]);
    let mut second = other.command();
    second.arg("export").arg(&conf).stdout(Stdio::piped()).stderr(Stdio::piped());
    let second = second.spawn().unwrap();
    // It holds the folder open whose lock it waits for.
    let files = PathBuf::from(format!("/proc/{}/fd", second.id()));
    eventually("the second one waits for its turn", SOON, || {
        let open =
            fs::read_dir(&files).unwrap().filter_map(|file| file.ok()?.path().read_link().ok());
        open.into_iter().any(|to| Some(to.as_path()) == conf.parent())
    });
    go(&tool);
    assert!(first.wait_with_output().unwrap().status.success());
    let second = Run::of(second.wait_with_output().unwrap());
    // It has seen what the first one has written.
    refused(&second, "`server 127.0.0.1:6000 max_fails=3 fail_timeout=30s` would go");
    assert!(read(&tool, "chat.conf").contains("server 127.0.0.1:6000"));
    other.answer(&format!("import {}", conf.display()));
    other.answer("add 127.0.0.1 6002 160");
    other.answer(&format!("export {}", conf.display()));
    assert!(read(&tool, "chat.conf").contains("6000") && read(&tool, "chat.conf").contains("6002"));
}
