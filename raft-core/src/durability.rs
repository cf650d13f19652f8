//! What is on stable storage, and what is only on its way there.

use std::collections::VecDeque;

use crate::entry::Command;
use crate::log::Log;
use crate::mutant::{Mutant, MutantSwitch};
use crate::types::{HardState, Index};
use crate::write::{Batch, Write, WriteAck};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Durability {
    boot: u64,
    /// The number of the newest write.
    issued: u64,
    /// Term and vote as the newest write that had them says.
    written: HardState,
    /// The first entry that changed since the newest write.
    changed_from: Option<Index>,
    /// Writes handed out and not yet acknowledged, in order.
    outstanding: VecDeque<Outstanding>,
    /// How many of them bring a term or a vote.
    hard_states_outstanding: usize,
    /// The log up to here is on stable storage, as it stands in memory.
    log_end: Index,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Outstanding {
    sequence: u64,
    has_hard_state: bool,
    /// When this write is durable, the log is up to here: lowered when entries it wrote are overwritten, so that its late
    /// acknowledgement cannot vouch for their successors.
    log_end: Index,
}

impl Durability {
    /// Everything recovered is durable.
    pub(crate) fn recover(boot: u64, hard: HardState, log_end: Index) -> Self {
        Durability {
            boot,
            issued: 0,
            written: hard,
            changed_from: None,
            outstanding: VecDeque::new(),
            hard_states_outstanding: 0,
            log_end,
        }
    }

    /// Entries from `from` on were replaced or added in memory.
    pub(crate) fn log_changed(&mut self, from: Index, mutant: MutantSwitch) {
        self.changed_from = Some(self.changed_from.map_or(from, |earlier| earlier.min(from)));
        let kept = from.previous();
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
    pub(crate) fn issue<P: Command>(
        &mut self,
        hard: HardState,
        log: &Log<P>,
        mutant: MutantSwitch,
    ) -> Option<Write<P>> {
        let hard_changed = hard != self.written;
        if !hard_changed && self.changed_from.is_none() {
            return None;
        }
        self.written = hard;
        let hard_state = match hard_changed {
            true if mutant.is(Mutant::ForgetTerm) => None,
            true if mutant.is(Mutant::ForgetVote) => Some(HardState { voted_for: None, ..hard }),
            true => Some(hard),
            false => None,
        };
        let entries =
            self.changed_from.take().map_or_else(Vec::new, |from| log.slice(from, usize::MAX, usize::MAX));
        self.issued += 1;
        let sequence = self.issued;
        let log_end = log.last().index;
        self.hard_states_outstanding += usize::from(hard_changed);
        self.outstanding.push_back(Outstanding { sequence, has_hard_state: hard_changed, log_end });
        Some(Write { batch: Batch { hard_state, entries }, ack: WriteAck { boot: self.boot, sequence } })
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
            self.outstanding.pop_front();
        }
    }

    /// Whether the current term and vote would survive a crash.
    pub(crate) fn holds_hard_state(&self, hard: HardState) -> bool {
        hard == self.written && self.hard_states_outstanding == 0
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
