//! The database that is imported into: what is there already, and what must
//! not be.

use std::fs;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ImportError;
use super::old::find;
use super::plan::{Counts, Names, Plan};
use super::servers::Servers;
use crate::config::{Database, NO_DATABASE};
use crate::model::mysql::{MysqlOptions, MysqlStore, describe_url, tables_of};
use crate::model::sqlite::{self, SqliteStore};
use crate::model::store::Result;
use crate::model::{GroupId, OfflineKey, ServerId, Store, UserId};

/// What every database of this program has.
const OWN_TABLE: &str = "SchemaMigration";
/// Names that one call of the store reads.
const NAMES_AT_ONCE: u32 = 10_000;
/// Messages that one call of the store looks for.
const MESSAGES_AT_ONCE: usize = 512;
/// So many conflicts are named.
const CONFLICTS_SHOWN: usize = 5;

/// Where the rows go; without a store: a dry run, and nothing is there yet.
pub struct Target {
    store: Option<Box<dyn Store>>,
    /// What keeps servers and an import apart, where no lock on a file does.
    servers: Option<Servers>,
}

/// Opens the target; for a dry run only if it is there. Its tables are made, or
/// brought up to date, as at a server's start.
pub fn open(database: &Database, may_make: bool) -> std::result::Result<Target, ImportError> {
    let store: Option<Box<dyn Store>> = match database {
        Database::Unknown => return Err(ImportError::Usage(NO_DATABASE.into())),
        Database::Sqlite(path) => {
            let is_ours = is_ours(&sqlite::tables_of(path), &path.display().to_string())?;
            let is_there = is_ours || fs::metadata(path).is_ok_and(|file| file.len() > 0);
            match is_there || may_make {
                true => Some(Box::new(SqliteStore::open(path)?)),
                false => None,
            }
        }
        Database::Mysql(url) => {
            let tables = tables_of(url)?.unwrap_or_default();
            if is_ours(&tables, &describe_url(url))? || may_make {
                // Nobody waits for this, and its transaction is large.
                let read_timeout = std::time::Duration::from_secs(60);
                let options = MysqlOptions { read_timeout, ..MysqlOptions::new(url.as_str()) };
                Some(Box::new(MysqlStore::open(options)?))
            } else {
                None
            }
        }
    };
    let servers = match (database, &store) {
        (Database::Mysql(_), Some(store)) => Some(Servers::watch(&**store)?),
        _ => None,
    };
    Ok(Target { store, servers })
}

/// Whether these tables are this program's; `false`: there are none.
fn is_ours(tables: &[String], database: &str) -> std::result::Result<bool, ImportError> {
    let is_ours = find(tables, OWN_TABLE).is_some();
    if !is_ours && !tables.is_empty() {
        return Err(ImportError::Usage(format!(
            "the database {database} has tables that are not this program's: name another one \
             with --database, it is made if it is missing"
        )));
    }
    Ok(is_ours)
}

impl Target {
    /// The store; `None` in a dry run into nothing.
    pub fn store(&self) -> Option<&dyn Store> {
        self.store.as_deref()
    }

    /// A server that runs on it. To be asked again before anything is written.
    ///
    /// # Errors
    /// The database's.
    pub fn server(&self) -> Result<Option<ServerId>> {
        match (&self.servers, &self.store) {
            (Some(servers), Some(store)) => servers.running(&**store),
            _ => Ok(None),
        }
    }

    /// Who is there.
    ///
    /// # Errors
    /// The database's.
    pub fn names(&self) -> Result<Names> {
        let Some(store) = self.store() else { return Ok(Names::default()) };
        Ok(Names {
            users: all_names(|after| store.user_names(after, NAMES_AT_ONCE), |id: UserId| id.0)?,
            groups: all_names(|after| store.group_names(after, NAMES_AT_ONCE), |id: GroupId| id.0)?,
        })
    }

    /// Takes out of the plan what is there already. The number of each, and of
    /// the messages that are left how many are for users who were there.
    ///
    /// # Errors
    /// A user or group of the plan would take an id or a name from another.
    pub fn subtract(
        &self,
        plan: &mut Plan,
        Names { users, groups }: &Names,
    ) -> std::result::Result<(Counts, usize), ImportError> {
        let Some(store) = self.store() else { return Ok((Counts::default(), 0)) };
        let mut conflicts = Vec::new();
        let named = plan.users.iter().map(|user| (user.id.0, user.name.as_str()));
        conflicts.extend(conflicting("user", named, users));
        let named = plan.groups.iter().map(|group| (group.id.0, group.name.as_str()));
        conflicts.extend(conflicting("group", named, groups));
        if !conflicts.is_empty() {
            return Err(conflict(&conflicts));
        }
        let mut there = Counts::default();
        let had_user = |user: UserId| users.contains_key(&user.0);
        there.friendships = without_known_friends(plan, store, &had_user)?;
        there.members = without_known_members(plan, store, groups)?;
        there.messages = without_known_messages(plan, store)?;
        there.users = keep(&mut plan.users, |user| !users.contains_key(&user.id.0));
        there.groups = keep(&mut plan.groups, |group| !groups.contains_key(&group.id.0));
        let again = plan.messages.iter().filter(|message| had_user(message.to)).count();
        Ok((there, again))
    }
}

fn all_names<I: Copy>(
    read: impl Fn(u32) -> Result<Vec<(I, String)>>,
    number: impl Fn(I) -> u32,
) -> Result<FxHashMap<u32, String>> {
    let mut names = FxHashMap::default();
    let mut after = 0;
    loop {
        let some = read(after)?;
        let Some((last, _)) = some.last() else { return Ok(names) };
        after = number(*last);
        names.extend(some.into_iter().map(|(id, name)| (number(id), name)));
    }
}

/// Whatever of the plan has another name there, or whose name has another id.
fn conflicting<'a>(
    what: &str,
    planned: impl Iterator<Item = (u32, &'a str)>,
    there: &FxHashMap<u32, String>,
) -> Vec<String> {
    let ids: FxHashMap<&str, u32> = there.iter().map(|(id, name)| (name.as_str(), *id)).collect();
    let mut conflicts = Vec::new();
    for (id, name) in planned {
        match (there.get(&id), ids.get(name)) {
            (Some(other), _) if other != name => {
                conflicts.push(format!("{what} {id} is {name:?}, but {other:?} there"));
            }
            (None, Some(other)) => {
                conflicts.push(format!("{what} {name:?} is {id}, but {other} there"));
            }
            _ => {}
        }
    }
    conflicts
}

fn conflict(conflicts: &[String]) -> ImportError {
    let mut shown = conflicts[..conflicts.len().min(CONFLICTS_SHOWN)].join("; ");
    if conflicts.len() > CONFLICTS_SHOWN {
        shown += "; …";
    }
    ImportError::Usage(format!(
        "nothing was written: ids and names are kept, and {} of them belong to others in the \
         target: {shown}. Import into a new database, before anybody registers there",
        conflicts.len()
    ))
}

/// Keeps what is new; how many are not.
fn keep<T>(all: &mut Vec<T>, is_new: impl FnMut(&T) -> bool) -> usize {
    let before = all.len();
    all.retain(is_new);
    before - all.len()
}

fn without_known_friends(
    plan: &mut Plan,
    store: &dyn Store,
    had_user: &dyn Fn(UserId) -> bool,
) -> Result<usize> {
    let mut known: FxHashSet<(UserId, UserId)> = FxHashSet::default();
    let mut asked = None;
    for &(user, _) in plan.friendships.iter().filter(|(a, b)| had_user(*a) && had_user(*b)) {
        // They are sorted: each user is asked about once.
        if asked != Some(user) {
            asked = Some(user);
            known.extend(store.friends(user)?.into_iter().map(|friend| (user, friend.id)));
        }
    }
    Ok(keep(&mut plan.friendships, |pair| !known.contains(pair)))
}

fn without_known_members(
    plan: &mut Plan,
    store: &dyn Store,
    groups: &FxHashMap<u32, String>,
) -> Result<usize> {
    let before = plan.members.len();
    for group in plan.groups.iter().filter(|group| groups.contains_key(&group.id.0)) {
        for user in store.group_members(group.id)?.unwrap_or_default() {
            plan.members.remove(&(group.id, user));
        }
    }
    Ok(before - plan.members.len())
}

fn without_known_messages(plan: &mut Plan, store: &dyn Store) -> Result<usize> {
    let mut known = Vec::with_capacity(plan.messages.len());
    for some in plan.messages.chunks(MESSAGES_AT_ONCE) {
        let keys: Vec<OfflineKey> = some
            .iter()
            .map(|m| OfflineKey { to: m.to, sender: m.sender, mid: m.mid.clone() })
            .collect();
        known.extend(store.are_offline(&keys)?);
    }
    let mut known = known.into_iter();
    Ok(keep(&mut plan.messages, |_| !known.next().unwrap_or(false)))
}
