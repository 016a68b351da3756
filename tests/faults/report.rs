//! The story of a message, for whoever has to find out what became of it.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use crate::books::{Books, End, Key, Message, Pages};
use crate::check::Fault;

/// The stories of more would not be read.
const STORIES_SHOWN: usize = 4;

/// What is wrong with the books, and the stories of the first messages that
/// it concerns.
pub fn report(books: &Books, faults: &[Fault]) -> String {
    let pages = books.pages();
    let mut text = format!(
        "{}: {} faults; again with CHAT_FAULT_SEED={}\n",
        books.scenario,
        faults.len(),
        books.seed
    );
    for fault in faults.iter().take(40) {
        let whose = fault
            .key
            .as_ref()
            .map_or(String::new(), |key| format!("{} of {}: ", key.mid, name(&pages, key.sender)));
        text += &format!("- {whose}{}\n", fault.what);
    }
    let mut told = HashSet::new();
    for key in faults.iter().filter_map(|fault| fault.key.as_ref()) {
        if let Some(message) = pages.messages.get(key)
            && told.len() < STORIES_SHOWN
            && told.insert(key)
        {
            text += &story(&pages, books.begun, key, message);
        }
    }
    text += "the scenario\n";
    for (at, what) in &pages.notes {
        text += &format!("{} {what}\n", seconds(books.begun, *at));
    }
    text
}

/// One message from its first attempt to the last copy, and the connections
/// that had to do with it.
fn story(pages: &Pages, begun: Instant, key: &Key, message: &Message) -> String {
    let mut events: Vec<(Instant, String)> = Vec::new();
    let mut lines = BTreeSet::new();
    for (number, attempt) in message.attempts.iter().enumerate() {
        let overdue = if attempt.overdue { ", not answered in time" } else { "" };
        let what = format!("attempt {} on line {}{overdue}", number + 1, attempt.line);
        events.push((attempt.at, what));
        lines.insert(attempt.line);
    }
    for answered in &message.answers {
        let attempt = answered.attempt + 1;
        let what =
            format!("attempt {attempt} answered on line {}: {:?}", answered.line, answered.answer);
        events.push((answered.at, what));
    }
    for (arrivals, how) in
        [(&message.handled, "handled"), (&message.doubles, "dropped as a double")]
    {
        for arrival in arrivals {
            let who = name(pages, arrival.recipient);
            events.push((arrival.at, format!("{how} by {who} on line {}", arrival.line)));
            lines.insert(arrival.line);
        }
    }
    // Also those of recipients whom it has not reached.
    for recipient in pages.recipients(key, message.target) {
        let since = |line: &crate::books::Line| {
            line.ended.as_ref().is_none_or(|(at, _)| *at >= message.sent_at())
        };
        let theirs =
            |(_, line): &(usize, &crate::books::Line)| line.member == recipient && since(line);
        if !message.handled.iter().any(|a| a.recipient == recipient) {
            lines.extend(pages.lines.iter().enumerate().filter(theirs).map(|(n, _)| n).take(5));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let mut text = format!(
        "the story of {} from {} to {}: {:.40?}\n",
        key.mid,
        name(pages, key.sender),
        message.target.tell(pages),
        message.text
    );
    for (at, what) in events {
        text += &format!("{} {what}\n", seconds(begun, at));
    }
    for number in lines {
        text += &format!("{:11}line {number}: {}\n", "", tell_line(pages, begun, number));
    }
    text
}

fn tell_line(pages: &Pages, begun: Instant, number: usize) -> String {
    let line = &pages.lines[number];
    let logged_in = match line.logged_in {
        Some((at, how)) => format!("logged in by {how} at {}", seconds(begun, at).trim()),
        None => "not logged in".into(),
    };
    let end = match &line.ended {
        Some((at, End::Server(why))) => {
            format!("closed by the server at {} ({why})", seconds(begun, *at).trim())
        }
        Some((at, End::Member(why))) => {
            format!("closed by the member at {} ({why})", seconds(begun, *at).trim())
        }
        None => "open".into(),
    };
    let opened = seconds(begun, line.opened);
    let who = name(pages, line.member);
    format!("{who} to {} at {}, {logged_in}, {end}", line.address, opened.trim())
}

/// A user as the stories call them.
pub fn name(pages: &Pages, user: i64) -> String {
    let name = pages.names.get(&user).map_or("somebody", String::as_str);
    format!("{name} ({user})")
}

fn seconds(begun: Instant, at: Instant) -> String {
    format!("{:9.3}s", at.saturating_duration_since(begun).as_secs_f64())
}

/// The stories of the messages of one kind.
pub fn of_messages(books: &Books, what: &str, kind: impl Fn(&Message) -> bool) -> String {
    let fault = |key: &Key| Fault { key: Some(key.clone()), what: what.to_owned() };
    let faults: Vec<Fault> = {
        let pages = books.pages();
        pages.messages.iter().filter(|(_, m)| kind(m)).map(|(key, _)| fault(key)).collect()
    };
    report(books, &faults)
}

/// The connections that have ended since.
pub fn lines(books: &Books, since: Instant) -> String {
    let mut text = report(books, &[]);
    let pages = books.pages();
    for (number, line) in pages.lines.iter().enumerate() {
        if line.ended.as_ref().is_some_and(|(at, _)| *at >= since) {
            text += &format!("line {number}: {}\n", tell_line(&pages, books.begun, number));
        }
    }
    text
}
