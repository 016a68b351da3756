//! Where a story takes place. A story that makes sense everywhere is written
//! once, with a near and a far door, and told in four worlds.

use super::cluster::Cluster;
use super::door::{Address, Door};
use super::server::{ServerPlan, TestServer};

/// A flag of the servers, with its value.
pub type Flag = (&'static str, &'static str);

/// One server, or a cluster with two ways in.
pub struct World {
    near: Address,
    far: Address,
    holds: Holds,
}

/// What lives as long as the world.
enum Holds {
    Server(Box<TestServer>),
    Cluster(Box<Cluster>),
}

impl World {
    /// One server with its embedded database and this many reactors.
    #[track_caller]
    pub fn embedded(reactors: u32, flags: &[Flag]) -> World {
        let plan = ServerPlan::new().flag("--reactors", reactors);
        let plan = flags.iter().fold(plan, |plan, (name, value)| plan.flag(name, value));
        let server = plan.start();
        let door = Address(server.address());
        World { near: door, far: door, holds: Holds::Server(Box::new(server)) }
    }

    /// A cluster where everybody comes through nginx, wherever that leads.
    #[track_caller]
    pub fn through_nginx(flags: &[Flag]) -> World {
        let cluster = World::cluster(flags);
        let door = cluster.nginx();
        World { near: door, far: door, holds: Holds::Cluster(Box::new(cluster)) }
    }

    /// A cluster where those near and those far are on different servers.
    #[track_caller]
    pub fn across_servers(flags: &[Flag]) -> World {
        let cluster = World::cluster(flags);
        let near = Address(cluster.servers[0].address());
        let far = Address(cluster.servers[1].address());
        World { near, far, holds: Holds::Cluster(Box::new(cluster)) }
    }

    #[track_caller]
    fn cluster(flags: &[Flag]) -> Cluster {
        let plan = Cluster::plan();
        flags.iter().fold(plan, |plan, (name, value)| plan.flag(name, value)).start()
    }

    /// Every server of this world.
    pub fn servers(&self) -> &[TestServer] {
        match &self.holds {
            Holds::Server(server) => std::slice::from_ref(server),
            Holds::Cluster(cluster) => &cluster.servers,
        }
    }

    /// Where the first people of a story come in.
    pub fn near(&self) -> Address {
        self.near
    }

    /// Where those come in who are elsewhere, if this world has an elsewhere.
    pub fn far(&self) -> Address {
        self.far
    }
}

/// Tells stories, functions that take a `&World`, in several worlds:
/// `everywhere` in all four; `alone` are those about one connection, which need
/// no elsewhere; `directly` those that nginx would change; `databases` those
/// about what is stored, once on each database; `once` those that come to the
/// same in every world. Flags for the servers of those worlds may stand behind:
/// `everywhere [FLAGS]: …`.
macro_rules! stories {
    ($worlds:ident: $($story:ident),+ $(,)?) => {
        stories!($worlds [&[]]: $($story),+);
    };
    (everywhere [$flags:expr]: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1, $flags), $($story)+);
        stories!(@world four_reactors, World::embedded(4, $flags), $($story)+);
        stories!(@world through_nginx, World::through_nginx($flags), $($story)+);
        stories!(@world across_servers, World::across_servers($flags), $($story)+);
    };
    (alone [$flags:expr]: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1, $flags), $($story)+);
        stories!(@world four_reactors, World::embedded(4, $flags), $($story)+);
        stories!(@world through_nginx, World::through_nginx($flags), $($story)+);
    };
    (directly [$flags:expr]: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1, $flags), $($story)+);
        stories!(@world four_reactors, World::embedded(4, $flags), $($story)+);
        stories!(@world across_servers, World::across_servers($flags), $($story)+);
    };
    (databases [$flags:expr]: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1, $flags), $($story)+);
        stories!(@world across_servers, World::across_servers($flags), $($story)+);
    };
    (once [$flags:expr]: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1, $flags), $($story)+);
    };
    (@world $name:ident, $world:expr, $($story:ident)+) => {
        mod $name {
            use super::*;
            $( #[test] fn $story() { super::$story(&$world); } )+
        }
    };
}
