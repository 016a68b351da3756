//! What the loads with a [`Crowd`] have in common: flags, people, a first login
//! for each, and the end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::BenchError;
use super::crowd::{Crowd, Happening};
use super::latency::Latencies;
use super::modes::progress;
use super::people::{self, Person, Proof};
use super::process::{Meter, Pid};
use super::report::{PERCENTILES, name, shown};

/// How many are logged in at once where that is not what is measured.
const AT_ONCE: usize = 64;
/// When nobody got in for so long nobody will. Nobody is told to wait so long.
pub(super) const NO_PROGRESS: Duration = Duration::from_secs(90);
/// Descriptors beside the connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// How long one turn may wait: progress is shown as often.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// Flags of every load with a crowd.
#[derive(Debug, Clone, Args)]
pub struct CrowdOptions {
    /// The server
    pub server: SocketAddr,
    /// Keep accounts and tokens here, and use those that are there already (of
    /// `ChatBench seed`, say)
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// Processes whose processor time and memory are taken; found by themselves
    /// on this machine
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl CrowdOptions {
    /// Whose costs are taken.
    pub fn measured_pids(&self) -> Vec<Pid> {
        if self.pids.is_empty() {
            return Pid::listening_at(self.server).into_iter().collect();
        }
        self.pids.iter().copied().map(Pid).collect()
    }

    /// So many people, those of the file first, registered where they are too
    /// few. Those of the file beyond that come behind, to be kept.
    ///
    /// # Errors
    /// A registration was refused, or the file cannot be read or written.
    pub fn people(&self, count: usize) -> Result<Vec<Person>, BenchError> {
        let file = self.accounts.as_deref();
        let mut people = file.map_or(Ok(Vec::new()), people::read)?;
        let bar = progress("registering", count.saturating_sub(people.len()) as u64);
        people::register(self.server, &mut people, count, &|| bar.inc(1))?;
        bar.finish_and_clear();
        if let Some(file) = file {
            people::write(file, &people)?;
        }
        Ok(people)
    }

    /// Does something with a crowd, and keeps the people's tokens however that
    /// ends.
    ///
    /// # Errors
    /// Those of `work`, or the file cannot be written.
    pub fn with_crowd<T>(
        &self,
        people: Vec<Person>,
        work: impl FnOnce(&mut Crowd) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let mut crowd = Crowd::new(self.server, people)?;
        let result = work(&mut crowd);
        let kept =
            self.accounts.as_deref().map_or(Ok(()), |file| people::write(file, crowd.people()));
        result.and_then(|result| kept.map(|()| result))
    }

    /// Sees to it before a run that so many connections can be had.
    ///
    /// # Errors
    /// They cannot, on this side or on the other.
    pub fn expect_room(&self, connections: usize) -> Result<(), BenchError> {
        let needed = connections as u64 + OTHER_DESCRIPTORS;
        // Of several servers each needs less.
        let servers = Some(self.measured_pids()).filter(|pids| pids.len() == 1);
        let server = servers.into_iter().flatten().map(|pid| ("the server", pid));
        for (who, pid) in server.chain([("ChatBench", Pid(std::process::id()))]) {
            // Another user's process is not to be looked at: then it shows itself.
            let most = pid.most_descriptors().unwrap_or(u64::MAX);
            if most < needed {
                return Err(BenchError(format!(
                    "{connections} connections need {needed} descriptors and {who} may have \
                     {most}: start it after ulimit -n {needed}, or ask for fewer"
                )));
            }
        }
        Ok(())
    }
}

/// Logs these people in, some at a time.
///
/// # Errors
/// Somebody is refused, or nobody gets on.
pub fn log_in(
    crowd: &mut Crowd,
    who: impl Iterator<Item = usize>,
    proof: Proof,
) -> Result<(), BenchError> {
    let mut waiting: VecDeque<usize> = who.collect();
    let bar = progress("logging in", waiting.len() as u64);
    let (mut under_way, mut last) = (0, Instant::now());
    let turned_away = crowd.tally.turned_away;
    while under_way > 0 || !waiting.is_empty() {
        while under_way < AT_ONCE
            && let Some(who) = waiting.pop_front()
        {
            crowd.log_in(who, proof, Instant::now())?;
            under_way += 1;
        }
        for (_, happening) in crowd.turn(GLANCE)? {
            match happening {
                Happening::LoggedIn(_) => {
                    under_way -= 1;
                    last = Instant::now();
                    bar.inc(1);
                }
                Happening::Left => {}
                Happening::Broken(error) | Happening::Ended(error) => {
                    return Err(BenchError(why_broken(&error)));
                }
                Happening::Refused(why) => {
                    return Err(BenchError(format!("the server refused a login: {why}")));
                }
            }
        }
        let tally = &crowd.tally;
        if tally.turned_away > turned_away || last.elapsed() > NO_PROGRESS {
            let why = BenchError(match tally.last_put_off.as_str() {
                "" => "the server does not answer logins".to_owned(),
                why => format!("the server does not let everybody in ({why}): {MORE_ROOM}"),
            });
            return Err(why);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What to do where connections are too many.
const MORE_ROOM: &str = "start it with --max-connections-per-address 0 --max-connections 0 \
                         --max-anonymous 0";

/// Says of a connection that broke what may be the matter.
pub(super) fn why_broken(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            format!("no server there: {error}; start one, or give its address")
        }
        std::io::ErrorKind::UnexpectedEof => {
            format!("the server closed a connection; its log says why (too many? {MORE_ROOM})")
        }
        _ => format!("a connection broke: {error}; the server's log may say why ({MORE_ROOM})"),
    }
}

/// Counts what went wrong; the first of it stands for the rest.
#[derive(Debug, Default)]
pub struct Faults {
    count: u64,
    first: Option<String>,
}

impl Faults {
    /// Notes one.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        self.note_many(1, what);
    }

    /// Notes so many of a kind.
    pub fn note_many(&mut self, count: u64, what: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 && self.first.is_none() {
            self.first = Some(what());
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of it in a sentence.
    pub fn sentence(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count {
            1 => first.clone(),
            count => format!("{count} faults, the first: {first}"),
        })
    }
}

/// Microseconds of processor time for each of so many.
pub(super) fn cpu_us_each(meter: &Meter, count: f64) -> Result<Option<f64>, BenchError> {
    let used = meter.used()?.filter(|_| count > 0.0);
    Ok(used.map(|used| used.as_secs_f64() * 1e6 / count))
}

/// Prints figures as one JSON object or by `table`, and the fault if there is
/// one. Whether there is none.
pub(super) fn print(json: bool, figures: &Value, table: impl FnOnce()) -> bool {
    let fault = figures["fault"].as_str();
    if json {
        println!("{figures}");
    } else {
        table();
        match fault {
            Some(fault) => println!("  FAILED: {fault}"),
            None => println!("  nobody was refused or lost"),
        }
    }
    fault.is_none()
}

/// Prints the rows of a table that tell what logins cost and took.
pub(super) fn print_logins(cpu_us: Option<f64>, latencies: &Latencies) {
    match cpu_us {
        Some(cost) => println!("  server CPU         {cost:>12.2} us for each of them"),
        None => println!("  server CPU         not known: give its --pid"),
    }
    println!("  latency            {}", PERCENTILES.map(|p| format!("{:>9}", name(p))).join(""));
    let row = PERCENTILES.map(|p| format!("{:>9}", shown(latencies.percentile(p))));
    println!("    login            {}", row.join(""));
}
