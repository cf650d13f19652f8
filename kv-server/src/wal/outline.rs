//! What the records so far add up to, without the commands: enough to tell whether the next record can follow them.

use bytes::Bytes;
use raft_core::{Batch, HardState, Index, Position, Term};
use serde::{Deserialize, Serialize};

use super::error::Misfit;

/// The first record of every segment: what all segments before it add up to. So these may go once a snapshot covers them, and
/// recovery notices that a segment lacks its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The latest boot.
    pub(super) boot: u64,
    /// The latest term and vote.
    pub(super) hard_state: HardState,
    /// The last entry.
    pub(super) last: Position,
    /// The last entry of the snapshot to start from; 0 without one.
    pub(super) snapshot: Position,
}

/// The log's shape: where it ends and which terms it went through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Outline {
    boot: u64,
    hard_state: HardState,
    last: Index,
    snapshot: Position,
    /// The first entry of each stretch of one term, in order: a few elections' worth, not one per entry.
    stretches: Vec<Position>,
}

impl Outline {
    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        let last = Position { index: self.last, term: self.term_at(self.last) };
        Checkpoint { boot: self.boot, hard_state: self.hard_state, last, snapshot: self.snapshot }
    }

    /// What is known where the segments before a checkpoint are gone.
    pub(super) fn after(checkpoint: Checkpoint) -> Outline {
        let Checkpoint { boot, hard_state, last, snapshot } = checkpoint;
        let stretches = if last.index > Index::ZERO { vec![last] } else { Vec::new() };
        Outline { boot, hard_state, last: last.index, snapshot, stretches }
    }

    /// The last entry of the snapshot to start from, if there is one.
    pub(super) fn snapshot(&self) -> Option<Position> {
        (self.snapshot.index > Index::ZERO).then_some(self.snapshot)
    }

    /// This server has taken a snapshot. It may be ahead of the log (the state machine may be ahead of this server's own
    /// disk), but not behind the one that is there.
    pub(super) fn take(&mut self, snapshot: Position) -> Result<(), Misfit> {
        if snapshot.index <= self.snapshot.index {
            return Err(Misfit::OldSnapshot { found: snapshot.index, latest: self.snapshot.index });
        }
        self.snapshot = snapshot;
        Ok(())
    }

    /// The next boot.
    pub(super) fn start(&mut self, boot: u64) -> Result<(), Misfit> {
        if boot != self.boot.saturating_add(1) {
            return Err(Misfit::Boot { found: boot, previous: self.boot });
        }
        self.boot = boot;
        Ok(())
    }

    /// Takes a batch in, or says why it cannot follow; then nothing has changed.
    pub(super) fn accept(&mut self, batch: &Batch<Bytes>) -> Result<(), Misfit> {
        self.check(batch)?;
        self.hard_state = batch.hard_state.unwrap_or(self.hard_state);
        if let Some(install) = &batch.install {
            self.snapshot = install.snapshot.last;
            if !install.keeps_log {
                self.last = self.snapshot.index;
                self.stretches = vec![self.snapshot];
            }
        }
        if let Some(first) = batch.entries.first() {
            self.stretches.retain(|stretch| stretch.index < first.index);
        }
        for entry in &batch.entries {
            if self.stretches.last().is_none_or(|stretch| stretch.term != entry.term) {
                self.stretches.push(Position { index: entry.index, term: entry.term });
            }
            self.last = entry.index;
        }
        Ok(())
    }

    pub(super) fn check(&self, batch: &Batch<Bytes>) -> Result<(), Misfit> {
        let install = batch.install.as_ref();
        if let Some(install) = install.filter(|install| install.snapshot.last.index < self.snapshot.index) {
            return Err(Misfit::OldSnapshot {
                found: install.snapshot.last.index,
                latest: self.snapshot.index,
            });
        }
        let Some(first) = batch.entries.first() else { return Ok(()) };
        // An installation that lets go of the log leaves one that begins after the snapshot.
        let emptied = install.filter(|install| !install.keeps_log).map(|install| install.snapshot.last);
        let last = emptied.map_or(self.last, |snapshot| snapshot.index);
        if first.index == Index::ZERO || first.index > last.next() {
            return Err(Misfit::Gap { found: first.index, last });
        }
        let before = first.index.previous();
        let known = emptied.filter(|snapshot| snapshot.index == before).map(|snapshot| snapshot.term);
        let mut previous = Position { index: before, term: known.unwrap_or_else(|| self.term_at(before)) };
        for entry in &batch.entries {
            if entry.index != previous.index.next() {
                return Err(Misfit::NotConsecutive { found: entry.index, previous: previous.index });
            }
            if entry.term < previous.term {
                return Err(Misfit::TermFalls {
                    index: entry.index,
                    found: entry.term,
                    previous: previous.term,
                });
            }
            previous = Position { index: entry.index, term: entry.term };
        }
        Ok(())
    }

    /// The term of the entry at `index`, which is not past the end; term 0 before the first entry that is known.
    fn term_at(&self, index: Index) -> Term {
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.index <= index);
        stretch.map_or(Term(0), |stretch| stretch.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::{Entry, Payload};

    fn batch(entries: &[(u64, u64)]) -> Batch<Bytes> {
        let entry = |&(index, term)| Entry { index: Index(index), term: Term(term), payload: Payload::Noop };
        Batch::new(None, entries.iter().map(entry).collect())
    }

    #[test]
    fn a_batch_follows_the_log_or_replaces_its_end_and_never_leaves_a_gap() {
        let mut outline = Outline::default();
        outline.accept(&batch(&[(1, 1), (2, 1), (3, 2)])).unwrap();
        assert_eq!(outline.accept(&batch(&[(5, 2)])), Err(Misfit::Gap { found: Index(5), last: Index(3) }));
        assert_eq!(outline.accept(&batch(&[(0, 2)])), Err(Misfit::Gap { found: Index(0), last: Index(3) }));
        assert!(matches!(outline.accept(&batch(&[(4, 2), (6, 2)])), Err(Misfit::NotConsecutive { .. })));
        assert!(matches!(outline.accept(&batch(&[(4, 1)])), Err(Misfit::TermFalls { .. })));
        assert!(matches!(outline.accept(&batch(&[(4, 3), (5, 2)])), Err(Misfit::TermFalls { .. })));
        assert_eq!(
            outline.checkpoint().last,
            Position { index: Index(3), term: Term(2) },
            "refused batches left it alone"
        );

        outline.accept(&batch(&[(2, 3)])).unwrap();
        assert_eq!(outline.checkpoint().last, Position { index: Index(2), term: Term(3) });
        assert_eq!(outline.term_at(Index(1)), Term(1));
    }

    #[test]
    fn a_replaced_stretch_of_a_term_is_forgotten() {
        let mut outline = Outline::default();
        outline.accept(&batch(&[(1, 1), (2, 1), (3, 2)])).unwrap();
        outline.accept(&batch(&[(2, 2)])).unwrap();
        assert!(
            matches!(outline.accept(&batch(&[(3, 1)])), Err(Misfit::TermFalls { .. })),
            "after entry 2 of term 2"
        );
    }

    #[test]
    fn boots_are_counted_without_gaps() {
        let mut outline = Outline::default();
        outline.start(1).unwrap();
        assert_eq!(outline.start(1), Err(Misfit::Boot { found: 1, previous: 1 }));
        assert_eq!(outline.start(3), Err(Misfit::Boot { found: 3, previous: 1 }));
        outline.start(2).unwrap();
    }
}
