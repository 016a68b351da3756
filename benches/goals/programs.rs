//! The programs of a run: ChatBench, its floor, and a ChatServer that keeps
//! its accounts over restarts.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::door::Door;
use crate::support::floor::Floor;
use crate::support::server::{ServerPlan, TestServer};

/// How long is measured, and how long is not before that.
pub const TIMES: [&str; 4] = ["--time", "2", "--warm-up", "0.7"];

/// Runs ChatBench and reads its figures; a fault ends the goal.
#[track_caller]
pub fn chat_bench(arguments: &[&str]) -> Value {
    figures(command(arguments).output().unwrap(), arguments)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ChatBench"));
    command.args(arguments).arg("--json").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn figures(output: Output, arguments: &[&str]) -> Value {
    let what = arguments.join(" ");
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("ChatBench {what}: {}", String::from_utf8_lossy(&output.stderr).trim())
    });
    let fault = &figures["fault"];
    assert!(fault.is_null() && output.status.success(), "ChatBench {what}: {fault}");
    figures
}

/// A figure by its path, such as `/delivery_us/p99`.
#[track_caller]
pub fn figure(figures: &Value, path: &str) -> f64 {
    let figure = figures.pointer(path).and_then(Value::as_f64);
    figure.unwrap_or_else(|| panic!("no {path} in {figures}"))
}

/// A ChatBench that runs beside another one.
pub struct Beside {
    child: Option<Child>,
    arguments: Vec<String>,
}

impl Beside {
    /// Starts it.
    pub fn start(arguments: &[&str]) -> Beside {
        let child = Some(command(arguments).spawn().unwrap());
        Beside { child, arguments: arguments.iter().map(|&word| word.to_owned()).collect() }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn figures(mut self) -> Value {
        let child = self.child.take().unwrap();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        figures(child.wait_with_output().unwrap(), &arguments)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    if let Err(e) = child.kill().and_then(|()| child.wait()) {
        eprintln!("cannot end a ChatBench: {e}");
    }
}

/// A ChatServer without limits on messages. Each run gets a fresh process,
/// while the accounts stay, so that their passwords are paid once.
pub struct Chat {
    server: TestServer,
    accounts: Accounts,
}

/// A file that ChatBench keeps accounts in.
pub struct Accounts {
    dir: tempfile::TempDir,
}

impl Accounts {
    /// An empty place.
    pub fn new() -> Accounts {
        Accounts { dir: crate::support::services::new_dir() }
    }

    /// A file of this name.
    pub fn file(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        path.to_str().unwrap().to_owned()
    }
}

/// What every measured server is started with.
pub fn plan(reactors: u32) -> ServerPlan {
    ServerPlan::new()
        .flag("--message-rate", 0)
        .flag("--registrations", 0)
        .flag("--reactors", reactors)
}

impl Chat {
    /// Starts one.
    #[track_caller]
    pub fn start(plan: ServerPlan) -> Chat {
        Chat { server: plan.start(), accounts: Accounts::new() }
    }

    /// Another process on the same data.
    #[track_caller]
    pub fn refresh(&mut self) {
        refresh(&mut self.server);
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        address(&self.server)
    }

    /// The door for people of the goal's own.
    pub fn server(&self) -> &TestServer {
        &self.server
    }

    /// The file of these accounts.
    pub fn accounts(&self, name: &str) -> String {
        self.accounts.file(name)
    }

    /// A load on it, `kind` being `pairs` or the like. Its accounts are in the
    /// file `accounts`.
    #[track_caller]
    pub fn load(&self, kind: &str, accounts: &str, flags: &[&str]) -> Value {
        let file = self.accounts(accounts);
        let head = [kind, &self.address(), "--accounts", &file];
        chat_bench(&[&head[..], &TIMES, flags].concat())
    }

    /// The same on the floor.
    #[track_caller]
    pub fn load_floor(kind: &str, flags: &[&str]) -> Value {
        let floor = Floor::start();
        chat_bench(&[&[kind, floor.address(), "--floor"][..], &TIMES, flags].concat())
    }

    /// The people of `kind` have accounts and tokens from now on.
    #[track_caller]
    pub fn prepare(&self, kind: &str, accounts: &str, flags: &[&str]) {
        let file = self.accounts(accounts);
        let head = [kind, &self.address(), "--accounts", &file, "--time", "0.1", "--warm-up", "0"];
        chat_bench(&[&head[..], flags].concat());
    }
}

/// Another process on the same port and data.
#[track_caller]
pub fn refresh(server: &mut TestServer) {
    server.stop();
    server.restart();
}

/// Where a server listens.
pub fn address(server: &TestServer) -> String {
    Door::address(server).to_string()
}

/// Says how far a goal is.
pub fn progress(round: u32, runs: u32, text: &str) {
    eprintln!("    {}/{runs}: {text}", round + 1);
}
