//! The follower's side of a snapshot transfer (§7, InstallSnapshot, receiver implementation).
//!
//! Chunks go to the disk in the order of their offsets, each in a write of its own; with the last one the snapshot takes the
//! place of the log, in the same write. In memory that happens at once; the leader is told, and the state machine is, when the
//! write is durable. A crash before that leaves the old log, one after it the snapshot (F15).

use std::sync::Arc;

use super::{Chunk, Install, SnapshotMeta};
use crate::entry::Command;
use crate::error::Refused;
use crate::event::Breach;
use crate::io::Effects;
use crate::log::Log;
use crate::message::{Body, SnapshotChunk};
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::{Owed, Role};
use crate::types::{Index, NodeId, Position};

/// A snapshot that is coming in. Forgotten with the leader, since another's may have other bytes (F14).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Receiving {
    last: Position,
    /// The bytes before this are stored, or on their way to the disk.
    next: u64,
}

impl<P: Command> Raft<P> {
    /// A chunk of the current term.
    pub(crate) fn on_snapshot(&mut self, from: NodeId, chunk: SnapshotChunk, effects: &mut Effects<P>) {
        if !self.follow(from, effects) {
            return;
        }
        let SnapshotChunk { snapshot, offset, data, done, round } = chunk;
        let last = snapshot.last;
        let is_held = self.log.holds(last);
        // Another entry where one is committed, or a term that has gone back after it.
        let at_commit = self.log.term_at(self.commit).unwrap_or_default();
        let contradicts = match last.index <= self.commit {
            true => !is_held && self.log.term_at(last.index).is_some(),
            false => last.term < at_commit,
        };
        if contradicts {
            let index = last.index.min(self.commit);
            return self.halt(Breach::CommittedEntryContradicted { index }, effects);
        }
        let wants_it = matches!(&self.role, Role::Follower(following) if following.wants_snapshot);
        let is_needed = last.index > self.commit || (wants_it && last.index == self.commit);
        if !is_needed || (is_held && !wants_it) {
            // "If existing log entry has same index and term as snapshot's last included entry, retain log entries following
            // it and reply": what it stands for is here, and is committed.
            return self.note_verified(Index::ZERO, last.index, last.index, round);
        }
        let Role::Follower(following) = &mut self.role else { return };
        following.round = following.round.max(round);
        let under_way = following.receiving.as_ref().filter(|receiving| receiving.last == last);
        let expected = under_way.map_or(0, |receiving| receiving.next);
        // A repetition, or one that was overtaken (F13): say which one is waited for.
        let is_next = offset == expected;
        let next = if is_next { offset.saturating_add(data.len() as u64) } else { expected };
        if is_next {
            following.receiving = Some(Receiving { last, next });
            self.durability.chunk_received(Chunk { last, offset, data });
        }
        self.send(from, Body::SnapshotResponse { last, next, round }, effects);
        if is_next && done {
            self.install(snapshot, is_held);
        }
    }

    /// All of it is there: it takes the place of the log, or of its beginning if the log holds its last entry.
    fn install(&mut self, snapshot: Arc<SnapshotMeta>, keeps_log: bool) {
        let committed = self.commit;
        let install = Install { snapshot: Arc::clone(&snapshot), keeps_log };
        self.durability.install(install, committed, self.config.mutant);
        let last = snapshot.last;
        let drops_members = self.has_mutant(Mutant::SnapshotDropsConfig);
        if keeps_log {
            self.log.compact(last.index);
            if !drops_members {
                self.log.set_base_membership(&snapshot.membership);
            }
        } else {
            let named = if drops_members { self.log.membership() } else { &snapshot.membership };
            self.log = Log::after(last, Arc::clone(named));
        }
        self.commit = self.commit.max(last.index);
        self.snapshot = Some(snapshot);
        self.restores = true;
        if let Role::Follower(following) = &mut self.role {
            following.receiving = None;
            following.wants_snapshot = false;
            following.verified = following.verified.max(last.index);
            following.owed = following.owed.max(Owed::WhenDurable);
        }
    }

    /// The host's state machine is damaged: it wants a snapshot that is at least as new as what it has executed (F12).
    pub(crate) fn request_snapshot(&mut self, effects: &mut Effects<P>) -> Result<(), Refused> {
        if matches!(self.role, Role::Leader(_)) {
            return Err(Refused::Leads);
        }
        let leader = self.leader().ok_or(Refused::NotLeader { leader: None })?;
        if let Role::Follower(following) = &mut self.role {
            following.wants_snapshot = true;
        }
        self.ask_for_snapshot(leader, effects);
        Ok(())
    }

    /// Asks the leader for the snapshot that is wanted, now and with every heartbeat until it comes.
    pub(crate) fn ask_for_snapshot(&mut self, leader: NodeId, effects: &mut Effects<P>) {
        let Role::Follower(following) = &self.role else { return };
        if following.wants_snapshot && following.receiving.is_none() {
            self.send(leader, Body::SnapshotRequest { at_least: self.commit }, effects);
        }
    }

    /// Everything up to `index` is committed, as far as this log is the leader's. While a snapshot is wanted the commit index stays,
    /// or the snapshot would be overtaken before it is here: the state machine is not fit to execute more anyway.
    pub(crate) fn raise_commit(&mut self, index: Index) {
        let last = self.log.last().index;
        let Role::Follower(following) = &self.role else { return };
        if !following.wants_snapshot {
            self.commit = self.commit.max(index.min(following.verified).min(last));
        }
    }
}
