//! There are no snapshots here: what only another release can send ends the server instead of its being half understood.

use std::sync::Arc;

use raft_core::{
    Append, Body, Breach, Entry, Event, Index, Message, Payload, Position, Round, SnapshotChunk, SnapshotMeta,
};

use super::cluster::Cluster;
use crate::replica::{ReplicaInput, ReplicaOutput};

#[test]
fn a_snapshot_that_was_stored_though_no_log_can_store_it_ends_the_server() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let follower = cluster.others(leader)[0];
    let mut replica = cluster.take(follower);
    let raft = cluster.replica(leader).raft();
    let last = Position { index: Index(100), term: raft.term() };
    let snapshot = Arc::new(SnapshotMeta { last, membership: Arc::clone(raft.membership()) });
    let chunk = SnapshotChunk { snapshot, offset: 0, data: Vec::new(), done: true, round: Round::default() };
    let message = Message { term: raft.term(), body: Body::Snapshot(chunk) };
    let mut out = ReplicaOutput::default();
    replica.handle(cluster.now, [ReplicaInput::Message { from: leader, message }], &mut out);
    assert!(out.writes.iter().any(|write| write.batch().install.is_some()), "for the log to refuse");
    let applied = replica.raft().applied();
    let durable =
        std::mem::take(&mut out.writes).into_iter().map(|write| ReplicaInput::Durable(write.split().1));
    replica.handle(cluster.now, durable, &mut out);
    assert!(out.events.contains(&Event::Halted(Breach::StorageFailed)), "{:?}", out.events);
    assert_eq!(replica.raft().applied(), applied, "nothing was executed");
}

#[test]
fn a_membership_in_the_log_is_executed_as_nothing() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let follower = cluster.others(leader)[0];
    let raft = cluster.replica(leader).raft();
    let prev = raft.last();
    let payload = Payload::Membership(Arc::clone(raft.membership()));
    let entry = Entry { index: prev.index.next(), term: raft.term(), payload };
    let commit = entry.index;
    let append = Append { prev, entries: vec![entry].into(), commit, round: Round::default() };
    let message = Message { term: raft.term(), body: Body::Append(append) };
    let before = cluster.replica(follower).machine().clone();
    cluster.turn(follower, [ReplicaInput::Message { from: leader, message }]);
    assert_eq!(cluster.applied(follower), commit);
    assert_eq!(cluster.replica(follower).machine().state_hash(), before.state_hash());
}
