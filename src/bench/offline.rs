//! Messages to people who are not there: each is to be stored, and comes when
//! its recipient logs in.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::BenchError;
use super::books::{Books, Inbox};
use super::dialect::{Dialect, Incoming, Target};
use super::engine::{Engine, Stream};
use super::modes::{into_links, keep, logged_in, measure_engine, registered};
use super::options::RunOptions;
use super::people::{Person, Proof, enter, in_parallel};
use super::report::Report;

/// Pairs of whom only the senders are logged in. The recipients come
/// afterwards and take everything, so that the books can be closed.
pub(super) fn pairs(pairs: u32, options: &RunOptions) -> Result<Report, BenchError> {
    let pairs = pairs as usize;
    let mut people = registered(pairs * 2, options)?;
    keep(&people, options)?;
    let server = options.server;
    let (senders, recipients) = people[..pairs * 2].split_at_mut(pairs);
    let links = into_links(logged_in(senders, options, &move |_| server)?)?;
    let stream = |(from, to): (usize, &Person)| {
        // Nothing comes as long as it is measured.
        Stream { from, to: Target::User(to.id), recipients: Vec::new() }
    };
    let streams = recipients.iter().enumerate().map(stream).collect();
    let mut engine = Engine::new(Dialect::Chat, links, streams)?;
    let mut report = measure_engine("pairs, recipients offline", &[server], &mut engine, options)?;
    take_all(recipients, options, &engine.sent(), &mut report.measured.books)?;
    keep(&people, options)?;
    Ok(report)
}

/// Logs the recipients in and notes what they get.
fn take_all(
    recipients: &mut [Person],
    options: &RunOptions,
    sent: &[u64],
    books: &mut Books,
) -> Result<(), BenchError> {
    let taken = in_parallel(recipients.len(), |number| {
        let (mut talk, welcome) = enter(&recipients[number], options.server, Proof::Token, true)?;
        let (mut inbox, mut books) = (Inbox::default(), Books::default());
        let stream = number as u32;
        let mut missed = missed_messages(&welcome);
        let mut count = 0_u64;
        while inbox.lost(stream, sent[number]) > 0 {
            let push = match missed.pop_front() {
                Some(push) => push,
                None => match talk.hear() {
                    Ok(push) => push.to_string(),
                    // What has not come by now is lost.
                    Err(_) => break,
                },
            };
            if let Incoming::Push(number) = Dialect::Chat.read(push.as_bytes()) {
                count += 1;
                // Others may be of a former run that was broken off.
                if number.stream == stream {
                    books.arrived(inbox.receive(number));
                }
                if count.is_multiple_of(32) {
                    talk.tell(&json!({"msgid": 14, "count": count}))?;
                }
            }
        }
        talk.tell(&json!({"msgid": 14, "count": count}))?;
        talk.insist(&json!({"msgid": 15}))?;
        books.lost = inbox.lost(stream, sent[number]);
        Ok((books, welcome["token"].as_str().map(str::to_owned)))
    })?;
    for (person, (one, token)) in recipients.iter_mut().zip(taken) {
        person.token = token;
        books.received += one.received;
        books.lost += one.lost;
        books.doubled += one.doubled;
        books.out_of_order += one.out_of_order;
    }
    Ok(())
}

/// The texts of the missed messages in a login's answer.
fn missed_messages(welcome: &Value) -> VecDeque<String> {
    let entries = welcome["offlinemsg"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}
