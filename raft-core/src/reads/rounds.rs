//! Confirmation rounds (diss. 6.4), and the leader's own reads that wait for them.

use std::collections::VecDeque;

use crate::types::{Index, ReadId, Round};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Reads {
    /// The newest round begun.
    round: Round,
    /// The newest round a quorum has echoed.
    confirmed: Round,
    /// The newest round that anyone waits for: at most the one after the newest.
    wanted: Round,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Waiting {
    id: ReadId,
    index: Index,
    /// The first round that began after the read arrived.
    round: Round,
}

impl Reads {
    /// The round that appends carry now.
    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// The newest round that is confirmed.
    pub(crate) fn confirmed(&self) -> Round {
        self.confirmed
    }

    /// How many reads wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Begins a round, unless one is under way.
    pub(crate) fn begin(&mut self) {
        if self.round == self.confirmed {
            self.round = self.round.next();
        }
    }

    /// The round that something arriving now has to wait for, and whether it begins with that, and must be broadcast.
    pub(crate) fn join(&mut self) -> (Round, bool) {
        let begins = self.round == self.confirmed;
        if begins {
            self.round = self.round.next();
            self.wanted = self.wanted.max(self.round);
            return (self.round, true);
        }
        self.wanted = self.round.next();
        (self.wanted, false)
    }

    /// A read arrives. Returns whether a round began, which must be broadcast.
    pub(crate) fn add(&mut self, id: ReadId, index: Index) -> bool {
        let (round, begins) = self.join();
        self.waiting.push_back(Waiting { id, index, round });
        begins
    }

    /// A quorum has echoed `round`. The reads that are confirmed now are to be taken with
    /// [`pop_confirmed`](Self::pop_confirmed).
    pub(crate) fn confirm(&mut self, round: Round) {
        self.confirmed = self.confirmed.max(round.min(self.round));
    }

    /// Begins the next round if someone waits for it and none is under way. Returns whether it did: then it must be
    /// broadcast.
    pub(crate) fn begin_if_wanted(&mut self) -> bool {
        let begins = self.confirmed == self.round && self.wanted > self.round;
        if begins {
            self.round = self.round.next();
        }
        begins
    }

    /// The next read whose round is confirmed, in order of arrival, once what it must see is committed.
    pub(crate) fn pop_confirmed(&mut self, commit: Index) -> Option<(ReadId, Index)> {
        let is_ready = |read: &mut Waiting| read.round <= self.confirmed && read.index <= commit;
        self.waiting.pop_front_if(is_ready).map(|read| (read.id, read.index))
    }

    /// Gives up all reads.
    pub(crate) fn abort(&mut self) -> impl Iterator<Item = ReadId> + '_ {
        self.waiting.drain(..).map(|read| read.id)
    }
}
