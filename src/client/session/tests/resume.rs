//! Staying logged in by token, and two clients that want one account.

use super::*;

/// Ann, logged in with this token.
fn with_token(token: &str) -> Story {
    let mut story = Story::begin();
    story.log_in();
    let login = story.take_sent().remove(0);
    grant(&mut story, &login, token);
    story.forget();
    story
}

fn grant(story: &mut Story, login: &Value, token: &str) {
    let mut ack = login_ack(&[]);
    ack["token"] = json!(token);
    story.reply(login, 2, ack);
}

/// Connects again; what the client logs in with.
fn come_back(story: &mut Story) -> Value {
    story.connect();
    let login = story.take_sent().remove(0);
    assert_eq!(
        (&login["msgid"], &login["id"], &login["ack"]),
        (&json!(1), &json!(1), &json!(true))
    );
    login
}

fn refuse(story: &mut Story, login: &Value, errno: i64) {
    story.reply(login, 2, json!({"errno": errno, "errmsg": "no"}));
}

#[test]
fn after_a_drop_the_token_resumes_and_each_login_has_a_new_one() {
    let mut story = with_token("first");
    for (token, next) in [("first", "second"), ("second", "third")] {
        story.drop_connection();
        let login = come_back(&mut story);
        assert_eq!((&login["token"], login.get("password")), (&json!(token), None));
        grant(&mut story, &login, next);
        assert!(story.core.is_live());
    }
}

#[test]
fn a_refused_token_is_followed_by_the_password_which_takes_the_own_session_over() {
    let mut story = with_token("old");
    story.drop_connection();
    let login = come_back(&mut story);
    refuse(&mut story, &login, 1);
    let login = story.take_sent().remove(0);
    assert_eq!((&login["password"], login.get("token")), (&json!("pw"), None));
    assert_eq!(login["takeover"], true);
    grant(&mut story, &login, "new");
    story.drop_connection();
    assert_eq!(come_back(&mut story)["token"], "new");
}

#[test]
fn without_a_token_the_password_takes_the_own_session_over() {
    let mut story = Story::logged_in();
    story.drop_connection();
    let login = come_back(&mut story);
    assert_eq!((&login["password"], &login["takeover"]), (&json!("pw"), &json!(true)));
}

#[test]
fn where_the_answer_to_a_resume_is_lost_the_former_token_is_used_again() {
    let mut story = with_token("former");
    for _ in 0..3 {
        story.drop_connection();
        assert_eq!(come_back(&mut story)["token"], "former");
    }
    // Nor does an answer that never comes change that.
    story.pass(SECOND * 30);
    assert_eq!(story.hung_up.take().as_deref(), Some("the server does not answer"));
    story.drop_connection();
    assert_eq!(come_back(&mut story)["token"], "former");
}

#[test]
fn a_resume_that_is_refused_for_the_moment_is_tried_again_with_the_token_ever_more_slowly() {
    for errno in [2, 12, 13] {
        let mut story = with_token("t");
        story.drop_connection();
        story.forget();
        let mut login = come_back(&mut story);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            refuse(&mut story, &login, errno);
            let due = story.core.next_time().unwrap();
            pauses.push((due - story.now).as_millis());
            story.pass(due - story.now);
            login = story.take_sent().remove(0);
            assert_eq!(login["token"], "t", "{errno}");
        }
        assert!(pauses.is_sorted() && pauses[0] >= 250 && pauses[7] >= 2_500, "{pauses:?}");
        assert_eq!(story.take_lines().len(), 1, "it is told once");
        grant(&mut story, &login, "u");
        assert!(story.core.is_live());
        assert_eq!(story.take_lines(), ["Connected again, logged in as 1 (ann)."]);
    }
}

#[test]
fn a_busy_server_or_a_database_that_is_away_for_long_does_not_end_the_session() {
    for errno in [12, 13] {
        let mut story = with_token("t");
        story.drop_connection();
        story.type_line("chat:2:kept");
        let mut login = come_back(&mut story);
        for _ in 0..200 {
            refuse(&mut story, &login, errno);
            story.pass(SECOND * 5);
            login = story.take_sent().remove(0);
        }
        grant(&mut story, &login, "u");
        assert_eq!(story.take_sent()[0]["msg"], "kept");
    }
}

#[test]
fn an_account_that_is_online_elsewhere_is_asked_about_and_then_taken_over() {
    let mut story = Story::begin();
    story.log_in();
    let login = story.take_sent().remove(0);
    assert_eq!(login["takeover"], false);
    story.reply(&login, 2, json!({"errno": 2, "errmsg": "online elsewhere"}));
    assert_eq!(story.answers, [Answer::OnlineElsewhere("online elsewhere.".into())]);
    assert!(!story.core.wants_connection());
    let (who, password) = (Who::Id(1), Secret("pw".into()));
    story.ask(Ask::LogIn { who, password, takeover: true });
    let login = story.take_sent().remove(0);
    assert_eq!(login["takeover"], true);
    // A server that cannot do it leaves it at that.
    story.reply(&login, 2, json!({"errno": 2, "errmsg": "online elsewhere"}));
    assert_eq!(story.answers[1], Answer::Refused("online elsewhere.".into()));
}

/// Sessions that the server closes right after their login, until the client
/// asks whether the account is free; how many, and its question.
fn taken_over_until_it_asks(story: &mut Story) -> (u32, Value) {
    for count in 1..20 {
        story.pass(SECOND);
        story.close_connection();
        let login = come_back(story);
        if login["takeover"] == false {
            assert_eq!(login["password"], "pw");
            return (count, login);
        }
        assert!(login.get("token").is_some());
        grant(story, &login, "t");
        story.take_sent();
    }
    panic!("it never asks");
}

/// As the network thread does.
fn hang_up(story: &mut Story) {
    assert!(story.hung_up.take().is_some());
    story.drop_connection();
}

#[test]
fn two_clients_of_one_account_do_not_steal_it_from_each_other_for_ever() {
    let mut story = with_token("t");
    let (sessions, mut login) = taken_over_until_it_asks(&mut story);
    assert_eq!(sessions, 4);
    story.forget();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        refuse(&mut story, &login, 2);
        hang_up(&mut story);
        let pause = story.core.not_before().unwrap() - story.now;
        pauses.push(pause.as_secs());
        story.now += pause;
        login = come_back(&mut story);
        assert_eq!(login["takeover"], false);
    }
    assert!(pauses.is_sorted() && pauses[5] >= 30, "{pauses:?}");
    let lines = story.take_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("This account is in use elsewhere now."), "{lines:?}");
    // It is free again.
    grant(&mut story, &login, "u");
    assert_eq!(story.take_lines(), ["Connected again, logged in as 1 (ann)."]);
    story.drop_connection();
    assert_eq!(come_back(&mut story)["token"], "u");
}

#[test]
fn whoever_writes_something_gets_the_account_back_soon() {
    let mut story = with_token("t");
    let (_, mut login) = taken_over_until_it_asks(&mut story);
    for _ in 0..3 {
        refuse(&mut story, &login, 2);
        hang_up(&mut story);
        story.now = story.core.not_before().unwrap();
        login = come_back(&mut story);
    }
    refuse(&mut story, &login, 2);
    hang_up(&mut story);
    assert!(story.core.not_before().unwrap() - story.now > SECOND * 5);
    story.type_line("chat:2:I am here");
    assert!(story.core.not_before().unwrap() - story.now <= SECOND * 3);
    let login = come_back(&mut story);
    assert_eq!(login["token"], "t");
    grant(&mut story, &login, "t");
    assert_eq!(story.take_sent()[0]["msg"], "I am here");
    // Who takes it away again is asked first.
    story.close_connection();
    assert_eq!(come_back(&mut story)["takeover"], false);
}

#[test]
fn servers_that_die_one_after_the_other_are_not_taken_for_a_rival() {
    let mut story = with_token("t");
    for _ in 0..5 {
        let (sessions, login) = taken_over_until_it_asks(&mut story);
        assert_eq!(sessions, 4);
        grant(&mut story, &login, "t");
        assert!(story.core.is_live());
        assert_eq!(story.core.not_before(), None);
    }
    assert!(!story.lines.iter().any(|line| line.contains("in use elsewhere")));
}

#[test]
fn whose_person_asked_for_the_takeover_holds_out_longer() {
    let mut story = Story::begin();
    let (who, password) = (Who::Id(1), Secret("pw".into()));
    story.ask(Ask::LogIn { who, password, takeover: true });
    let login = story.take_sent().remove(0);
    grant(&mut story, &login, "t");
    assert_eq!(taken_over_until_it_asks(&mut story).0, 7);
}

#[test]
fn a_network_that_fails_again_and_again_is_not_taken_for_another_client() {
    let mut story = with_token("t");
    for _ in 0..20 {
        story.drop_connection();
        let login = come_back(&mut story);
        assert_eq!(login["token"], "t");
        grant(&mut story, &login, "t");
    }
}

#[test]
fn who_leaves_while_the_account_is_in_use_elsewhere_does_not_wait() {
    let mut story = with_token("t");
    let (_, login) = taken_over_until_it_asks(&mut story);
    refuse(&mut story, &login, 2);
    hang_up(&mut story);
    story.ask(Ask::LogOut { patience: SECOND * 10 });
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 0 }]);
    assert_eq!(story.core.not_before(), None);
}

#[test]
fn a_server_too_busy_for_a_first_login_or_registration_is_asked_again_for_a_while() {
    for msgid in [1, 4] {
        for granted in [true, false] {
            let mut story = Story::begin();
            if msgid == 1 {
                story.log_in();
            } else {
                let (name, password) = ("ann".into(), Secret("pw".into()));
                story.ask(Ask::Register { name, password });
            }
            let begun = story.now;
            let mut request = story.take_sent().remove(0);
            while story.answers.is_empty()
                && story.now - begun < SECOND * (if granted { 3 } else { 60 })
            {
                story.reply(&request, msgid + 1, json!({"errno": 12, "errmsg": "busy"}));
                if let Some(due) = story.core.next_time() {
                    story.pass(due - story.now);
                    request = story.take_sent().remove(0);
                    assert_eq!(request["msgid"], msgid);
                }
            }
            if granted {
                story.reply(&request, msgid + 1, login_ack(&[]));
            }
            let expected = match (granted, msgid) {
                (false, _) => Answer::Refused("busy.".into()),
                (true, 1) => Answer::LoggedIn,
                (true, _) => Answer::Registered(1),
            };
            assert_eq!(story.answers, [expected]);
            assert!(story.now - begun <= SECOND * 10);
        }
    }
}

#[test]
fn what_was_in_vain_is_counted_even_where_the_session_ended_by_itself() {
    let mut story = with_token("t");
    story.drop_connection();
    story.type_line("chat:2:lost");
    let login = come_back(&mut story);
    refuse(&mut story, &login, 1);
    let login = story.take_sent().remove(0);
    refuse(&mut story, &login, 1);
    assert!(!story.core.is_logged_in());
    story.ask(Ask::LogOut { patience: SECOND });
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 1 }]);
}
