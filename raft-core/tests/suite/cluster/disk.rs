//! What a server keeps across crashes, and the state machine whose state its snapshots hold.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use raft_core::{
    Batch, Entry, HardState, Index, LostTail, Position, Recovered, SnapshotMeta, Write, WriteAck,
};

use super::Command;

/// A state machine that remembers everything it ever did, in a few bytes: a chain of hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub index: Index,
    pub digest: u64,
}

impl State {
    pub fn execute(&mut self, entry: &Entry<Command>) {
        let mut hasher = DefaultHasher::new();
        (self.digest, entry).hash(&mut hasher);
        *self = State { index: entry.index, digest: hasher.finish() };
    }

    pub fn to_bytes(self) -> Vec<u8> {
        [self.index.0.to_be_bytes(), self.digest.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<State> {
        let index = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        let digest = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
        (bytes.len() == 16).then_some(State { index: Index(index), digest })
    }
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub hard_state: HardState,
    pub snapshot: Option<(SnapshotMeta, State)>,
    pub entries: VecDeque<Entry<Command>>,
    /// A snapshot that is coming in.
    incoming: Option<(Position, Vec<u8>)>,
    /// What a damaged log had reached, until the server has started with that.
    pub lost_tail: Option<LostTail>,
    /// What rotted and is not repaired: vouched for, and counted on.
    rotten: Vec<Entry<Command>>,
    /// Handed out by the core, not yet on the platter.
    pub queue: VecDeque<Write<Command>>,
    /// On the platter, not yet reported.
    pub unreported: VecDeque<WriteAck>,
}

impl Disk {
    /// Returns what is wrong with the batch, if its chunks do not make a snapshot.
    pub fn store(&mut self, batch: &Batch<Command>) -> Result<(), String> {
        if let Some(hard_state) = batch.hard_state {
            if hard_state.lost_tail.is_none() && self.hard_state.lost_tail.is_some() {
                self.rotten.clear();
            }
            self.hard_state = hard_state;
            self.lost_tail = self.lost_tail.filter(|_| hard_state.lost_tail.is_none());
        }
        if let Some(chunk) = &batch.chunk {
            if chunk.offset == 0 {
                self.incoming = Some((chunk.last, Vec::new()));
            }
            let (last, bytes) = self.incoming.as_mut().ok_or("a chunk without a beginning")?;
            if *last != chunk.last || bytes.len() as u64 != chunk.offset {
                return Err(format!("chunk {chunk:?} does not go on from {last:?}, {} bytes", bytes.len()));
            }
            bytes.extend(&chunk.data);
        }
        if let Some(install) = &batch.install {
            let last = install.snapshot.last;
            if self.snapshot_index() < last.index || self.incoming.is_some() {
                let (incoming, bytes) = self.incoming.take().ok_or("nothing to install")?;
                let state = State::from_bytes(&bytes).ok_or_else(|| format!("half a snapshot: {bytes:?}"))?;
                if incoming != last || state.index != last.index {
                    return Err(format!("{install:?} of {incoming:?} with {state:?}"));
                }
                self.snapshot = Some(((*install.snapshot).clone(), state));
            }
            let keeps = |entry: &Entry<Command>| install.keeps_log && entry.index > last.index;
            self.entries.retain(keeps);
        }
        if let Some(first) = batch.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(batch.entries.iter().cloned());
        }
        Ok(())
    }

    /// Whether everything up to `index` would survive a crash.
    pub fn covers(&self, index: Index) -> bool {
        let by_log = self.entries.back().is_some_and(|last| last.index >= index);
        by_log || self.snapshot_index() >= index
    }

    pub fn holds(&self, entry: &Entry<Command>) -> bool {
        self.snapshot_index() >= entry.index || self.entry(entry.index) == Some(entry)
    }

    /// Whether the entry is there, or was when the server said so.
    pub fn has_vouched_for(&self, entry: &Entry<Command>) -> bool {
        self.holds(entry) || self.rotten.contains(entry)
    }

    pub fn entry(&self, index: Index) -> Option<&Entry<Command>> {
        let first = self.entries.front()?.index;
        self.entries.get(usize::try_from(index.0.checked_sub(first.0)?).ok()?)
    }

    pub fn snapshot_index(&self) -> Index {
        self.snapshot.as_ref().map_or(Index::ZERO, |(meta, _)| meta.last.index)
    }

    /// A snapshot of the state machine is written, and the log lets go of what is before `through`.
    pub fn take_snapshot(&mut self, meta: SnapshotMeta, state: State, through: Index) {
        self.snapshot = Some((meta, state));
        self.entries.retain(|entry| entry.index > through);
    }

    /// What is in memory only is gone.
    pub fn lose_power(&mut self) {
        self.queue.clear();
        self.unreported.clear();
        self.incoming = None;
    }

    /// The end of the log rots, but for the first `kept` entries. It is noticed at the next start: how far the log had reached
    /// is found out, or not.
    pub fn rot(&mut self, kept: usize, is_known: bool) {
        if kept >= self.entries.len() {
            return;
        }
        let last = self.entries.back().map(Entry::position).unwrap_or_default();
        self.rotten.extend(self.entries.drain(kept..));
        self.lost_tail.get_or_insert(if is_known { LostTail::UpTo(last) } else { LostTail::Unknown });
    }

    pub fn recovered(&mut self, boot: u64) -> Recovered<Command> {
        Recovered {
            boot,
            hard_state: self.hard_state,
            snapshot: self.snapshot.as_ref().map(|(meta, _)| meta.clone()),
            entries: self.entries.iter().cloned().collect(),
            applied: Index::ZERO,
            lost_tail: self.lost_tail,
        }
    }
}
