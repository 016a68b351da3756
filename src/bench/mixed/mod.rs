//! A realistic blend: people write to each other and to their groups, look at
//! their friends, leave and come back, all at once.
//!
//! ```text
//! mod (people, friends, groups) ─▶ blend (one thread) ─▶ report
//!                                   │ member: here, leaving, away
//!                                   │ dice: who does what
//!                                   └─▶ hands: threads that log people in
//! ```
//!
//! All confirm what they get, as ChatClient does. Whoever leaves has its last
//! answers first; what is sent to it from then on is stored, and has to come
//! with a later login: nothing may be lost, doubled or out of order.

mod blend;
mod dice;
mod hands;
mod member;

use serde_json::{Value, json};

use super::BenchError;
use super::latency::Latencies;
use super::modes::{found, into_links, keep, logged_in, plan, progress, registered};
use super::options::RunOptions;
use super::report::{Report, latencies, shown};
use blend::Blend;

/// Members of a group; everybody is in one.
const GROUP: usize = 10;

/// What a blend has besides messages.
#[derive(Debug, Clone, Default)]
pub struct Blended {
    /// Who came back by token.
    pub by_token: u64,
    /// Who came back by password.
    pub by_password: u64,
    /// From the connection to the login's answer.
    pub login: Latencies,
    /// From the intended sending of another request to its answer.
    pub request: Latencies,
}

impl Blended {
    pub(super) fn json(&self) -> Value {
        json!({
            "by_token": self.by_token,
            "by_password": self.by_password,
            "login_us": latencies(&self.login),
            "request_us": latencies(&self.request),
        })
    }

    pub(super) fn print_table(&self) {
        let p99 = |of: &Latencies| shown(of.percentile(99.0));
        println!(
            "  logins             {} by token, {} by password; p99 {}",
            self.by_token,
            self.by_password,
            p99(&self.login)
        );
        println!("  other requests     {}; p99 {}", self.request.count(), p99(&self.request));
    }
}

/// So many people, of whom so many a second leave and come back.
pub(super) fn mixed(people: u32, logins: f64, options: &RunOptions) -> Result<Report, BenchError> {
    if options.floor {
        return Err(BenchError("the floor knows messages only: mixed needs a ChatServer".into()));
    }
    let (count, options) = (people as usize, &RunOptions { ack: true, ..options.clone() });
    let mut people = registered(count, options)?;
    let server = options.server;
    let mut talks = logged_in(&mut people[..count], options, &move |_| server)?;
    keep(&people, options)?;
    let groups: Result<Vec<u32>, BenchError> = talks.chunks_mut(GROUP).map(found).collect();
    let plan = plan(&[server], options);
    let mut blend = Blend::new(server, &people[..count], into_links(talks)?, groups?)?;
    let bar = progress("measuring", 100);
    let measured = blend.run(&plan, logins, |share| bar.set_position((share * 100.0) as u64))?;
    bar.finish_and_clear();
    blend.return_tokens(&mut people);
    keep(&people, options)?;
    Ok(Report { mode: "mixed", load: plan.load, measured })
}
