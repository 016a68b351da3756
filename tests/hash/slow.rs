//! Exports that can be met in the middle: their nginx takes its time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::wait;
use crate::tool::Tool;

/// What `chat.conf` says before, as a part of `main.conf`.
pub const BEFORE: &str =
    "upstream chat_servers {\n    hash $remote_addr consistent;\n    server 127.0.0.1:7000;\n}\n";

/// A tool that has imported `chat.conf` and added a server. Its nginx says
/// `asked` in a file and waits for another one, `go`, or the folder's end, until
/// it says what `verdict` is.
pub fn tool_with_slow_nginx(chat_conf: &str, verdict: &str) -> Tool {
    let tool = Tool::new();
    let dir = tool.path("").display().to_string();
    let script = format!(
        "#!/bin/sh\n: > {dir}/asked\n\
         while [ -d {dir} ] && [ ! -e {dir}/go ]; do sleep 0.02; done\n\
         echo '# configuration file {dir}/chat.conf:'\n{verdict}\n"
    );
    fs::write(tool.path("nginx"), script).unwrap();
    fs::set_permissions(tool.path("nginx"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tool.path("chat.conf"), chat_conf).unwrap();
    fs::write(tool.path("main.conf"), "events {}\n").unwrap();
    tool.answer("import chat.conf");
    tool.answer("add 127.0.0.1 6000 160");
    let nginx = tool.path("nginx").display().to_string();
    tool.with(&["--nginx", &nginx])
}

/// An export, up to where nginx has been asked.
pub fn exporting(tool: &Tool, words: &[&str]) -> Child {
    let plain = tool.command();
    // These tests may run under nohup, or in the background of a shell: what is
    // ignored there is ignored by their children, too.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP,QUIT").arg(plain.get_program());
    command.args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap_or(Path::new(".")));
    command.arg("export").args(words);
    // As a terminal has it: Ctrl+C reaches the tool and its nginx.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait::eventually("nginx is asked", wait::SOON, || tool.path("asked").exists());
    child
}

/// Lets nginx answer.
pub fn go(tool: &Tool) {
    fs::write(tool.path("go"), "").unwrap();
}

/// What `chat.conf` says.
pub fn read(tool: &Tool) -> String {
    fs::read_to_string(tool.path("chat.conf")).unwrap()
}

/// What lies hidden beside it.
pub fn hidden(tool: &Tool) -> Vec<String> {
    let entries = fs::read_dir(tool.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}
