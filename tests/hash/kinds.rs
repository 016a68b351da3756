//! Files that are none: a FIFO, a socket, a folder.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::tool::Tool;

/// Whether it is still what it was made as.
fn is_special(path: &Path) -> bool {
    let kind = fs::metadata(path).unwrap().file_type();
    kind.is_fifo() || kind.is_socket()
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_replaced() {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    // Nobody ever writes into the FIFO: whoever opens it waits for ever.
    assert!(Command::new("mkfifo").arg(tool.path("fifo")).status().unwrap().success());
    let _listener = UnixListener::bind(tool.path("socket")).unwrap();
    fs::create_dir(tool.path("folder")).unwrap();
    for (name, kind) in [("fifo", "a FIFO"), ("socket", "a socket"), ("folder", "a folder")] {
        symlink(tool.path(name), tool.path(&format!("to-{name}"))).unwrap();
        for file in [name.to_owned(), format!("to-{name}")] {
            let include = format!("stream {{ include {file}; }}");
            fs::write(tool.path("main.conf"), include).unwrap();
            for line in [
                format!("export {file}"),
                format!("import {file}"),
                "import main.conf".to_owned(),
                format!("export new.conf --conf {file}"),
            ] {
                let run = tool.run(&line);
                assert_eq!(run.code, Some(1), "{line}: {run:?}");
                let part = format!("is {kind}, no regular file: it is neither read nor replaced");
                assert!(run.err.contains(&part), "{line}: {}", run.err);
            }
            let run = tool.run(&format!("--state {file} add a 1 160"));
            assert_eq!(run.code, Some(2), "{run:?}");
            assert!(run.err.contains(&format!("it is {kind}, no regular file")), "{}", run.err);
        }
        assert!(tool.path(name).is_dir() || is_special(&tool.path(name)), "{name} is replaced");
        assert!(tool.path(&format!("to-{name}")).is_symlink());
    }
    symlink(tool.path("nowhere"), tool.path("dangling")).unwrap();
    let run = tool.run("export dangling");
    assert!(run.err.contains("a link to a file that is not there"), "{}", run.err);
    assert!(!tool.path("new.conf").exists());
}
