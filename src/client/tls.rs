//! TLS towards the server: whom to trust, the handshake, and what a failed one
//! means to a person.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::text::safe;

/// A server that does not get through the handshake within this speaks none,
/// or is as good as gone.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How to know the server: the trusted certificates and its name.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// The file with the trusted certificates; `None`: the system's.
    ca: Option<PathBuf>,
}

/// Why TLS cannot be set up; reads as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file is not there, or no PEM.
    #[error("{} holds no certificates that can be read: {source}. It has to be a PEM file.", .file.display())]
    Unreadable {
        /// The file as given.
        file: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// What the file calls a certificate is none.
    #[error("{} holds a certificate that is damaged: {source}.", .file.display())]
    Damaged {
        /// The file as given.
        file: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The file is PEM of something else.
    #[error(
        "There is no certificate in {}: it has to be a PEM file with \
         -----BEGIN CERTIFICATE----- in it.", .0.display()
    )]
    Empty(PathBuf),
    /// The system trusts nobody.
    #[error(
        "This system has no list of trusted certificates{0}: install its package \
         ca-certificates, or name a file with --tls-ca."
    )]
    NoRoots(String),
    /// No certificate can be for this.
    #[error("No certificate can be for {0:?}: give the server's name with --tls-name.")]
    Name(String),
}

/// Why there is no TLS with a server that took the connection. Part of a
/// sentence, of which "it" is the server; what to do follows as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// What it said is not TLS, or it hung up instead of speaking it.
    #[error(
        "it speaks no TLS. Name the port that does, or leave out --tls (and \
         --tls-ca, --tls-name) if nobody can listen on the way"
    )]
    NotSpoken,
    /// It took the connection and said nothing.
    #[error("it did not answer within {} s. Check the port", HANDSHAKE_TIMEOUT.as_secs())]
    Silent,
    /// The connection failed.
    #[error("the connection broke off ({0}). Try again")]
    Lost(io::Error),
    /// Nobody who is trusted has signed the certificate.
    #[error(
        "its certificate is signed by nobody that {}",
        match .0 {
            Some(file) => format!(
                "{} names. Check that this is the right server, and its CA's file",
                file.display()
            ),
            None => "this system trusts. If it is the right server, name a file with its CA's \
                     certificate with --tls-ca".to_owned(),
        }
    )]
    Untrusted(Option<PathBuf>),
    /// The certificate is for others.
    #[error(
        "its certificate is not for {expected} but for {presented}. Connect by a name that it \
         is for, or give that with --tls-name if this is the right server"
    )]
    OtherName {
        /// The name that was to be verified.
        expected: String,
        /// The names in the certificate, safe to show.
        presented: String,
    },
    /// The certificate is too old.
    #[error(
        "its certificate has expired{0}. Whoever runs it has to renew that; \
         is this machine's clock right?"
    )]
    Expired(String),
    /// The certificate is too new.
    #[error("its certificate is not valid yet{0}. Is this machine's clock right?")]
    NotYetValid(String),
    /// A CA's own certificate, which proves nothing about a server.
    #[error(
        "its certificate is a CA's own. A server needs one with basicConstraints CA:FALSE: \
         nginx/README.md shows how to make it"
    )]
    CaItself,
    /// Anything else.
    #[error("the handshake failed ({0}). Ask whoever runs it")]
    Failed(rustls::Error),
}

impl TlsError {
    /// Whether it is about who the server is: trying again does not help.
    pub fn is_distrust(&self) -> bool {
        !matches!(self, TlsError::NotSpoken | TlsError::Silent | TlsError::Lost(_))
    }
}

impl Tls {
    /// Trusts what is in the file `ca`, of nobody else, or whom the system
    /// trusts; and only a server whose certificate is for `name`, an IP address
    /// or a DNS name.
    ///
    /// # Errors
    /// A name that no certificate can have, and certificates that cannot be
    /// read.
    pub fn new(name: &str, ca: Option<&Path>) -> Result<Tls, SetupError> {
        let server_name =
            ServerName::try_from(name.to_owned()).map_err(|_| SetupError::Name(name.to_owned()))?;
        let roots = match ca {
            Some(file) => roots_of(file)?,
            None => roots_of_system()?,
        };
        // Named, since a process may have several providers of cryptography.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let ca = ca.map(Path::to_owned);
        Ok(Tls { config: Arc::new(config), name: server_name, ca })
    }

    /// Makes sure of the server, on a connection just made; takes a bounded
    /// time. The socket's read time-out is off then.
    pub(super) fn shake_hands(&self, socket: &mut TcpStream) -> Result<ClientConnection, TlsError> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut session = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(TlsError::Failed)?;
        let mut heard = false;
        while session.is_handshaking() || session.wants_write() {
            let writes = session.wants_write();
            let step = if writes {
                session.write_tls(socket)
            } else {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(TlsError::Silent);
                }
                socket.set_read_timeout(Some(left)).map_err(TlsError::Lost)?;
                session.read_tls(socket)
            };
            match step {
                Ok(0) => return Err(ended(heard, io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => heard |= !writes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(ended(heard, e)),
            }
            if let Err(e) = session.process_new_packets() {
                // The alert tells the server's log why.
                if let Err(e) = session.write_tls(socket) {
                    log::debug!(target: "client", "the alert was not sent: err={e}");
                }
                return Err(self.explain(e));
            }
        }
        socket.set_read_timeout(None).map_err(TlsError::Lost)?;
        Ok(session)
    }

    fn explain(&self, error: rustls::Error) -> TlsError {
        use rustls::Error::{InvalidCertificate, InvalidMessage};
        let certificate = match error {
            InvalidMessage(_) => return TlsError::NotSpoken,
            InvalidCertificate(certificate) => certificate,
            other => return TlsError::Failed(other),
        };
        match certificate {
            // The latter where only the signer's name is one that is trusted.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsError::Untrusted(self.ca.clone())
            }
            CertificateError::Expired => TlsError::Expired(String::new()),
            CertificateError::ExpiredContext { not_after, .. } => {
                TlsError::Expired(format!(", on {}", date(not_after)))
            }
            CertificateError::NotValidYet => TlsError::NotYetValid(String::new()),
            CertificateError::NotValidYetContext { not_before, .. } => {
                TlsError::NotYetValid(format!(", only from {} on", date(not_before)))
            }
            CertificateError::NotValidForName => self.other_name(&[]),
            CertificateError::NotValidForNameContext { presented, .. } => {
                self.other_name(&presented)
            }
            // The verifier's own error type is not to be had here.
            CertificateError::Other(e) if e.to_string().contains("CaUsedAsEndEntity") => {
                TlsError::CaItself
            }
            other => TlsError::Failed(InvalidCertificate(other)),
        }
    }

    fn other_name(&self, presented: &[String]) -> TlsError {
        // Each as `DnsName("chat.example.org")`.
        let names: Vec<&str> = presented
            .iter()
            .map(|name| name.split_once('(').map_or(name.as_str(), |(_, name)| name))
            .map(|name| name.trim_end_matches(')').trim_matches('"'))
            .collect();
        let presented = match names.is_empty() {
            true => "no name at all".to_owned(),
            false => safe(&names.join(", ")).into_owned(),
        };
        TlsError::OtherName { expected: self.name.to_str().into_owned(), presented }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).field("ca", &self.ca).finish()
    }
}

/// A connection that ended, or failed, during the handshake. A server that
/// speaks no TLS hangs up, or resets, at the first bytes.
fn ended(heard: bool, error: io::Error) -> TlsError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TlsError::Silent,
        _ if heard => TlsError::Lost(error),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => TlsError::NotSpoken,
        _ => TlsError::Lost(error),
    }
}

fn roots_of(file: &Path) -> Result<RootCertStore, SetupError> {
    let unreadable = |source| SetupError::Unreadable { file: file.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let damaged = |source| SetupError::Damaged { file: file.to_owned(), source };
        roots.add(certificate.map_err(unreadable)?).map_err(damaged)?;
    }
    if roots.is_empty() {
        return Err(SetupError::Empty(file.to_owned()));
    }
    Ok(roots)
}

/// One bad certificate of a system's hundred is no reason to trust none.
fn roots_of_system() -> Result<RootCertStore, SetupError> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(loaded.certs);
    log::debug!(
        target: "client",
        "certificates={} ignored={ignored} errors={:?}", roots.len(), loaded.errors
    );
    if roots.is_empty() {
        let why = loaded.errors.first().map(|e| format!(" ({e})"));
        return Err(SetupError::NoRoots(why.unwrap_or_default()));
    }
    Ok(roots)
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || "a day long past or to come".to_owned(),
        |t| t.strftime("%Y-%m-%d").to_string(),
    )
}
