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
    text += &format!("    zone {} 64k;\n", upstream.name);
    text += &format!("    {}\n", hash_directive(upstream));
    for server in &upstream.servers {
        text += &format!("    {}\n", server_directive(server));
    }
    text + "}\n"
}

/// `text` with its directive `block` saying what `upstream` does. Comments
/// stay, and so do the lines of servers for which nothing changes.
///
/// # Errors
/// Where something in the block would make nginx balance in another way.
pub fn in_place(text: &str, block: &Directive, upstream: &Upstream) -> Result<String, Refused> {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
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
    let end = block.block.as_ref().map_or(block.span.end, |block| block.end);
    // New lines go where the first server's line is, or before the brace.
    let before_brace = if starts_behind_text(text, end) { end } else { line_start(text, end) };
    let place = lines.first().map_or(before_brace, |line| line.extent.start);
    let indent = indent_of(text, lines.first().map_or(end, |line| line.start), lines.is_empty());
    let mut new = String::new();
    if starts_behind_text(text, place) {
        new.push('\n');
    }
    match hash {
        Some(hash) if read_hash(hash.arguments()) == Ok(upstream.key) => {}
        Some(hash) => edits.push((hash.span.clone(), hash_directive(upstream))),
        None => new += &format!("{indent}{}\n", hash_directive(upstream)),
    }
    for server in &upstream.servers {
        let old = lines.iter().find(|line| line.is_of(server));
        new += &indent;
        new += &match old {
            Some(line) if line.says == Some(server.clone()) => line.directive.clone(),
            _ => server_directive(server),
        };
        new += old.map_or("", |line| line.comment.as_str());
        new.push('\n');
    }
    if lines.last().is_some_and(|line| !line.whole) {
        new += &indent;
    }
    edits.push((place..place, new));
    edits.extend(lines.into_iter().map(|line| (line.extent, String::new())));
    Ok(apply(text, edits))
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
    directive: String,
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
            directive: text[span.clone()].to_owned(),
            comment: if whole { rest.trim_end().to_owned() } else { String::new() },
            start: span.start,
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

/// The text after edits that do not overlap.
fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut new, mut copied) = (String::new(), 0);
    for (range, replacement) in edits {
        new += &text[copied..range.start];
        new += &replacement;
        copied = range.end;
    }
    new + &text[copied..]
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
