//! Why there is no connection (any more), in words.

use std::io;

use super::target::Target;
use super::transport::TlsBroken;
use super::wire::NotFramed;

/// How a connection ended.
pub enum End {
    /// The server closed it between two frames.
    Closed,
    /// What answered sent no ChatServer's frames.
    Foreign,
    /// What answered speaks TLS, and was not spoken to in TLS.
    WantsTls,
    /// The encryption failed, for this reason.
    Broken(String),
    /// For this reason, which is part of a sentence.
    Because(String),
}

impl End {
    /// Whether the server closed it in good order.
    pub fn is_closed(&self) -> bool {
        matches!(self, End::Closed)
    }

    /// The reason as part of a sentence; `heard`: whether a frame had come.
    /// Who is hung up on before a single one came has met a balancer without
    /// servers, most likely.
    pub fn explain(self, target: &Target, heard: bool) -> String {
        let Target { host, port, tls } = target;
        match self {
            End::WantsTls => format!(
                "what answers at {host} port {port} speaks TLS: start the client with --tls"
            ),
            End::Broken(reason) => reason,
            End::Foreign => format!(
                "what answers at {host} port {port} is no ChatServer: \
                 check the address and the port"
            ),
            End::Closed | End::Because(_) if !heard => format!(
                "no ChatServer answered at {host} port {port}: \
                 it, or every server behind a balancer there, is down{}",
                // Most of those that want TLS say so little, too.
                if tls.is_none() { ", or wants TLS (--tls)" } else { "" }
            ),
            End::Closed => "the server closed the connection".to_owned(),
            End::Because(reason) => reason,
        }
    }
}

impl From<&io::Error> for End {
    fn from(error: &io::Error) -> End {
        let cause = error.get_ref();
        if let Some(broken) = cause.and_then(|cause| cause.downcast_ref::<TlsBroken>()) {
            return End::Broken(broken.to_string());
        }
        if cause.and_then(|cause| cause.downcast_ref()).is_some_and(NotFramed::is_tls) {
            return End::WantsTls;
        }
        match error.kind() {
            io::ErrorKind::InvalidData => {
                log::debug!(target: "client", "no ChatServer's framed port: err={error}");
                End::Foreign
            }
            _ => End::Because(describe(error)),
        }
    }
}

/// Why an address cannot be reached, as part of a sentence.
pub fn unreachable_because(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "nobody answers".to_owned(),
        _ => describe(error),
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the server closed the connection in the middle of a message".to_owned()
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "the server takes no more data".to_owned()
        }
        io::ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
        // A name is friendlier than "(os error 111)", where there is one.
        kind if error.raw_os_error().is_some() && kind.to_string() != "uncategorized error" => {
            kind.to_string()
        }
        _ => error.to_string(),
    }
}
