//! Getting to Redis for the first time, and being told why not.

use std::time::{Duration, Instant};

use cluster_chat::bus::Bus;
use cluster_chat::bus::redis::{RedisBus, RedisError, RedisOptions};

use crate::Member;
use crate::support::services::{Service, free_port};

fn refused(options: RedisOptions) -> RedisError {
    match RedisBus::connect(options) {
        Ok(_) => panic!("it connected"),
        Err(err) => err,
    }
}

#[test]
fn a_second_server_of_the_same_id_is_turned_away() {
    let redis = Service::redis();
    let first = Member::join(&redis, "127.0.0.1:6000");
    let began = Instant::now();
    let err = refused(RedisOptions::new(redis.redis_url(), "127.0.0.1:6000"));
    assert!(began.elapsed() >= Duration::from_secs(1), "it did not look a second time");
    assert!(matches!(&err, RedisError::IdInUse { id, .. } if &**id == "127.0.0.1:6000"), "{err:?}");
    assert!(!err.is_retryable());

    first.bus.shutdown();
    drop(Member::join(&redis, "127.0.0.1:6000"));
}

#[test]
fn a_redis_that_is_not_there_may_be_tried_again() {
    let port = free_port();
    let err = refused(RedisOptions::new(format!("redis://:s3cret@127.0.0.1:{port}"), "a"));
    assert!(err.is_retryable(), "{err:?}");
    let text = err.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn a_redis_that_hangs_is_given_up_in_time() {
    let redis = Service::redis();
    redis.freeze();
    let began = Instant::now();
    let err = refused(RedisOptions::new(redis.redis_url(), "a"));
    assert!(err.is_retryable(), "{err:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
}

#[test]
fn a_wrong_password_is_told_apart_and_never_shown() {
    let redis = Service::redis();
    let set = ["SET", "requirepass", "right"];
    redis::cmd("CONFIG").arg(&set).exec(&mut redis.redis_client()).unwrap();
    let port = redis.port();
    for url in [
        format!("redis://:s3cret@127.0.0.1:{port}"),
        format!("redis://nobody:s3cret@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}/3"),
        format!("redis://:right@127.0.0.1:{port}/99"),
    ] {
        let options = RedisOptions::new(&url, "a");
        assert!(!format!("{options:?}").contains("s3cret"));
        let err = refused(options);
        assert!(matches!(err, RedisError::Refused { .. }), "{url}: {err:?}");
        assert!(!err.is_retryable());
        let text = format!("{err} {err:?}");
        assert!(!text.contains("s3cret") && !text.contains("right@"), "{text}");
    }
    let member =
        Member::join_with(RedisOptions::new(format!("redis://:right@127.0.0.1:{port}"), "a"));
    assert!(member.bus.has_peers());
}

#[test]
fn a_url_that_makes_no_sense_is_refused_at_once() {
    for url in ["localhost:6379", "http://localhost", "rediss://:s3cret@localhost", "redis://h/x"] {
        let err = refused(RedisOptions::new(url, "a"));
        assert!(matches!(err, RedisError::BadUrl { .. }), "{url}: {err:?}");
        assert!(!err.is_retryable());
        assert!(!err.to_string().contains("s3cret"), "{err}");
    }
}
