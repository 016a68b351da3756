//! Signals in the middle of an export, while nginx thinks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::wait;
use crate::tool::Tool;

const BEFORE: &str =
    "upstream chat_servers {\n    hash $remote_addr consistent;\n    server 127.0.0.1:7000;\n}\n";

/// A tool whose nginx says `asked` in a file and waits for another one, `go`,
/// until it says what `verdict` is.
fn tool_with_slow_nginx(verdict: &str) -> Tool {
    let tool = Tool::new();
    let dir = tool.path("").display().to_string();
    let script = format!(
        "#!/bin/sh\n: > {dir}/asked\nwhile [ ! -e {dir}/go ]; do sleep 0.02; done\n\
         echo '# configuration file {dir}/chat.conf:'\n{verdict}\n"
    );
    fs::write(tool.path("nginx"), script).unwrap();
    fs::set_permissions(tool.path("nginx"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tool.path("chat.conf"), BEFORE).unwrap();
    fs::write(tool.path("main.conf"), "events {}\n").unwrap();
    tool.answer("import chat.conf");
    tool.answer("add 127.0.0.1 6000 160");
    let nginx = tool.path("nginx").display().to_string();
    tool.with(&["--nginx", &nginx])
}

/// An export, up to where nginx has been asked.
fn exporting(tool: &Tool) -> Child {
    let plain = tool.command();
    // These tests may run under nohup, or in the background of a shell: what is
    // ignored there is ignored by their children, too.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP").arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap_or(Path::new(".")));
    command.args(["export", "chat.conf", "--conf", "main.conf"]);
    // As a terminal has it: Ctrl+C reaches the tool and its nginx.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait::eventually("nginx is asked", wait::SOON, || tool.path("asked").exists());
    child
}

fn read(tool: &Tool) -> String {
    fs::read_to_string(tool.path("chat.conf")).unwrap()
}

fn hidden(tool: &Tool) -> Vec<String> {
    let entries = fs::read_dir(tool.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_signal_leaves_no_text_that_nginx_refuses() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let tool = tool_with_slow_nginx("echo no >&2; exit 1");
        let export = exporting(&tool);
        assert!(read(&tool).contains("127.0.0.1:6000"), "it stands there while nginx is asked");
        kill_process(Pid::from_child(&export), signal).unwrap();
        fs::write(tool.path("go"), "").unwrap();
        let output = export.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert_eq!(read(&tool), BEFORE);
        assert_eq!(hidden(&tool), [""; 0], "nothing is left beside it");
    }
}

#[test]
fn ctrl_c_ends_nginx_and_restores_the_file() {
    let tool = tool_with_slow_nginx("exit 0");
    let export = exporting(&tool);
    kill_process_group(Pid::from_child(&export), Signal::INT).unwrap();
    let output = export.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::INT.as_raw()), "{output:?}");
    assert_eq!(read(&tool), BEFORE);
    assert_eq!(hidden(&tool), [""; 0], "nothing is left beside it");
}

#[test]
fn a_signal_undoes_nothing_that_nginx_agrees_to() {
    let tool = tool_with_slow_nginx("exit 0");
    let export = exporting(&tool);
    kill_process(Pid::from_child(&export), Signal::TERM).unwrap();
    fs::write(tool.path("go"), "").unwrap();
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
    let mut export = exporting(&tool);
    export.kill().unwrap();
    export.wait().unwrap();
    fs::write(tool.path("go"), "").unwrap();
    let run = tool.run("export chat.conf --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    let copy = format!("/.chat.conf.{}.before: an earlier export was killed", export.id());
    assert!(run.err.contains(&copy), "{}", run.err);
    let copy = tool.path(&format!(".chat.conf.{}.before", export.id()));
    assert_eq!(fs::read_to_string(copy).unwrap(), BEFORE);
}
