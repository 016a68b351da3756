//! nginx is reloaded under load: connections stay where they are.

use std::time::Instant;

use crate::crowd::Crowd;
use crate::role::Role;
use crate::support::cluster::Cluster;
use crate::support::door::Door;

#[test]
fn nginx_is_reloaded_under_load() {
    let cluster = Cluster::start();
    let nginx = [cluster.nginx().address()];
    let crowd = Crowd::gather("nginx reloaded", &cluster.database, vec![Role::at(&nginx); 10]);
    let begun = Instant::now();
    crowd.talk();
    for _ in 0..3 {
        crowd.more_done(40);
        crowd.books.note("nginx is reloaded");
        cluster.reload_nginx();
    }
    crowd.more_done(40);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}
