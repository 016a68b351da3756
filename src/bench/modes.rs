//! What each kind of load sets up before the engine runs it.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::BenchError;
use super::dialect::{Dialect, Target};
use super::engine::{Engine, Plan, Stream};
use super::floor::Floor;
use super::link::Link;
use super::mixed;
use super::offline;
use super::options::{Mode, RunOptions};
use super::people::{self, Person, Proof, Talk};
use super::plot;
use super::process::Pid;
use super::report::Report;
use super::{idle, logins, seed, storm};

/// Does what the command line asks for. Whether all went well.
///
/// # Errors
/// It could not be done; the sentence says why.
pub fn run(mode: Mode) -> Result<bool, BenchError> {
    let (report, options) = match mode {
        Mode::Pairs { pairs, offline: true, run, .. } => (offline::pairs(pairs, &run)?, run),
        Mode::Pairs { pairs, across, run, .. } => (self::pairs(pairs, across, &run)?, run),
        Mode::Groups { groups, members, senders, run } => {
            (self::groups(groups, members, senders.min(members), &run)?, run)
        }
        Mode::Mixed { people, logins, run } => (mixed::mixed(people, logins, &run)?, run),
        Mode::Floor { address, reply } => return floor(address, reply),
        Mode::Seed(options) => return seed::run(&options),
        Mode::Idle(options) => return idle::run(&options),
        Mode::Login(options) => return logins::run(&options),
        Mode::Storm(options) => return storm::run(&options),
    };
    if options.json {
        report.print_json()
    } else {
        report.print_table()
    }
    if let Some(file) = &options.plot {
        plot::write(file, &report)?;
    }
    Ok(report.measured.books.fault().is_none())
}

/// Runs the floor until it is interrupted.
fn floor(address: SocketAddr, replies: bool) -> Result<bool, BenchError> {
    let floor = Floor::bind(address, replies).map_err(BenchError::system)?;
    println!("listening on {}", floor.local_addr().map_err(BenchError::system)?);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(BenchError::system)?;
    }
    floor.run(&stop).map_err(BenchError::system)?;
    Ok(true)
}

fn pairs(
    pairs: u32,
    across: Option<SocketAddr>,
    options: &RunOptions,
) -> Result<Report, BenchError> {
    let servers = [options.server, across.unwrap_or(options.server)];
    let count = pairs as usize * 2;
    let (links, ids) = if options.floor {
        (people::greet_floor(options.server, count)?, (1..=count as u32).collect())
    } else {
        let (talks, people) = gather(count, options, &move |number| servers[number % 2])?;
        (into_links(talks)?, people.iter().map(|person| person.id).collect::<Vec<_>>())
    };
    let stream = |pair: usize| Stream {
        from: pair * 2,
        to: Target::User(ids[pair * 2 + 1]),
        recipients: vec![pair * 2 + 1],
    };
    let streams = (0..pairs as usize).map(stream).collect();
    measure("pairs", &servers, links, streams, options)
}

fn groups(
    groups: u32,
    members: u32,
    senders: u32,
    options: &RunOptions,
) -> Result<Report, BenchError> {
    let (groups, members, senders) = (groups as usize, members as usize, senders as usize);
    let count = groups * members;
    let mut ids = vec![0; groups];
    let links = if options.floor {
        people::greet_floor(options.server, count)?
    } else {
        let server = options.server;
        let (mut talks, _) = gather(count, options, &move |_| server)?;
        for (group, id) in ids.iter_mut().enumerate() {
            *id = found(&mut talks[group * members..(group + 1) * members])?;
        }
        into_links(talks)?
    };
    let streams = (0..groups * senders).map(|number| {
        let (group, sender) = (number / senders, number % senders);
        let from = group * members + sender;
        let all = group * members..(group + 1) * members;
        let recipients = all.filter(|member| *member != from).collect();
        Stream { from, to: Target::Group(ids[group]), recipients }
    });
    measure("groups", &[options.server], links, streams.collect(), options)
}

/// Founds a group of these people.
pub(super) fn found(talks: &mut [Talk]) -> Result<u32, BenchError> {
    let name = format!("bench {:016x}", people::random());
    let Some((creator, others)) = talks.split_first_mut() else { return Ok(0) };
    let reply = creator.insist(&json!({"msgid": 8, "groupname": name, "groupdesc": ""}))?;
    let group = reply["groupid"].as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    for member in others {
        member.insist(&json!({"msgid": 9, "groupid": group}))?;
    }
    Ok(group)
}

/// Registers and logs in so many people.
fn gather(
    count: usize,
    options: &RunOptions,
    server_of: &(dyn Fn(usize) -> SocketAddr + Sync),
) -> Result<(Vec<Talk>, Vec<Person>), BenchError> {
    let mut people = registered(count, options)?;
    let talks = logged_in(&mut people[..count], options, server_of)?;
    keep(&people, options)?;
    people.truncate(count);
    Ok((talks, people))
}

/// People of the file and, where those are too few, new ones.
pub(super) fn registered(count: usize, options: &RunOptions) -> Result<Vec<Person>, BenchError> {
    let file = options.accounts.as_deref();
    let mut people = file.map_or(Ok(Vec::new()), people::read)?;
    let new = count.saturating_sub(people.len()) as u64;
    let bar = progress("registering", new);
    people::register(options.server, &mut people, count, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(people)
}

/// Logs all of these in.
pub(super) fn logged_in(
    people: &mut [Person],
    options: &RunOptions,
    server_of: &(dyn Fn(usize) -> SocketAddr + Sync),
) -> Result<Vec<Talk>, BenchError> {
    let bar = progress("logging in", people.len() as u64);
    let talks = people::log_in(people, server_of, Proof::Token, options.ack, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(talks)
}

/// Keeps people for the next run, where that is wanted.
pub(super) fn keep(people: &[Person], options: &RunOptions) -> Result<(), BenchError> {
    options.accounts.as_deref().map_or(Ok(()), |file| people::write(file, people))
}

pub(super) fn into_links(talks: Vec<Talk>) -> Result<Vec<Link>, BenchError> {
    talks.into_iter().map(Talk::into_link).collect()
}

/// Runs the engine and reports.
fn measure(
    name: &'static str,
    servers: &[SocketAddr],
    links: Vec<Link>,
    streams: Vec<Stream>,
    options: &RunOptions,
) -> Result<Report, BenchError> {
    let dialect = if options.floor { Dialect::Floor } else { Dialect::Chat };
    let mut engine = Engine::new(dialect, links, streams)?;
    measure_engine(name, servers, &mut engine, options)
}

/// The same with an engine that is looked at afterwards.
pub(super) fn measure_engine(
    name: &'static str,
    servers: &[SocketAddr],
    engine: &mut Engine,
    options: &RunOptions,
) -> Result<Report, BenchError> {
    let plan = plan(servers, options);
    let bar = progress("measuring", 100);
    let mut shown = 0;
    let measured = engine.run(&plan, |share| {
        let percent = (share * 100.0) as u64;
        if percent != std::mem::replace(&mut shown, percent) {
            bar.set_position(percent);
        }
    })?;
    bar.finish_and_clear();
    Ok(Report { mode: name, load: plan.load, measured })
}

/// What the options ask for.
pub(super) fn plan(servers: &[SocketAddr], options: &RunOptions) -> Plan {
    Plan {
        load: options.load(),
        warm_up: options.warm_up,
        time: options.time,
        text: "x".repeat(options.bytes as usize),
        confirm: options.ack,
        pids: pids(servers, options),
    }
}

/// The processes whose costs are taken.
fn pids(servers: &[SocketAddr], options: &RunOptions) -> Vec<Pid> {
    let mut pids: Vec<Pid> = options.pids.iter().copied().map(Pid).collect();
    if pids.is_empty() {
        pids.extend(servers.iter().filter_map(|server| Pid::listening_at(*server)));
        pids.sort();
        pids.dedup();
    }
    pids
}

/// A bar on the terminal, if there is one.
pub(super) fn progress(what: &'static str, length: u64) -> ProgressBar {
    if length == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
