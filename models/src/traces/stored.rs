//! What must be on a server's disk, by what it wrote and what was acknowledged.

use std::collections::VecDeque;

use raft_core::{Batch, HardState, Index, Term, WriteAck};

use super::chain::{Chain, Link};

/// A disk: what is durable for certain, and what may be.
#[derive(Debug, Default)]
pub(super) struct Stored {
    hard: HardState,
    log: Chain,
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    ack: WriteAck,
    hard: Option<HardState>,
    /// Entries from there on, in place of what stood there.
    entries: Option<(Index, Vec<Link>)>,
}

/// A piece of the log that has become durable.
pub(super) type Kept = (Index, Vec<Link>);

impl Stored {
    /// A write was issued; `log` is the log in memory, the write's entries included.
    pub(super) fn write<P>(&mut self, batch: &Batch<P>, ack: WriteAck, log: &Chain) {
        let entries = batch.entries.first().map(|first| {
            let piece = log.from(first.index);
            (first.index, piece.get(..batch.entries.len()).unwrap_or(piece).to_vec())
        });
        self.pending.push_back(Pending { ack, hard: batch.hard_state, entries });
    }

    /// This write and the earlier ones are durable.
    pub(super) fn acknowledge(&mut self, ack: WriteAck) -> Vec<Kept> {
        let mut kept = Vec::new();
        while let Some(write) = self.pending.pop_front_if(|write| write.ack <= ack) {
            kept.extend(self.settle(write));
        }
        kept
    }

    /// A new life begins with this. Whether a crash can have left it; if so, which entries turned out to be durable.
    pub(super) fn survive(&mut self, hard: HardState, log: Chain) -> Result<Vec<Kept>, String> {
        let mut kept = Vec::new();
        let sure = self.describe();
        loop {
            if self.hard == hard && self.log.end() == log.end() {
                self.pending.clear();
                return Ok(kept);
            }
            let Some(write) = self.pending.pop_front() else { break };
            kept.extend(self.settle(write));
        }
        let mut found = Stored { hard, log, pending: VecDeque::new() };
        let what = format!(
            "it recovered {}, and no prefix of its writes leaves that; acknowledged as durable was {sure}, and in the end written {}",
            found.describe(),
            self.describe(),
        );
        std::mem::swap(self, &mut found);
        Err(what)
    }

    /// The first life there is a trace of may begin with anything.
    pub(super) fn begin(hard: HardState, log: Chain) -> Stored {
        Stored { hard, log, pending: VecDeque::new() }
    }

    fn settle(&mut self, write: Pending) -> Option<Kept> {
        self.hard = write.hard.unwrap_or(self.hard);
        let (first, links) = write.entries?;
        self.log.replace(first, &links);
        Some((first, links))
    }

    /// The term that is durable.
    pub(super) fn term(&self) -> Term {
        self.hard.term
    }

    fn describe(&self) -> String {
        let HardState { term, voted_for, .. } = self.hard;
        let vote = voted_for.map_or("no vote".to_owned(), |id| format!("a vote for server {id}"));
        match self.log.end() {
            (last, Some(link)) => {
                format!("term {term}, {vote} and entries up to {last} (term {})", link.term)
            }
            (_, None) => format!("term {term}, {vote} and no entries"),
        }
    }
}
