//! A cluster as it is run: ChatServers, MariaDB, Redis and nginx before them.

use std::net::SocketAddr;

use super::door::{Address, Door};
use super::proxy::Proxy;
use super::server::{ServerPlan, TestServer};
use super::services::{Database, Service};

/// How to start a cluster.
pub struct ClusterPlan {
    servers: usize,
    own_mariadb: bool,
    cables: bool,
    flags: Vec<(String, String)>,
}

impl ClusterPlan {
    /// This many servers instead of two.
    #[must_use]
    pub fn servers(mut self, count: usize) -> ClusterPlan {
        self.servers = count;
        self
    }

    /// A MariaDB of its own, for a story that breaks it.
    #[must_use]
    pub fn own_mariadb(mut self) -> ClusterPlan {
        self.own_mariadb = true;
        self
    }

    /// The first server reaches MariaDB and Redis over cables of its own, for a
    /// story that breaks those.
    #[must_use]
    pub fn cables(mut self) -> ClusterPlan {
        self.cables = true;
        self
    }

    /// Every server gets this flag.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl ToString) -> ClusterPlan {
        self.flags.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts everything and waits until it serves.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let mariadb = self.own_mariadb.then(Service::mariadb);
        let database = match &mariadb {
            Some(own) => Database::on(own.address()),
            None => Database::shared(),
        };
        let redis = Service::redis();
        let cables = self.cables.then(|| Cables {
            mariadb: Proxy::to(database.server().port()),
            redis: Proxy::to(redis.port()),
        });
        let mut plans = Vec::new();
        for number in 0..self.servers {
            let (database_url, redis_url) = match &cables {
                Some(cables) if number == 0 => {
                    (database.url_by_way_of(cables.mariadb.address()), cables.redis.url())
                }
                _ => (database.url(), redis.redis_url()),
            };
            let mut plan =
                ServerPlan::new().flag("--database", database_url).flag("--redis", redis_url);
            for (name, value) in &self.flags {
                plan = plan.flag(name, value);
            }
            plans.push(plan);
        }
        // At once, as after a power cut: starting together must work too.
        let servers: Vec<TestServer> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                plans.into_iter().map(|plan| scope.spawn(move || plan.start())).collect();
            starting.into_iter().map(|s| s.join().expect("the server starts")).collect()
        });
        let addresses: Vec<SocketAddr> = servers.iter().map(Door::address).collect();
        let nginx = Service::nginx(&addresses);
        Cluster { servers, nginx, redis, database, mariadb, cables }
    }
}

/// A running cluster. Fields are dropped in this order: servers first.
pub struct Cluster {
    /// The servers; each is a door of its own.
    pub servers: Vec<TestServer>,
    nginx: Service,
    /// The Redis between the servers.
    pub redis: Service,
    /// The database of this cluster.
    pub database: Database,
    mariadb: Option<Service>,
    cables: Option<Cables>,
}

/// What the first server's connections to the services go through.
pub struct Cables {
    /// To MariaDB.
    pub mariadb: Proxy,
    /// To Redis.
    pub redis: Proxy,
}

impl Cluster {
    /// Two servers that share everything they can.
    #[track_caller]
    pub fn start() -> Cluster {
        Cluster::plan().start()
    }

    /// For a cluster out of the ordinary.
    pub fn plan() -> ClusterPlan {
        ClusterPlan { servers: 2, own_mariadb: false, cables: false, flags: Vec::new() }
    }

    /// The way in for clients: nginx, which chooses a server.
    pub fn nginx(&self) -> Address {
        Address(self.nginx.address())
    }

    /// Has nginx forget which servers were down.
    #[track_caller]
    pub fn reload_nginx(&self) {
        self.nginx.reload();
    }

    /// The cables of [`ClusterPlan::cables`].
    pub fn cables(&self) -> &Cables {
        self.cables.as_ref().expect("the story asked for cables")
    }

    /// The MariaDB of [`ClusterPlan::own_mariadb`].
    pub fn mariadb(&mut self) -> &mut Service {
        self.mariadb.as_mut().expect("the story asked for its own MariaDB")
    }

    /// Two servers to name in a story.
    pub fn two(&mut self) -> (&mut TestServer, &mut TestServer) {
        match &mut self.servers[..] {
            [first, second, ..] => (first, second),
            _ => unreachable!("a cluster has two servers or more"),
        }
    }
}
