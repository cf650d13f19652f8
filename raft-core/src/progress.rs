//! What a leader knows of one peer's log, and how it sends to it.

use std::collections::VecDeque;

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
}

/// How entries are sent to a peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Mode {
    /// Where the logs agree is not known: one append at a time, repeated with each heartbeat.
    Probe { waiting: bool },
    /// The logs agree before `next`: appends are sent one after the other without waiting (pipelining, diss. 10.2.1).
    /// Holds the last index of each append under way.
    Replicate { inflight: VecDeque<Index> },
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
        }
    }

    /// Something was lost or refused: find out where the logs agree.
    pub(crate) fn probe_from(&mut self, next: Index) {
        self.next = next.max(self.matched.next());
        self.mode = Mode::Probe { waiting: false };
    }

    /// The peer holds the log up to `matched` on stable storage. Late news changes nothing.
    pub(crate) fn acknowledge(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.mode {
            // Everything before `next` agrees: stop probing. Also when there is nothing new to acknowledge (E04).
            Mode::Probe { .. } if self.matched.next() == self.next => {
                self.mode = Mode::Replicate { inflight: VecDeque::new() };
            }
            Mode::Probe { .. } => {}
            Mode::Replicate { inflight } => {
                while inflight.front().is_some_and(|&last| last <= matched) {
                    inflight.pop_front();
                }
            }
        }
    }

    /// The peer has no entry equal to the one at `refused`; its own log offers nothing to agree on after `candidate`.
    pub(crate) fn reject(&mut self, refused: Index, candidate: Index) {
        // A rejection of something acknowledged since, or not the answer to the probe under way, is old.
        let is_probe = matches!(self.mode, Mode::Probe { .. });
        if refused <= self.matched || (is_probe && refused.next() != self.next) {
            return;
        }
        self.probe_from(candidate.min(refused.previous()).next());
    }

    /// Whether an append with entries may be sent now.
    pub(crate) fn may_send(&self, max_inflight: usize) -> bool {
        match &self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate { inflight } => inflight.len() < max_inflight,
        }
    }

    /// An append up to `last` was sent.
    pub(crate) fn sent(&mut self, last: Index) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate { inflight } => {
                inflight.push_back(last);
                self.next = last.next();
            }
        }
    }
}
