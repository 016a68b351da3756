//! Answers that are more than a word: tables and sentences.

use std::io::{self, Write};

use super::command::{USAGES, Usage};
use super::export::{Done, Target};
use super::sample::{self, Balancer, DEFAULT_CLIENTS};
use super::upstream::Upstream;
use super::{POINTS_PER_WEIGHT, ServerName};

/// The longest bar.
const BAR: f64 = 40.0;
/// A list of servers in a sentence ends after so many.
const NAMES: usize = 8;

const ALL_DOWN: &str = "All servers are down: nginx turns every client away.";

/// One row of a table of shares.
struct Row<'a> {
    name: &'a str,
    remark: &'a str,
    /// What a bar shows beside its mark.
    share: f64,
    mark: f64,
    text: String,
}

/// The commands.
///
/// # Errors
/// Where it cannot be written; as in all others.
pub fn help(out: &mut dyn Write) -> io::Result<()> {
    for usage in &USAGES {
        help_on(usage, out)?;
    }
    writeln!(
        out,
        "A host's text counts: localhost and 127.0.0.1 are two servers with different points.\n\
         Where nginx listens with ipv6only=off a client's address is ::ffff:1.2.3.4 to its hash."
    )
}

/// One command.
pub fn help_on(usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
    let line = format!("{} {}", usage.word, usage.rest);
    // A long form has its meaning below it.
    match line.len() {
        0..=26 => write!(out, "  {line:<26}")?,
        _ => write!(out, "  {line}\n{:28}", "")?,
    }
    writeln!(out, "{}", wrapped(usage.what, 70).join(&format!("\n{:28}", "")))
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1 server`, `2 servers`.
pub fn number(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `160 points (weight 1)`.
pub fn points(points: u32) -> String {
    let what = number(points.into(), "point");
    if points.is_multiple_of(POINTS_PER_WEIGHT) {
        format!("{what} (weight {})", points / POINTS_PER_WEIGHT)
    } else {
        format!("{what} (no weight of nginx: export needs a multiple of {POINTS_PER_WEIGHT})")
    }
}

/// The servers, for a sentence.
pub fn names(upstream: &Upstream) -> String {
    let names: Vec<&str> = upstream.servers.iter().take(NAMES).map(|s| s.server.as_str()).collect();
    let more = upstream.servers.len() - names.len();
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &end
}

/// The table of `dist`.
pub fn dist(balancer: Balancer<'_>, number: u32, out: &mut dyn Write) -> io::Result<()> {
    let (counts, uncertain) = balancer.count(sample::clients(number));
    let expected = balancer.expected();
    let servers = &balancer.upstream.servers;
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (position, server) in servers.iter().enumerate() {
        let (share, mark) = (ratio(counts[position], number), expected[position]);
        rows.push(Row {
            name: server.server.as_str(),
            remark: if server.down { " (down)" } else { "" },
            share,
            mark,
            text: format!("{:>8}  {}  {}", server.points, percent(mark), percent(share)),
        });
    }
    table("  points   expected     actual", &rows, out)?;
    let by = balancer.upstream.key.nginx_text();
    let clients = self::number(number.into(), "made-up client");
    writeln!(out, "{clients}, by {by}. In the bars: # actual, | expected.")?;
    if all_down(balancer.upstream) {
        return writeln!(out, "{ALL_DOWN}");
    }
    uncertain_clients(uncertain, number, out)
}

/// The answer of `moved`.
pub fn moved(before: Balancer<'_>, after: Balancer<'_>, out: &mut dyn Write) -> io::Result<()> {
    let number = DEFAULT_CLIENTS;
    if before.upstream == after.upstream {
        return writeln!(out, "0.00 % of the clients move: nginx has this ring already.");
    }
    let share = ratio(sample::moved(before, after, sample::clients(number)), number);
    let ideal = sample::ideal_moved(before, after);
    let nth = (1.0 / ideal).round();
    let is_nth = ideal > 0.0 && nth < 1e6 && (nth * ideal - 1.0).abs() < 1e-9;
    let fraction = if is_nth { format!(" (1/{nth})") } else { String::new() };
    writeln!(
        out,
        "{:.2} % of {number} made-up clients get another server; the ideal is {:.2} %{fraction}.",
        100.0 * share,
        100.0 * ideal
    )?;
    let old = before.count(sample::clients(number)).0;
    let new = after.count(sample::clients(number)).0;
    let mut rows = Vec::new();
    let mut row = |name, was: u32, is: u32| {
        let (was, is) = (ratio(was, number), ratio(is, number));
        let change = 100.0 * (is - was);
        let text = format!("{}  {}  {change:>+8.2}", percent(was), percent(is));
        rows.push(Row { name, remark: "", share: is, mark: was, text });
    };
    for (position, server) in before.upstream.servers.iter().enumerate() {
        let now = after.upstream.position(&server.server).map_or(0, |position| new[position]);
        row(server.server.as_str(), old[position], now);
    }
    for (position, server) in after.upstream.servers.iter().enumerate() {
        if before.upstream.position(&server.server).is_none() {
            row(server.server.as_str(), 0, new[position]);
        }
    }
    table("   before      after    change", &rows, out)?;
    writeln!(out, "In the bars: # after, | before.")
}

/// Where the clients of a server go that is down.
pub fn down(balancer: Balancer<'_>, name: &ServerName, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{name} is marked down; up takes that back, export writes it.")?;
    let upstream = balancer.upstream;
    let its = |client: &super::Client| {
        let owner = balancer.ring.owner(&client.key(upstream.key));
        owner.is_some_and(|owner| upstream.servers[owner].server == *name)
    };
    let clients: Vec<super::Client> = sample::clients(DEFAULT_CLIENTS).filter(its).collect();
    let number = u32::try_from(clients.len()).unwrap_or(u32::MAX);
    if all_down(upstream) {
        return writeln!(out, "{ALL_DOWN}");
    }
    let (counts, uncertain) = balancer.count(clients.into_iter());
    let share = 100.0 * ratio(number, DEFAULT_CLIENTS);
    writeln!(out, "Its clients, {share:.2} % of {DEFAULT_CLIENTS} made-up ones, go to:")?;
    let expected = balancer.expected();
    let mut rows = Vec::new();
    for (position, server) in upstream.servers.iter().enumerate().filter(|(_, s)| !s.down) {
        let (share, mark) = (ratio(counts[position], number), expected[position]);
        let text = format!("{}  {}", percent(mark), percent(share));
        rows.push(Row { name: server.server.as_str(), remark: "", share, mark, text });
    }
    table(" expected     actual", &rows, out)?;
    uncertain_clients(uncertain, number, out)
}

/// The answer of `import`.
pub fn imported(upstream: &Upstream, out: &mut dyn Write) -> io::Result<()> {
    let Upstream { name, key, servers } = upstream;
    let servers = number(servers.len() as u64, "server");
    let points = number(upstream.points(), "point");
    writeln!(out, "Imported {name}: {servers}, {points}, hash {}.", key.nginx_text())
}

/// The answer of `export`.
pub fn exported(
    upstream: &Upstream,
    target: &Target,
    done: &Done,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (file, Upstream { name, key, servers }) = (target.file.display(), upstream);
    if done.changed {
        let (number, key) = (number(servers.len() as u64, "server"), key.nginx_text());
        writeln!(out, "{file}: upstream {name} has {number} now, hash {key}; nginx -t agrees.")?;
    } else {
        writeln!(out, "{file}: upstream {name} said so already; nginx -t agrees.")?;
    }
    match &done.cut_off_after {
        _ if !target.reload => Ok(()),
        None => {
            writeln!(out, "nginx is told to reload: clients who are connected stay where they are.")
        }
        Some(time) => writeln!(
            out,
            "nginx is told to reload: clients who are connected stay where they are for {time}, then worker_shutdown_timeout ends their connections."
        ),
    }
}

fn all_down(upstream: &Upstream) -> bool {
    upstream.servers.iter().all(|server| server.down)
}

fn uncertain_clients(uncertain: u32, number: u32, out: &mut dyn Write) -> io::Result<()> {
    if uncertain == 0 {
        return Ok(());
    }
    let share = 100.0 * ratio(uncertain, number);
    writeln!(
        out,
        "Another {share:.2} % find only servers that are down on 21 points: nginx takes turns."
    )
}

fn table(head: &str, rows: &[Row<'_>], out: &mut dyn Write) -> io::Result<()> {
    let width = |row: &Row<'_>| row.name.len() + row.remark.len();
    let width = rows.iter().map(width).max().unwrap_or(0).max("server".len());
    let largest = rows.iter().map(|row| row.share.max(row.mark)).fold(0.0, f64::max);
    writeln!(out, "{:<width$}{head}", "server")?;
    for row in rows {
        let name = format!("{}{}", row.name, row.remark);
        let line = format!("{name:<width$}{}  {}", row.text, bar(row.share, row.mark, largest));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn bar(share: f64, mark: f64, largest: f64) -> String {
    // At most 40, and a share that is not a number counts as nothing.
    let columns = |share: f64| (share / largest.max(f64::MIN_POSITIVE) * BAR).round() as usize;
    let (share, mark) = (columns(share), columns(mark));
    let column = |at: usize| {
        if at == mark {
            '|'
        } else if at < share {
            '#'
        } else {
            ' '
        }
    };
    (0..=share.max(mark)).map(column).collect()
}

fn ratio(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

fn percent(share: f64) -> String {
    format!("{:>7.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_both_shares() {
        assert_eq!(bar(0.5, 0.5, 0.5), format!("{}|", "#".repeat(40)));
        assert_eq!(bar(0.25, 0.5, 0.5), format!("{}{}|", "#".repeat(20), " ".repeat(20)));
        assert_eq!(bar(0.0, 0.0, 0.0), "|");
        assert_eq!(bar(0.5, 0.25, 0.5), format!("{}|{} ", "#".repeat(20), "#".repeat(19)));
    }

    #[test]
    fn a_long_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
    }
}
