//! What a host keeps for its node, and what must hold of the writes it is given.

use std::collections::VecDeque;

use raft_core::{Batch, Entry, HardState, Index, LostTail, Position, Recovered, SnapshotMeta};

#[derive(Clone, Default)]
pub struct Disk {
    pub hard: HardState,
    pub snapshot: Option<SnapshotMeta>,
    pub entries: Vec<Entry<u8>>,
    /// A snapshot that is coming in, and how much of it is there.
    pub incoming: Option<(Position, u64)>,
    /// What a damaged log had reached, until a hard state says so.
    pub lost: Option<LostTail>,
    /// How far the state machine has come, where it keeps its state by itself.
    pub applied: Index,
}

impl Disk {
    pub fn store(&mut self, batch: Batch<u8>) {
        if let Some(hard) = batch.hard_state {
            assert!(hard.term >= self.hard.term, "the term on the disk goes back: {:?}, {hard:?}", self.hard);
            self.hard = hard;
            self.lost = self.lost.filter(|_| hard.lost_tail.is_none());
        }
        if let Some(chunk) = batch.chunk {
            if chunk.offset == 0 {
                self.incoming = Some((chunk.last, 0));
            }
            let Some((last, end)) = &mut self.incoming else { panic!("{chunk:?} has no beginning") };
            assert!(*last == chunk.last && *end == chunk.offset, "{chunk:?} after {end} bytes of {last:?}");
            *end += chunk.data.len() as u64;
        }
        if let Some(install) = batch.install {
            let (last, stored) = (install.snapshot.last, self.snapshot_index());
            if self.snapshot.as_ref() != Some(&*install.snapshot) || self.incoming.is_some() {
                let incoming = self.incoming.take().map(|(last, _)| last);
                assert_eq!(incoming, Some(last), "a snapshot is installed that is not there");
                assert!(last.index >= stored, "from the snapshot {stored:?} back to {last:?}");
                self.snapshot = Some((*install.snapshot).clone());
            }
            self.entries.retain(|entry| install.keeps_log && entry.index > last.index);
        }
        if let Some(first) = batch.entries.first() {
            let end = self.entries.last().map_or(self.snapshot_index(), |entry| entry.index);
            let end = end.max(self.snapshot_index());
            assert!(first.index <= end.next(), "a hole in the log on the disk, from {end:?} to {first:?}");
            self.entries.retain(|entry| entry.index < first.index);
        }
        self.entries.extend(batch.entries.iter().cloned());
    }

    /// A snapshot of the state machine is stored, without regard to the writes that are outstanding.
    pub fn take_snapshot(&mut self, meta: &SnapshotMeta) {
        if self.snapshot_index() < meta.last.index {
            self.snapshot = Some(meta.clone());
        }
    }

    /// The log lets go of what a snapshot stands for.
    pub fn trim(&mut self, through: Index) {
        self.entries.retain(|entry| entry.index > through);
    }

    /// The end of the log is lost, but for the first `kept` entries: the state machine begins with the snapshot.
    pub fn rot(&mut self, kept: usize, is_known: bool) {
        let Some(last) = self.entries.last().map(Entry::position).filter(|_| kept < self.entries.len())
        else {
            return;
        };
        self.entries.truncate(kept);
        self.applied = Index::ZERO;
        self.lost.get_or_insert(if is_known { LostTail::UpTo(last) } else { LostTail::Unknown });
    }

    pub fn snapshot_index(&self) -> Index {
        self.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.last.index)
    }

    pub fn entry(&self, index: Index) -> Option<&Entry<u8>> {
        let first = self.entries.first()?.index;
        self.entries.get(usize::try_from(index.0.checked_sub(first.0)?).ok()?)
    }

    /// Whether everything up to `index` would survive a crash.
    pub fn covers(&self, index: Index) -> bool {
        self.snapshot_index() >= index || self.entries.last().is_some_and(|last| last.index >= index)
    }

    /// Whether this entry would survive a crash, by itself or in a snapshot.
    pub fn holds(&self, entry: &Entry<u8>) -> bool {
        self.snapshot_index() >= entry.index || self.entry(entry.index) == Some(entry)
    }

    pub fn recovered(&self, boot: u64) -> Recovered<u8> {
        Recovered {
            boot,
            hard_state: self.hard,
            snapshot: self.snapshot.clone(),
            entries: self.entries.clone(),
            applied: self.applied,
            lost_tail: self.lost,
        }
    }

    /// What is in memory only is gone.
    pub fn lose_power(&mut self) {
        self.incoming = None;
    }
}

/// The last of several things, and the others dropped: what is remembered of the past is little.
pub fn remember<T>(past: &mut VecDeque<T>, latest: T) {
    past.push_front(latest);
    past.truncate(8);
}
