//! What each command does: to the state, and as text.

use std::io::{self, Write};
use std::path::PathBuf;

use super::command::{Change, Command};
use super::export::{self, ExportError, Target};
use super::import::{self, ImportError};
use super::nginx::Nginx;
use super::report;
use super::sample::Balancer;
use super::signals::Held;
use super::state::{State, StateError, StateFile};
use super::upstream::{RingError, Server, Upstream};
use super::{Client, KeyForm, Pick, Ring, ServerName};

/// Carries commands out.
pub struct Configurator {
    state: StateFile,
    /// Given on the command line: goes before what the state says.
    key: Option<KeyForm>,
    nginx: Nginx,
    /// The ring of this generation of the state.
    ring: Option<(u64, Ring)>,
    /// From an export until its answer is out.
    held: Option<Held>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no server.
    #[error(
        "the ring is empty: add host port num adds a server, import FILE takes an upstream of nginx over"
    )]
    Empty,
    /// Not this one.
    #[error("{0} is not on the ring; it has {1}")]
    NotThere(ServerName, String),
    /// The ring cannot be.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Nobody is there for a client.
    #[error("every server is marked down: nginx turns this client away")]
    Nobody,
    /// Nobody can say.
    #[error(
        "{0} is down, and so are the servers of the 20 points after this client's: nginx takes turns among the others, so nobody can say which one it is"
    )]
    Turns(ServerName),
    /// `moved` without anything to compare with.
    #[error(
        "nothing was imported or exported yet, so there is nothing to compare with: moved add host port num, or moved del host port, tries a change"
    )]
    NothingToCompare,
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// An import.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An export of which nothing is known the next time.
    #[error("{}{}, but that is not noted: {err}; import {} notes it", .file.display(), if *.reload { " is written and nginx told to reload" } else { " is written" }, .file.display())]
    Unnoted {
        /// The file.
        file: PathBuf,
        /// Whether nginx was told.
        reload: bool,
        /// Why.
        err: StateError,
    },
    /// An export in a script that has failed already.
    #[error("not exported, since an earlier line has failed")]
    Doubtful,
    /// An export that could be cut off in the middle is not begun.
    #[error("not exported, since signals cannot be held back meanwhile: {0}")]
    Signals(io::Error),
    /// Whoever reads is gone.
    #[error("the answer cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// What a command says beside its answer.
pub type Notes = Vec<String>;

impl Configurator {
    /// By this state; `key` goes before what it says.
    pub fn new(state: StateFile, key: Option<KeyForm>, nginx: Nginx) -> Configurator {
        Configurator { state, key, nginx, ring: None, held: None }
    }

    /// The servers, for completion.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn servers(&mut self) -> Result<Vec<ServerName>, StateError> {
        let servers = &self.state.read()?.upstream.servers;
        Ok(servers.iter().map(|server| server.server.clone()).collect())
    }

    /// What a command said is out: signals that waited for that take effect.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Carries a command out and writes its answer.
    ///
    /// # Errors
    /// Where it could not be; then nothing has changed.
    pub fn run(&mut self, command: &Command, out: &mut dyn Write) -> Result<Notes, Problem> {
        match command {
            Command::Change(change) => self.change(change, out),
            Command::Get(client) => self.get(*client, out),
            Command::GetVirNum(name) => self.get_vir_num(name, out),
            Command::ShowTime => self.show_time(out),
            Command::Dist(number) => self.dist(*number, out),
            Command::Moved(change) => self.moved(change.as_ref(), out),
            Command::Down(name) => self.down(name, out),
            Command::Up(name) => self.up(name, out),
            Command::Import { file, upstream } => {
                let imported = import::import(file, upstream.as_deref())?;
                let notes = import::dual_stack(file, &imported.name)?;
                let mut all = self.import(imported, out)?;
                all.extend(notes);
                Ok(all)
            }
            Command::Export { target, upstream } => self.export(target, upstream.as_deref(), out),
            Command::Help => Ok(report::help(out).map(|()| Notes::new())?),
            Command::HelpOn(usage) => Ok(report::help_on(usage, out).map(|()| Notes::new())?),
            Command::Quit => Ok(Notes::new()),
        }
    }

    /// The upstream as it is meant in this run.
    fn upstream(&mut self) -> Result<Upstream, Problem> {
        let mut upstream = self.state.read()?.upstream.clone();
        upstream.key = self.key.unwrap_or(upstream.key);
        Ok(upstream)
    }

    /// The same with its ring, if there is any server.
    fn balancer(&mut self) -> Result<(Upstream, &Ring), Problem> {
        let upstream = self.upstream()?;
        if upstream.servers.is_empty() {
            return Err(Problem::Empty);
        }
        let generation = self.state.generation();
        let ring = match self.ring.take() {
            Some((known, ring)) if known == generation => ring,
            _ => upstream.ring(),
        };
        Ok((upstream, &self.ring.insert((generation, ring)).1))
    }

    fn change(&mut self, change: &Change, out: &mut dyn Write) -> Result<Notes, Problem> {
        let (sentence, upstream) = self.state.change(|state| {
            let sentence = apply(&mut state.upstream, change)?;
            Ok::<_, Problem>((sentence, state.upstream.clone()))
        })?;
        writeln!(out, "{sentence}")?;
        let lost = upstream.points() - self.count_points()?;
        let what = if lost == 1 {
            "1 point of the ring is"
        } else {
            &format!("{lost} points of the ring are")
        };
        let note = format!(
            "{what} wanted by two servers; nginx gives such a point to the one that comes first in \
             its configuration."
        );
        Ok(if lost > 0 { vec![note] } else { Notes::new() })
    }

    fn count_points(&mut self) -> Result<u64, Problem> {
        match self.balancer() {
            Ok((_, ring)) => Ok(ring.points().len() as u64),
            Err(Problem::Empty) => Ok(0),
            Err(other) => Err(other),
        }
    }

    fn get(&mut self, client: Client, out: &mut dyn Write) -> Result<Notes, Problem> {
        let (upstream, ring) = self.balancer()?;
        let balancer = Balancer { upstream: &upstream, ring };
        let servers = &upstream.servers;
        let owner = ring.owner(&client.key(upstream.key)).map(|owner| &servers[owner].server);
        match (balancer.pick(client), owner) {
            (Pick::Server(server), owner) => {
                let name = &servers[server].server;
                writeln!(out, "{name}")?;
                let other = owner.filter(|owner| *owner != name);
                let note = |owner| format!("This client belongs to {owner}, which is down.");
                Ok(other.map(note).into_iter().collect())
            }
            (Pick::Turns, Some(owner)) => Err(Problem::Turns(owner.clone())),
            (Pick::Nobody | Pick::Turns, _) => Err(Problem::Nobody),
        }
    }

    fn get_vir_num(&mut self, name: &ServerName, out: &mut dyn Write) -> Result<Notes, Problem> {
        let upstream = self.upstream()?;
        match upstream.position(name) {
            Some(position) => writeln!(out, "{}", upstream.servers[position].points)?,
            None => writeln!(out, "-1")?,
        }
        Ok(Notes::new())
    }

    fn show_time(&mut self, out: &mut dyn Write) -> Result<Notes, Problem> {
        let (upstream, ring) = self.balancer()?;
        for (hash, server) in ring.points() {
            writeln!(out, "key : {hash}\tval : {}", upstream.servers[server].server)?;
        }
        Ok(Notes::new())
    }

    fn dist(&mut self, number: u32, out: &mut dyn Write) -> Result<Notes, Problem> {
        let (upstream, ring) = self.balancer()?;
        report::dist(Balancer { upstream: &upstream, ring }, number, out)?;
        Ok(Notes::new())
    }

    fn moved(&mut self, change: Option<&Change>, out: &mut dyn Write) -> Result<Notes, Problem> {
        let now = self.upstream()?;
        let (before, after) = match change {
            Some(change) => {
                let mut after = now.clone();
                apply(&mut after, change)?;
                (now, after)
            }
            None => (self.state.read()?.nginx.clone().ok_or(Problem::NothingToCompare)?, now),
        };
        if before.servers.is_empty() || after.servers.is_empty() {
            return Err(Problem::Empty);
        }
        let (old, new) = (before.ring(), after.ring());
        let before = Balancer { upstream: &before, ring: &old };
        report::moved(before, Balancer { upstream: &after, ring: &new }, out)?;
        Ok(Notes::new())
    }

    fn down(&mut self, name: &ServerName, out: &mut dyn Write) -> Result<Notes, Problem> {
        self.mark(name, true)?;
        let (upstream, ring) = self.balancer()?;
        report::down(Balancer { upstream: &upstream, ring }, name, out)?;
        Ok(Notes::new())
    }

    fn up(&mut self, name: &ServerName, out: &mut dyn Write) -> Result<Notes, Problem> {
        if self.mark(name, false)? {
            writeln!(out, "{name} is no longer marked down.")?;
        } else {
            writeln!(out, "{name} was not marked down; nothing changed.")?;
        }
        Ok(Notes::new())
    }

    /// Whether the mark was another one before.
    fn mark(&mut self, name: &ServerName, down: bool) -> Result<bool, Problem> {
        self.state.change(|state| {
            let position = position(&state.upstream, name)?;
            let server = &mut state.upstream.servers[position];
            Ok(std::mem::replace(&mut server.down, down) != down)
        })
    }

    fn import(&mut self, upstream: Upstream, out: &mut dyn Write) -> Result<Notes, Problem> {
        let state = State { upstream: upstream.clone(), nginx: Some(upstream.clone()) };
        self.state.change(|old| {
            *old = state;
            Ok::<(), Problem>(())
        })?;
        report::imported(&upstream, out)?;
        let mut notes = Notes::new();
        if let Some(key) = self.key.filter(|key| *key != upstream.key) {
            let (text, known) = (upstream.key.nginx_text(), key.nginx_text());
            notes.push(format!(
                "nginx hashes {text} there; as --key {key} says, {known} is meant here."
            ));
        }
        let full = |s: &&Server| s.max_conns.is_some_and(|max| max > 0);
        notes.extend(upstream.servers.iter().filter(full).map(|server| {
            format!("{} has max_conns: nginx passes it over while it is full.", server.server)
        }));
        Ok(notes)
    }

    fn export(
        &mut self,
        target: &Target,
        name: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<Notes, Problem> {
        let (key, nginx) = (self.key, self.nginx.clone());
        let held = &mut self.held;
        let mut exported = None;
        let noted = self.state.change(|state| {
            // Else an included file would stay as nginx has not agreed to it.
            *held = None;
            *held = Some(Held::new().map_err(Problem::Signals)?);
            let mut upstream = state.upstream.clone();
            upstream.key = key.unwrap_or(upstream.key);
            upstream.name = name.map_or(upstream.name, str::to_owned);
            let done = export::export(&upstream, state.nginx.as_ref(), target, &nginx);
            if let Ok(_) | Err(ExportError::NotReloaded { .. }) = &done {
                *state = State { upstream: upstream.clone(), nginx: Some(upstream.clone()) };
            }
            // That nginx was not told is no reason to forget what was written.
            exported = Some((upstream, done));
            Ok::<_, Problem>(())
        });
        let (exported, done) = match (exported, noted) {
            (Some((_, Ok(_))), Err(Problem::State(err))) => {
                let (file, reload) = (target.file.clone(), target.reload);
                return Err(Problem::Unnoted { file, reload, err });
            }
            (Some((exported, done)), _) => (exported, done?),
            (None, noted) => return noted.map(|()| Notes::new()),
        };
        report::exported(&exported, target, &done, out)?;
        Ok(done.notes)
    }
}

/// Where a server stands, or which ones there are instead.
fn position(upstream: &Upstream, name: &ServerName) -> Result<usize, Problem> {
    if upstream.servers.is_empty() {
        return Err(Problem::Empty);
    }
    upstream.position(name).ok_or_else(|| Problem::NotThere(name.clone(), report::names(upstream)))
}

/// Changes the upstream and says how.
fn apply(upstream: &mut Upstream, change: &Change) -> Result<String, Problem> {
    let said = match change {
        Change::Add(name, points) => match upstream.position(name) {
            None => {
                upstream.servers.push(Server::new(name.clone(), *points));
                format!("{name} is added with {}.", report::points(*points))
            }
            Some(position) => {
                // All of its old points go: none stays behind unowned.
                let had = std::mem::replace(&mut upstream.servers[position].points, *points);
                if had == *points {
                    format!(
                        "{name} is on the ring already, with {}; nothing changed.",
                        report::points(had)
                    )
                } else {
                    format!(
                        "{name} was on the ring with {} and now has {}.",
                        report::number(had.into(), "point"),
                        report::points(*points)
                    )
                }
            }
        },
        Change::Del(name) => {
            let gone = upstream.servers.remove(position(upstream, name)?);
            format!("{name} is removed, with its {}.", report::number(gone.points.into(), "point"))
        }
    };
    upstream.check()?;
    Ok(said)
}
