//! Where a story takes place. A story that makes sense everywhere is written
//! once, with a near and a far door, and told in four worlds.

use super::cluster::Cluster;
use super::door::{Address, Door};
use super::server::{ServerPlan, TestServer};

/// One server, or a cluster with two ways in.
pub struct World {
    near: Address,
    far: Address,
    holds: Holds,
}

/// What lives as long as the world.
enum Holds {
    Server(TestServer),
    Cluster(Box<Cluster>),
}

impl World {
    /// One server with its embedded database and this many reactors.
    #[track_caller]
    pub fn embedded(reactors: u32) -> World {
        let server = ServerPlan::new().flag("--reactors", reactors).start();
        let door = Address(server.address());
        World { near: door, far: door, holds: Holds::Server(server) }
    }

    /// A cluster where everybody comes through nginx, wherever that leads.
    #[track_caller]
    pub fn through_nginx() -> World {
        let cluster = Cluster::start();
        let door = cluster.nginx();
        World { near: door, far: door, holds: Holds::Cluster(Box::new(cluster)) }
    }

    /// A cluster where those near and those far are on different servers.
    #[track_caller]
    pub fn across_servers() -> World {
        let cluster = Cluster::start();
        let near = Address(cluster.servers[0].address());
        let far = Address(cluster.servers[1].address());
        World { near, far, holds: Holds::Cluster(Box::new(cluster)) }
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
/// no elsewhere; `directly` those that nginx would change.
macro_rules! stories {
    (everywhere: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1), $($story)+);
        stories!(@world four_reactors, World::embedded(4), $($story)+);
        stories!(@world through_nginx, World::through_nginx(), $($story)+);
        stories!(@world across_servers, World::across_servers(), $($story)+);
    };
    (alone: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1), $($story)+);
        stories!(@world four_reactors, World::embedded(4), $($story)+);
        stories!(@world through_nginx, World::through_nginx(), $($story)+);
    };
    (directly: $($story:ident),+ $(,)?) => {
        stories!(@world one_reactor, World::embedded(1), $($story)+);
        stories!(@world four_reactors, World::embedded(4), $($story)+);
        stories!(@world across_servers, World::across_servers(), $($story)+);
    };
    (@world $name:ident, $world:expr, $($story:ident)+) => {
        mod $name {
            use crate::support::world::World;
            $( #[test] fn $story() { super::$story(&$world); } )+
        }
    };
}
