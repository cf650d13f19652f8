//! What must be on a server's disk, by what it wrote and what was acknowledged.
//!
//! A snapshot gets there in two ways. One that comes from the leader is installed by a write, in the order of all writes. One
//! that the server takes itself is there at the latest when [`Input::Compact`](raft_core::Input::Compact) says so, and at any time before if
//! it is of what was applied: a crash may come between. Chunks alone need not survive.

use std::collections::VecDeque;

use raft_core::{Batch, HardState, Index, Position, Term, WriteAck};

use super::chain::{Chain, Link};

/// What a disk holds.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) hard: HardState,
    /// The last entry of the snapshot to start from; 0 without one.
    pub(super) snapshot: Position,
    pub(super) log: Chain,
}

/// A disk: what is durable for certain, and what may be.
#[derive(Debug, Default)]
pub(super) struct Stored {
    sure: Disk,
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    ack: WriteAck,
    hard: Option<HardState>,
    /// A snapshot, and whether the log after it stays.
    install: Option<(Position, bool)>,
    /// Entries from there on, in place of what stood there.
    entries: Option<(Index, Vec<Link>)>,
}

/// What has become durable with a write.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) snapshot: Option<Position>,
    pub(super) entries: Option<(Index, Vec<Link>)>,
}

impl Stored {
    /// A write was issued; `log` is the log in memory, the write's entries included.
    pub(super) fn write<P>(&mut self, batch: &Batch<P>, ack: WriteAck, log: &Chain) {
        let entries = batch.entries.first().map(|first| {
            let piece = log.from(first.index);
            (first.index, piece.get(..batch.entries.len()).unwrap_or(piece).to_vec())
        });
        let install = batch.install.as_ref().map(|install| (install.snapshot.last, install.keeps_log));
        self.pending.push_back(Pending { ack, hard: batch.hard_state, install, entries });
    }

    /// This write and the earlier ones are durable.
    pub(super) fn acknowledge(&mut self, ack: WriteAck) -> Vec<Kept> {
        let mut kept = Vec::new();
        while let Some(write) = self.pending.pop_front_if(|write| write.ack <= ack) {
            kept.push(self.sure.settle(write));
        }
        kept
    }

    /// The host says that a snapshot of its own is durable.
    pub(super) fn took(&mut self, snapshot: Position) {
        if snapshot.index > self.sure.snapshot.index {
            self.sure.snapshot = snapshot;
        }
    }

    /// A new life begins with this. Whether a crash can have left it, where the server may have taken the snapshots that are
    /// `own`; if so, what turned out to be durable.
    pub(super) fn survive(
        &mut self,
        found: Disk,
        own: impl Fn(Position) -> bool,
    ) -> Result<Vec<Kept>, String> {
        let mut kept = Vec::new();
        let acknowledged = self.sure.describe();
        let is_left = loop {
            if self.sure.can_leave(&found, &own) {
                break true;
            }
            let Some(write) = self.pending.pop_front() else { break false };
            kept.push(self.sure.settle(write));
        };
        let what = || {
            format!(
                "it recovered {}, and no prefix of its writes leaves that; acknowledged as durable was {acknowledged}, and in the end written {}",
                found.describe(),
                self.sure.describe(),
            )
        };
        let result = if is_left { Ok(kept) } else { Err(what()) };
        *self = Stored::begin(found);
        result
    }

    /// The first life there is a trace of may begin with anything.
    pub(super) fn begin(found: Disk) -> Stored {
        Stored { sure: found, pending: VecDeque::new() }
    }

    /// The last entry of the snapshot that is durable; 0 without one.
    pub(super) fn snapshot(&self) -> Position {
        self.sure.snapshot
    }

    /// The last entry of the log that is durable, or that a durable snapshot stands for.
    pub(super) fn end(&self) -> Index {
        self.sure.log.last().max(self.sure.snapshot.index)
    }

    /// The term and vote that are durable.
    pub(super) fn hard(&self) -> HardState {
        self.sure.hard
    }

    /// The term that is durable.
    pub(super) fn term(&self) -> Term {
        self.sure.hard.term
    }
}

impl Disk {
    fn settle(&mut self, write: Pending) -> Kept {
        let Pending { hard, install, entries, .. } = write;
        self.hard = hard.unwrap_or(self.hard);
        if let Some((snapshot, keeps_log)) = install {
            self.snapshot = snapshot;
            if !keeps_log {
                self.log = Chain::after(snapshot);
            }
        }
        if let Some((first, links)) = &entries {
            self.log.replace(*first, links);
        }
        Kept { snapshot: install.map(|(snapshot, _)| snapshot), entries }
    }

    /// Whether a start from this disk finds that, but for a snapshot of its own that it may have taken last.
    fn can_leave(&self, found: &Disk, own: impl Fn(Position) -> bool) -> bool {
        let has_taken = || found.snapshot.index > self.snapshot.index && own(found.snapshot);
        self.hard == found.hard
            && (self.snapshot == found.snapshot || has_taken())
            && self.log.beyond(found.snapshot) == found.log.beyond(found.snapshot)
    }

    fn describe(&self) -> String {
        let HardState { term, voted_for, .. } = self.hard;
        let vote = voted_for.map_or("no vote".to_owned(), |id| format!("a vote for server {id}"));
        let snapshot = match self.snapshot {
            Position { index: Index::ZERO, .. } => "no snapshot".to_owned(),
            Position { index, term } => format!("a snapshot up to {index} (term {term})"),
        };
        match self.log.at(self.log.last()) {
            Some(Link { term: last, .. }) => {
                format!("term {term}, {vote}, {snapshot} and entries up to {} (term {last})", self.log.last())
            }
            None => format!("term {term}, {vote}, {snapshot} and no entries"),
        }
    }
}
