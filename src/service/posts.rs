//! Posts that go together: what an envelope of another server or a transaction
//! brings for a reactor wakes it once, or once for each large part of it.

use std::collections::BTreeMap;

use log::debug;

use super::Service;
use super::session::{Post, SessionId};

/// Posts by the reactor that they are for, each reactor's in order.
#[derive(Default)]
pub(super) struct Posts(BTreeMap<u16, Vec<Post>>);

impl Posts {
    /// Adds one for the reactor that owns `session`.
    pub fn add(&mut self, session: SessionId, post: Post) {
        self.0.entry(session.reactor).or_default().push(post);
    }
}

impl Service {
    /// Posts them. What a reactor that has ended was to push is stored; what it
    /// was to be told is nothing to anybody.
    pub(super) fn post_all(&self, posts: Posts) {
        for (reactor, posts) in posts.0 {
            let refused = match self.mailboxes.get().and_then(|all| all.get(usize::from(reactor))) {
                Some(mailbox) => mailbox.post_all(posts).err().unwrap_or_default(),
                None => posts,
            };
            for post in refused {
                match post {
                    Post::Deliver { copy, way, .. } => self.not_pushed(copy, way),
                    _ => debug!(target: "service", "reactor={reactor} has ended, nobody to tell"),
                }
            }
        }
    }
}
