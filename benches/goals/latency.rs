//! What somebody else's doings change for everybody's latency, at a quarter of
//! the maximum rate: with room left, so that it is not the queue that is seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::programs::{Beside, Chat, figure, plan, progress};
use crate::support::client::TestClient;
use crate::support::door::{Door, Person};

const P99: &str = "/delivery_us/p99";

/// A quarter of what a closed loop gets delivered.
fn quarter_of_maximum(chat: &Chat) -> String {
    let flags = ["--pairs", "50", "--window", "16"];
    chat.prepare("pairs", "people", &flags);
    let most = figure(&chat.load("pairs", "people", &flags), "/copies_per_second");
    eprintln!("    maximum {} messages a second", short(most));
    format!("{:.0}", most / 4.0)
}

fn p99_at(chat: &Chat, rate: &str) -> f64 {
    figure(&chat.load("pairs", "people", &["--pairs", "50", "--rate", rate]), P99)
}

/// Ten logins a second, each with a password to be hashed.
pub fn logins(session: &Session) -> Finding {
    let mut chat = Chat::start(plan(1));
    let rate = quarter_of_maximum(&chat);
    let (address, file) = (chat.address(), chat.accounts("who logs in"));
    let logins = ["login", &address, "--proof", "password", "--people", "50", "--accounts", &file];
    crate::programs::chat_bench(&[&logins[..], &["--window", "2", "--time", "0.2"]].concat());
    let (mut beside, mut alone) = (Samples::default(), Samples::default());
    for round in 0..session.runs {
        chat.refresh();
        let without = p99_at(&chat, &rate);
        chat.refresh();
        let others = Beside::start(&[&logins[..], &["--rate", "10", "--time", "4"]].concat());
        let with = p99_at(&chat, &rate);
        others.figures();
        let text = format!("p99 {} us, without logins {} us", short(with), short(without));
        progress(round, session.runs, &text);
        beside.push(with);
        alone.push(without);
    }
    let finding = Finding::ratio(("with", &beside), ("without", &alone), "µs");
    finding.note(&format!("at {rate} a second"))
}

/// Everybody's p99 on four reactors, with different neighbours.
#[derive(Default)]
pub struct Neighbours {
    rate: String,
    quiet: Samples,
    flood: Samples,
    slow: Samples,
}

impl Neighbours {
    fn of(session: &Session) -> &Neighbours {
        session.neighbours.get_or_init(|| Neighbours::measure(session.runs))
    }

    fn measure(runs: u32) -> Neighbours {
        let mut chat = Chat::start(plan(4));
        let mut all = Neighbours { rate: quarter_of_maximum(&chat), ..Neighbours::default() };
        let file = chat.accounts("the flooder");
        chat.prepare("pairs", "the flooder", &["--pairs", "1"]);
        let reader = chat.server().register("reads nothing");
        let writer = chat.server().register("writes to it");
        for round in 0..runs {
            chat.refresh();
            let quiet = p99_at(&chat, &all.rate);
            chat.refresh();
            let address = chat.address();
            // More under way than the server lets a connection have: it
            // always has something to read, as fast as it takes it.
            let flooder = ["pairs", &address, "--pairs", "1", "--window", "4096"];
            let times = ["--accounts", &file, "--time", "4", "--warm-up", "0"];
            let flooder = Beside::start(&[&flooder[..], &times].concat());
            let flood = p99_at(&chat, &all.rate);
            flooder.figures();
            chat.refresh();
            let slow = beside_slow_reader(&chat, &reader, &writer, || p99_at(&chat, &all.rate));
            let [quiet_us, flood_us, slow_us] = [quiet, flood, slow].map(short);
            let text = format!("p99 {quiet_us} us, flood {flood_us} us, slow {slow_us} us");
            progress(round, runs, &text);
            all.quiet.push(quiet);
            all.flood.push(flood);
            all.slow.push(slow);
        }
        all
    }

    fn finding(&self, neighbour: &Samples) -> Finding {
        let finding = Finding::ratio(("with", neighbour), ("without", &self.quiet), "µs");
        finding.note(&format!("at {} a second", self.rate))
    }
}

/// One connection that sends as fast as it can.
pub fn flood(session: &Session) -> Finding {
    let all = Neighbours::of(session);
    all.finding(&all.flood)
}

/// One connection that takes nothing of what another one sends it.
pub fn slow_reader(session: &Session) -> Finding {
    let all = Neighbours::of(session);
    all.finding(&all.slow)
}

/// Measures while one writes to another who never reads. Where the server ends
/// that one, it comes back and goes on reading nothing.
fn beside_slow_reader(
    chat: &Chat,
    reader: &Person,
    writer: &Person,
    measure: impl FnOnce() -> f64,
) -> f64 {
    let is_over = AtomicBool::new(false);
    let enter = |person: &Person| {
        let mut client = chat.server().connect();
        let login = json!({"msgid": 1, "id": person.id, "password": person.password,
            "takeover": true});
        client.log_in_with(person, login).done();
        client
    };
    let (mut deaf, mut talkative) = (enter(reader), enter(writer));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if send_some(&mut talkative, reader) {
                    deaf = enter(reader);
                }
            }
        });
        // Also if it panics: the thread would write for ever.
        let _over = SetAtEnd(&is_over);
        measure()
    })
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends some 4 MB a second. Whether something was stored: its reader is gone,
/// or has taken nothing for too long.
fn send_some(from: &mut TestClient, to: &Person) -> bool {
    let text = "x".repeat(4096);
    let message = json!({"msgid": 6, "to": to.id, "msg": text});
    from.send_all(vec![message; 10]);
    // Nobody writes to this one: it takes its answers meanwhile.
    from.push_within(Duration::from_millis(10));
    from.take_replies().iter().any(|reply| reply["status"] == "stored")
}
