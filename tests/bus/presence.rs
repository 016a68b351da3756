//! Who is where.

use cluster_chat::bus::Bus;
use cluster_chat::model::UserId;
use redis::Commands;

use crate::support::services::Service;
use crate::{Member, presence};

#[test]
fn an_announced_user_is_found_from_anywhere() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    a.announce(1, &presence("a", 11)).unwrap();
    b.announce(3, &presence("b", 33)).unwrap();
    let expected = vec![Some(presence("b", 33)), None, Some(presence("a", 11))];
    assert_eq!(a.locate(&[3, 2, 1]), Ok(expected.clone()));
    assert_eq!(b.locate(&[3, 2, 1]), Ok(expected));
    assert_eq!(a.locate(&[]), Ok(vec![]));
}

#[test]
fn locates_that_leave_together_get_their_own_answers() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    for user in 1..=20 {
        a.announce(user, &presence("a", i64::from(user))).unwrap();
    }
    let held = a.hold_publisher();
    let (tell, told) = std::sync::mpsc::channel();
    for user in 1..=20 {
        let tell = tell.clone();
        a.bus.locate(
            vec![UserId(100 + user), UserId(user)],
            Box::new(move |found| tell.send((user, found)).unwrap()),
        );
    }
    drop(held);
    for _ in 1..=20 {
        let (user, found) = told.recv_timeout(crate::PATIENCE).unwrap();
        assert_eq!(found, Ok(vec![None, Some(presence("a", i64::from(user)))]));
    }
}

#[test]
fn a_withdrawal_takes_back_only_its_own_announcement() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    a.announce(1, &presence("a", 11)).unwrap();
    b.announce(1, &presence("b", 12)).unwrap();

    // The old server lets go late; jobs of one server keep their order.
    a.bus.withdraw(UserId(1), presence("a", 11));
    assert_eq!(a.locate(&[1]), Ok(vec![Some(presence("b", 12))]));

    b.bus.withdraw(UserId(1), presence("b", 12));
    assert_eq!(b.locate(&[1]), Ok(vec![None]));
}

#[test]
fn announcing_and_withdrawing_in_one_turn_keeps_their_order() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let held = a.hold_publisher();
    for claim in 1..=3 {
        a.bus.announce(UserId(1), presence("a", claim), Box::new(|done| done.unwrap()));
        a.bus.withdraw(UserId(1), presence("a", claim));
    }
    a.bus.announce(UserId(1), presence("a", 4), Box::new(|done| done.unwrap()));
    drop(held);
    assert_eq!(a.locate(&[1]), Ok(vec![Some(presence("a", 4))]));
}

#[test]
fn nonsense_in_redis_is_nobody() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let mut meddler = redis.redis_client();
    let (): () = meddler.set("chat:user:1", "nonsense").unwrap();
    let (): () = meddler.lpush("chat:user:2", "a list").unwrap();
    a.announce(3, &presence("a", 1)).unwrap();
    assert_eq!(a.locate(&[1, 2, 3]), Ok(vec![None, None, Some(presence("a", 1))]));
    a.bus.withdraw(UserId(2), presence("a", 1));
    a.announce(4, &presence("a", 1)).unwrap();
    assert_eq!(a.sink.look(|seen| seen.downs()), 0);
}
