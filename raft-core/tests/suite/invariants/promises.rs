//! K01: what rests on a write is said only when the platter holds it.

use raft_core::{AppendOutcome, AppendResponse, Body, Index, Outbound, Raft};

use super::Ghost;
use crate::cluster::{Command, Disk, Server};

impl Ghost {
    pub fn on_send(&mut self, server: &Server, outbound: &Outbound<Command>) {
        let Some(raft) = &server.raft else { return };
        let disk = &server.disk;
        let term = outbound.message.term;
        let has_term = disk.hard_state.term == term;
        let is_durable = match &outbound.message.body {
            Body::VoteRequest { .. } => has_term && disk.hard_state.voted_for == Some(raft.id()),
            Body::VoteResponse { granted: true } => {
                has_term && disk.hard_state.voted_for == Some(outbound.to)
            }
            Body::Append(_) | Body::Snapshot(_) | Body::TimeoutNow => has_term,
            Body::ReadResponse { .. } | Body::ProposalResponse { outcome: Ok(_), .. } => has_term,
            Body::AppendResponse(AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. }) => {
                has_term && self.is_as_said(raft, disk, *matched)
            }
            _ => true,
        };
        if !is_durable {
            self.violated(format!("{:?} says what its disk does not know: {outbound:?}", raft.id()));
        }
    }

    /// Whether the platter holds what stands in memory up to `matched`; of what is compacted away there, what is committed.
    fn is_as_said(&self, raft: &Raft<Command>, disk: &Disk, matched: Index) -> bool {
        let in_memory = raft.entries().filter(|entry| entry.index <= matched);
        let compacted = self.committed.values().map(|(entry, _)| entry);
        let compacted = compacted.filter(|entry| entry.index <= matched.min(raft.base().index));
        disk.covers(matched) && in_memory.chain(compacted).all(|entry| disk.holds(entry))
    }
}
