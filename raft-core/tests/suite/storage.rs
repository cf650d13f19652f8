//! K: a disk that fails, and what a snapshot's acknowledgement rests on.

use std::sync::Arc;

use raft_core::{
    Abandoned, Body, Breach, Event, Index, Input, Membership, NodeId, ReadId, ReadOutcome, Refused, RoleKind,
    Round, SnapshotChunk, SnapshotMeta, Term, Timer,
};

use crate::node::{Node, accepted, append, at, vote_request};

fn fail(node: &mut Node) {
    node.input(Input::StorageFailed);
    assert!(node.raft.has_halted());
    assert!(node.effects.events.contains(&Event::Halted(Breach::StorageFailed)));
}

/// Everything is refused or ignored, and nothing is said.
fn is_silent(node: &mut Node) {
    node.effects.clear();
    let before = node.raft.clone();
    let last = node.raft.last();
    node.hear(2, 1, append(last, &[1], 9));
    node.hear(3, 9, vote_request(at(99, 9)));
    node.hear(2, 1, accepted(last.index.0, 9));
    for timer in [Timer::Election, Timer::Heartbeat, Timer::Contact] {
        node.fire(timer);
        assert!(!node.raft.listens_to(timer));
    }
    for request in [Input::Propose(vec![1]), Input::Read(ReadId(1)), Input::Campaign, Input::StepDown] {
        assert_eq!(node.raft.step(request, &mut node.effects), Err(Refused::Halted));
    }
    assert_eq!(node.effects, raft_core::Effects::default());
    assert_eq!(node.raft, before);
}

#[test]
fn k09_a_disk_error_stops_the_node_and_it_never_acknowledges() {
    // A follower that owes an acknowledgement.
    let mut node = Node { slow: true, ..Node::new(3, &[1], 1) };
    node.hear(2, 1, append(at(1, 1), &[1], 0));
    let ack = node.effects.writes.remove(0).split().1;
    fail(&mut node);
    assert_eq!(node.input(Input::Durable(ack)), [], "even if the host says afterwards that all is well");
    is_silent(&mut node);
    // One that owes a vote.
    let mut node = Node { slow: true, ..Node::new(3, &[1], 1) };
    node.hear(3, 2, vote_request(at(1, 1)));
    let acks: Vec<_> = node.effects.writes.drain(..).map(|write| write.split().1).collect();
    fail(&mut node);
    for ack in acks {
        assert_eq!(node.input(Input::Durable(ack)), []);
    }
    is_silent(&mut node);
    // A candidate whose own vote is under way.
    let mut node = Node { slow: true, ..Node::new(1, &[1], 1) };
    node.input(Input::Campaign);
    let ack = node.effects.writes.remove(0).split().1;
    fail(&mut node);
    node.input(Input::Durable(ack));
    assert_eq!(node.state().0, RoleKind::Follower);
    is_silent(&mut node);
}

#[test]
fn k09_a_leader_whose_disk_fails_answers_what_is_pending_and_leads_no_longer() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.slow = true;
    node.input(Input::Propose(vec![7, 8]));
    node.input(Input::Read(ReadId(5)));
    let ack = node.effects.writes.remove(0).split().1;
    fail(&mut node);
    assert_eq!(node.effects.reads, [ReadOutcome::Aborted { id: ReadId(5) }]);
    let abandoned = Abandoned { term: Term(1), first: Index(2), last: Index(3) };
    assert_eq!(node.effects.abandoned, [abandoned]);
    node.input(Input::Durable(ack));
    node.hear(2, 1, accepted(3, 0));
    assert_eq!((node.raft.commit(), node.state().0), (Index(1), RoleKind::Follower));
    assert_eq!(node.raft.leader(), None);
    is_silent(&mut node);
}

#[test]
fn k01_a_snapshot_is_acknowledged_after_it_is_installed_on_the_disk() {
    let membership = Arc::new(Membership::new([1, 2, 3].map(NodeId)));
    let snapshot = Arc::new(SnapshotMeta { last: at(5, 1), membership });
    let chunk = |offset, done| {
        let (snapshot, data) = (Arc::clone(&snapshot), vec![1, 2]);
        Body::Snapshot(SnapshotChunk { snapshot, offset, data, done, round: Round(3) })
    };
    let received = |next| Body::SnapshotResponse { last: at(5, 1), next, round: Round(3) };
    let mut node = Node { slow: true, ..Node::new(3, &[1], 1) };
    assert_eq!(node.hear(2, 1, chunk(0, false)), [(2, received(2))], "that it is received promises nothing");
    assert_eq!(node.hear(2, 1, chunk(2, true)), [(2, received(4))]);
    assert_eq!(node.hear(2, 1, append(at(5, 1), &[], 5)).last(), Some(&(2, accepted(0, 3))));
    assert!(node.effects.apply.is_empty(), "nor is it read before it is there");
    let mut acks = node.effects.writes.drain(..).map(|write| write.split().1).collect::<Vec<_>>();
    assert_eq!(node.input(Input::Durable(acks.remove(0))), [], "half of it is there");
    assert_eq!(node.input(Input::Durable(acks.remove(0))), [(2, accepted(5, 3))]);
    assert_eq!(node.effects.apply.len(), 1);
}
