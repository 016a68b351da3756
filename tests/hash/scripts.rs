//! ConsistentHash without a person: arguments, pipes, states, exit codes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::thread;

use crate::tool::Tool;

#[test]
fn mistakes_are_told_from_failures_by_the_exit_code() {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    for (line, code, part) in [
        ("add 127.0.0.1 6000", 2, "add is written so: add host port num"),
        ("add 127.0.0.1 6000 0", 2, "\"0\" is not a number of points: give one from 1 to"),
        ("add 127.0.0.1 70000 160", 2, "\"70000\" is not a port: give a number from 1 to 65535"),
        ("get 127.0.0.1 0", 2, "\"0\" is not a port"),
        ("get localhost 5000", 2, "\"localhost\" is not an IP address"),
        ("frobnicate", 2, "unknown command \"frobnicate\"; help lists the commands"),
        ("--key port get 127.0.0.1 5000", 2, "--key"),
        ("del 127.0.0.1 6009", 1, "127.0.0.1:6009 is not on the ring; it has 127.0.0.1:6000"),
        ("down 127.0.0.1 6009", 1, "127.0.0.1:6009 is not on the ring"),
        ("moved", 1, "nothing was imported or exported yet"),
        ("import /no/such/file", 1, "cannot read /no/such/file: No such file"),
    ] {
        let run = tool.run(line);
        assert_eq!((run.code, run.out.as_str()), (Some(code), ""), "{line}: {run:?}");
        assert!(run.err.contains(part), "{line}: {}", run.err);
    }
}

#[test]
fn help_needs_no_manual() {
    let tool = Tool::new();
    let (flag, command) = (tool.answer("--help"), tool.answer("help"));
    for word in [
        "add host port num",
        "getVirNum host port",
        "showTime",
        "moved",
        "import FILE",
        "export FILE",
    ] {
        assert!(flag.contains(word) && command.contains(word), "{word}");
    }
    assert!(flag.contains("--state <FILE>") && flag.contains("./data/ring.json"));
    assert!(flag.contains("Exit status: 0"));
}

#[test]
fn a_script_goes_on_after_a_bad_line_but_exports_nothing() {
    let tool = Tool::new();
    let script = "# The servers.\n\nadd 127.0.0.1 6000 160\r\nadd 127.0.0.1 6OO2 160\n\
                  get 10.0.0.1 5000\nexport new.conf\nquit\nget 10.0.0.1 5000\n";
    let run = tool.lines(script);
    assert_eq!(run.code, Some(1));
    assert!(run.out.ends_with("(weight 1).\n127.0.0.1:6000\n"), "{}", run.out);
    let said: Vec<&str> = run.err.lines().collect();
    assert!(said[0].starts_with("ConsistentHash: line 4: \"6OO2\" is not a port"), "{said:?}");
    assert_eq!(
        said[1..],
        ["ConsistentHash: line 6: not exported, since an earlier line has failed"]
    );
    assert!(!tool.path("new.conf").exists());
}

#[test]
fn a_reader_that_has_heard_enough_is_no_panic() {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160000");
    let mut child = tool.command();
    child.arg("showTime").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    // Drops the pipe after the first bytes of several megabytes.
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_ring_is_kept_between_runs_where_it_was_told_to() {
    let tool = Tool::new();
    tool.answer("--state my/ring.json add 127.0.0.1 6000 160");
    assert_eq!(tool.answer("--state my/ring.json getVirNum 127.0.0.1 6000"), "160\n");
    assert_eq!(tool.answer("getVirNum 127.0.0.1 6000"), "-1\n", "the default one is another");
    tool.answer("--state none add 127.0.0.1 6002 160");
    assert!(!tool.path("none").exists() && !tool.path("data").exists());
    tool.answer("add 127.0.0.1 6004 160");
    assert!(tool.path("data/ring.json").exists());
}

#[test]
fn runs_at_once_lose_nothing() {
    let tool = Tool::new();
    thread::scope(|scope| {
        for port in 6000..6012 {
            let tool = &tool;
            scope.spawn(move || tool.answer(&format!("add 127.0.0.1 {port} 160")));
        }
    });
    assert_eq!(tool.answer("showTime").lines().count(), 12 * 160);
}

#[test]
fn a_state_file_with_garbage_in_it_is_left_as_it_is() {
    let tool = Tool::new();
    fs::create_dir(tool.path("data")).unwrap();
    fs::write(tool.path("data/ring.json"), "{\"version\":1,").unwrap();
    let run = tool.run("add 127.0.0.1 6000 160");
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("./data/ring.json is not the state of a ring"), "{}", run.err);
    assert!(run.err.contains("move it away, or name another file with --state"), "{}", run.err);
    assert_eq!(fs::read_to_string(tool.path("data/ring.json")).unwrap(), "{\"version\":1,");
    let folder = tool.run("--state . add 127.0.0.1 6000 160");
    assert_eq!(folder.code, Some(2), "{folder:?}");
}

#[test]
fn shares_are_shown_beside_what_was_meant() {
    let tool = Tool::new();
    for (port, points) in [(6000, 160), (6002, 160), (6004, 320)] {
        tool.answer(&format!("add 127.0.0.1 {port} {points}"));
    }
    let table = tool.answer("dist 20000");
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["server", "points", "expected", "actual"]);
    assert_eq!(rows[3][..4], ["127.0.0.1:6004", "320", "50.00", "%"]);
    let actual: f64 = rows[1..4].iter().map(|row| row[4].parse::<f64>().unwrap()).sum();
    assert!((actual - 100.0).abs() < 0.05, "{table}");
    assert!(rows[3][6].starts_with("####"), "{table}");

    // A fourth of six parts: 160 of 800 points.
    let moved = tool.answer("moved add 127.0.0.1 6006 160");
    let first = moved.lines().next().unwrap();
    assert!(first.ends_with("the ideal is 20.00 % (1/5)."), "{first}");
    let share: f64 = first.split_whitespace().next().unwrap().parse().unwrap();
    assert!((14.0..26.0).contains(&share), "{first}");
    let moved = tool.answer("moved del 127.0.0.1 6004");
    assert!(moved.contains("the ideal is 50.00 % (1/2)."), "{moved}");
    assert_eq!(tool.answer("getVirNum 127.0.0.1 6006"), "-1\n", "a trial changes nothing");
}

#[test]
fn a_server_that_is_marked_down_is_passed_over() {
    let tool = Tool::new();
    tool.answer("add 127.0.0.1 6000 160");
    tool.answer("add 127.0.0.1 6002 160");
    let client =
        (1..).find(|i| tool.answer(&format!("get 10.0.0.{i} 5000")).contains("6000")).unwrap();
    let get = format!("get 10.0.0.{client} 5000");
    let said = tool.answer("down 127.0.0.1 6000");
    assert!(said.starts_with("127.0.0.1:6000 is marked down; up takes that back"), "{said}");
    assert!(said.contains("127.0.0.1:6002"), "{said}");
    let run = tool.run(&get);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "127.0.0.1:6002\n"));
    assert!(run.err.contains("belongs to 127.0.0.1:6000, which is down"), "{}", run.err);
    assert!(tool.answer("down 127.0.0.1 6002").contains("nginx turns every client away"));
    let nobody = tool.run(&get);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""));
    assert!(nobody.err.contains("every server is marked down"), "{}", nobody.err);
    tool.answer("up 127.0.0.1 6000");
    assert_eq!(tool.answer(&get), "127.0.0.1:6000\n");
}

#[test]
fn the_readme_shows_what_it_answers() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("$ ./bin/ConsistentHash\n").unwrap();
    let (transcript, _) = rest.split_once("```").unwrap();
    let (typed, answers): (Vec<&str>, Vec<&str>) =
        transcript.lines().skip(1).partition(|line| line.starts_with("ring> "));
    let typed: Vec<&str> = typed.iter().filter_map(|line| line.strip_prefix("ring> ")).collect();
    assert!(typed.len() > 3, "{transcript}");
    let run = Tool::new().lines(&(typed.join("\n") + "\n"));
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.out.lines().collect::<Vec<_>>(), answers);
}

#[test]
fn one_command_explains_itself() {
    let tool = Tool::new();
    for line in ["get --help", "GET -h"] {
        let said = tool.answer(line);
        assert!(said.starts_with("  get host port  "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(tool.answer("export --help").contains("--force: even where"));
    assert_eq!(tool.run("nothing --help").code, Some(2));
}

#[test]
fn one_is_not_many() {
    let tool = Tool::new();
    assert!(tool.answer("add 127.0.0.1 6000 1").contains("with 1 point ("));
    assert!(tool.answer("add 127.0.0.1 6000 160").contains("with 1 point and now has 160 points"));
    assert!(tool.answer("export chat.conf").contains("has 1 server now"));
    assert!(tool.answer("import chat.conf").contains("1 server, 160 points"));
    assert!(tool.answer("dist 1").contains("\n1 made-up client, by"));
    tool.answer("add 127.0.0.1 6000 1");
    assert!(tool.run("export chat.conf").err.contains("127.0.0.1:6000 has 1 point, which"));
    assert!(tool.answer("del 127.0.0.1 6000").contains("with its 1 point."));
}

#[test]
fn a_state_file_may_be_a_link_and_keeps_its_mode() {
    let tool = Tool::new().with(&["--state", "link"]);
    fs::create_dir(tool.path("real")).unwrap();
    symlink("real/ring.json", tool.path("link")).unwrap();
    tool.answer("add 127.0.0.1 6000 160");
    let real = tool.path("real/ring.json");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    tool.answer("add 127.0.0.1 6002 160");
    assert!(tool.path("link").is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("127.0.0.1:6002"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
}
