use super::*;
use crate::model::UserId;

const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const OWNER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
const ALICE: Account<'static> = Account::Id(UserId(1));
const SECOND: Duration = Duration::from_secs(1);

fn throttle() -> Throttle {
    Throttle::new(TryLimits { login_failures: 3, address_login_failures: 20, registrations: 4 })
}

#[test]
fn wrong_passwords_cost_longer_and_longer_pauses() {
    let (throttle, mut now) = (throttle(), Instant::now());
    for _ in 0..3 {
        assert_eq!(throttle.may_log_in(STRANGER, &ALICE, now), Ok(()));
        throttle.login_failed(STRANGER, &ALICE, now);
    }
    for pause in [1, 2, 4, 8] {
        assert_eq!(throttle.may_log_in(STRANGER, &ALICE, now), Err(pause * SECOND));
        now += pause * SECOND;
        assert_eq!(throttle.may_log_in(STRANGER, &ALICE, now), Ok(()));
        throttle.login_failed(STRANGER, &ALICE, now);
    }
}

#[test]
fn a_stranger_locks_nobody_out_at_another_address() {
    let (throttle, now) = (throttle(), Instant::now());
    for _ in 0..1000 {
        throttle.login_failed(STRANGER, &ALICE, now);
    }
    assert!(throttle.may_log_in(STRANGER, &ALICE, now).is_err());
    assert_eq!(throttle.may_log_in(OWNER, &ALICE, now), Ok(()));
}

#[test]
fn many_accounts_from_one_address_are_one_stranger() {
    let (throttle, now) = (throttle(), Instant::now());
    for user in 1..=20 {
        let account = Account::Id(UserId(user));
        assert_eq!(throttle.may_log_in(STRANGER, &account, now), Ok(()));
        throttle.login_failed(STRANGER, &account, now);
    }
    let next = Account::Id(UserId(21));
    assert_eq!(throttle.may_log_in(STRANGER, &next, now), Err(FORGIVE_EVERY));
    assert_eq!(throttle.may_log_in(STRANGER, &next, now + FORGIVE_EVERY), Ok(()));
}

#[test]
fn the_right_password_wipes_the_slate_of_its_account() {
    let (throttle, now) = (throttle(), Instant::now());
    for _ in 0..3 {
        throttle.login_failed(OWNER, &ALICE, now);
    }
    throttle.logged_in(OWNER, &ALICE);
    assert_eq!(throttle.may_log_in(OWNER, &ALICE, now), Ok(()));
}

#[test]
fn the_longest_pause_is_five_minutes_and_all_is_forgotten_after_fifteen() {
    let (throttle, now) = (throttle(), Instant::now());
    let throttle =
        Throttle { limits: TryLimits { address_login_failures: 0, ..throttle.limits }, ..throttle };
    for _ in 0..30 {
        throttle.login_failed(STRANGER, &ALICE, now);
    }
    assert_eq!(throttle.may_log_in(STRANGER, &ALICE, now), Err(LONGEST_PAUSE));
    let later = now + FORGET_AFTER;
    throttle.login_failed(STRANGER, &ALICE, later);
    assert_eq!(throttle.may_log_in(STRANGER, &ALICE, later), Ok(()));
}

#[test]
fn registrations_come_back_within_the_hour() {
    let (throttle, now) = (throttle(), Instant::now());
    for _ in 0..4 {
        assert_eq!(throttle.may_register(STRANGER, now), Ok(()));
        throttle.registered(STRANGER, now);
    }
    assert_eq!(throttle.may_register(STRANGER, now), Err(900 * SECOND));
    assert_eq!(throttle.may_register(OWNER, now), Ok(()));
    assert_eq!(throttle.may_register(STRANGER, now + 900 * SECOND), Ok(()));
}

#[test]
fn a_site_with_ipv6_is_one_source_and_mapped_addresses_are_ipv4() {
    let of = |text: &str| Source::of(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:198.51.100.7"), of("198.51.100.7"));
}

#[test]
fn a_limit_of_nothing_is_none() {
    let (throttle, now) = (Throttle::new(TryLimits::default()), Instant::now());
    for _ in 0..1000 {
        throttle.login_failed(STRANGER, &ALICE, now);
        throttle.registered(STRANGER, now);
    }
    assert_eq!(throttle.may_log_in(STRANGER, &ALICE, now), Ok(()));
    assert_eq!(throttle.may_register(STRANGER, now), Ok(()));
}
