//! Signals in the middle of an export, while nginx thinks; and what those leave
//! that cannot wait.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::slow::{self, BEFORE, exporting, go, hidden, read};
use crate::tool::{Run, Tool};

const EXPORT: [&str; 3] = ["chat.conf", "--conf", "main.conf"];

fn tool_with_slow_nginx(verdict: &str) -> Tool {
    slow::tool_with_slow_nginx(BEFORE, verdict)
}

#[test]
fn a_signal_leaves_no_text_that_nginx_refuses() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let tool = tool_with_slow_nginx("echo no >&2; exit 1");
        let export = exporting(&tool, &EXPORT);
        assert!(read(&tool).contains("127.0.0.1:6000"), "it stands there while nginx is asked");
        kill_process(Pid::from_child(&export), signal).unwrap();
        go(&tool);
        let output = export.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert_eq!(read(&tool), BEFORE);
        assert_eq!(hidden(&tool), [""; 0], "nothing is left beside it");
    }
}

#[test]
fn ctrl_c_ends_nginx_and_restores_the_file() {
    let tool = tool_with_slow_nginx("exit 0");
    let export = exporting(&tool, &EXPORT);
    kill_process_group(Pid::from_child(&export), Signal::INT).unwrap();
    let output = export.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::INT.as_raw()), "{output:?}");
    assert_eq!(read(&tool), BEFORE);
    assert_eq!(hidden(&tool), [""; 0], "nothing is left beside it");
}

#[test]
fn a_signal_undoes_nothing_that_nginx_agrees_to() {
    let tool = tool_with_slow_nginx("exit 0");
    let export = exporting(&tool, &EXPORT);
    kill_process(Pid::from_child(&export), Signal::TERM).unwrap();
    go(&tool);
    let output = export.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::TERM.as_raw()), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("has 2 servers now"));
    assert!(read(&tool).contains("127.0.0.1:6000"));
    assert_eq!(hidden(&tool), [""; 0]);
    assert!(tool.answer("moved").contains("nginx has this ring already"), "it is written down");
}

#[test]
fn a_copy_that_a_killed_export_has_left_is_named() {
    let tool = tool_with_slow_nginx("exit 0");
    let mut export = exporting(&tool, &EXPORT);
    export.kill().unwrap();
    export.wait().unwrap();
    go(&tool);
    let run = tool.run("export chat.conf --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    let copy = format!("/.chat.conf.{}.before: an earlier export was killed", export.id());
    assert!(run.err.contains(&copy), "{}", run.err);
    let copy = tool.path(&format!(".chat.conf.{}.before", export.id()));
    assert_eq!(fs::read_to_string(copy).unwrap(), BEFORE);
}

/// As `tool.run`, in a process of which the shell has known the number, `$$`.
fn run_after(tool: &Tool, line: &str, words: &str) -> Run {
    let plain = tool.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line}; exec \"$0\" {words}")]).arg(plain.get_program());
    shell.current_dir(plain.get_current_dir().unwrap()).env_remove("CHAT_RING_STATE");
    Run::of(shell.output().unwrap())
}

#[test]
fn a_copy_of_before_outlives_a_run_of_the_same_number() {
    // In a container the next run may have the number of the one that was killed.
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    let leave = "for end in before new check pid; do echo $end > .chat.conf.$$.$end; done";
    let run = run_after(&tool, leave, "export chat.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(hidden(&tool).len(), 4, "{:?}", hidden(&tool));
    for left in hidden(&tool) {
        let end = left.rsplit('.').next().unwrap();
        assert_eq!(fs::read_to_string(tool.path(&left)).unwrap(), format!("{end}\n"));
        assert!(run.err.contains(&format!("/{left}: an earlier export was killed")), "{}", run.err);
    }
}

#[test]
fn a_link_that_lies_in_wait_leads_nowhere() {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    fs::write(tool.path("victim"), "mine").unwrap();
    let links = "for end in new check pid; do ln -s victim .chat.conf.$$.$end; done; \
                 ln -s ../victim data/ring.json.new";
    assert_eq!(run_after(&tool, links, "export chat.conf").code, Some(0));
    assert_eq!(run_after(&tool, ":", "add 127.0.0.1 6002 160").code, Some(0));
    assert_eq!(fs::read_to_string(tool.path("victim")).unwrap(), "mine");
    assert!(tool.path("chat.conf").is_file() && !tool.path("chat.conf").is_symlink());
    assert_eq!(hidden(&tool).len(), 3, "the links alone: {:?}", hidden(&tool));
}
