//! A private MariaDB, as the stores' tests use it.

use std::net::SocketAddr;
use std::sync::OnceLock;

use cluster_chat::model::mysql::MysqlOptions;
use mysql::prelude::Queryable;

use crate::support::services::{Database, Service, shared_mariadb};

pub struct MariaDb {
    address: SocketAddr,
    /// Where it is this test's own; it ends with the value.
    own: Option<Service>,
}

impl MariaDb {
    /// The one that all tests of this run share.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| MariaDb { address: shared_mariadb(), own: None })
    }

    /// One for a test that stops it or changes how it works.
    pub fn start() -> MariaDb {
        let service = Service::mariadb();
        MariaDb { address: service.address(), own: Some(service) }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a database that does not exist yet, another one each time.
    pub fn fresh_url(&self) -> String {
        Database::on(self.address).url()
    }

    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@{}/{database}", self.address)
    }

    pub fn fresh_options(&self) -> MysqlOptions {
        MysqlOptions::new(self.fresh_url())
    }

    /// A connection of the test's own, to look and to interfere.
    pub fn connect(&self, url: &str) -> mysql::Conn {
        let opts = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url).unwrap());
        mysql::Conn::new(opts.prefer_socket(false)).unwrap()
    }

    /// Runs one statement as root, outside of any database.
    pub fn admin(&self, sql: &str) {
        self.connect(&self.url("mysql")).query_drop(sql).unwrap();
    }

    /// Stops the process in its tracks: it keeps its port and says nothing.
    pub fn freeze(&self) {
        self.own().freeze();
    }

    pub fn thaw(&self) {
        self.own().thaw();
    }

    fn own(&self) -> &Service {
        self.own.as_ref().expect("the shared one is left alone")
    }
}
