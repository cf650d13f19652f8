//! Snapshots as a replica sees them: when to take one, and what waits while one is read. The bytes are the host's business.

use bytes::Bytes;
use raft_core::{Entry, Index, Input, Moment, Position, ReadChunk, SnapshotMeta};

use super::Replica;
use super::io::{ReplicaOutput, RequestId};
use crate::limits::{KEPT_ENTRIES, SNAPSHOT_EVERY};
use crate::machine::Machine;
use crate::protocol::{Answer, Failure};
use crate::wal::mutant::ServerMutant;

const NOT_WRITTEN: &str = "the snapshot was not written; the server's log says why";

/// When snapshots are taken, and how much of the log stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotPolicy {
    /// Once so many entries were executed since the last one.
    pub every: u64,
    /// So many entries before its end stay in the log, for servers that lag a little.
    pub kept: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        SnapshotPolicy { every: SNAPSHOT_EVERY, kept: KEPT_ENTRIES }
    }
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Snapshotting {
    policy: SnapshotPolicy,
    /// One is being written.
    is_taking: bool,
    /// The machine is being read from the snapshot that ends here.
    restoring: Option<Position>,
    /// What is to be executed after that.
    postponed: Vec<Entry<Bytes>>,
    /// Requests for a snapshot now, and how much of the log each wants to stay.
    asked: Vec<(RequestId, u64)>,
    /// Those among them that the one under way will answer.
    answered_next: usize,
}

impl Snapshotting {
    pub(super) fn new(policy: SnapshotPolicy) -> Self {
        Snapshotting {
            policy,
            is_taking: false,
            restoring: None,
            postponed: Vec::new(),
            asked: Vec::new(),
            answered_next: 0,
        }
    }

    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// Somebody wants a snapshot now.
    pub(super) fn ask(&mut self, id: RequestId, kept: u64) {
        self.asked.push((id, kept));
    }

    /// What was to be executed after an earlier snapshot is in this one.
    pub(super) fn begin_restoring(&mut self, last: Position) {
        self.restoring = Some(last);
        self.postponed.clear();
    }

    pub(super) fn postpone(&mut self, entry: Entry<Bytes>) {
        self.postponed.push(entry);
    }
}

impl Replica {
    /// Asks for a snapshot if it is time for one.
    pub(super) fn take_snapshot(&mut self, now: Moment, out: &mut ReplicaOutput) {
        let latest = self.raft().snapshot().map_or(0, |snapshot| snapshot.last.index.0);
        let is_due = self.applied.0.saturating_sub(latest) >= self.snapshots.policy.every
            || !self.snapshots.asked.is_empty();
        // What was executed and not yet reported, the core will not describe.
        let is_settled = self.unreported.is_none() && self.applied == self.raft().applied();
        if !is_due || !is_settled || self.snapshots.is_taking || self.snapshots.is_restoring() {
            return;
        }
        self.snapshots.answered_next = self.snapshots.asked.len();
        // The latest one may do, and then only the log goes. A server that has just joined may not know the members yet; then
        // it is too early.
        let meta = match self.raft().snapshot().filter(|snapshot| snapshot.last.index == self.applied) {
            Some(latest) => return self.compact(now, SnapshotMeta::clone(latest), out),
            None => self.raft().snapshot_meta(self.applied),
        };
        let meta = match meta {
            Ok(meta) => meta,
            Err(error) => return self.answer_asked(Err(Failure::Invalid { reason: error.to_string() }), out),
        };
        self.snapshots.is_taking = true;
        out.take = Some((meta, self.machine.copied()));
    }

    /// The log behind it may go.
    pub(super) fn snapshot_taken(
        &mut self,
        now: Moment,
        snapshot: Option<SnapshotMeta>,
        out: &mut ReplicaOutput,
    ) {
        self.snapshots.is_taking = false;
        match snapshot {
            Some(snapshot) => self.compact(now, snapshot, out),
            None => self.answer_asked(Err(Failure::Invalid { reason: NOT_WRITTEN.to_owned() }), out),
        }
    }

    fn compact(&mut self, now: Moment, snapshot: SnapshotMeta, out: &mut ReplicaOutput) {
        let last = snapshot.last.index;
        let asked = self.snapshots.asked.iter().take(self.snapshots.answered_next).map(|(_, kept)| *kept);
        let kept = asked.min().unwrap_or(self.snapshots.policy.kept);
        let through = Index(last.0.saturating_sub(kept));
        // Refused if a later one was installed meanwhile, which is as well.
        self.step(now, Some(Input::Compact { snapshot, through }), out);
        self.answer_asked(Ok(Answer::Snapshot { last: last.0 }), out);
    }

    fn answer_asked(&mut self, result: Result<Answer, Failure>, out: &mut ReplicaOutput) {
        let count = std::mem::take(&mut self.snapshots.answered_next);
        for (id, _) in self.snapshots.asked.drain(..count) {
            out.answer(id, result.clone());
        }
    }

    /// The machine is there, and what waited for it is executed.
    pub(super) fn restored(
        &mut self,
        now: Moment,
        last: Position,
        machine: Machine,
        out: &mut ReplicaOutput,
    ) {
        // A later one may have been asked for meanwhile.
        if self.snapshots.restoring != Some(last) {
            return;
        }
        self.snapshots.restoring = None;
        self.machine.replace_by(machine);
        self.applied = last.index;
        if !self.machine.is_seeded(ServerMutant::WatchSkipsSnapshot) {
            self.watches.begin_after(last.index);
        }
        for entry in std::mem::take(&mut self.snapshots.postponed) {
            self.apply(&entry, out);
        }
        self.step(now, Some(Input::Applied(self.applied)), out);
    }

    pub(super) fn chunk_read(
        &mut self,
        now: Moment,
        asked: ReadChunk,
        part: Option<(Vec<u8>, bool)>,
        out: &mut ReplicaOutput,
    ) {
        let ReadChunk { to, last, offset } = asked;
        let input = match part {
            Some((data, done)) => Input::SnapshotChunk { to, last, offset, data, done },
            None => Input::SnapshotUnavailable { to },
        };
        self.step(now, Some(input), out);
    }
}
