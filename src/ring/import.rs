//! From nginx.conf to an upstream: exactly, or not at all.

use std::path::{Path, PathBuf};

use super::server_name::NameError;
use super::sources::{self, Found, SourceError};
use super::upstream::{MAX_POINTS, RingError, Server, Time, Upstream};
use super::{KeyForm, POINTS_PER_WEIGHT, ServerName};

/// Why an upstream cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The files.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No upstream.
    #[error("{path} has no upstream in a stream {{ }} block", path = .0.display())]
    None(PathBuf),
    /// Not the one that was asked for.
    #[error("{path} has no upstream {name} in stream {{ }}; it has: {there}", path = .path.display())]
    NotThere {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        there: String,
    },
    /// More than one.
    #[error("{path} has several upstreams, {there}: say which one with --upstream NAME", path = .path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// What there is.
        there: String,
    },
    /// Something in it.
    #[error("{file}, line {line}: {why}", file = .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong there, and what to do.
        why: Unfit,
    },
    /// It makes no ring.
    #[error("{path}: {err}", path = .path.display())]
    Ring {
        /// The file.
        path: PathBuf,
        /// Why.
        err: RingError,
    },
}

/// What a line can have that no ring answers for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Round-robin.
    #[error(
        "upstream {0} has no `hash … consistent`: nginx takes turns there, which no ring can foretell; write `hash $remote_addr consistent;` into it, or `export --force` a ring of your own into this file"
    )]
    TakesTurns(String),
    /// A hash of the other kind.
    #[error(
        "`hash` without `consistent` is another method: nearly every client moves when a server is added; write `hash {0} consistent;`"
    )]
    NotConsistent(String),
    /// Another method.
    #[error("`{0}` is another method than `hash … consistent`, which no ring can foretell")]
    OtherMethod(String),
    /// A key that is not known here.
    #[error("the key {0:?} cannot be computed here: only {addr} and {addr_port} can", addr = KeyForm::Addr.nginx_text(), addr_port = KeyForm::AddrPort.nginx_text())]
    Key(String),
    /// A second `hash`.
    #[error("`hash` is there a second time")]
    SecondHash,
    /// A server's text.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A server's parameter.
    #[error("{0}: `backup` does not go together with `hash` (nginx refuses it too)")]
    Backup(ServerName),
    /// A server's parameter.
    #[error(
        "{0}: `{1}` is not understood; known are weight= (at most 10000), max_conns=, max_fails=, fail_timeout= and down"
    )]
    Parameter(ServerName, String),
    /// The same server once more.
    #[error("{0} is there already; give it one line, with weight=")]
    Twice(ServerName),
    /// Any other directive.
    #[error("`{0}` in an upstream is not understood: it could change where clients go")]
    Directive(String),
}

/// The upstream of a file, the one with this name if one is given.
///
/// # Errors
/// Where there is none, or one for which no ring can answer.
pub fn import(path: &Path, name: Option<&str>) -> Result<Upstream, ImportError> {
    let all = sources::upstreams(path)?;
    let found = choose(path, &all, name)?;
    let upstream =
        read(&found.directive, &sources::inner(path, found)?).map_err(|at| ImportError::Line {
            file: at.file.unwrap_or(found.file.clone()),
            line: at.line,
            why: at.why,
        })?;
    upstream.check().map_err(|err| ImportError::Ring { path: path.to_owned(), err })?;
    Ok(upstream)
}

/// A word on each address that `name`'s clients come in by over IPv4 and IPv6
/// at once: nginx hashes those of IPv4 in another form there.
///
/// # Errors
/// Where a file cannot be read or followed.
pub fn dual_stack(path: &Path, name: &str) -> Result<Vec<String>, ImportError> {
    let mut notes = Vec::new();
    for server in sources::listeners(path)? {
        let inner = sources::inner(path, &server)?;
        let passes = |found: &Found| {
            found.directive.name() == "proxy_pass" && found.directive.arguments() == [name]
        };
        if !inner.iter().any(passes) {
            continue;
        }
        let listens = |found: &&Found| {
            let arguments = found.directive.arguments();
            found.directive.name() == "listen" && arguments.iter().any(|a| a == "ipv6only=off")
        };
        notes.extend(inner.iter().filter(listens).map(|found| {
            format!(
                "{}, line {}: with ipv6only=off nginx hashes a client at 1.2.3.4 as \
                 ::ffff:1.2.3.4; ask for it so: get ::ffff:1.2.3.4 port.",
                found.file.display(),
                found.directive.line
            )
        }));
    }
    Ok(notes)
}

fn choose<'a>(path: &Path, all: &'a [Found], name: Option<&str>) -> Result<&'a Found, ImportError> {
    let name_of = |found: &'a Found| found.directive.arguments().join(" ");
    let there = || all.iter().map(name_of).collect::<Vec<_>>().join(", ");
    match (all, name) {
        ([], _) => Err(ImportError::None(path.to_owned())),
        (_, Some(name)) => all.iter().find(|found| name_of(found) == name).ok_or_else(|| {
            ImportError::NotThere { path: path.to_owned(), name: name.to_owned(), there: there() }
        }),
        ([one], None) => Ok(one),
        (_, None) => {
            // Where one of them alone goes by hash, that one is meant.
            let mut hashed = all
                .iter()
                .filter(|found| found.directive.inner().iter().any(|d| d.name() == "hash"));
            match (hashed.next(), hashed.next()) {
                (Some(one), None) => Ok(one),
                _ => Err(ImportError::Several { path: path.to_owned(), there: there() }),
            }
        }
    }
}

struct At {
    /// `None`: where the upstream is.
    file: Option<PathBuf>,
    line: usize,
    why: Unfit,
}

/// Reads an upstream of which `inner` is all that stands in it.
fn read(upstream: &super::conf::Directive, inner: &[Found]) -> Result<Upstream, At> {
    let name = upstream.arguments().join(" ");
    let (mut key, mut servers) = (None, Vec::<Server>::new());
    for found in inner {
        let directive = &found.directive;
        let at = |why| At { file: Some(found.file.clone()), line: directive.line, why };
        match directive.name() {
            other if directive.block.is_some() => return Err(at(unfit_directive(other))),
            "hash" if key.is_some() => return Err(at(Unfit::SecondHash)),
            "hash" => key = Some(read_hash(directive.arguments()).map_err(at)?),
            "server" => {
                let server = read_server(directive.arguments()).map_err(at)?;
                if servers.iter().any(|known| known.server == server.server) {
                    return Err(at(Unfit::Twice(server.server)));
                }
                servers.push(server);
            }
            "zone" => {}
            other => return Err(at(unfit_directive(other))),
        }
    }
    let key =
        key.ok_or(At { file: None, line: upstream.line, why: Unfit::TakesTurns(name.clone()) })?;
    Ok(Upstream { name, key, servers })
}

/// What is wrong with a directive of this name in an upstream.
pub(super) fn unfit_directive(name: &str) -> Unfit {
    match name {
        "least_conn" | "least_time" | "random" => Unfit::OtherMethod(name.to_owned()),
        _ => Unfit::Directive(name.to_owned()),
    }
}

/// The key of `hash KEY consistent`.
pub(super) fn read_hash(arguments: &[String]) -> Result<KeyForm, Unfit> {
    let [key, rest @ ..] = arguments else { return Err(Unfit::Key(String::new())) };
    if rest != ["consistent"] {
        return Err(Unfit::NotConsistent(key.clone()));
    }
    let plain =
        key.replace("${remote_addr}", "$remote_addr").replace("${remote_port}", "$remote_port");
    let form = KeyForm::ALL.into_iter().find(|form| form.nginx_text() == plain);
    form.ok_or_else(|| Unfit::Key(key.clone()))
}

/// A server with its parameters.
pub(super) fn read_server(arguments: &[String]) -> Result<Server, Unfit> {
    let [name, parameters @ ..] = arguments else {
        return Err(NameError::Portless(String::new()).into());
    };
    let mut server = Server {
        server: ServerName::parse(name)?,
        points: POINTS_PER_WEIGHT,
        down: false,
        max_conns: None,
        max_fails: None,
        fail_timeout: None,
    };
    for parameter in parameters {
        let misfit = || Unfit::Parameter(server.server.clone(), parameter.clone());
        // Digits alone, as nginx has it: no sign.
        let number = |text: &str| match text.starts_with('+') {
            false => text.parse::<u32>().map_err(|_| misfit()),
            true => Err(misfit()),
        };
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("weight", weight) => {
                let points = number(weight)?.checked_mul(POINTS_PER_WEIGHT);
                let points = points.filter(|points| (1..=MAX_POINTS).contains(points));
                server.points = points.ok_or_else(misfit)?;
            }
            ("max_conns", text) => server.max_conns = Some(number(text)?),
            ("max_fails", text) => server.max_fails = Some(number(text)?),
            ("fail_timeout", text) => {
                let time = Time::try_from(text.to_owned()).map_err(|_| misfit())?;
                server.fail_timeout = Some(time);
            }
            ("down", "") if parameter == "down" => server.down = true,
            ("backup", _) => return Err(Unfit::Backup(server.server)),
            _ => return Err(misfit()),
        }
    }
    Ok(server)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
