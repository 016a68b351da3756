//! One fault after the other, chosen by chance: what nobody thought of.

use std::time::Instant;

use crate::crowd::Crowd;
use crate::rng::Rng;
use crate::servers::everywhere;
use crate::support::cluster::Cluster;
use crate::support::process::Signal;

const FAULTS: usize = 8;

#[test]
fn one_fault_after_the_other_by_chance() {
    let mut cluster = Cluster::plan().own_mariadb().cables().start();
    let crowd = Crowd::gather("chaos", &cluster.database, everywhere(&cluster));
    crowd.books.pages().order_within_lines = true;
    let mut rng = Rng::new(crowd.books.seed, u64::MAX);
    crowd.talk();
    crowd.more_done(60);
    for _ in 0..FAULTS {
        strike(&mut cluster, &crowd, &mut rng);
        // Now and then the next one strikes before all are back.
        if rng.percent(60) {
            crowd.all_are_here();
            crowd.more_done(40);
        }
    }
    crowd.finish();
}

/// One fault, for a while.
fn strike(cluster: &mut Cluster, crowd: &Crowd, rng: &mut Rng) {
    let server = rng.below(2);
    // Under way when it is over, or hardly begun.
    let meanwhile = rng.below(50);
    let note = |what: String| crowd.books.note(&what);
    match rng.below(9) {
        0 => {
            note(format!("server {server} is killed"));
            cluster.servers[server].kill9();
            crowd.more_done(meanwhile);
            cluster.servers[server].restart();
        }
        1 => {
            note(format!("server {server} is asked to stop"));
            assert_eq!(cluster.servers[server].stop(), Some(0));
            crowd.more_done(meanwhile);
            cluster.servers[server].restart();
        }
        2 => {
            note(format!("server {server} is frozen"));
            cluster.servers[server].signal(Signal::Stop);
            crowd.more_done(meanwhile);
            cluster.servers[server].signal(Signal::Cont);
        }
        3 => {
            note("Redis is killed".into());
            cluster.redis.kill();
            crowd.more_done(meanwhile);
            cluster.redis.restart();
        }
        4 => {
            note("Redis is frozen".into());
            cluster.redis.freeze();
            crowd.more_done(meanwhile);
            cluster.redis.thaw();
        }
        5 => {
            note("MariaDB is killed".into());
            cluster.mariadb().kill();
            cluster.mariadb().restart();
        }
        6 => {
            note("the first server's cable to Redis is cut".into());
            cluster.cables().redis.cut();
            crowd.more_done(meanwhile);
            cluster.cables().redis.mend();
        }
        7 => {
            note("the first server's cable to MariaDB is cut".into());
            cluster.cables().mariadb.cut();
            // Refusals count: where everybody is behind nothing else is left.
            let what = "everything is answered, were it with errno 13";
            crowd.answers_since(Instant::now(), meanwhile, what, |_| true);
            cluster.cables().mariadb.mend();
        }
        _ => {
            note("FLUSHALL".into());
            redis::cmd("FLUSHALL").exec(&mut cluster.redis.redis_client()).unwrap();
        }
    }
    note("it is over".into());
}
