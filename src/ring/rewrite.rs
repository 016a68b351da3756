//! From an upstream to nginx.conf: as a block of its own, or into the place of
//! the block that stands there, all else left as it is.

use std::ops::Range;

use super::conf::Directive;
use super::import::{Unfit, read_hash, read_server, unfit_directive};
use super::upstream::{Server, Upstream};

/// A line that cannot be rewritten.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// From 1 on.
    pub line: usize,
    /// Why.
    pub why: Unfit,
}

/// A file of its own with this upstream, to be included in `stream { }`.
pub fn fragment(upstream: &Upstream) -> String {
    let mut text = String::from(
        "# Written by ConsistentHash: `export` replaces the lines of the servers and the\n\
         # hash. To be included inside of stream { }.\n",
    );
    text += &format!("upstream {} {{\n", upstream.name);
    text += "    # One memory for all workers: what one learns about a server, all know.\n";
    text += &format!("    zone {} {}k;\n", upstream.name, zone_kib(upstream.servers.len()));
    text += &format!("    {}\n", hash_directive(upstream));
    for server in &upstream.servers {
        text += &format!("    {}\n", server_directive(server));
    }
    text + "}\n"
}

/// `text` with its directive `block` saying what `upstream` does. Where the
/// servers keep their order each line is edited where it is, and all else stays;
/// else they are written anew in one place, each with its comments.
///
/// # Errors
/// Where something in the block would make nginx balance in another way.
pub fn in_place(text: &str, block: &Directive, upstream: &Upstream) -> Result<String, Refused> {
    let mut lines = Vec::new();
    let mut hash = None;
    for directive in block.inner() {
        let refused = |why| Refused { line: directive.line, why };
        match directive.name() {
            "server" => lines.push(ServerLine::new(text, directive)),
            "hash" if hash.is_some() => return Err(refused(Unfit::SecondHash)),
            "hash" => hash = Some(directive),
            "zone" => {}
            other => return Err(refused(unfit_directive(other))),
        }
    }
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let new_hash = match hash {
        Some(hash) if read_hash(hash.arguments()) == Ok(upstream.key) => None,
        Some(hash) => {
            edits.push((hash.span.clone(), hash_directive(upstream)));
            None
        }
        None => Some(hash_directive(upstream)),
    };
    let olds: Vec<Option<usize>> = upstream
        .servers
        .iter()
        .map(|server| lines.iter().position(|line| line.is_of(server)))
        .collect();
    if !lines.is_empty() && olds.iter().flatten().is_sorted() {
        edits.extend(in_order(text, &lines, new_hash, upstream, &olds));
    } else {
        edits.extend(gathered(text, block, &lines, new_hash, upstream, &olds));
    }
    let line_end = if text.split_inclusive('\n').next().is_some_and(|l| l.ends_with("\r\n")) {
        "\r\n"
    } else {
        "\n"
    };
    Ok(apply(text, edits, line_end))
}

/// Edits for servers that keep their order; `olds` says which line each has.
fn in_order(
    text: &str,
    lines: &[ServerLine],
    new_hash: Option<String>,
    upstream: &Upstream,
    olds: &[Option<usize>],
) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    let indent = indent_of(text, lines[0].start, false);
    let before_all = |directive: String| match &lines[0] {
        first if first.whole => (first.extent.start, format!("{indent}{directive}\n")),
        first => (first.start, format!("{directive} ")),
    };
    let insert = |previous: Option<usize>, directive: String| match previous.map(|p| &lines[p]) {
        None => before_all(directive),
        Some(line) if line.whole => (line.extent.end, format!("{indent}{directive}\n")),
        Some(line) => (line.extent.end, format!(" {directive}")),
    };
    let mut insertions: Vec<(usize, String)> = new_hash.map(before_all).into_iter().collect();
    let mut previous = None;
    for (server, old) in upstream.servers.iter().zip(olds) {
        match old {
            None => insertions.push(insert(previous, server_directive(server))),
            Some(old) => {
                previous = Some(*old);
                if lines[*old].says.as_ref() != Some(server) {
                    edits.push((lines[*old].span.clone(), server_directive(server)));
                }
            }
        }
    }
    let stays = |position| olds.contains(&Some(position));
    let gone = lines.iter().enumerate().filter(|(position, _)| !stays(*position));
    edits.extend(gone.map(|(_, line)| (line.extent.clone(), String::new())));
    edits.extend(insertions.into_iter().map(|(place, text)| (place..place, text)));
    edits
}

/// Edits that take all servers away and write them where the first one was, or
/// before the brace.
fn gathered(
    text: &str,
    block: &Directive,
    lines: &[ServerLine],
    new_hash: Option<String>,
    upstream: &Upstream,
    olds: &[Option<usize>],
) -> Vec<(Range<usize>, String)> {
    let end = block.block.as_ref().map_or(block.span.end, |block| block.end);
    let before_brace = if starts_behind_text(text, end) { end } else { line_start(text, end) };
    // What stands above a server goes with it, if the server stays.
    let above = |position: usize| -> &str {
        let start = lines[position].extent.start;
        let is_first_on_line = lines[position].whole && olds.contains(&Some(position));
        if is_first_on_line { &text[comments_start(text, start)..start] } else { "" }
    };
    let extent = |position: usize| {
        let extent = &lines[position].extent;
        extent.start - above(position).len()..extent.end
    };
    let place = if lines.is_empty() { before_brace } else { extent(0).start };
    let indent = indent_of(text, lines.first().map_or(end, |line| line.start), lines.is_empty());
    let mut new = String::new();
    if starts_behind_text(text, place) {
        new.push('\n');
    }
    new.extend(new_hash.map(|hash| format!("{indent}{hash}\n")));
    for (server, old) in upstream.servers.iter().zip(olds) {
        new += old.map_or("", above);
        new += &indent;
        let line = old.map(|old| &lines[old]);
        new += &match line {
            Some(line) if line.says.as_ref() == Some(server) => text[line.span.clone()].to_owned(),
            _ => server_directive(server),
        };
        new += line.map_or("", |line| line.comment.as_str());
        new.push('\n');
    }
    if lines.last().is_some_and(|line| !line.whole) {
        new += &indent;
    }
    let mut edits = vec![(place..place, new)];
    edits.extend((0..lines.len()).map(|position| (extent(position), String::new())));
    edits
}

/// Where the comments begin that stand on lines of their own right above the
/// line that begins at `start`.
fn comments_start(text: &str, mut start: usize) -> usize {
    while start > 0 {
        let above = line_start(text, start - 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

/// nginx takes somewhat less than 1 KiB for a server, and the zone's own needs.
fn zone_kib(servers: usize) -> usize {
    (servers + 32).max(64)
}

/// `hash KEY consistent;`
fn hash_directive(upstream: &Upstream) -> String {
    format!("hash {} consistent;", upstream.key.nginx_text())
}

/// `server NAME parameter… ;`
fn server_directive(server: &Server) -> String {
    let mut text = format!("server {}", server.server);
    match server.weight() {
        Ok(1) | Err(_) => {}
        Ok(weight) => text += &format!(" weight={weight}"),
    }
    if let Some(max_conns) = server.max_conns {
        text += &format!(" max_conns={max_conns}");
    }
    if let Some(max_fails) = server.max_fails {
        text += &format!(" max_fails={max_fails}");
    }
    if let Some(time) = &server.fail_timeout {
        text += &format!(" fail_timeout={}", time.as_str());
    }
    if server.down {
        text += " down";
    }
    text + ";"
}

/// A `server` directive as it stands in the text.
struct ServerLine {
    /// What it says, where that is understood.
    says: Option<Server>,
    /// Its first word behind `server`.
    name: String,
    span: Range<usize>,
    /// What follows it on its line: blanks and a comment, or nothing.
    comment: String,
    /// Where the directive begins.
    start: usize,
    /// What goes when it goes: its whole line, where nothing else is on it.
    extent: Range<usize>,
    whole: bool,
}

impl ServerLine {
    fn new(text: &str, directive: &Directive) -> ServerLine {
        let span = directive.span.clone();
        let begin = line_start(text, span.start);
        let rest = &text[span.end..];
        let rest = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let after = rest.trim_start();
        let whole = !starts_behind_text(text, span.start)
            && (after.is_empty() || after.starts_with('#'))
            && span.end + rest.len() < text.len();
        let extent = if whole { begin..span.end + rest.len() + 1 } else { span.clone() };
        ServerLine {
            says: read_server(directive.arguments()).ok(),
            name: directive.arguments().first().cloned().unwrap_or_default(),
            comment: if whole { rest.trim_end().to_owned() } else { String::new() },
            start: span.start,
            span,
            extent,
            whole,
        }
    }

    fn is_of(&self, server: &Server) -> bool {
        self.name == server.server.as_str()
    }
}

fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |end| end + 1)
}

/// Whether anything but blanks is before `place` on its line.
fn starts_behind_text(text: &str, place: usize) -> bool {
    !text[line_start(text, place)..place].trim().is_empty()
}

/// The blanks before the line at `place`, and four more inside of its block.
fn indent_of(text: &str, place: usize, deeper: bool) -> String {
    let line = &text[line_start(text, place)..place];
    let blanks = &line[..line.len() - line.trim_start().len()];
    if deeper || !line.trim().is_empty() { format!("{blanks}    ") } else { blanks.to_owned() }
}

/// The text after edits that do not overlap, whose lines end as the others do.
fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>, line_end: &str) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut new, mut copied) = (String::new(), 0);
    for (range, replacement) in edits {
        new += &text[copied..range.start];
        new += &replacement.replace("\r\n", "\n").replace('\n', line_end);
        copied = range.end;
    }
    new + &text[copied..]
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
