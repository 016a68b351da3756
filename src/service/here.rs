//! What a reactor's thread tells its own reactor: kept on the thread until the
//! handler takes it, without a way through the mailbox. Most people who write
//! to each other are on one reactor, or most of a group are.
//!
//! Thread: each has its own.
//! Invariant: what is told here is taken before the reactor's turn is over; what
//! a turn's last flush tells, in the next one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use super::session::Post;

thread_local! {
    static REACTOR: Cell<Option<u16>> = const { Cell::new(None) };
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
    static POSTS: RefCell<VecDeque<Post>> = const { RefCell::new(VecDeque::new()) };
}

/// This thread is a reactor's from now on.
pub fn enter(reactor: u16) {
    REACTOR.set(Some(reactor));
}

/// A turn of this thread's reactor begins.
pub fn begin_turn(now: Instant) {
    TURN.set(Some(now));
}

/// When the turn of this thread's reactor began: near enough to now.
pub(super) fn turn() -> Option<Instant> {
    TURN.get()
}

/// Now, or when this reactor's turn began: a look at the clock for each message
/// costs more than looking for its recipient.
pub(super) fn now() -> Instant {
    turn().unwrap_or_else(Instant::now)
}

/// Which reactor's thread this is, if it is one's.
pub(super) fn reactor() -> Option<u16> {
    REACTOR.get()
}

/// Tells this thread's own reactor something.
#[inline]
pub(super) fn post(post: Post) {
    // The closure holds a reference: it is handed through several layers, and
    // the post itself would be copied at each.
    let mut post = Some(post);
    POSTS.with_borrow_mut(|posts| posts.extend(post.take()));
}

/// Exchanges `posts`, which is empty, for what this reactor was told here, oldest
/// first.
pub fn take(posts: &mut VecDeque<Post>) {
    debug_assert!(posts.is_empty(), "older posts would come later");
    POSTS.with_borrow_mut(|told| std::mem::swap(told, posts));
}
