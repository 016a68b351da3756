//! nginx itself: asked whether it takes a configuration, and told to reload.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How to call nginx.
#[derive(Debug, Clone)]
pub struct Nginx {
    /// The program, and what has to stand behind it in any case.
    words: Vec<String>,
}

/// What nginx did not do.
#[derive(Debug, thiserror::Error)]
pub enum NginxError {
    /// There is none.
    #[error("cannot run {program}: {err}; install nginx, or name it with --nginx")]
    Run {
        /// What was to be run.
        program: String,
        /// What the system says.
        err: io::Error,
    },
    /// Nothing is named.
    #[error("--nginx is empty: name a program, nginx or \"sudo nginx\" for instance")]
    Nameless,
    /// It says no.
    #[error("{0}")]
    Says(String),
}

impl Nginx {
    /// By these words, `nginx` or `sudo nginx` for instance.
    pub fn new(command: &str) -> Nginx {
        let words = command.split_whitespace().map(str::to_owned).collect();
        Nginx { words }
    }

    /// Whether it takes the configuration `conf`.
    ///
    /// # Errors
    /// With its own words, where it does not.
    pub fn test(&self, conf: &Path) -> Result<(), NginxError> {
        self.run(&["-t", "-q"], Some(conf)).map(drop)
    }

    /// The same; also says which files the configuration is made of.
    ///
    /// # Errors
    /// With its own words, where it does not.
    pub fn files(&self, conf: &Path) -> Result<Vec<PathBuf>, NginxError> {
        let dump = self.run(&["-T", "-q"], Some(conf))?;
        let path = |line: &[u8]| {
            let path = line.strip_prefix(b"# configuration file ")?.strip_suffix(b":")?;
            Some(PathBuf::from(OsStr::from_bytes(path)))
        };
        Ok(dump.stdout.split(|byte| *byte == b'\n').filter_map(path).collect())
    }

    /// Tells the one that runs by `conf` to read it again.
    ///
    /// # Errors
    /// With its own words, where there is none or it may not be told.
    pub fn reload(&self, conf: &Path) -> Result<(), NginxError> {
        self.run(&["-s", "reload"], Some(conf)).map(drop)
    }

    /// Where its configuration is unless it is told otherwise, and the line
    /// that loads its stream module, where that is a file.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub fn built_with(&self) -> Result<Built, NginxError> {
        let said = self.run(&["-V"], None)?;
        Ok(Built::from_words(&String::from_utf8_lossy(&said.stderr)))
    }

    fn run(&self, arguments: &[&str], conf: Option<&Path>) -> Result<Output, NginxError> {
        let [program, first @ ..] = &self.words[..] else {
            return Err(NginxError::Nameless);
        };
        let mut command = Command::new(program);
        // Debian keeps it in sbin, which an ordinary user's PATH lacks.
        let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // An empty part would be the working folder.
        let path = std::env::split_paths(&path).filter(|part| !part.as_os_str().is_empty());
        if let Ok(path) = std::env::join_paths(path.chain(sbin)) {
            command.env("PATH", path);
        }
        command.args(first).args(arguments);
        if let Some(conf) = conf {
            command.arg("-c").arg(conf);
        }
        // In this process group: sudo could not ask for a password from another
        // one. Ctrl+C then ends nginx too, which counts as its refusal.
        let run_error = |err| NginxError::Run { program: program.clone(), err };
        let output = command.output().map_err(run_error)?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // What is no complaint is left out.
        let said: Vec<&str> = said.lines().filter(|line| !line.contains("[notice]")).collect();
        let said = said.join("\n");
        Err(NginxError::Says(if said.is_empty() { output.status.to_string() } else { said }))
    }
}

/// What `nginx -V` tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Built {
    /// `--conf-path`.
    pub conf: PathBuf,
    /// `load_module …;` or nothing.
    pub load_stream: String,
}

impl Built {
    fn from_words(text: &str) -> Built {
        let value = |name: &str| {
            let word = text.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.map(|word| word.trim_matches('\'').to_owned())
        };
        let prefix = value("--prefix=").unwrap_or("/usr/local/nginx".to_owned());
        let conf = value("--conf-path=").unwrap_or_else(|| format!("{prefix}/conf/nginx.conf"));
        let modules = value("--modules-path=").unwrap_or_else(|| format!("{prefix}/modules"));
        let is_file = text.split_whitespace().any(|word| word == "--with-stream=dynamic");
        let load = format!("load_module {modules}/ngx_stream_module.so;\n");
        Built { conf: PathBuf::from(conf), load_stream: if is_file { load } else { String::new() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nginx_was_built_with_is_understood() {
        let debian = "nginx version: nginx/1.22.1\nconfigure arguments: --prefix=/usr/share/nginx \
            --conf-path=/etc/nginx/nginx.conf --modules-path=/usr/lib/nginx/modules --with-stream=dynamic";
        let built = Built::from_words(debian);
        assert_eq!(built.conf, Path::new("/etc/nginx/nginx.conf"));
        assert_eq!(built.load_stream, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n");
        let other = Built::from_words("configure arguments: --prefix=/opt/nginx --with-stream");
        assert_eq!(
            other,
            Built { conf: "/opt/nginx/conf/nginx.conf".into(), load_stream: String::new() }
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let nginx = Nginx::new("/no/such/nginx");
        let said = nginx.test(Path::new("/x")).unwrap_err().to_string();
        assert!(said.starts_with("cannot run /no/such/nginx: No such file"), "{said}");
        assert!(Nginx::new(" ").test(Path::new("/x")).is_err());
    }
}
