//! What a host does about snapshots, in a [`Cluster`].

use bytes::Bytes;
use raft_core::{Change, Index, Input, Position, ReadChunk, RoleKind, SnapshotMeta, Transition};

use crate::cluster::{Cluster, Server};

/// So many bytes of a snapshot travel at once.
const PART: usize = 5;

/// A snapshot's bytes.
fn bytes(last: Position) -> Vec<u8> {
    format!("{}.{}", last.index, last.term).into_bytes()
}

impl Server {
    /// The snapshot is durable, in place of an earlier one. Returns whether it is: there may be a later one.
    fn take(&mut self, meta: &SnapshotMeta) -> bool {
        let is_later = |known: &SnapshotMeta| known.last.index < meta.last.index;
        let is_latest = self.snapshot.as_ref().is_none_or(is_later);
        if is_latest {
            self.snapshot = Some(meta.clone());
        }
        is_latest
    }

    /// The process is gone. What it was writing may be there all the same, only it was not told.
    pub(crate) fn crash(&mut self) {
        self.reading.clear();
        if let Some(meta) = self.taking.take().filter(|meta| meta.last.index.0 % 2 == 0) {
            self.take(&meta);
        }
    }
}

impl Cluster {
    pub(crate) fn deal_with_snapshots(&mut self, at: usize) {
        match self.random.below(12) {
            0 => self.begin_snapshot(at),
            1..4 => self.end_snapshot(at),
            4 if self.random.one_in(3) => self.change_voters(at),
            _ => self.read(at),
        }
    }

    fn begin_snapshot(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some((clocked, _)) = &server.running else { return };
        let raft = clocked.raft();
        if server.taking.is_none() {
            server.taking = raft.snapshot_meta(raft.applied()).ok();
        }
    }

    /// It is written; of the log that it contains, some may stay on the disk.
    fn end_snapshot(&mut self, at: usize) {
        let kept = self.random.below(3) as u64;
        let server = &mut self.servers[at];
        let Some(snapshot) = server.taking.take().filter(|meta| server.take(meta)) else { return };
        let through = Index(snapshot.last.index.0.saturating_sub(kept));
        server.log.retain(|entry| entry.index > through);
        self.handle(at, Some(Input::Compact { snapshot, through }));
    }

    fn read(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(ReadChunk { to, last, offset }) = server.reading.pop() else { return };
        let is_there = server.snapshot.as_ref().is_some_and(|snapshot| snapshot.last == last);
        let data: Vec<u8> = bytes(last).into_iter().skip(offset as usize).take(PART).collect();
        let done = offset as usize + data.len() == bytes(last).len();
        let input: Input<Bytes> = match is_there {
            true => Input::SnapshotChunk { to, last, offset, data, done },
            false => Input::SnapshotUnavailable { to },
        };
        self.handle(at, Some(input));
    }

    fn change_voters(&mut self, at: usize) {
        let other = self.servers[self.random.below(self.servers.len())].id();
        let Some((clocked, _)) = &self.servers[at].running else { return };
        let raft = clocked.raft();
        if raft.role() != RoleKind::Leader || raft.id() == other {
            return;
        }
        let change = match raft.membership().voters().contains(&other) {
            true => Change::Learner(other),
            false => Change::Voter(other),
        };
        let input = Input::ChangeMembership { changes: vec![change], transition: Transition::Auto };
        self.handle(at, Some(input));
    }
}
