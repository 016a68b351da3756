//! Passwords that are not in a URL: from the environment or a file, and how
//! they get into the URL that a driver is given.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::{Config, Database, RedisUrl};

/// No password is longer; a file that is, is the wrong one.
const MAX_PASSWORD_BYTES: u64 = 4096;

const DATABASE_PASSWORD: &str = "CHAT_DATABASE_PASSWORD";
const REDIS_PASSWORD: &str = "CHAT_REDIS_PASSWORD";
const IMPORT_PASSWORD: &str = "CHAT_IMPORT_PASSWORD";

impl Config {
    /// The same with the passwords that stand in variables or files put into
    /// the URLs. `environment` is asked for a variable by its name.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn with_passwords(
        &self,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Config, String> {
        let source = |service, variable, file| {
            let value = environment(variable);
            Source { service, variable, value, file }.password()
        };
        let database =
            source("database", DATABASE_PASSWORD, self.database_password_file.as_deref())?;
        let redis = source("redis", REDIS_PASSWORD, self.redis_password_file.as_deref())?;
        let import = source("import", IMPORT_PASSWORD, self.import_password_file.as_deref())?;
        let mut config = self.clone();
        if let Some(password) = import {
            let Some(Database::Mysql(url)) = &self.import_from else {
                return Err("there is a password for an import, but no --import-from \
                            mysql://USER@HOST:PORT/DATABASE: add it, or take the password away"
                    .into());
            };
            let url = complete("import", "import-from", url, &password)?;
            config.import_from = Some(Database::Mysql(url));
        }
        if let Some(password) = database {
            config.database = match &self.database {
                Database::Mysql(url) => {
                    Database::Mysql(complete("database", "database", url, &password)?)
                }
                Database::Unknown => Database::Unknown,
                Database::Sqlite(_) => {
                    return Err("there is a database password, but an SQLite file has none: add \
                                --database mysql://USER@HOST:PORT/DATABASE, or take it away"
                        .into());
                }
            };
        }
        if let Some(password) = redis {
            let Some(RedisUrl(url)) = &self.redis else {
                return Err("there is a Redis password, but no Redis: add --redis \
                            redis://HOST:PORT, or take it away"
                    .into());
            };
            config.redis = Some(RedisUrl(complete("redis", "redis", url, &password)?));
        }
        Ok(config)
    }

    /// The flags that hold a password on this command line, where every user
    /// of the machine can read it, and what the password's own variable and
    /// flag are named after.
    pub fn exposed_passwords(
        &self,
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Vec<(&'static str, &'static str)> {
        let mut urls = Vec::new();
        if let Database::Mysql(url) = &self.database {
            urls.push((("database", "database"), url));
        }
        if let Some(RedisUrl(url)) = &self.redis {
            urls.push((("redis", "redis"), url));
        }
        if let Some(Database::Mysql(url)) = &self.import_from {
            urls.push((("import-from", "import"), url));
        }
        urls.retain(|(_, url)| holds_password(url));
        let mut exposed = Vec::new();
        while let Some(argument) = arguments.next().filter(|_| !urls.is_empty()) {
            let argument = argument.to_string_lossy();
            exposed.extend(
                urls.iter().filter(|(_, url)| argument.ends_with(url.as_str())).map(|(f, _)| *f),
            );
        }
        exposed
    }
}

/// The URL with the password that was given beside it.
fn complete(service: &str, flag: &str, url: &str, password: &str) -> Result<String, String> {
    if holds_password(url) {
        return Err(format!(
            "the {service} password is given twice, in the URL and beside it: take it out of \
             --{flag}"
        ));
    }
    if service != "redis" && !url.contains('@') {
        return Err("there is a database password, but the URL has no user: write \
                    mysql://USER@HOST:PORT/DATABASE"
            .into());
    }
    Ok(with_password(url, password))
}

/// Where the password of one service may come from.
struct Source<'a> {
    /// Whose it is, for people: `database`.
    service: &'static str,
    /// The variable that may hold it.
    variable: &'static str,
    /// What the variable holds.
    value: Option<OsString>,
    /// The file that may hold it.
    file: Option<&'a Path>,
}

impl Source<'_> {
    /// The password, if one is given.
    ///
    /// # Errors
    /// A sentence that says what to change, without the password.
    fn password(self) -> Result<Option<String>, String> {
        let Source { service, variable, value, file } = self;
        match (value, file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(format!(
                "the {service} password is given twice: by {variable} and by \
                 --{service}-password-file; leave one of them out"
            )),
            (Some(value), None) => match value.into_string() {
                Ok(text) if text.is_empty() => {
                    Err(format!("{variable} is empty: give it a password, or unset it"))
                }
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(format!("{variable} is not UTF-8 text")),
            },
            (None, Some(file)) => read(file).map(Some).map_err(|why| {
                format!("no {service} password in the file {}: {why}", file.display())
            }),
        }
    }
}

/// The file's text without its last line end.
fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_PASSWORD_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|err| err.to_string())?;
    if bytes.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(format!("it is longer than {MAX_PASSWORD_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err("it is empty".into()) } else { Ok(line.to_owned()) }
}

/// The parts of a URL around the place of its password.
struct Parts<'a> {
    /// `mysql://`
    scheme: &'a str,
    user: &'a str,
    password: &'a str,
    /// From the host on.
    rest: &'a str,
}

/// `None`: no URL, or one whose `@` stands where none belongs.
fn take_apart(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_at(url.find("://")? + 3);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some(at) = authority.rfind('@') else {
        let plain = Parts { scheme, user: "", password: "", rest };
        return (!rest.contains('@')).then_some(plain);
    };
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    Some(Parts { scheme, user, password, rest: &rest[at + 1..] })
}

/// Whether a URL holds a password; also one that cannot be taken apart for an
/// unescaped one.
fn holds_password(url: &str) -> bool {
    let in_query = |url: &str| {
        url.split_once('?').is_some_and(|(_, query)| {
            query.split('&').any(|parameter| parameter.starts_with("pass="))
        })
    };
    take_apart(url).is_none_or(|parts| !parts.password.is_empty()) || in_query(url)
}

/// The URL with this password, whatever characters that has. A URL of a Unix
/// socket (Redis) has it as a parameter. The URL holds none yet.
fn with_password(url: &str, password: &str) -> String {
    let Some(Parts { scheme, user, rest, .. }) = take_apart(url) else { return url.to_owned() };
    let password = percent_encoded(password);
    if scheme == "unix://" || scheme == "redis+unix://" {
        let joint = if rest.contains('?') { '&' } else { '?' };
        return format!("{url}{joint}pass={password}");
    }
    format!("{scheme}{user}:{password}@{rest}")
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else if write!(encoded, "%{byte:02X}").is_err() {
            unreachable!("a String takes what is written");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(bytes: &[u8]) -> Result<Option<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let (service, variable) = ("database", "CHAT_DATABASE_PASSWORD");
        Source { service, variable, value: None, file: Some(file.path()) }.password()
    }

    #[test]
    fn a_file_holds_a_password_and_perhaps_a_line_end() {
        for bytes in [&b" p w "[..], b" p w \n", b" p w \r\n"] {
            assert_eq!(in_file(bytes).unwrap().as_deref(), Some(" p w "));
        }
        assert_eq!(in_file(b"p\n\n").unwrap().as_deref(), Some("p\n"), "only one");
        for (bytes, why) in
            [(&b""[..], "empty"), (b"\n", "empty"), (b"\xff", "UTF-8"), (&[b'x'; 5000], "longer")]
        {
            assert!(in_file(bytes).unwrap_err().contains(why), "{why}");
        }
    }

    #[test]
    fn a_password_is_found_in_a_url_or_put_into_it() {
        for url in ["mysql://u:p@h/d", "redis://:p@h", "unix:///s?pass=p", "mysql://u:p/x@h/d"] {
            assert!(holds_password(url), "{url}");
        }
        for (url, with) in [
            ("mysql://u@h:3306/d?x=y", "mysql://u:a%40%2F%20b@h:3306/d?x=y"),
            ("mysql://u:@h/d", "mysql://u:a%40%2F%20b@h/d"),
            ("redis://h:6379", "redis://:a%40%2F%20b@h:6379"),
            ("redis://u@[::1]:7000/1", "redis://u:a%40%2F%20b@[::1]:7000/1"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock?pass=a%40%2F%20b"),
            ("unix:///r.sock?db=1", "unix:///r.sock?db=1&pass=a%40%2F%20b"),
        ] {
            assert!(!holds_password(url), "{url}");
            assert_eq!(with_password(url, "a@/ b"), with);
            assert!(holds_password(with), "{with}");
        }
    }
}
