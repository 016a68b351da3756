//! Disks that are full, files that may not grow, owners and rights, bytes and
//! names out of the ordinary: nothing is lost, nothing is left behind.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use crate::confs::{UPSTREAM, listing, read, refused, tool, whole};
use crate::tool::{Run, Tool};

/// As `tool.run`, where no file may grow beyond so many KiB.
fn run_limited(tool: &Tool, kib: u32, words: &str) -> Run {
    let plain = tool.command();
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -f {kib}; exec \"$0\" {words}")]).arg(plain.get_program());
    shell.current_dir(plain.get_current_dir().unwrap()).env_remove("CHAT_RING_STATE");
    Run::of(shell.output().unwrap())
}

#[test]
fn a_file_that_cannot_be_written_whole_is_as_it_was() {
    let tool = tool();
    let before = whole(&tool, UPSTREAM);
    fs::write(tool.path("nginx.conf"), &before).unwrap();
    let state = read(&tool, "data/ring.json");
    for (words, part) in [
        ("export nginx.conf --force", ".new: File too large"),
        ("add 127.0.0.1 6004 160", "ring.json: cannot write it: File too large"),
    ] {
        refused(&run_limited(&tool, 0, words), part);
        assert_eq!(read(&tool, "nginx.conf"), before);
        assert_eq!(listing(&tool), ["nginx.conf"]);
        assert_eq!(read(&tool, "data/ring.json"), state);
        assert!(!tool.path("data/ring.json.new").exists());
    }
}

#[test]
fn an_export_that_is_not_noted_says_so() {
    let tool = Tool::new();
    for port in 6000..6006 {
        tool.answer(&format!("add 127.0.0.1 {port} 160"));
    }
    // The configuration is shorter than a KiB; the state with it twice is not.
    let run = run_limited(&tool, 1, "export chat.conf");
    refused(&run, "chat.conf is written, but that is not noted: ");
    assert!(run.err.contains("import chat.conf notes it"), "{}", run.err);
    assert!(read(&tool, "chat.conf").contains("127.0.0.1:6005"));
    refused(&tool.run("moved"), "nothing was imported or exported yet");
    tool.answer("import chat.conf");
    assert!(tool.answer("moved").contains("nginx has this ring already"));
}

#[test]
fn answers_that_cannot_be_written_are_failures() {
    let tool = tool();
    for words in [&["showTime"][..], &["get", "10.0.0.1", "1"], &["help"], &["--help"], &[]] {
        let mut command = tool.command();
        fs::write(tool.path("lines"), "showTime\nhelp\n").unwrap();
        command.args(words).stdin(File::open(tool.path("lines")).unwrap());
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(command.stdout(full).output().unwrap());
        assert_eq!(run.code, Some(1), "{words:?}: {run:?}");
        let said = run.err.contains("the answer cannot be written: No space left on device");
        assert!(said || words == ["--help"], "{words:?}: {run:?}");
    }
    // That nobody hears what is wrong does not make it another wrong.
    fs::write(tool.path("data/ring.json"), "{").unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let code = tool.command().arg("showTime").stderr(full).status().unwrap().code();
    assert_eq!(code, Some(2));
}

#[test]
fn files_keep_their_owner_and_their_rights() {
    let tool = tool();
    fs::write(tool.path("main.conf"), whole(&tool, "include chat.conf;")).unwrap();
    fs::write(tool.path("chat.conf"), UPSTREAM).unwrap();
    let files = ["chat.conf", "data/ring.json"].map(|name| tool.path(name));
    for path in &files {
        fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
        // For root alone; anybody else has one owner to give, and the rights count.
        if let Err(e) = chown(path, Some(4711), Some(4712)) {
            assert_eq!(e.kind(), ErrorKind::PermissionDenied);
        }
    }
    let about = || {
        let about = |path| fs::metadata(path).map(|a| (a.uid(), a.gid(), a.mode())).unwrap();
        files.each_ref().map(about)
    };
    let before = about();
    for export in ["export chat.conf --force", "export chat.conf --conf main.conf"] {
        tool.answer("add 127.0.0.1 6004 160");
        assert_eq!(tool.run(export).code, Some(0));
        assert_eq!(about(), before, "{export}");
        tool.answer("del 127.0.0.1 6004");
    }
    // And one that comes back.
    fs::write(tool.path("main.conf"), whole(&tool, UPSTREAM)).unwrap();
    refused(&tool.run("export chat.conf --conf main.conf"), "main.conf does not include it");
    assert_eq!(about(), before);
}

#[test]
fn bytes_that_are_no_utf_8_survive() {
    let tool = Tool::new();
    let text = whole(&tool, UPSTREAM).replace("# ours", "# ours: caf?");
    let bytes = |text: &str| -> Vec<u8> {
        text.bytes().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect()
    };
    fs::write(tool.path("nginx.conf"), bytes(&text)).unwrap();
    tool.answer("import nginx.conf");
    assert!(tool.answer("export nginx.conf").contains("said so already"));
    tool.answer("add 127.0.0.1 7000 320");
    tool.answer("export nginx.conf");
    let text = text.replace("7000;", "7000 weight=2;");
    assert_eq!(fs::read(tool.path("nginx.conf")).unwrap(), bytes(&text));
}

#[test]
fn a_configuration_with_crlf_keeps_it() {
    let tool = Tool::new();
    let text = whole(&tool, UPSTREAM).replace('\n', "\r\n");
    fs::write(tool.path("nginx.conf"), &text).unwrap();
    tool.answer("import nginx.conf");
    tool.answer("add 127.0.0.1 7002 160");
    tool.answer("export nginx.conf");
    let line = "# ours\r\n        server 127.0.0.1:7002 max_fails=3 fail_timeout=30s;";
    assert_eq!(read(&tool, "nginx.conf"), text.replace("# ours", line));
}

#[test]
fn nginx_reads_the_text_itself_whatever_the_folder_is_called() {
    for name in ["a[1]", "a b", "a*", "quote\"d", "back\\slash", "back\\[slash", "caf\u{e9}"] {
        let tool = tool();
        fs::create_dir(tool.path(name)).unwrap();
        let file = tool.path(name).join("chat.conf");
        let export = |text: &str| {
            fs::write(&file, text).unwrap();
            let words = ["export", "--force"];
            Run::of(tool.command().args(words).arg(&file).output().unwrap())
        };
        // To nginx a pattern that fits nothing is nothing, and no fault.
        refused(&export(&format!("{UPSTREAM}\nno_such_directive on;\n")), "no_such_directive");
        let run = export(UPSTREAM);
        assert_eq!(run.code, Some(0), "{name}: {run:?}");
        assert_eq!(fs::read_dir(tool.path(name)).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn other_names_of_a_file_are_named() {
    let tool = tool();
    fs::write(tool.path("chat.conf"), UPSTREAM).unwrap();
    fs::hard_link(tool.path("chat.conf"), tool.path("other.conf")).unwrap();
    let run = tool.run("export chat.conf --force");
    assert!(run.err.contains("chat.conf has 1 other name (hard links), where"), "{}", run.err);
    assert_eq!(read(&tool, "other.conf"), UPSTREAM);
    assert!(!tool.run("export chat.conf").err.contains("other name"));
}
