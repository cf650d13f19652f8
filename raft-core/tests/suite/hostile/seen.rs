//! What the node has said and asked for so far: what its tormentor makes use of.

use std::sync::Arc;

use raft_core::{
    Body, Effects, Index, NodeId, Proposed, Raft, ReadChunk, SnapshotMeta, Term, Ticket, WriteAck,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Writes that were handed out and not reported durable.
    pub acks: Vec<WriteAck>,
    /// Reported already: to be repeated.
    pub spent: Vec<WriteAck>,
    pub wanted: Vec<ReadChunk>,
    pub tickets: Vec<Ticket>,
    pub handed: Index,
    pub leader: Option<(Term, NodeId)>,
    /// The snapshot that is being sent to the node, and where the node is with it.
    pub offered: Option<Arc<SnapshotMeta>>,
    pub next: u64,
    /// Up to where the node has sent a snapshot of its own.
    pub sent_to: u64,
}

impl Seen {
    pub fn watch(&mut self, raft: &Raft<u8>, effects: &Effects<u8>) {
        self.acks.extend(effects.writes.iter().map(|write| write.clone().split().1));
        self.wanted.extend(&effects.snapshots);
        if let Some(apply) = effects.apply.last() {
            self.handed = apply.index();
        }
        if let Some(Proposed::Forwarded(ticket)) = effects.proposed {
            self.tickets.push(ticket);
        }
        if let Some(leader) = raft.leader() {
            self.leader = Some((raft.term(), leader));
        }
        for outbound in &effects.send {
            match &outbound.message.body {
                Body::SnapshotResponse { next, .. } => self.next = *next,
                Body::Snapshot(chunk) => self.sent_to = chunk.offset + chunk.data.len() as u64,
                Body::ReadRequest { ticket } => self.tickets.push(*ticket),
                _ => {}
            }
        }
    }
}
