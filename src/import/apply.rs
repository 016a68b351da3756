//! Writing the plan: every password hashed first, then all rows in one
//! transaction. Whatever ends it before has changed nothing.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use log::info;

use super::ImportError;
use super::plan::Plan;
use crate::model::{ImportRow, Store};
use crate::service::password::Passwords;

/// Bytes of a password that nobody knows.
const RANDOM_BYTES: usize = 32;

/// Writes everything that is in the plan, unless `last_look` says, once all
/// passwords are hashed, that it must not be.
///
/// # Errors
/// That one's; a password could not be hashed, or the database not be written.
pub fn apply(
    plan: &Plan,
    store: &dyn Store,
    threads: usize,
    last_look: impl Fn() -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut rows = users(plan, threads)?;
    rows.extend(plan.friendships.iter().map(|(a, b)| ImportRow::Friendship(*a, *b)));
    rows.extend(plan.groups.iter().map(|group| ImportRow::Group {
        id: group.id,
        name: group.name.clone(),
        description: group.description.clone(),
    }));
    rows.extend(plan.members.iter().map(|(&(group, user), &role)| ImportRow::Member {
        group,
        user,
        role,
    }));
    rows.extend(plan.messages.iter().map(|message| ImportRow::Message {
        to: message.to,
        sender: message.sender,
        mid: message.mid.clone(),
        message: message.body.clone(),
    }));
    if rows.is_empty() {
        return Ok(());
    }
    last_look()?;
    info!(target: "import", "writing");
    store.import(&rows).map_err(|err| {
        ImportError::Failed(format!("{err}. Try it again: nothing is written twice"))
    })
}

/// The users' rows, hashed by so many threads.
fn users(plan: &Plan, threads: usize) -> Result<Vec<ImportRow>, ImportError> {
    let bar = progress(plan.users.len() as u64);
    let passwords = Passwords::default();
    let next = AtomicUsize::new(0);
    let hashed = Mutex::new(Vec::with_capacity(plan.users.len()));
    let work = || {
        while let Some(user) = plan.users.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hash = match &user.password {
                Some(password) => passwords.hash(password),
                None => passwords.hash(&nobodys_password()),
            };
            let failed = hash.is_err();
            let row = hash.map(|password_hash| ImportRow::User {
                id: user.id,
                name: user.name.clone(),
                password_hash,
            });
            hashed.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            bar.inc(1);
            if failed {
                // The others stop as well.
                next.store(plan.users.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, plan.users.len().max(1)) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let rows = hashed.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.into_iter().collect::<Result<_, String>>().map_err(ImportError::Failed)
}

/// So that nobody logs in.
fn nobodys_password() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn progress(length: u64) -> ProgressBar {
    if length == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message("hashing passwords");
    bar
}
