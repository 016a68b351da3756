//! What comes to the people of a blend.

use std::io::{self, ErrorKind};

use serde::Deserialize;

use super::Blend;
use crate::bench::BenchError;
use crate::bench::dialect::{Dialect, Incoming, Number};
use crate::bench::mixed::member::Presence;
use crate::bench::run::Run;

/// The answer to a LOGINOUT_MSG.
const LOGGED_OUT: u32 = 103;

/// What a frame is to a blend.
enum Frame {
    Chat(Incoming),
    Reply { msgid: u32, seq: u64, errno: u8 },
}

impl Blend {
    pub(super) fn take(
        &mut self,
        at: usize,
        scratch: &mut [u8],
        run: &mut Run,
    ) -> Result<(), BenchError> {
        let Some(mut link) = self.members[at].link.take() else { return Ok(()) };
        let mut frames = Vec::new();
        let read = link.read(scratch, |payload| frames.push(read_frame(payload)));
        let mut is_logged_out = false;
        for frame in frames {
            match frame {
                Frame::Chat(Incoming::Push(number)) => {
                    link.pushes += 1;
                    self.copy(at, number, run);
                }
                Frame::Chat(Incoming::Answer { number, errno, stored }) => {
                    let sent_at = self.messages.remove(&(number.stream, number.message));
                    self.books.answered += 1;
                    self.books.refused += u64::from(errno != 0);
                    self.books.stored += u64::from(stored);
                    run.answered(sent_at);
                    self.answered(at, run);
                }
                Frame::Chat(Incoming::Other) => {}
                Frame::Reply { msgid: LOGGED_OUT, errno: 0, .. } => is_logged_out = true,
                Frame::Reply { seq, errno, .. } => self.reply(at, seq, errno, run),
            }
        }
        let member = &mut self.members[at];
        member.link = Some(link);
        match (member.presence, read) {
            (Presence::Going(proof), Err(e)) if is_end(&e) => self.leave(at, proof),
            (_, Err(e)) => return Err(BenchError::connection(e)),
            (Presence::Going(proof), Ok(())) if is_logged_out => self.leave(at, proof),
            (_, Ok(())) if member.confirm() => self.mark_dirty(at),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn copy(&mut self, at: usize, number: Number, run: &mut Run) {
        let Some(arrival) = self.members[at].receive(number) else {
            self.books.repeated += 1;
            return;
        };
        self.books.arrived(arrival);
        // No more there once it is answered: then it was stored, and how long
        // it waited says nothing of the server.
        run.received(self.messages.get(&(number.stream, number.message)).copied());
    }

    fn reply(&mut self, at: usize, seq: u64, errno: u8, run: &mut Run) {
        let Some(asked_at) = self.requests.remove(&seq) else { return };
        // 8 and 9: the friends are so already, by the other one or a former run.
        self.books.requests_refused += u64::from(!matches!(errno, 0 | 8 | 9));
        self.blended.request.record(run.now.saturating_duration_since(asked_at));
        self.answered(at, run);
    }

    fn answered(&mut self, at: usize, run: &mut Run) {
        self.members[at].under_way = self.members[at].under_way.saturating_sub(1);
        run.ready.push(at);
    }
}

fn is_end(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

fn read_frame(payload: &[u8]) -> Frame {
    #[derive(Deserialize)]
    struct Fields {
        msgid: u32,
        #[serde(default)]
        seq: u64,
        #[serde(default)]
        errno: u8,
    }
    match Dialect::Chat.read(payload) {
        Incoming::Other => match serde_json::from_slice(payload) {
            Ok(Fields { msgid, seq, errno }) => Frame::Reply { msgid, seq, errno },
            Err(_) => Frame::Chat(Incoming::Other),
        },
        chat => Frame::Chat(chat),
    }
}
