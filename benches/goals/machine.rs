//! Where it was measured: a figure without its machine says little.

use std::fs;
use std::process::Command;

/// The machine and the versions, in one paragraph.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = [
        field("/proc/cpuinfo", "model name"),
        format!("{cores} cores"),
        memory(),
        format!("Linux {}", line_of("/proc/sys/kernel/osrelease")),
        field("/etc/os-release", "PRETTY_NAME").trim_matches('"').to_owned(),
        format!("rustc {}", version("rustc")),
        format!("MariaDB {}", version("mariadbd")),
        format!("Redis {}", version("redis-server")),
        format!("commit {}", said_by("git", &["describe", "--always", "--dirty", "--abbrev=10"])),
        jiff::Zoned::now().date().to_string(),
        format!("load before {}", line_of("/proc/loadavg")),
    ];
    facts.join("; ")
}

fn memory() -> String {
    let total = field("/proc/meminfo", "MemTotal");
    let kib: f64 = total.trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!("{:.1} GiB", kib / 1024.0 / 1024.0)
}

/// The value of the first line `key: value` or `key=value` of a file.
fn field(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        rest.strip_prefix([':', '=']).map(str::trim)
    });
    value.unwrap_or("unknown").to_owned()
}

fn line_of(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The number that a program gives as its version.
fn version(program: &str) -> String {
    let said = said_by(program, &["--version"]);
    let words = said.split(' ').map(|word| word.trim_start_matches("v="));
    let mut numbers = words.filter(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    numbers.next().map_or_else(|| said.clone(), str::to_owned)
}

/// The first line that a program prints.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = text.ok().and_then(|text| text.lines().next().map(str::to_owned));
    line.filter(|line| !line.is_empty()).unwrap_or_else(|| format!("{program} unknown"))
}
