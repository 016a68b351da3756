//! What every store promises, whichever database is behind it. Each case gets
//! an empty store; `for_each_case!` lists them, and the compiler complains of
//! one that is not listed.

pub mod accounts;
pub mod claims;
pub mod friends;
pub mod groups;
pub mod imports;
pub mod limits;
pub mod offline;
pub mod offline_bounds;
pub mod servers;
pub mod tokens;

use std::sync::Barrier;

use cluster_chat::model::{
    Claim, ClaimOutcome, HeldClaim, Limit, Limits, Pushed, ServerRow, Store, TokenHash, UserId,
    UserState,
};

/// Calls `$make!` with every part and its cases.
macro_rules! for_each_case {
    ($make:ident) => {
        $make! {
            accounts with_store: [
                a_new_user_is_found_by_number_and_by_name,
                a_taken_name_is_refused,
                names_that_only_look_alike_are_different,
                texts_come_back_exactly,
                an_unknown_user_is_nobody,
                a_name_longer_than_its_column_is_refused_not_cut,
                one_name_asked_for_by_many_at_once_goes_to_one,
            ]
            claims with_store: [
                the_first_login_takes_the_claim_and_shows_online,
                a_second_login_is_told_who_holds_the_claim,
                a_claim_asked_for_again_still_stands,
                a_takeover_replaces_exactly_the_claim_it_names,
                a_takeover_of_a_claim_that_has_gone_takes_the_user,
                an_unknown_user_cannot_be_claimed,
                only_the_very_claim_releases,
                a_released_user_can_be_claimed_again,
                a_server_sees_its_own_claims_of_this_life,
                of_eight_logins_at_once_exactly_one_wins,
                of_eight_takeovers_at_once_exactly_one_wins,
            ]
            servers with_store: [
                a_start_frees_what_the_id_left_behind_and_nothing_else,
                a_new_start_replaces_the_former_life,
                a_beat_raises_only_its_own_row,
                a_server_with_an_unchanged_beat_is_declared_dead,
                a_server_whose_beat_has_moved_is_not_declared_dead,
                of_two_observers_one_declares_the_death,
                a_stop_takes_out_the_row_and_its_claims,
                a_stop_after_a_new_start_leaves_the_new_life_alone,
                a_dead_server_is_forgotten,
                a_server_that_has_changed_since_it_was_seen_is_not_forgotten,
                a_server_that_a_claim_names_is_not_forgotten,
                of_two_observers_one_forgets_the_server,
                server_ids_are_compared_exactly,
            ]
            tokens with_back_door: [
                a_token_is_good_for_its_user_and_for_nobody_else,
                tokens_go_by_all_their_bits,
                a_token_expires_a_week_after_its_making,
                a_password_login_leaves_the_newest_three_others,
                a_token_login_leaves_the_token_it_came_with_and_the_newest_three_others,
                a_token_login_renews_the_token_it_came_with,
                a_login_may_be_repeated,
                a_login_repeated_late_does_not_end_a_newer_one,
                a_token_of_nobody_or_of_two_is_refused,
                the_first_word_after_a_login_ends_what_was_before_it,
                a_log_out_ends_a_token_and_what_was_before_it,
                a_token_that_is_not_there_ends_nothing,
                being_online_is_use,
                what_has_expired_is_not_brought_back,
                tokens_that_have_expired_are_removed_ten_thousand_at_a_time,
                many_log_in_at_once_while_tokens_are_refreshed,
                of_one_users_logins_at_once_no_more_stay_than_should,
            ]
            friends with_store: [
                a_friendship_has_two_sides,
                friends_come_ordered_with_their_state,
                a_second_friendship_of_the_same_two_is_refused,
                strangers_and_nobodies_are_told_apart,
                nobody_is_ones_own_friend,
                two_who_befriend_each_other_at_once_become_friends_once,
                making_and_ending_crosswise_leaves_both_sides_alike,
            ]
            groups with_store: [
                a_new_group_has_its_creator_in_it,
                a_taken_group_name_is_refused,
                who_joins_gets_the_whole_group,
                joining_twice_or_nowhere_is_refused,
                a_member_leaves_and_the_group_stays,
                the_creator_dissolves_the_group,
                leaving_what_one_is_not_in_is_refused,
                all_groups_come_with_all_members_in_order,
                nobody_is_left_in_a_group_dissolved_while_others_join,
            ]
            imports with_store: [
                imported_rows_keep_their_numbers_and_new_ones_come_after_them,
                an_imported_name_or_number_that_is_taken_takes_the_whole_import_with_it,
                imported_friendships_members_and_messages_that_are_there_stand,
                many_rows_are_imported_whatever_the_limits,
                names_come_by_number_a_part_at_a_time,
                nothing_to_import_is_imported,
            ]
            limits with_store: [
                nobody_has_more_friends_than_allowed,
                nobody_is_in_more_groups_than_allowed,
                no_group_has_more_members_than_allowed,
                limits_hold_for_friends_made_at_the_same_time,
                limits_hold_for_members_who_join_at_the_same_time,
                limits_hold_for_one_user_in_many_places_at_the_same_time,
            ]
            offline_bounds with_back_door: [
                what_waits_is_counted_up_to_a_bound,
                what_waits_is_measured_in_bytes_of_text,
                it_is_known_which_messages_wait,
                what_waited_too_long_is_dropped,
                ten_thousand_that_waited_too_long_are_dropped_at_a_time,
                a_page_goes_on_behind_what_was_pushed_and_is_dropped,
            ]
            offline with_store: [
                messages_come_oldest_first_and_exactly,
                whoever_keeps_the_same_messages_at_the_same_time_loses_none,
                the_first_of_two_with_one_mid_stands,
                a_mid_is_the_senders_own_and_the_recipients_own,
                any_bytes_make_a_mid_and_all_of_them_count,
                rows_are_deleted_by_number,
                many_rows_are_deleted_at_once,
                a_message_is_deleted_by_what_identifies_it,
                operations_take_effect_in_order,
                a_page_holds_no_more_than_asked_for,
                large_and_many_messages_are_taken,
                a_page_says_whether_it_was_the_last,
                what_was_pushed_is_passed_over_and_the_page_goes_on_behind_it,
                what_was_pushed_counts_neither_as_rows_nor_as_bytes,
                a_page_says_whether_anything_is_left_beyond_what_was_pushed,
                a_message_pushed_to_one_is_not_passed_over_for_another,
                a_page_steps_over_hundreds_of_pushed_rows,
                a_refused_message_takes_its_whole_batch_with_it,
                nothing_to_do_is_done,
                users_for_whom_messages_wait_are_told_to_their_server,
                writers_that_store_the_same_messages_store_each_once,
            ]
        }
    };
}
pub(crate) use for_each_case;

/// A store's database by another way than the store, as a person's tool.
pub trait BackDoor: Sync {
    /// Executes a statement that both databases understand.
    fn run(&self, sql: &str);
    /// What a query for one number says.
    fn number(&self, sql: &str) -> i64;
}

/// Any number of everything.
pub const NO_LIMITS: Limits = Limits { friends: Limit(0), groups: Limit(0), members: Limit(0) };

/// A registered user.
pub fn user(store: &dyn Store, name: &str) -> UserId {
    store.create_user(name, "$argon2id$not-a-real-one").unwrap()
}

pub fn claim(server: &str, epoch: i64, number: i64) -> Claim {
    Claim { server: server.into(), epoch, number }
}

/// Logs a user in.
pub fn take(store: &dyn Store, user: UserId, claim: &Claim) {
    assert_eq!(store.take_claim(user, claim, None).unwrap(), ClaimOutcome::Taken);
}

pub fn state(store: &dyn Store, user: UserId) -> UserState {
    store.user(user).unwrap().unwrap().state
}

/// Asserts that a store still has what `version_1/*.sql` put into its database,
/// and that what came later can be used.
pub fn expect_version_1_rows(store: &dyn Store) {
    let [alice, bob] = [UserId(1), UserId(2)];
    let found = store.credentials_by_name("alice").unwrap().unwrap();
    assert_eq!((found.id, &*found.password_hash), (alice, "$argon2id$1"));
    let held = store.claims_of("one:6000", 5).unwrap();
    assert_eq!(held, [HeldClaim { user: alice, number: 7 }]);
    assert_eq!(store.friends(alice).unwrap()[0].id, bob);
    let groups = store.groups_of(bob).unwrap();
    assert_eq!((&*groups[0].groupname, groups[0].users.len()), ("rust", 2));
    let page = store.offline_page(bob, &Pushed::default(), 10, 1000).unwrap();
    assert_eq!((&*page.rows[0].message, &*page.rows[0].mid), ("hello", &b"m"[..]));
    let server = ServerRow { id: "one:6000".into(), epoch: 5, beat: 3 };
    assert_eq!(store.servers().unwrap(), [server]);

    let token = TokenHash([1; 32]);
    store.add_token(bob, &token, None).unwrap();
    assert_eq!(store.token_user(bob, &token).unwrap().as_deref(), Some("bob"));
    store.drop_tokens_until(bob, &token).unwrap();
}

/// Runs `work` with 0, 1, … in as many threads, all let loose at one moment,
/// and returns what each came to.
pub fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|index| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(index)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Asserts that a result is this error.
macro_rules! assert_refused {
    ($result:expr, $error:pat) => {{
        let result = $result;
        assert!(matches!(result, Err($error)), "got {result:?}");
    }};
}
pub(crate) use assert_refused;
