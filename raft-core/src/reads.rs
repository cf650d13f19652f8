//! Linearizable reads without log entries: read-index in batches (§8, diss. 6.4).
//!
//! A read may be answered from a state that includes everything committed when the read arrived, by a leader that was
//! still leader after it arrived. Leadership is confirmed in rounds: every append carries the newest round, every reply
//! echoes it, and a quorum of echoes confirms the round and all reads that were waiting when it began. While one round is
//! under way, newly arriving reads wait together for the next.

use std::collections::VecDeque;

use crate::types::{Index, ReadId, Round};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Reads {
    /// The newest round begun.
    round: Round,
    /// The newest round a quorum has echoed.
    confirmed: Round,
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

    /// How many reads wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A read arrives. Returns whether a round began, which must be broadcast.
    pub(crate) fn add(&mut self, id: ReadId, index: Index) -> bool {
        let begins = self.round == self.confirmed;
        if begins {
            self.round = self.round.next();
            self.waiting.push_back(Waiting { id, index, round: self.round });
        } else {
            self.waiting.push_back(Waiting { id, index, round: self.round.next() });
        }
        begins
    }

    /// A quorum has echoed `round`. Returns whether another round began for reads that were waiting for it; the reads
    /// that are confirmed now are to be taken with [`pop_confirmed`](Self::pop_confirmed).
    pub(crate) fn confirm(&mut self, round: Round) -> bool {
        self.confirmed = self.confirmed.max(round.min(self.round));
        let begins =
            self.confirmed == self.round && self.waiting.back().is_some_and(|read| read.round > self.round);
        if begins {
            self.round = self.round.next();
        }
        begins
    }

    /// The next read whose round is confirmed, in order of arrival.
    pub(crate) fn pop_confirmed(&mut self) -> Option<(ReadId, Index)> {
        let ready = self.waiting.front().is_some_and(|read| read.round <= self.confirmed);
        if ready { self.waiting.pop_front().map(|read| (read.id, read.index)) } else { None }
    }

    /// Gives up all reads.
    pub(crate) fn abort(&mut self) -> impl Iterator<Item = ReadId> + '_ {
        self.waiting.drain(..).map(|read| read.id)
    }
}
