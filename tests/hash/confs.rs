//! Configurations in a tool's folder, for the tests of `import` and `export`.

use std::fs;
use std::path::Path;

use crate::tool::{Run, Tool};

/// A tool with two servers on its ring.
pub fn tool() -> Tool {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    tool.answer("add 127.0.0.1 6002 320");
    tool
}

/// A configuration for nginx with this inside of `stream`, run by nobody.
pub fn whole(tool: &Tool, stream: &str) -> String {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load =
        if Path::new(module).exists() { format!("load_module {module};") } else { String::new() };
    let dir = tool.path("").display().to_string();
    format!("{load}\npid {dir}/pid;\nerror_log stderr;\nevents {{}}\nstream {{\n{stream}\n}}\n")
}

/// An upstream of one server.
pub const UPSTREAM: &str = "\
    upstream chat_servers {
        hash $remote_addr consistent;
        server 127.0.0.1:7000; # ours
    }";

/// What lies in the tool's folder, hidden files too.
pub fn listing(tool: &Tool) -> Vec<String> {
    let entries = fs::read_dir(tool.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "data" && name != "pid");
    names.sort();
    names
}

/// What a file in it says.
#[track_caller]
pub fn read(tool: &Tool, name: &str) -> String {
    fs::read_to_string(tool.path(name)).unwrap()
}

/// It said no, for this reason, and nothing else.
#[track_caller]
pub fn refused(run: &Run, part: &str) {
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.err.contains(part), "{}", run.err);
}
