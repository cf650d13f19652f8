//! What is on stable storage, and what is only on its way there.

use std::collections::VecDeque;

use crate::entries::Entries;
use crate::entry::Command;
use crate::log::Log;
use crate::mutant::{Mutant, MutantSwitch};
use crate::snapshots::{Chunk, Install};
use crate::types::{HardState, Index};
use crate::write::{Batch, Write, WriteAck};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Durability<P> {
    boot: u64,
    /// The number of the newest write.
    issued: u64,
    /// Term and vote as the newest write that had them says.
    written: HardState,
    /// What changed since the newest write. Empty between steps.
    unwritten: Unwritten<P>,
    /// Writes handed out and not yet acknowledged, in order.
    outstanding: VecDeque<Outstanding>,
    /// How many of them bring a term or a vote.
    hard_states_outstanding: usize,
    /// How many of them install a snapshot.
    installs_outstanding: usize,
    /// The log up to here is on stable storage, as it stands in memory.
    log_end: Index,
}

/// What the next write brings.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Unwritten<P> {
    chunk: Option<Chunk>,
    install: Option<Install>,
    /// The first entry that changed.
    from: Option<Index>,
    /// All entries from there on, if they came in one piece: the write shares it with the messages.
    run: Entries<P>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Outstanding {
    sequence: u64,
    has_hard_state: bool,
    installs: bool,
    /// When this write is durable, the log is up to here: lowered when entries it wrote are overwritten, so that its late
    /// acknowledgement cannot vouch for their successors.
    log_end: Index,
}

impl<P: Command> Durability<P> {
    /// Everything recovered is durable.
    pub(crate) fn recover(boot: u64, hard: HardState, log_end: Index) -> Self {
        Durability {
            boot,
            issued: 0,
            written: hard,
            unwritten: Unwritten { chunk: None, install: None, from: None, run: Entries::none() },
            outstanding: VecDeque::new(),
            hard_states_outstanding: 0,
            installs_outstanding: 0,
            log_end,
        }
    }

    /// This server's present life.
    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    /// Entries from `from` on were replaced or added in memory: by `run`, which ends where the log does.
    pub(crate) fn log_changed(&mut self, from: Index, run: Entries<P>, mutant: MutantSwitch) {
        match self.unwritten.from {
            None => (self.unwritten.from, self.unwritten.run) = (Some(from), run),
            // A second change within one step: the write takes it all from the log.
            Some(earlier) => {
                (self.unwritten.from, self.unwritten.run) = (Some(earlier.min(from)), Entries::none());
            }
        }
        self.keep_only(from.previous(), mutant);
    }

    /// The entries that this step has appended so far, if they begin with `from`.
    pub(crate) fn run_from(&self, from: Index) -> Option<&Entries<P>> {
        Some(&self.unwritten.run).filter(|run| run.first().is_some_and(|first| first.index == from))
    }

    /// A part of a snapshot is to be stored.
    pub(crate) fn chunk_received(&mut self, chunk: Chunk) {
        self.unwritten.chunk = Some(chunk);
    }

    /// A snapshot takes the place of the log up to its last entry. Of what was durable before, only what is `committed` is
    /// known to be the leader's; the rest is gone unless the log is kept.
    pub(crate) fn install(&mut self, install: Install, committed: Index, mutant: MutantSwitch) {
        if !install.keeps_log {
            (self.unwritten.from, self.unwritten.run) = (None, Entries::none());
            self.keep_only(committed, mutant);
        }
        self.unwritten.install = Some(install);
    }

    /// The host has a durable snapshot up to `index`: as good as the log up to there.
    pub(crate) fn snapshot_stored(&mut self, index: Index) {
        self.log_end = self.log_end.max(index);
    }

    /// What is durable beyond `kept`, or will be by an outstanding write, is overwritten.
    fn keep_only(&mut self, kept: Index, mutant: MutantSwitch) {
        self.log_end = self.log_end.min(kept);
        if mutant.is(Mutant::StaleAckAba) {
            return;
        }
        // Later writes leave longer logs, so those to be lowered are the last ones.
        for write in self.outstanding.iter_mut().rev().take_while(|write| write.log_end > kept) {
            write.log_end = kept;
        }
    }

    /// The write that makes everything changed since the last one durable, if anything changed (A10: an unchanged hard
    /// state is not written again).
    pub(crate) fn issue(&mut self, hard: HardState, log: &Log<P>, mutant: MutantSwitch) -> Option<Write<P>> {
        let hard_changed = hard != self.written;
        let Unwritten { chunk, install, from, run } = &mut self.unwritten;
        if !hard_changed && chunk.is_none() && install.is_none() && from.is_none() {
            return None;
        }
        self.written = hard;
        let hard_state = match hard_changed {
            true if mutant.is(Mutant::ForgetTerm) => None,
            true if mutant.is(Mutant::ForgetVote) => Some(HardState { voted_for: None, ..hard }),
            true => Some(hard),
            false => None,
        };
        let entries = match (from.take(), std::mem::take(run)) {
            (None, _) => Entries::none(),
            (Some(_), run) if !run.is_empty() => run,
            (Some(from), _) => log.slice(from, usize::MAX, usize::MAX),
        };
        let (chunk, install) = (chunk.take(), install.take());
        self.issued += 1;
        let sequence = self.issued;
        let installs = install.is_some();
        self.hard_states_outstanding += usize::from(hard_changed);
        self.installs_outstanding += usize::from(installs);
        // When this write is durable, and all earlier ones with it, the disk's log is the one in memory now.
        let log_end = log.last().index;
        self.outstanding.push_back(Outstanding { sequence, has_hard_state: hard_changed, installs, log_end });
        let batch = Batch { hard_state, chunk, install, entries };
        Some(Write { batch, ack: WriteAck { boot: self.boot, sequence } })
    }

    /// The host says that a write, and so every earlier one, is durable. Acknowledgements may come late, repeatedly, in
    /// any order, or only for the last of many (K05, K13).
    pub(crate) fn acknowledge(&mut self, ack: WriteAck) {
        if ack.boot != self.boot {
            return;
        }
        while let Some(write) = self.outstanding.front().filter(|write| write.sequence <= ack.sequence) {
            self.log_end = self.log_end.max(write.log_end);
            self.hard_states_outstanding -= usize::from(write.has_hard_state);
            self.installs_outstanding -= usize::from(write.installs);
            self.outstanding.pop_front();
        }
    }

    /// Whether the current term and vote would survive a crash.
    pub(crate) fn holds_hard_state(&self, hard: HardState) -> bool {
        hard == self.written && self.hard_states_outstanding == 0
    }

    /// Whether every snapshot that took the place of the log is on stable storage.
    pub(crate) fn holds_snapshot(&self) -> bool {
        self.installs_outstanding == 0 && self.unwritten.install.is_none()
    }

    /// Up to where the log would survive a crash as it stands.
    pub(crate) fn log_end(&self) -> Index {
        self.log_end
    }

    /// How many writes were handed out and not acknowledged.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }
}
