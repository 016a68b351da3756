//! Everybody in a scenario, and what scenarios wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use mysql::prelude::Queryable;

use crate::books::{Answered, Books, Message};
use crate::member::{Member, Order};
use crate::report;
use crate::rng::{self, Rng};
use crate::role::{Confirms, Role};
use crate::support::door::Person;
use crate::support::services::Database;
use crate::support::wait::within;

/// How long anything that scenarios wait for may take: everybody's way back, on
/// a small machine that runs several scenarios at a time.
const DEADLINE: Duration = Duration::from_secs(45);

/// Of everybody here.
const PASSWORD: &str = "fault";

/// The members of a scenario with their books.
pub struct Crowd {
    pub books: Arc<Books>,
    members: Vec<Member>,
    database: mysql::Opts,
}

impl Crowd {
    /// Brings somebody into the cluster for each role, all in one group, and
    /// waits until they are there. The seed is said, and the story goes by it.
    #[track_caller]
    pub fn gather(scenario: &str, database: &Database, roles: Vec<Role>) -> Crowd {
        let seed = rng::seed();
        println!("{scenario}: CHAT_FAULT_SEED={seed}");
        let books = Arc::new(Books::new(scenario, seed));
        let mut connection = database.connect();
        let people = enrol(&mut connection, roles.len());
        let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
        let group = found_group(&mut connection, &ids);
        {
            let mut pages = books.pages();
            pages.names.extend(people.iter().map(|p| (p.id, p.name.clone())));
            pages.groups.insert(group, ids.clone());
        }
        let members = people.into_iter().zip(roles).enumerate().map(|(place, (person, role))| {
            let mut peers: Vec<i64> = role.peers.iter().map(|place| ids[*place]).collect();
            if peers.is_empty() {
                peers = ids.iter().copied().filter(|id| *id != person.id).collect();
            }
            let rng = Rng::new(seed, place as u64);
            Member::start(person, role, peers, Some(group), rng, books.clone())
        });
        let crowd = Crowd {
            members: members.collect(),
            books: books.clone(),
            database: database.options(),
        };
        crowd.all_are_here();
        crowd
    }

    // ---- what they are told ----

    /// Everybody begins to write.
    pub fn talk(&self) {
        self.tell_all(Order::Talk(true));
    }

    /// The member in this place.
    pub fn member(&self, place: usize) -> &Member {
        &self.members[place]
    }

    fn tell_all(&self, order: Order) {
        for member in &self.members {
            member.tell(order);
        }
    }

    // ---- what is waited for ----

    /// Waits until it is so; fails with the whole story if it does not come.
    #[track_caller]
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&Books) -> bool) {
        let waited = within(DEADLINE, || {
            let has_ended = self.members.iter().any(Member::has_ended);
            (has_ended || holds(&self.books)).then_some(has_ended)
        });
        let why = match waited {
            Some(false) => return,
            Some(true) => format!("a member has failed while it was waited until {what}"),
            None => format!("not within {DEADLINE:?}: {what}"),
        };
        let mut faults = self.books.faults();
        faults.truncate(20);
        panic!("{why}\n{}", report::report(&self.books, &faults));
    }

    /// Waits until everybody is logged in.
    #[track_caller]
    pub fn all_are_here(&self) {
        self.wait("everybody is here", |_| {
            self.members.iter().all(|member| member.look.is_here.load(SeqCst))
        });
    }

    /// Waits until so many more messages are answered with errno 0.
    #[track_caller]
    pub fn more_done(&self, count: usize) {
        let done = |message: &Message| message.done().is_some();
        let goal = self.books.count(done) + count;
        self.wait(&format!("{count} more messages are done"), |books| books.count(done) >= goal);
    }

    /// Waits until so many messages that were sent after this time have got
    /// such an answer.
    #[track_caller]
    pub fn answers_since(
        &self,
        since: Instant,
        count: usize,
        what: &str,
        kind: impl Fn(&Answered) -> bool,
    ) {
        self.wait(what, |books| answers_since(books, since, &kind) >= count);
    }

    /// No server has closed a connection of anybody since.
    #[track_caller]
    pub fn nobody_was_thrown_out_since(&self, since: Instant) {
        if self.books.closed_by_servers_since(since) > 0 {
            panic!("somebody was thrown out\n{}", report::lines(&self.books, since));
        }
    }

    /// Every answer that was awaited came within the time for it.
    #[track_caller]
    pub fn all_was_answered_in_time(&self) {
        let is_overdue = |message: &Message| message.attempts.iter().any(|a| a.overdue);
        if self.books.count(is_overdue) > 0 {
            let why = report::of_messages(&self.books, "not answered in time", is_overdue);
            panic!("{why}");
        }
    }

    // ---- the end ----

    /// Everybody falls silent, however slow or restless, and gets the answers
    /// that are missing.
    #[track_caller]
    pub fn hush(&self) {
        for order in [Order::Talk(false), Order::Read(true), Order::Stay] {
            self.tell_all(order);
        }
        self.all_are_here();
        self.wait("everything is answered", |_| {
            let looks = || self.members.iter().map(|member| &member.look);
            // Whoever has heard that it is over writes nothing new after it.
            looks().all(|look| !look.is_talking.load(SeqCst))
                && looks().all(|look| look.unanswered.load(SeqCst) == 0)
        });
    }

    /// All is well again: everybody falls silent, comes back once more for what
    /// was missed, and the books are checked.
    #[track_caller]
    pub fn finish(mut self) {
        self.books.healed();
        self.hush();
        self.tell_all(Order::Confirm(Confirms::Promptly));
        let logins: Vec<usize> = self.logins().collect();
        self.books.note("everybody comes back once more");
        self.tell_all(Order::Reconnect);
        self.wait("everybody has come back", |_| {
            self.logins().zip(&logins).all(|(now, before)| now > *before)
        });
        self.wait("everything has come", |books| books.missing().is_empty());
        self.nothing_is_left_in_the_database();
        self.tell_all(Order::Leave);
        for member in std::mem::take(&mut self.members) {
            let name = member.person.name.clone();
            assert!(member.join().is_ok(), "{name} has failed");
        }
        self.books.check().unwrap_or_else(|why| panic!("{why}"));
    }

    /// What everybody has handled and confirmed does not stay in the database.
    #[track_caller]
    pub fn nothing_is_left_in_the_database(&self) {
        let mut rows = 0_u64;
        let is_empty = within(DEADLINE, || {
            let mut connection = mysql::Conn::new(self.database.clone()).unwrap();
            let count = connection.query_first("SELECT COUNT(*) FROM OfflineMessage");
            rows = count.unwrap().expect("a count has a row");
            (rows == 0).then_some(())
        });
        assert!(is_empty.is_some(), "{rows} messages stay in the database");
    }

    fn logins(&self) -> impl Iterator<Item = usize> {
        self.members.iter().map(|member| member.look.logins.load(SeqCst))
    }
}

/// How many messages that were sent after this time have got such an answer.
pub fn answers_since(books: &Books, since: Instant, kind: &impl Fn(&Answered) -> bool) -> usize {
    books.count(|message| {
        message.answers.iter().any(|a| message.attempts[a.attempt].at >= since && kind(a))
    })
}

/// Makes accounts, past the servers and with a hash that costs next to nothing,
/// so that machines are busy with what scenarios are about.
pub fn enrol(database: &mut mysql::Conn, count: usize) -> Vec<Person> {
    let cheapest = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheapest);
    let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let names: Vec<String> = (0..count).map(|place| format!("m{place}")).collect();
    let rows = names.iter().map(|name| (name, &hash));
    database.exec_batch("INSERT INTO User (name, password) VALUES (?, ?)", rows).unwrap();
    let ids: Vec<(i64, String)> = database.query("SELECT id, name FROM User ORDER BY id").unwrap();
    let person = |(id, name)| Person { id, name, password: PASSWORD.to_owned() };
    ids.into_iter().map(person).collect()
}

fn found_group(database: &mut mysql::Conn, members: &[i64]) -> i64 {
    database.query_drop("INSERT INTO AllGroup (groupname) VALUES ('all')").unwrap();
    let group = i64::try_from(database.last_insert_id()).unwrap();
    let rows = members.iter().map(|member| (group, member));
    database.exec_batch("INSERT INTO GroupUser (groupid, userid) VALUES (?, ?)", rows).unwrap();
    group
}
