//! The books notice what is wrong: a check that passes everything would find
//! nothing in the scenarios either.

use std::time::Instant;

use crate::books::{Answer, Arrival, Books, End, Key, Target};

const ALICE: i64 = 1;
const BOB: i64 = 2;
const CAROL: i64 = 3;
const GROUP: i64 = 7;

/// Books in which alice has a connection, and bob.
struct Diary {
    books: Books,
    alices: usize,
    bobs: usize,
}

impl Diary {
    fn new() -> Diary {
        let books = Books::new("a test", 0);
        let address = ([127, 0, 0, 1], 1).into();
        let (alices, bobs) = (books.opened(ALICE, address), books.opened(BOB, address));
        books.pages().groups.insert(GROUP, vec![ALICE, BOB, CAROL]);
        Diary { books, alices, bobs }
    }

    fn sends(&self, mid: &str, target: Target) {
        self.books.sending(&key(mid), target, "text", self.alices);
    }

    fn is_answered(&self, mid: &str, answer: Answer) {
        self.books.answered(&key(mid), 0, self.alices, answer);
    }

    fn handles(&self, recipient: i64, mid: &str, target: Target, text: &str) {
        let arrival = Arrival { at: Instant::now(), line: self.bobs, recipient };
        self.books.arrived(&key(mid), target, text, arrival, true);
    }

    /// A message to bob as it should go.
    fn goes_well(&self, mid: &str) {
        self.sends(mid, TO_BOB);
        self.is_answered(mid, Answer::Delivered);
        self.handles(BOB, mid, TO_BOB, "text");
    }

    /// What the books find, each as one sentence.
    fn faults(&self) -> Vec<String> {
        self.books.faults().into_iter().map(|fault| fault.what).collect()
    }
}

const TO_BOB: Target = Target::User(BOB);

fn key(mid: &str) -> Key {
    Key { sender: ALICE, mid: mid.to_owned() }
}

#[test]
fn what_goes_well_passes() {
    let diary = Diary::new();
    diary.goes_well("a");
    diary.sends("b", Target::Group(GROUP));
    diary.handles(BOB, "b", Target::Group(GROUP), "text");
    diary.handles(CAROL, "b", Target::Group(GROUP), "text");
    diary.is_answered("b", Answer::Copies { delivered: 1, stored: 1 });
    diary.goes_well("c");
    assert!(diary.books.check().is_ok());
    assert!(diary.books.missing().is_empty());
}

#[test]
fn a_lost_message_is_noticed() {
    let diary = Diary::new();
    diary.sends("a", TO_BOB);
    diary.is_answered("a", Answer::Stored);
    assert_eq!(diary.faults(), ["done, but never handled by user 2"]);
    assert_eq!(diary.books.missing().len(), 1);
    let story = diary.books.check().unwrap_err();
    assert!(story.contains("answered on line 0: Stored"), "{story}");
}

#[test]
fn only_who_does_not_confirm_may_lose_something_and_only_with_a_connection() {
    let diary = Diary::new();
    diary.sends("a", TO_BOB);
    diary.is_answered("a", Answer::Delivered);
    diary.books.ended(diary.bobs, End::Server("gone".into()));
    assert_eq!(diary.faults().len(), 1);
    diary.books.pages().plain.insert(BOB);
    assert!(diary.faults().is_empty());
    diary.sends("b", TO_BOB);
    diary.is_answered("b", Answer::Delivered);
    assert_eq!(diary.faults().len(), 1, "no connection has ended since");
}

#[test]
fn a_message_without_an_answer_is_noticed() {
    let diary = Diary::new();
    diary.sends("a", TO_BOB);
    diary.is_answered("a", Answer::Refused(13));
    assert_eq!(diary.faults(), ["never answered with errno 0"]);
}

#[test]
fn what_is_handled_twice_is_noticed() {
    let diary = Diary::new();
    diary.goes_well("a");
    diary.handles(BOB, "a", TO_BOB, "text");
    assert_eq!(diary.faults(), ["handled 2 times by user 2"]);
}

#[test]
fn another_order_is_noticed_unless_one_was_repeated() {
    let diary = Diary::new();
    diary.sends("a", TO_BOB);
    diary.goes_well("b");
    diary.is_answered("a", Answer::Delivered);
    diary.handles(BOB, "a", TO_BOB, "text");
    assert_eq!(diary.faults().len(), 2);
    diary.sends("a", TO_BOB);
    assert!(diary.faults().is_empty());
}

#[test]
fn order_can_be_asked_for_on_each_connection_only() {
    let mut diary = Diary::new();
    diary.sends("a", TO_BOB);
    let first = diary.alices;
    diary.alices = diary.books.opened(ALICE, ([127, 0, 0, 1], 1).into());
    diary.goes_well("b");
    diary.is_answered("a", Answer::Delivered);
    diary.handles(BOB, "a", TO_BOB, "text");
    assert_eq!(diary.faults().len(), 2);
    diary.books.pages().order_within_lines = true;
    assert!(diary.faults().is_empty());
    diary.alices = first;
    diary.sends("c", TO_BOB);
    diary.goes_well("d");
    diary.is_answered("c", Answer::Delivered);
    diary.handles(BOB, "c", TO_BOB, "text");
    assert_eq!(diary.faults().len(), 2, "c and d went by one connection");
}

#[test]
fn what_nobody_sent_or_somebody_changed_is_noticed() {
    let diary = Diary::new();
    diary.handles(BOB, "a", TO_BOB, "boo");
    assert_eq!(diary.faults(), ["user 2 got what nobody sent: \"boo\""]);
    diary.sends("b", TO_BOB);
    diary.is_answered("b", Answer::Delivered);
    diary.handles(BOB, "b", TO_BOB, "tex");
    assert_eq!(diary.faults()[1..], ["user 2 got another text: \"tex\""]);
    diary.goes_well("c");
    diary.handles(CAROL, "c", TO_BOB, "text");
    assert_eq!(diary.faults()[2..], ["handled by user 3, whom it is not for"]);
}

#[test]
fn copies_of_a_group_message_that_do_not_add_up_are_noticed() {
    let diary = Diary::new();
    let group = Target::Group(GROUP);
    diary.sends("a", group);
    diary.handles(BOB, "a", group, "text");
    diary.handles(CAROL, "a", group, "text");
    diary.is_answered("a", Answer::Copies { delivered: 1, stored: 0 });
    assert_eq!(diary.faults(), ["1 delivered and 0 stored, but 2 others"]);
}
