//! What must hold of the books, whatever has happened.

use std::collections::HashMap;
use std::time::Duration;

use crate::books::{Answer, Books, Key, Message, Pages, Target};
use crate::report;

/// Services that are well again are not at their best at once: back-offs, and
/// circuits that are still open. What is sent later than this after they are
/// has to be answered in time.
const RECOVERY: Duration = Duration::from_secs(5);

/// Something that must not be, and the message that it is about.
pub struct Fault {
    pub key: Option<Key>,
    pub what: String,
}

impl Books {
    /// Judges the books at the end of a scenario; what is wrong as a text that
    /// tells the story of each message concerned.
    pub fn check(&self) -> Result<(), String> {
        let faults = self.faults();
        if faults.is_empty() {
            return Ok(());
        }
        Err(report::report(self, &faults))
    }

    /// Everything that is wrong.
    pub fn faults(&self) -> Vec<Fault> {
        let pages = self.pages();
        let mut faults: Vec<Fault> = pages
            .wrongs
            .iter()
            .map(|(key, what)| Fault { key: key.clone(), what: what.clone() })
            .collect();
        let mut messages: Vec<(&Key, &Message)> = pages.messages.iter().collect();
        messages.sort_by_key(|(_, message)| message.serial);
        for (key, message) in messages {
            let mut found = |what: String| faults.push(Fault { key: Some(key.clone()), what });
            answered(&pages, key, message, &mut found);
            handled(&pages, key, message, &mut found);
        }
        for recipient in pages.handled.keys() {
            order(&pages, *recipient, &mut faults);
        }
        faults
    }

    /// The messages that are done and have not been handled by everybody whom
    /// they are for.
    pub fn missing(&self) -> Vec<Fault> {
        let pages = self.pages();
        let mut faults = Vec::new();
        for (key, message) in &pages.messages {
            handled(&pages, key, message, &mut |what| {
                faults.push(Fault { key: Some(key.clone()), what });
            });
        }
        faults
    }
}

/// Every message is answered in the end, in time where all is well, and the
/// numbers of a group message's copies add up.
fn answered(pages: &Pages, key: &Key, message: &Message, found: &mut impl FnMut(String)) {
    if message.done().is_none() {
        found("never answered with errno 0".into());
    }
    let in_time_since = pages.healed.map(|healed| healed + RECOVERY);
    for (number, attempt) in message.attempts.iter().enumerate() {
        let line = &pages.lines[attempt.line];
        if attempt.overdue
            && line.ended.is_none()
            && in_time_since.is_some_and(|since| attempt.at >= since)
        {
            found(format!("attempt {} not answered in time", number + 1));
        }
    }
    for answered in &message.answers {
        let Answer::Copies { delivered, stored } = answered.answer else { continue };
        let copies = pages.recipients(key, message.target).len();
        if delivered + stored != copies {
            found(format!("{delivered} delivered and {stored} stored, but {copies} others"));
        }
    }
}

/// Whoever is to handle a message has handled it once if it is done, and
/// nobody else has.
fn handled(pages: &Pages, key: &Key, message: &Message, found: &mut impl FnMut(String)) {
    let recipients = pages.recipients(key, message.target);
    for arrival in &message.handled {
        if !recipients.contains(&arrival.recipient) {
            found(format!("handled by user {}, whom it is not for", arrival.recipient));
        }
    }
    for recipient in recipients {
        let times = message.handled.iter().filter(|a| a.recipient == recipient).count();
        if times > 1 {
            found(format!("handled {times} times by user {recipient}"));
        }
        if times == 0 && message.done().is_some() && !excused(pages, message, recipient) {
            found(format!("done, but never handled by user {recipient}"));
        }
    }
}

/// Whether a message may be lost: to somebody who does not confirm, with a
/// connection, were it one that never got an answer to its login.
fn excused(pages: &Pages, message: &Message, recipient: i64) -> bool {
    let lost_a_connection = || {
        pages.lines.iter().any(|line| {
            line.member == recipient
                && line.ended.as_ref().is_some_and(|(at, _)| *at >= message.sent_at())
        })
    };
    pages.plain.contains(&recipient) && lost_a_connection()
}

/// What one sender sent to one recipient only once was handled in that order.
fn order(pages: &Pages, recipient: i64, faults: &mut Vec<Fault>) {
    let mut last: HashMap<(i64, Option<usize>), (&Key, &Message)> = HashMap::new();
    for key in &pages.handled[&recipient] {
        let Some(message) = pages.messages.get(key) else { continue };
        if message.attempts.len() > 1 {
            continue;
        }
        let line = pages.order_within_lines.then_some(message.attempts[0].line);
        if let Some((later, earlier_handled)) = last.get(&(key.sender, line))
            && earlier_handled.serial > message.serial
        {
            let what =
                format!("handled by user {recipient} after {}, which was sent later", later.mid);
            faults.push(Fault { key: Some(key.clone()), what });
            faults.push(Fault { key: Some((*later).clone()), what: "handled too early".into() });
            continue;
        }
        last.insert((key.sender, line), (key, message));
    }
}

impl Target {
    /// As it is told in a story.
    pub fn tell(self, pages: &Pages) -> String {
        match self {
            Target::User(user) => report::name(pages, user),
            Target::Group(group) => format!("group {group}"),
        }
    }
}
