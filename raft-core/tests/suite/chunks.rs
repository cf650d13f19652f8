//! F: how a snapshot travels, chunk by chunk, and what may happen to it on the way.

use std::sync::Arc;

use raft_core::{
    Apply, Body, Change, Chunk, Index, Input, NodeId, ReadChunk, RoleKind, Round, Sending, SnapshotChunk,
    SnapshotMeta, Timer, Transition,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, accepted, append, at, rejected};
use crate::snapshots::{compact, compacted_leader, members};

/// Two bytes of the snapshot (9, 2), which has six; `done` is the third chunk.
fn chunk_of(index: u64, offset: u64) -> Body<u64> {
    let snapshot = Arc::new(SnapshotMeta { last: at(index, 2), membership: Arc::new(members(&[1, 2, 3])) });
    let data = vec![u8::try_from(offset).unwrap(); 2];
    Body::Snapshot(SnapshotChunk { snapshot, offset, data, done: offset == 4, round: Round(0) })
}

fn chunk(offset: u64) -> Body<u64> {
    chunk_of(9, offset)
}

fn waits_for(index: u64, next: u64) -> (u64, Body<u64>) {
    (2, Body::SnapshotResponse { last: at(index, 2), next, round: Round(0) })
}

fn follower() -> Node {
    let mut node = Node::new(3, &[1], 1);
    node.slow = true;
    node
}

/// What is to be stored, in order: chunks as (snapshot, offset), an install as (snapshot, none).
fn stored(node: &Node) -> Vec<(u64, Option<u64>)> {
    let batches = node.effects.writes.iter().map(raft_core::Write::batch);
    let parts = batches.flat_map(|batch| {
        let chunk = batch.chunk.iter().map(|Chunk { last, offset, .. }| (last.index.0, Some(*offset)));
        chunk.chain(batch.install.iter().map(|install| (install.snapshot.last.index.0, None)))
    });
    parts.collect()
}

#[test]
fn f13_a_lost_or_repeated_chunk_is_sent_again_or_ignored() {
    // (what arrives, what is stored, what is waited for at last)
    let done = [(9, Some(0)), (9, Some(2)), (9, Some(4)), (9, None)];
    let table: [(&[u64], &[_], u64); 7] = [
        (&[0, 2, 4], &done, 6),
        (&[0, 0, 2, 2, 0, 4], &done, 6),
        (&[0, 4], &done[..1], 2),
        (&[2, 4], &[], 0),
        (&[4, 2, 0], &done[..1], 2),
        (&[4, 2, 0, 2, 4], &done, 6),
        (&[0, 2, 0, 2], &done[..2], 4),
    ];
    for (arriving, expected, next) in table {
        let mut node = follower();
        let mut said = Vec::new();
        for &offset in arriving {
            said = node.hear(2, 2, chunk(offset));
        }
        assert_eq!(stored(&node), expected, "{arriving:?}");
        assert_eq!(said, [waits_for(9, next)], "{arriving:?}");
    }
}

#[test]
fn f13_the_leader_goes_on_from_where_the_follower_says_it_is() {
    let last = at(4, 2);
    let read = |offset| [ReadChunk { to: NodeId(3), last, offset }];
    let data = |offset, done| Input::SnapshotChunk { to: NodeId(3), last, offset, data: vec![0; 2], done };
    let answer = |next| Body::SnapshotResponse { last, next, round: Round(0) };
    let mut node = compacted_leader();
    node.hear(3, 2, rejected(4, at(0, 0)));
    assert_eq!(std::mem::take(&mut node.effects.snapshots), read(0));
    // One chunk after the other; repeated answers move nothing.
    assert_eq!(node.input(data(0, false)).len(), 1);
    node.hear(3, 2, answer(2));
    node.hear(3, 2, answer(2));
    assert_eq!(node.effects.snapshots, read(2), "asked once");
    // Repeated data too.
    assert_eq!(node.input(data(0, false)), []);
    assert_eq!(node.input(data(2, false)).len(), 1);
    node.effects.snapshots.clear();
    // The follower has not got it (or has crashed): goes on from there, with the next heartbeat.
    node.hear(3, 2, answer(0));
    assert_eq!(node.effects.snapshots, []);
    node.fire(Timer::Heartbeat);
    assert_eq!(std::mem::take(&mut node.effects.snapshots), read(0));
    // No answer at all, for an election timeout or two.
    assert_eq!(node.input(data(0, false)).len(), 1);
    let mut timeouts = 0;
    while node.effects.snapshots.is_empty() && timeouts < 5 {
        timeouts += 1;
        node.hear(2, 2, accepted(5, 0));
        node.fire(Timer::Contact);
        node.fire(Timer::Heartbeat);
    }
    assert_eq!((timeouts, &node.effects.snapshots[..]), (2, &read(0)[..]));
    // The transport says at once that it got lost.
    node.effects.snapshots.clear();
    node.input(data(0, false));
    node.input(Input::Unreachable(NodeId(3)));
    node.fire(Timer::Heartbeat);
    assert_eq!(node.effects.snapshots, read(0));
}

#[test]
fn f13_answers_about_another_snapshot_move_nothing() {
    for (index, next) in [(3, 2), (3, 0), (9, 0), (5, 2)] {
        let mut node = compacted_leader();
        node.hear(3, 2, rejected(4, at(0, 0)));
        let data = vec![0; 2];
        node.input(Input::SnapshotChunk { to: NodeId(3), last: at(4, 2), offset: 0, data, done: false });
        node.effects.snapshots.clear();
        node.hear(3, 2, Body::SnapshotResponse { last: at(index, 2), next, round: Round(0) });
        node.fire(Timer::Heartbeat);
        assert_eq!(node.effects.snapshots, [], "{index} {next}");
    }
}

/// A follower that lacks everything, and a leader that has let go of all of it.
pub fn cluster_with_an_empty_follower() -> Cluster {
    let mut cluster = Cluster::new(3, |_| {});
    let without_3 = |id: NodeId| id != NodeId(3);
    cluster.elect(NodeId(1), 1000, without_3);
    for _ in 0..5 {
        cluster.propose(NodeId(1)).unwrap();
    }
    cluster.exchange(1000, without_3);
    cluster.network.clear();
    cluster.compact(NodeId(1), 0).unwrap();
    cluster
}

#[test]
fn f14_a_leader_that_compacts_again_goes_on_with_the_latest_snapshot() {
    let mut node = compacted_leader();
    node.hear(3, 2, rejected(4, at(0, 0)));
    node.effects.snapshots.clear();
    compact(&mut node, 5, 5).unwrap();
    // The host keeps only the latest.
    node.input(Input::SnapshotUnavailable { to: NodeId(3) });
    node.fire(Timer::Heartbeat);
    node.hear(3, 2, rejected(5, at(0, 0)));
    assert_eq!(node.effects.snapshots, [ReadChunk { to: NodeId(3), last: at(5, 2), offset: 0 }]);
    // An answer that has the old one's name is of no use.
    let data = vec![0; 2];
    let old = Input::SnapshotChunk { to: NodeId(3), last: at(4, 2), offset: 0, data, done: false };
    assert_eq!(node.input(old), []);

    let mut cluster = cluster_with_an_empty_follower();
    cluster.fire(NodeId(1), Timer::Heartbeat);
    cluster.exchange(6, |_| true);
    assert_eq!(cluster.raft(1).peers().last().map(|peer| peer.sending), Some(Sending::Snapshot));
    cluster.propose(NodeId(1)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.compact(NodeId(1), 0).unwrap();
    (0..4).for_each(|_| cluster.heartbeat(NodeId(1)));
    assert_eq!(cluster.raft(3).base().index, Index(7));
    assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(1)).state);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn f14_a_follower_begins_anew_with_another_snapshot_or_another_leader() {
    let mut node = follower();
    node.hear(2, 2, chunk(0));
    assert_eq!(node.hear(2, 2, chunk_of(12, 2)), [waits_for(12, 0)], "of another one it has nothing");
    assert_eq!(node.hear(2, 2, chunk_of(12, 0)), [waits_for(12, 2)]);
    assert_eq!(node.hear(2, 2, chunk(2)), [waits_for(9, 0)], "and now nothing of this one");
    assert_eq!(stored(&node), [(9, Some(0)), (12, Some(0))]);
    // Another leader's snapshot may have other bytes, whatever its name.
    let mut node = follower();
    node.hear(2, 2, chunk(0));
    let said = node.hear(3, 3, chunk(2));
    assert_eq!(said, [(3, Body::SnapshotResponse { last: at(9, 2), next: 0, round: Round(0) })]);
    assert_eq!(stored(&node), [(9, Some(0))]);
}

#[test]
fn f14_a_snapshot_is_finished_by_the_next_leader() {
    let mut cluster = cluster_with_an_empty_follower();
    cluster.fire(NodeId(1), Timer::Heartbeat);
    let is_begun = |cluster: &Cluster| {
        let chunk = |p: &crate::cluster::Packet| matches!(p.message.body, Body::SnapshotResponse { .. });
        cluster.network.iter().any(chunk)
    };
    while !is_begun(&cluster) {
        assert_eq!(cluster.exchange(1, |_| true), 1);
    }
    cluster.network.clear();
    cluster.fire(NodeId(1), Timer::Heartbeat);
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.network.clear();
    cluster.compact(NodeId(2), 0).unwrap();
    cluster.crash(NodeId(1), 0);
    cluster.elect(NodeId(2), 1000, |id| id != NodeId(1));
    assert_eq!(cluster.leader(), Some(NodeId(2)));
    (0..4).for_each(|_| cluster.heartbeat(NodeId(2)));
    assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(2)).state);
    assert!(cluster.raft(3).base().index >= Index(5), "by a snapshot");
    assert_eq!(cluster.ghost.violation, None);
}

/// The host reads a chunk and takes its time: what it answers may fit nothing any more, and then says nothing.
#[test]
fn e15_a_chunk_that_was_read_too_late_is_dropped() {
    type Change = fn(&mut Node);
    let table: [(&str, Change); 7] = [
        ("nothing", |_| {}),
        ("peer removed", |node| {
            let changes = vec![raft_core::Change::Remove(NodeId(3))];
            node.input(Input::ChangeMembership { changes, transition: Transition::Auto });
            node.hear(2, 2, accepted(6, 0));
        }),
        ("peer has caught up", |node| drop(node.hear(3, 2, accepted(5, 0)))),
        ("term changed", |node| drop(node.hear(2, 3, append(at(5, 2), &[], 0)))),
        ("leader again, in another term", |node| {
            node.input(Input::StepDown);
            node.input(Input::Campaign);
            node.hear(2, 2, Body::PreVoteResponse { next_term: raft_core::Term(3), granted: true });
            node.hear(2, 3, GRANTED);
            assert_eq!(node.raft.role(), RoleKind::Leader);
            node.effects.send.clear();
        }),
        ("compacted meanwhile, and begun anew", |node| {
            compact(node, 5, 5).unwrap();
            node.input(Input::SnapshotUnavailable { to: NodeId(3) });
            node.hear(3, 2, rejected(5, at(0, 0)));
        }),
        ("halted", |node| drop(node.input(Input::StorageFailed))),
    ];
    for (what, change) in table {
        let mut node = compacted_leader();
        node.hear(3, 2, rejected(4, at(0, 0)));
        assert_eq!(node.effects.snapshots.len(), 1);
        change(&mut node);
        let chunk =
            Input::SnapshotChunk { to: NodeId(3), last: at(4, 2), offset: 0, data: vec![1], done: false };
        let said = node.input(chunk.clone());
        assert_eq!(said.len(), usize::from(what == "nothing"), "{what}");
        assert_eq!(node.input(chunk), [], "{what}, twice");
        node.input(Input::SnapshotUnavailable { to: NodeId(3) });
    }
    let mut node = compacted_leader();
    node.hear(3, 2, rejected(4, at(0, 0)));
    let chunk =
        |offset, data, done| Input::SnapshotChunk { to: NodeId(3), last: at(4, 2), offset, data, done };
    assert_eq!(node.input(chunk(0, vec![], false)), [], "nothing, and not the end: no progress");
    assert_eq!(node.input(chunk(1, vec![1], false)), [], "not what was asked for");
    assert_eq!(node.input(chunk(0, vec![], true)).len(), 1);
}

/// In memory the snapshot stands where the log was; the state machine is told when it is stored, and of what comes after it,
/// after it.
#[test]
fn f18_a_snapshot_and_the_entries_around_it_are_applied_in_order() {
    let mut node = Node::new(3, &[1, 1], 1);
    node.hear(2, 2, append(at(2, 1), &[], 2));
    let handed: Vec<Index> = node.effects.apply.drain(..).map(|apply| apply.index()).collect();
    assert_eq!(handed, [Index(1), Index(2)], "under way to the state machine");
    node.slow = true;
    [0, 2, 4].into_iter().for_each(|offset| drop(node.hear(2, 2, chunk(offset))));
    node.hear(2, 2, append(at(9, 2), &[2, 2], 11));
    assert_eq!((node.raft.commit(), node.raft.last()), (Index(11), at(11, 2)));
    node.input(Input::Applied(Index(2)));
    assert_eq!(node.effects.apply, [], "the snapshot is not on stable storage");
    node.flush();
    let order: Vec<(bool, Index)> =
        node.effects.apply.iter().map(|apply| (matches!(apply, Apply::Snapshot(_)), apply.index())).collect();
    assert_eq!(order, [(true, Index(9)), (false, Index(10)), (false, Index(11))]);
    // What was reported applied meanwhile does not move the state machine back.
    node.input(Input::Applied(Index(9)));
    node.input(Input::Applied(Index(2)));
    assert_eq!(node.raft.applied(), Index(9));
}

#[test]
fn f13_a_removed_peer_does_not_keep_a_transfer_alive() {
    for is_removed in [false, true] {
        let mut node = compacted_leader();
        node.hear(3, 2, rejected(4, at(0, 0)));
        let data = vec![0; 2];
        node.input(Input::SnapshotChunk { to: NodeId(3), last: at(4, 2), offset: 0, data, done: false });
        // It got lost: to be gone on with at the next heartbeat.
        node.input(Input::Unreachable(NodeId(3)));
        if is_removed {
            let changes = vec![Change::Remove(NodeId(3))];
            node.input(Input::ChangeMembership { changes, transition: Transition::Auto });
            node.hear(2, 2, accepted(6, 0));
        }
        node.effects.snapshots.clear();
        node.fire(Timer::Heartbeat);
        assert_eq!(node.effects.snapshots.is_empty(), is_removed);
        node.hear(3, 2, Body::SnapshotResponse { last: at(4, 2), next: 0, round: Round(0) });
        assert_eq!(node.effects.snapshots.is_empty(), is_removed);
    }
}
