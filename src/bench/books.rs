//! Who sent, answered and got what: a run that loses anything fails.

use std::collections::{BTreeSet, HashMap};

use super::dialect::Number;

/// What one recipient has got of the streams.
#[derive(Debug, Default)]
pub struct Inbox(HashMap<u32, Received>);

#[derive(Debug, Default)]
struct Received {
    /// The highest number so far.
    highest: u64,
    /// Lower numbers that have not come.
    missing: BTreeSet<u64>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// As the next one of its stream.
    InOrder,
    /// Before or after its turn.
    OutOfOrder,
    /// Once more.
    Doubled,
}

impl Inbox {
    /// A message has come.
    pub fn receive(&mut self, number: Number) -> Arrival {
        let stream = self.0.entry(number.stream).or_default();
        if number.message == stream.highest + 1 {
            stream.highest += 1;
            return Arrival::InOrder;
        }
        if number.message > stream.highest {
            stream.missing.extend(stream.highest + 1..number.message);
            stream.highest = number.message;
            return Arrival::OutOfOrder;
        }
        match stream.missing.remove(&number.message) {
            true => Arrival::OutOfOrder,
            false => Arrival::Doubled,
        }
    }

    /// How many of a stream's first `sent` messages have not come.
    pub fn lost(&self, stream: u32, sent: u64) -> u64 {
        match self.0.get(&stream) {
            Some(received) => received.missing.len() as u64 + sent.saturating_sub(received.highest),
            None => sent,
        }
    }
}

/// The sums of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Books {
    /// Messages sent.
    pub sent: u64,
    /// Messages that were answered, whatever the answer.
    pub answered: u64,
    /// Answers with an errno.
    pub refused: u64,
    /// Copies that were stored instead of delivered.
    pub stored: u64,
    /// Copies that came.
    pub received: u64,
    /// Copies that did not come.
    pub lost: u64,
    /// Copies that came once more.
    pub doubled: u64,
    /// Copies that came before or after their turn.
    pub out_of_order: u64,
    /// Copies that came once more because nobody had confirmed them.
    pub repeated: u64,
    /// Requests other than messages.
    pub requests: u64,
    /// Those of them that were refused.
    pub requests_refused: u64,
    /// Those of them that had no answer.
    pub requests_unanswered: u64,
}

impl Books {
    /// Notes a copy.
    pub fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::InOrder => self.received += 1,
            Arrival::OutOfOrder => {
                self.received += 1;
                self.out_of_order += 1;
            }
            Arrival::Doubled => self.doubled += 1,
        }
    }

    /// What is wrong, if anything is.
    pub fn fault(&self) -> Option<String> {
        let unanswered = self.sent - self.answered.min(self.sent);
        let faults = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.out_of_order, "out of order"),
            (self.refused, "refused"),
            (unanswered, "without an answer"),
            (self.requests_refused, "requests refused"),
            (self.requests_unanswered, "requests without an answer"),
        ];
        let faults: Vec<String> = faults
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!faults.is_empty()).then(|| faults.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(inbox: &mut Inbox, message: u64) -> Arrival {
        inbox.receive(Number { stream: 1, message })
    }

    #[test]
    fn what_is_lost_doubled_or_out_of_order_shows() {
        use Arrival::*;
        let mut inbox = Inbox::default();
        let arrivals = [1, 2, 5, 4, 4, 2].map(|message| receive(&mut inbox, message));
        assert_eq!(arrivals, [InOrder, InOrder, OutOfOrder, OutOfOrder, Doubled, Doubled]);
        assert_eq!(inbox.lost(1, 7), 3, "3, 6 and 7");
        assert_eq!(inbox.lost(2, 4), 4);
    }

    #[test]
    fn a_run_in_which_all_is_well_has_no_fault() {
        let well = Books { sent: 3, answered: 3, received: 3, ..Books::default() };
        assert_eq!(well.fault(), None);
        let ill = Books { lost: 2, answered: 2, ..well };
        assert_eq!(ill.fault().unwrap(), "2 lost, 1 without an answer");
    }
}
