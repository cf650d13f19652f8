//! What a server's stable storage holds, and what its host makes of the core's writes.

use raft_core::{Batch, Entry, HardState, Index, Position, SnapshotMeta};
use serde::Serialize;

use crate::members::payload_number;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    /// The snapshot to start from.
    pub(crate) snapshot: Option<SnapshotMeta>,
    /// What has come of another one.
    parts: Option<(Position, Vec<u8>)>,
    pub(crate) entries: Vec<Entry<u8>>,
    /// Where the log ended, if its end is gone and the core has not noted that yet.
    pub(crate) lost: Option<Position>,
}

/// The bytes of a snapshot: enough to tell it from every other one.
fn bytes(last: Position) -> [u8; 2] {
    [last.index.0 as u8, last.term.0 as u8]
}

impl Disk {
    /// Stores a batch: all of it. Returns whether a snapshot that it installs was there in full.
    pub(crate) fn store(&mut self, batch: &Batch<u8>) -> bool {
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
            self.lost = None;
        }
        if let Some(chunk) = &batch.chunk {
            let before = self.parts.take().filter(|(last, _)| chunk.offset > 0 && *last == chunk.last);
            let (_, mut data) = before.unwrap_or((chunk.last, Vec::new()));
            // One that does not follow leaves a hole: nothing that can be installed.
            if data.len() as u64 == chunk.offset {
                data.extend(&chunk.data);
                self.parts = Some((chunk.last, data));
            }
        }
        let mut is_whole = true;
        if let Some(install) = &batch.install {
            let last = install.snapshot.last;
            if self.snapshot.as_ref().is_none_or(|snapshot| snapshot.last != last) {
                is_whole = self.parts.take().is_some_and(|(of, data)| of == last && data == bytes(last));
                self.snapshot = Some((*install.snapshot).clone());
            }
            self.entries.retain(|entry| install.keeps_log && entry.index > last.index);
        }
        if let Some(first) = batch.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(batch.entries.iter().cloned());
        }
        is_whole
    }

    /// The host stores a snapshot of its own state, and lets go of the log that it contains.
    pub(crate) fn compact(&mut self, snapshot: SnapshotMeta) {
        self.entries.retain(|entry| entry.index > snapshot.last.index);
        self.snapshot = Some(snapshot);
    }

    /// A part of a snapshot, of so many in all, and whether it is the last; nothing, if that snapshot is not here.
    pub(crate) fn read(&self, last: Position, offset: u64, parts: u8) -> Option<(Vec<u8>, bool)> {
        self.snapshot.as_ref().filter(|snapshot| snapshot.last == last)?;
        let all = bytes(last);
        let start = usize::try_from(offset).ok()?.min(all.len());
        let end = (start + all.len().div_ceil(usize::from(parts.max(1)))).min(all.len());
        Some((all.get(start..end)?.to_vec(), end == all.len()))
    }

    /// It stops: what there is of a snapshot that is not installed is forgotten.
    pub(crate) fn crash(&mut self) {
        self.parts = None;
    }

    /// The last entry that it held is gone. Returns whether there was one.
    pub(crate) fn lose_tail(&mut self) -> bool {
        let gone = self.entries.pop().map(|entry| entry.position());
        self.lost = gone.or(self.lost);
        gone.is_some()
    }

    /// Whether the effect of an entry is here, by itself or in a snapshot. What it has vouched for and lost counts while it
    /// remembers that: it votes as if it still had it (FAST '18).
    pub(crate) fn holds(&self, index: Index, term: raft_core::Term, payload: u32) -> bool {
        let lost = self.lost.or(self.hard_state.lost_tail);
        self.snapshot.as_ref().is_some_and(|snapshot| index <= snapshot.last.index)
            || lost.is_some_and(|lost| index <= lost.index && term <= lost.term)
            || self
                .entries
                .iter()
                .any(|entry| entry.index == index && (entry.term, payload_number(entry)) == (term, payload))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raft_core::{Chunk, Entries, Install, Membership, NodeId, Payload, Term};

    use super::*;

    fn position(index: u64, term: u64) -> Position {
        Position { index: Index(index), term: Term(term) }
    }

    fn batch(last: Position, offset: u64, data: &[u8], installs: bool) -> Batch<u8> {
        let membership = Arc::new(Membership::new([NodeId(1)]));
        let install = Install { snapshot: Arc::new(SnapshotMeta { last, membership }), keeps_log: false };
        Batch {
            chunk: Some(Chunk { last, offset, data: data.to_vec() }),
            install: Some(install).filter(|_| installs),
            ..Batch::new(None, Entries::none())
        }
    }

    #[test]
    fn a_snapshot_is_whole_when_all_its_parts_came_in_order() {
        let (one, other) = (position(3, 1), position(3, 2));
        let mut disk = Disk::default();
        assert!(disk.store(&batch(one, 0, &[3], false)) && disk.store(&batch(one, 1, &[1], true)));
        assert_eq!(disk.read(one, 0, 2), Some((vec![3], false)));
        assert_eq!(disk.read(one, 1, 2), Some((vec![1], true)));
        assert_eq!(disk.read(one, 0, 1), Some((vec![3, 1], true)));
        assert_eq!(disk.read(other, 0, 1), None);
        // Parts of two snapshots; a part that is missing; parts from before a crash.
        assert!(disk.store(&batch(one, 0, &[3], false)) && !disk.clone().store(&batch(other, 1, &[2], true)));
        assert!(!Disk::default().store(&batch(one, 1, &[1], true)));
        disk.store(&batch(other, 0, &[3], false));
        disk.crash();
        assert!(!disk.store(&batch(other, 1, &[2], true)));
    }

    #[test]
    fn what_a_snapshot_contains_is_held() {
        let entry = |index, term| Entry { index: Index(index), term: Term(term), payload: Payload::Noop };
        let mut disk = Disk { entries: vec![entry(1, 1), entry(2, 1), entry(3, 2)], ..Disk::default() };
        assert!(disk.holds(Index(3), Term(2), 256) && !disk.holds(Index(3), Term(1), 256));
        let membership = Arc::new(Membership::new([NodeId(1)]));
        disk.compact(SnapshotMeta { last: position(2, 1), membership });
        assert_eq!(disk.entries, [entry(3, 2)]);
        assert!(disk.holds(Index(1), Term(1), 256) && disk.holds(Index(3), Term(2), 256));
        assert!(!disk.holds(Index(4), Term(2), 256));
    }
}
