//! TLS to MySQL: a MariaDB that takes nothing else, with certificates made
//! here.

use std::path::Path;

use cluster_chat::model::mysql::{MysqlOptions, MysqlStore};
use cluster_chat::model::{Store, StoreError};
use mysql::prelude::Queryable;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::conformance::user;
use crate::support::services::{Database, Service, new_dir};

/// A MariaDB with TLS, its certificate for the name `localhost`.
struct Secured {
    service: Service,
    dir: tempfile::TempDir,
}

/// Writes a CA's certificate, and one for `localhost` signed by it.
fn make_certificates(dir: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    std::fs::write(dir.join("cert.pem"), server.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

impl Secured {
    fn start() -> Secured {
        let dir = new_dir();
        make_certificates(dir.path());
        let conf = dir.path().join("tls.cnf");
        let path = |name| dir.path().join(name).display().to_string();
        let text = format!(
            "[mariadbd]\nssl-ca={}\nssl-cert={}\nssl-key={}\nrequire_secure_transport=ON\n",
            path("ca.pem"),
            path("cert.pem"),
            path("key.pem")
        );
        std::fs::write(&conf, text).unwrap();
        Secured { service: Service::mariadb_with(&conf), dir }
    }

    fn open(&self, host: &str, query: &str) -> Result<MysqlStore, StoreError> {
        let query = query.replace("CA", &self.dir.path().join("ca.pem").display().to_string());
        let port = self.service.port();
        MysqlStore::open(MysqlOptions::new(format!("mysql://root@{host}:{port}/chat?{query}")))
    }

    #[track_caller]
    fn refusal(&self, host: &str, query: &str) -> String {
        match self.open(host, query).map(drop) {
            Err(StoreError::Misconfigured(text)) => text,
            other => panic!("{host} {query} gave {other:?}"),
        }
    }
}

#[test]
fn a_mysql_that_takes_only_tls_is_reached_by_the_mode_that_the_url_names() {
    let server = Secured::start();
    for (number, (host, query)) in [
        ("127.0.0.1", "ssl-mode=required"),
        ("127.0.0.1", "ssl-mode=verify-ca&ssl-ca=CA"),
        ("localhost", "ssl-mode=verify-identity&ssl-ca=CA"),
    ]
    .into_iter()
    .enumerate()
    {
        let store = server.open(host, query).unwrap_or_else(|err| panic!("{query}: {err}"));
        user(&store, &format!("user {number}"));
        assert!(store.credentials_by_name("user 0").unwrap().is_some());
    }

    // Whoever is not asked to use TLS is told which parameter to add.
    let plain = server.refusal("127.0.0.1", "");
    assert!(plain.contains("only connections with TLS, add ssl-mode=required"), "{plain}");
    let name = server.refusal("127.0.0.1", "ssl-mode=verify-identity&ssl-ca=CA");
    assert!(name.contains("certificate") && name.contains("ssl-mode=verify-ca"), "{name}");

    // Another CA, and the public ones.
    let other = new_dir();
    make_certificates(other.path());
    let other = format!("ssl-mode=verify-ca&ssl-ca={}", other.path().join("ca.pem").display());
    for query in [&*other, "ssl-mode=verify-ca"] {
        let text = server.refusal("127.0.0.1", query);
        assert!(text.contains("certificate") && text.contains("ssl-ca"), "{text}");
    }
}

#[test]
fn a_mysql_without_tls_is_told_from_one_with() {
    let database = Database::shared();
    let mut root =
        mysql::Conn::new(format!("mysql://root@{}", database.server()).as_str()).unwrap();
    let have: String = root.query_first("SELECT @@have_ssl").unwrap().unwrap();
    assert_eq!(have, "DISABLED", "the tests' MariaDB has no certificate");
    let options = MysqlOptions::new(format!("{}?ssl-mode=required", database.url()));
    let Err(StoreError::Misconfigured(text)) = MysqlStore::open(options).map(drop) else {
        panic!("TLS where there is none")
    };
    assert!(text.contains("offers no TLS") && text.contains("ssl-mode"), "{text}");
}
