//! What the C++ original got wrong, and its forms of answers, which stay.

use std::process::Stdio;

use crate::support::wait::{SOON, eventually_some};
use crate::tool::Tool;

#[test]
fn an_empty_ring_does_not_abort() {
    let tool = Tool::new();
    let run = tool.lines("get 127.0.0.1 5000\nshowTime\ndist\ngetVirNum 127.0.0.1 6000\n");
    assert_eq!(run.code, Some(1), "no signal ended it: {run:?}");
    assert_eq!(run.out, "-1\n", "the last line is still answered");
    let said: Vec<&str> = run.err.lines().collect();
    assert_eq!(said.len(), 3);
    for (line, said) in said.iter().enumerate() {
        let begin =
            format!("ConsistentHash: line {}: the ring is empty: add host port num", line + 1);
        assert!(said.starts_with(&begin), "{said}");
    }
    tool.answer("add 127.0.0.1 6000 160");
    tool.answer("del 127.0.0.1 6000");
    let again = tool.run("get 127.0.0.1 5000");
    assert_eq!((again.code, again.out.as_str()), (Some(1), ""));
}

#[test]
fn the_end_of_the_input_ends_it() {
    let tool = Tool::new();
    for input in ["", "\n", "getVirNum 127.0.0.1 6000", "getVirNum 127.0.0.1 6000\n"] {
        let run = tool.lines(input);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{input:?}");
        assert_eq!(run.out, if input.len() > 1 { "-1\n" } else { "" }, "{input:?}");
    }
    let mut closed = tool.command().stdin(Stdio::null()).spawn().unwrap();
    let ended = eventually_some("it ends", SOON, || closed.try_wait().unwrap());
    assert!(ended.success());
}

#[test]
fn a_duplicate_add_leaves_no_stale_points() {
    let tool = Tool::new();
    let points = |port: u16| {
        let all = tool.answer("showTime");
        all.lines().filter(|line| line.ends_with(&format!(":{port}"))).count()
    };
    tool.answer("add 127.0.0.1 6000 160");
    tool.answer("add 127.0.0.1 6002 320");
    let said = tool.answer("add 127.0.0.1 6002 100");
    assert!(
        said.starts_with("127.0.0.1:6002 was on the ring with 320 points and now has 100"),
        "{said}"
    );
    assert_eq!((points(6000), points(6002)), (160, 100));
    let said = tool.answer("add 127.0.0.1 6002 100");
    assert!(
        said.contains("already, with 100 points") && said.contains("nothing changed"),
        "{said}"
    );
    assert_eq!(points(6002), 100);
    assert_eq!(tool.answer("getVirNum 127.0.0.1 6002"), "100\n");
    tool.answer("del 127.0.0.1 6002");
    assert_eq!((points(6000), points(6002)), (160, 0));
}

#[test]
fn answers_have_the_originals_form_in_any_case_of_the_command() {
    let tool = Tool::new();
    tool.answer("ADD 127.0.0.1 6000 3");
    assert_eq!(tool.answer("GET 10.0.0.1 5000"), "127.0.0.1:6000\n");
    assert_eq!(tool.answer("getvirnum 127.0.0.1 6000"), "3\n");
    assert_eq!(tool.answer("GetVirNum 127.0.0.1 6001"), "-1\n");
    let shown = tool.answer("SHOWTIME");
    let keys: Vec<u32> = shown
        .lines()
        .map(|line| {
            let (key, value) = line.strip_prefix("key : ").unwrap().split_once('\t').unwrap();
            assert_eq!(value, "val : 127.0.0.1:6000");
            key.parse().unwrap()
        })
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.is_sorted());
}
