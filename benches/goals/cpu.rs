//! What a delivered copy costs the server's processors, by what it costs the
//! floor's: the bench and the server share the machine, so throughput would
//! measure both.

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::programs::{
    Accounts, Chat, TIMES, address, chat_bench, figure, plan, progress, refresh,
};
use crate::support::cluster::Cluster;

const COST: &str = "/server_cpu_us_per_copy";

/// One message under way in each pair.
pub fn pairs_of_1(session: &Session) -> Finding {
    by_floor(session, "pairs", &["--pairs", "50", "--window", "1"])
}

/// One sender and 499 others.
pub fn group(session: &Session) -> Finding {
    by_floor(session, "groups", &["--members", "500", "--senders", "1", "--window", "4"])
}

/// A load's cost on the server by that on the floor, in turns.
fn by_floor(session: &Session, kind: &str, flags: &[&str]) -> Finding {
    let mut chat = Chat::start(plan(1));
    chat.prepare(kind, "people", flags);
    let (mut server, mut floor) = (Samples::default(), Samples::default());
    for round in 0..session.runs {
        chat.refresh();
        let cost = figure(&chat.load(kind, "people", flags), COST);
        let least = figure(&Chat::load_floor(kind, flags), COST);
        progress(round, session.runs, &format!("{} us, floor {} us", short(cost), short(least)));
        server.push(cost);
        floor.push(least);
    }
    Finding::ratio(("server", &server), ("floor", &floor), "µs")
}

/// What the runs with 16 under way in each pair cost.
#[derive(Default)]
pub struct PairsOf16 {
    plain: Samples,
    confirmed: Samples,
    floor: Samples,
}

impl PairsOf16 {
    fn of(session: &Session) -> &PairsOf16 {
        session.pairs_of_16.get_or_init(|| PairsOf16::measure(session.runs))
    }

    fn measure(runs: u32) -> PairsOf16 {
        const FLAGS: [&str; 4] = ["--pairs", "50", "--window", "16"];
        let mut chat = Chat::start(plan(1));
        chat.prepare("pairs", "people", &FLAGS);
        let mut all = PairsOf16::default();
        for round in 0..runs {
            chat.refresh();
            let plain = figure(&chat.load("pairs", "people", &FLAGS), COST);
            let floor = figure(&Chat::load_floor("pairs", &FLAGS), COST);
            chat.refresh();
            let with_ack = [&FLAGS[..], &["--ack"]].concat();
            let confirmed = figure(&chat.load("pairs", "people", &with_ack), COST);
            let costs = [plain, floor, confirmed].map(short);
            let [plain_us, floor_us, ack_us] = costs;
            progress(round, runs, &format!("{plain_us} us, floor {floor_us} us, ack {ack_us} us"));
            all.plain.push(plain);
            all.floor.push(floor);
            all.confirmed.push(confirmed);
        }
        all
    }
}

/// Recipients that do not confirm.
pub fn pairs_of_16(session: &Session) -> Finding {
    let all = PairsOf16::of(session);
    Finding::ratio(("server", &all.plain), ("floor", &all.floor), "µs")
}

/// Recipients that confirm.
pub fn pairs_of_16_with_ack(session: &Session) -> Finding {
    let all = PairsOf16::of(session);
    Finding::ratio(("server", &all.confirmed), ("floor", &all.floor), "µs")
}

/// From server to server, and both ends on one of them.
pub fn across(session: &Session) -> Finding {
    let flags = [("--message-rate", 0), ("--registrations", 0), ("--reactors", 1)];
    let mut plan = Cluster::plan();
    for (name, value) in flags {
        plan = plan.flag(name, value);
    }
    let mut cluster = plan.start();
    let accounts = Accounts::new();
    let file = accounts.file("people");
    let [near, far] = [0, 1].map(|number| address(&cluster.servers[number]));
    let load = ["pairs", &near, "--pairs", "50", "--window", "16", "--accounts", &file];
    chat_bench(&[&load[..], &["--time", "0.1", "--warm-up", "0"]].concat());
    let (mut apart, mut together) = (Samples::default(), Samples::default());
    for round in 0..session.runs {
        cluster.servers.iter_mut().for_each(refresh);
        let across = [&load[..], &TIMES, &["--across", &far]].concat();
        let both = figure(&chat_bench(&across), COST);
        cluster.servers.iter_mut().for_each(refresh);
        let one = figure(&chat_bench(&[&load[..], &TIMES].concat()), COST);
        let text = format!("{} us across, {} us on one", short(both), short(one));
        progress(round, session.runs, &text);
        apart.push(both);
        together.push(one);
    }
    Finding::ratio(("across", &apart), ("on one", &together), "µs")
}
