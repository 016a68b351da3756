//! TLS, as a client of nginx speaks it, and a certificate for nginx.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::client::TestClient;
use super::services;
use super::wait::SOON;
use super::wire::{Stream, Wire};

/// The name that the certificate is for.
const HOST: &str = "chat.test";

/// A certificate of one's own for `chat.test`, and its key, as PEM files.
pub struct Certificate {
    der: CertificateDer<'static>,
    dir: TempDir,
}

impl Certificate {
    /// A new one.
    pub fn new() -> Certificate {
        Certificate::with(|_| {})
    }

    /// A new one, changed like this.
    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::new([HOST.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = services::new_dir();
        std::fs::write(dir.path().join("fullchain.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.path().join("privkey.pem"), key.serialize_pem()).unwrap();
        Certificate { der: certificate.der().clone(), dir }
    }

    /// The certificate's file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("fullchain.pem")
    }

    /// The key's file.
    pub fn key_path(&self) -> PathBuf {
        self.dir.path().join("privkey.pem")
    }

    /// Connects as a client that trusts this certificate and no other, and
    /// speaks this version only.
    #[track_caller]
    pub fn connect(
        &self,
        address: SocketAddr,
        version: &'static SupportedProtocolVersion,
    ) -> TestClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(HOST).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).expect("the handshake succeeds");
        }
        assert_eq!(connection.protocol_version(), Some(version.version));
        TestClient::over(Wire::over(StreamOwned::new(connection, socket)))
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}
