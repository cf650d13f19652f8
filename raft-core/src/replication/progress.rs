//! What a leader knows of one peer's log, and how it sends to it.

use super::inflight::Inflight;
use crate::config::Limits;
use crate::reads::RemoteRead;
use crate::snapshots::{Outcome, Shipping};
use crate::types::{Index, Round};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Progress {
    /// Figure 2, matchIndex: durable on the peer and equal to this log. Never decreases.
    pub(crate) matched: Index,
    /// Figure 2, nextIndex: always above `matched`.
    pub(crate) next: Index,
    pub(crate) mode: Mode,
    /// Heard since the last look at the quorum.
    pub(crate) active: bool,
    /// The newest round it has echoed.
    pub(crate) round: Round,
    /// The read it has asked for and not yet got.
    pub(crate) read: Option<RemoteRead>,
    /// Its host wants a snapshot of at least this index, and there is none yet.
    pub(crate) wants_snapshot: Option<Index>,
}

/// How entries are sent to a peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Mode {
    /// Where the logs agree is not known: one append at a time, repeated with each heartbeat.
    Probe {
        /// One is under way.
        waiting: bool,
    },
    /// The logs agree before `next`: appends are sent one after the other without waiting (pipelining, diss. 10.2.1).
    Replicate(Inflight),
    /// What the peer lacks is compacted away: it gets a snapshot first (§7), and no appends meanwhile.
    Snapshot(Shipping),
}

impl Progress {
    /// A peer at the beginning of a term.
    pub(crate) fn new(next: Index) -> Self {
        Progress {
            matched: Index::ZERO,
            next,
            mode: Mode::Probe { waiting: false },
            active: false,
            round: Round::default(),
            read: None,
            wants_snapshot: None,
        }
    }

    /// Something was lost or refused: find out where the logs agree.
    pub(crate) fn probe_from(&mut self, next: Index) {
        self.next = next.max(self.matched.next());
        self.mode = Mode::Probe { waiting: false };
    }

    /// The peer holds the log up to `matched` on stable storage. Late news changes nothing. `base` is the last entry that is
    /// compacted away here.
    pub(crate) fn acknowledge(&mut self, matched: Index, base: Index) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.mode {
            // Everything before `next` agrees: stop probing. Also when there is nothing new to acknowledge (E04).
            Mode::Probe { .. } if self.matched.next() == self.next => {
                self.mode = Mode::Replicate(Inflight::default());
            }
            Mode::Probe { .. } => {}
            Mode::Replicate(inflight) => inflight.free_to(matched),
            Mode::Snapshot(shipping) => match shipping.outcome(self.matched, base) {
                Outcome::Enough => {
                    self.next = self.matched.next();
                    self.mode = Mode::Replicate(Inflight::default());
                }
                Outcome::Superseded => self.probe_from(self.matched.next()),
                Outcome::GoesOn => {}
            },
        }
    }

    /// The peer has no entry equal to the one at `refused`; its own log offers nothing to agree on after `candidate`.
    pub(crate) fn reject(&mut self, refused: Index, candidate: Index) {
        // A rejection of something acknowledged since, or not the answer to the probe under way, is old.
        let is_old = match &self.mode {
            Mode::Probe { .. } => refused.next() != self.next,
            Mode::Replicate(_) => false,
            Mode::Snapshot(_) => true,
        };
        if refused <= self.matched || is_old {
            return;
        }
        self.probe_from(candidate.min(refused.previous()).next());
    }

    /// Whether an append with entries may be sent now.
    pub(crate) fn may_send(&self, limits: &Limits) -> bool {
        match &self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate(inflight) => !inflight.is_full(limits),
            Mode::Snapshot(_) => false,
        }
    }

    /// An append of so many bytes up to `last` was sent.
    pub(crate) fn sent(&mut self, last: Index, bytes: usize) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate(inflight) => {
                inflight.add(last, bytes);
                self.next = last.next();
            }
            Mode::Snapshot(_) => {}
        }
    }
}
