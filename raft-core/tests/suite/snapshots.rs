//! F: when a snapshot is sent and what it does to the log, the members and the state machine. How it travels: `chunks`.

use std::sync::Arc;

use raft_core::{
    Append, Apply, Body, Breach, Change, CompactError, Entry, Event, Index, Input, Membership, NodeId,
    Payload, ReadChunk, Refused, RoleKind, Round, Sending, SnapshotChunk, SnapshotMeta, Suspicion, Term,
    Timer, Transition,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, Said, accepted, append, at, rejected};

/// Server 1 of three leads term 2. Its log was 1 1 1 2, of which nothing is left but a snapshot, and then 2. Server 2 has all
/// of it; of server 3 nothing was ever heard.
pub fn compacted_leader() -> Node {
    let mut node = Node::leader(3, &[1, 1, 1], 2);
    node.hear(2, 2, accepted(4, 0));
    compact(&mut node, 4, 4).unwrap();
    node.input(Input::Propose(vec![5]));
    node.hear(2, 2, accepted(5, 0));
    assert_eq!((node.raft.base(), node.raft.commit()), (at(4, 2), Index(5)));
    node.effects.clear();
    node
}

/// Everything up to `last` is applied, and in a snapshot; the log goes up to `through`.
pub fn compact(node: &mut Node, last: u64, through: u64) -> Result<(), Refused> {
    node.input(Input::Applied(Index(last)));
    let snapshot = node.raft.snapshot_meta(Index(last)).map_err(Refused::Compact)?;
    node.raft.step(Input::Compact { snapshot, through: Index(through) }, &mut node.effects)
}

/// A snapshot that ends so, and all of it in one chunk.
pub fn whole(index: u64, term: u64, membership: Membership) -> Body<u64> {
    let snapshot = Arc::new(SnapshotMeta { last: at(index, term), membership: Arc::new(membership) });
    Body::Snapshot(SnapshotChunk { snapshot, offset: 0, data: vec![7; 3], done: true, round: Round(0) })
}

pub fn members(ids: &[u64]) -> Membership {
    Membership::new(ids.iter().copied().map(NodeId))
}

fn sending(node: &Node, id: u64) -> Sending {
    node.raft.peers().find(|peer| peer.id == NodeId(id)).unwrap().sending
}

/// To whom entries were sent.
fn served(said: &Said) -> Vec<u64> {
    let has_entries = |body: &Body<u64>| matches!(body, Body::Append(append) if !append.entries.is_empty());
    said.iter().filter(|(_, body)| has_entries(body)).map(|(to, _)| *to).collect()
}

const FIRST: ReadChunk = ReadChunk { to: NodeId(3), last: at_4(), offset: 0 };

const fn at_4() -> raft_core::Position {
    raft_core::Position { index: Index(4), term: Term(2) }
}

#[test]
fn f01_a_peer_that_needs_compacted_entries_gets_a_snapshot_only_if_it_was_heard_of() {
    let mut node = compacted_leader();
    node.fire(Timer::Heartbeat);
    node.input(Input::Propose(vec![6]));
    assert_eq!(node.effects.snapshots, [], "it may be down: nothing is read for it");
    node.hear(3, 2, rejected(4, at(0, 0)));
    assert_eq!(node.effects.snapshots, [FIRST]);
    assert_eq!(sending(&node, 3), Sending::Snapshot);
    // Heard of, but not since the last look: as good as down.
    let mut node = compacted_leader();
    node.hear(3, 2, Body::SnapshotRequest { at_least: Index(9) });
    node.fire(Timer::Contact);
    node.input(Input::Propose(vec![6]));
    assert_eq!(node.effects.snapshots, []);
    node.hear(3, 2, rejected(4, at(0, 0)));
    assert_eq!(node.effects.snapshots, [FIRST]);
}

#[test]
fn f01_a_peer_that_needs_nothing_that_is_compacted_gets_entries() {
    let mut node = compacted_leader();
    assert_eq!(served(&node.hear(3, 2, accepted(4, 0))), [3]);
    assert_eq!(node.effects.snapshots, []);
}

/// A leader that is sending server 3 a snapshot.
fn shipping() -> Node {
    let mut node = compacted_leader();
    node.hear(3, 2, rejected(4, at(0, 0)));
    assert_eq!(std::mem::take(&mut node.effects.snapshots), [FIRST]);
    node
}

#[test]
fn f02_no_entries_are_sent_while_a_snapshot_is_under_way() {
    let mut node = shipping();
    assert_eq!(served(&node.input(Input::Propose(vec![6]))), [2]);
    assert_eq!(served(&node.hear(3, 2, rejected(4, at(0, 0)))), [0; 0]);
    let said = node.fire(Timer::Heartbeat);
    let heartbeat = |(to, body): &(u64, Body<u64>)| *to == 3 && matches!(body, Body::Append(_));
    assert!(said.iter().any(heartbeat), "but it is told that there is a leader");
    assert_eq!(served(&said), [0; 0]);
    assert_eq!(node.effects.snapshots, [], "and no second snapshot is begun");
}

#[test]
fn f03_f11_a_snapshot_that_cannot_be_read_is_tried_again_when_the_peer_is_heard() {
    let mut node = shipping();
    for _ in 0..3 {
        node.input(Input::SnapshotUnavailable { to: NodeId(3) });
        assert_eq!(sending(&node, 3), Sending::Probe);
        assert_eq!(node.effects.snapshots, [], "not at once: what cannot be read now cannot be read now");
        node.fire(Timer::Heartbeat);
        node.hear(3, 2, rejected(4, at(0, 0)));
        assert_eq!(std::mem::take(&mut node.effects.snapshots), [FIRST], "and nothing stays paused");
    }
    assert_eq!(served(&node.hear(3, 2, accepted(4, 0))), [3]);
    node.input(Input::SnapshotUnavailable { to: NodeId(3) });
    assert_eq!(sending(&node, 3), Sending::Replicate, "late news of a transfer that is over");
}

#[test]
fn f04_f05_an_acknowledgement_past_the_snapshot_ends_the_transfer_at_once() {
    // (acknowledged, then it gets entries)
    for (matched, entries) in [(3, false), (4, true)] {
        let mut node = shipping();
        let said = node.hear(3, 2, accepted(matched, 0));
        assert_eq!(served(&said) == [3], entries, "acknowledged up to {matched}");
        let expected = if entries { Sending::Replicate } else { Sending::Snapshot };
        assert_eq!(sending(&node, 3), expected);
        assert_eq!(node.effects.snapshots, [], "and none is begun anew");
        // What the host has read meanwhile leads nowhere, or on.
        let chunk =
            Input::SnapshotChunk { to: NodeId(3), last: at_4(), offset: 0, data: vec![1], done: true };
        assert_eq!(node.input(chunk).is_empty(), entries);
    }
}

#[test]
fn f08_a_snapshot_brings_its_members_into_force() {
    let three = members(&[1, 2, 3]);
    let changed = |changes: &[Change], transition| three.changed(changes, transition).unwrap();
    let table = [
        members(&[1, 2]),
        members(&[2, 3]).with_learners([NodeId(1), NodeId(4)]),
        // Joint, with an outgoing voter, a learner, one that will be a learner; left by the leader, or as told.
        changed(&[Change::Remove(NodeId(2)), Change::Voter(NodeId(4))], Transition::Auto),
        changed(&[Change::Learner(NodeId(1)), Change::Learner(NodeId(5))], Transition::Explicit),
        changed(&[Change::Learner(NodeId(1)), Change::Learner(NodeId(2))], Transition::Auto),
    ];
    for membership in table {
        let mut node = Node::new(3, &[1, 1], 1);
        node.hear(2, 2, whole(9, 2, membership.clone()));
        assert_eq!(**node.raft.membership(), membership);
        assert!(node.effects.events.contains(&Event::Membership(Arc::new(membership.clone()))));
        node.fire(Timer::Contact);
        node.fire(Timer::Election);
        let is_voter = membership.is_voter(NodeId(1));
        assert_eq!(node.raft.role() == RoleKind::Candidate, is_voter, "{membership:?}");
    }
}

#[test]
fn f08_a_snapshot_takes_no_vote_away_that_a_later_entry_has_given() {
    // The log holds what the snapshot stands for, and then that server 1 is a voter; the state machine is damaged.
    let mut node = Node::new(3, &[1, 1], 1);
    let later = Payload::Membership(Arc::new(members(&[1, 2])));
    let entries = vec![Entry { index: Index(3), term: Term(2), payload: later }].into();
    node.hear(2, 2, Body::Append(Append { prev: at(2, 1), entries, commit: Index(2), round: Round(0) }));
    node.input(Input::RequestSnapshot);
    node.hear(2, 2, whole(2, 1, members(&[2, 3]).with_learners([NodeId(1)])));
    assert_eq!(node.raft.base(), at(2, 1), "it was installed");
    assert_eq!(**node.raft.membership(), members(&[1, 2]));
    // And one that is older than what is committed is nothing new at all.
    let mut node = Node::new(3, &[1, 1], 1);
    node.hear(2, 2, append(at(2, 1), &[2], 3));
    assert_eq!(node.hear(2, 2, whole(2, 1, members(&[2, 3]))), [(2, accepted(3, 0))]);
    assert_eq!((node.raft.base(), &**node.raft.membership()), (at(0, 0), &members(&[1, 2, 3])));
}

/// It is what tells a removed server that it is one.
#[test]
fn f09_a_snapshot_that_leaves_this_server_out_is_installed_and_it_keeps_quiet() {
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 2, whole(9, 2, members(&[2, 3])));
    assert_eq!(node.raft.base(), at(9, 2));
    node.fire(Timer::Contact);
    node.effects.clear();
    node.fire(Timer::Election);
    assert_eq!((node.raft.role(), node.raft.term()), (RoleKind::Follower, Term(2)));
    assert_eq!(node.effects.send, []);
    assert_eq!(node.raft.step(Input::Campaign, &mut node.effects), Err(Refused::CannotCampaign));
}

#[test]
fn f10_a_candidate_that_receives_a_snapshot_of_its_term_follows() {
    let mut node = Node::new(3, &[1], 1);
    node.input(Input::Campaign);
    node.hear(2, 1, Body::PreVoteResponse { next_term: Term(2), granted: true });
    assert_eq!(node.state(), (RoleKind::Candidate, 2, Some(1)));
    node.hear(2, 2, whole(9, 2, members(&[1, 2, 3])));
    assert_eq!(node.state(), (RoleKind::Follower, 2, Some(1)), "and its vote stands");
    assert_eq!((node.raft.leader(), node.raft.base()), (Some(NodeId(2)), at(9, 2)));
    node.hear(3, 2, GRANTED);
    assert_eq!(node.raft.role(), RoleKind::Follower);
    // A leader cannot: there is another one of its term.
    let mut node = Node::leader(3, &[1], 2);
    node.hear(2, 2, whole(9, 2, members(&[1, 2, 3])));
    let breach = Breach::TwoLeaders { term: Term(2), known: NodeId(1), other: NodeId(2) };
    assert!(node.effects.events.contains(&Event::Halted(breach)));
    assert_eq!(node.raft.base(), at(0, 0));
}

#[test]
fn f12_a_follower_asks_its_leader_for_a_snapshot() {
    let mut node = Node::new(3, &[1, 1], 2);
    let refused = Err(Refused::NotLeader { leader: None });
    assert_eq!(node.raft.step(Input::RequestSnapshot, &mut node.effects), refused, "nobody to ask");
    node.hear(2, 2, append(at(2, 1), &[2], 2));
    let request = Body::SnapshotRequest { at_least: Index(2) };
    assert_eq!(node.input(Input::RequestSnapshot), [(2, request)]);
    let mut leader = Node::leader(3, &[1], 2);
    assert_eq!(leader.raft.step(Input::RequestSnapshot, &mut leader.effects), Err(Refused::Leads));
}

#[test]
fn f12_a_leader_answers_the_request_with_a_snapshot_that_is_new_enough_one_at_a_time() {
    // (at least, is there)
    for (at_least, is_there) in [(0, true), (4, true), (5, false), (1 << 40, false)] {
        let mut node = compacted_leader();
        node.hear(3, 2, accepted(5, 0));
        for _ in 0..2 {
            node.hear(3, 2, Body::SnapshotRequest { at_least: Index(at_least) });
        }
        let expected: &[ReadChunk] = if is_there { &[FIRST] } else { &[] };
        assert_eq!(node.effects.snapshots, expected, "at least {at_least}");
        let wanted = Event::SnapshotWanted { by: NodeId(3), at_least: Index(at_least) };
        assert_eq!(node.effects.events.contains(&wanted), !is_there);
    }
}

#[test]
fn f12_the_wish_is_for_one_leader_and_one_snapshot() {
    let asked = || {
        let mut node = Node::new(3, &[1, 1], 2);
        node.hear(2, 2, append(at(2, 1), &[], 2));
        node.input(Input::RequestSnapshot);
        node.effects.clear();
        node
    };
    let restored = |node: &Node| node.effects.apply.iter().any(|apply| matches!(apply, Apply::Snapshot(_)));
    let snapshot = || whole(2, 1, members(&[1, 2, 3]));
    let mut node = asked();
    node.hear(2, 2, snapshot());
    assert!(restored(&node), "though the log holds everything");
    node.effects.clear();
    node.hear(2, 2, snapshot());
    assert!(!restored(&node), "it got what it wanted");
    let mut node = asked();
    node.hear(3, 3, snapshot());
    assert!(!restored(&node), "another leader was not asked");
    let mut node = asked();
    node.hear(2, 2, whole(1, 1, members(&[1, 2, 3])));
    assert!(!restored(&node), "older than what is executed");
}

#[test]
fn f12_a_damaged_state_machine_is_replaced() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    for _ in 0..3 {
        cluster.propose(NodeId(1)).unwrap();
    }
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    cluster.compact(NodeId(1), 2).unwrap();
    cluster.step(NodeId(3), Input::RequestSnapshot).unwrap();
    cluster.settle();
    assert_eq!(cluster.ghost.restored, 1);
    assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(1)).state);
    cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(1)).state);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn f17_a_snapshot_names_the_members_as_of_its_last_entry() {
    let mut node = compacted_leader();
    let changes = vec![Change::Voter(NodeId(4))];
    node.input(Input::ChangeMembership { changes, transition: Transition::Auto });
    assert_eq!(**node.raft.membership(), members(&[1, 2, 3, 4]), "in force");
    node.input(Input::Applied(Index(5)));
    let named = |node: &Node, index| (*node.raft.snapshot_meta(Index(index)).unwrap().membership).clone();
    assert_eq!(named(&node, 5), members(&[1, 2, 3]), "but not committed, and not in the snapshot");
    compact(&mut node, 5, 5).unwrap();
    assert_eq!(**node.raft.membership(), members(&[1, 2, 3, 4]));
    [2, 3].into_iter().for_each(|peer| drop(node.hear(peer, 2, accepted(6, 0))));
    node.input(Input::Applied(Index(6)));
    assert_eq!((named(&node, 5), named(&node, 6)), (members(&[1, 2, 3]), members(&[1, 2, 3, 4])));
}

#[test]
fn f16_what_is_asked_of_a_compacted_log_is_answered_or_a_typed_error() {
    let mut node = compacted_leader();
    node.input(Input::Propose(vec![6]));
    let compacted = |index| Err(CompactError::Compacted { index: Index(index), base: Index(4) });
    assert_eq!(node.raft.snapshot_meta(Index(3)), compacted(3));
    assert_eq!(node.raft.snapshot_meta(Index(0)), compacted(0));
    assert_eq!(
        node.raft.snapshot_meta(Index(4)).map(|meta| meta.last),
        Ok(at(4, 2)),
        "the boundary is known"
    );
    let not_applied = |index| Err(CompactError::NotApplied { index: Index(index), applied: Index(4) });
    assert_eq!(node.raft.snapshot_meta(Index(5)), not_applied(5));
    assert_eq!(node.raft.snapshot_meta(Index(1 << 60)), not_applied(1 << 60));
    let meta = |index, term, ids| SnapshotMeta { last: at(index, term), membership: Arc::new(members(ids)) };
    let all: &[u64] = &[1, 2, 3];
    // (snapshot, through, error)
    let table = [
        (meta(4, 2, all), 5, CompactError::BeyondSnapshot { through: Index(5), snapshot: Index(4) }),
        (meta(4, 1, all), 4, CompactError::Mismatch { index: Index(4) }),
        (meta(4, 2, &[1, 2]), 4, CompactError::Mismatch { index: Index(4) }),
        (meta(3, 1, all), 3, CompactError::Compacted { index: Index(3), base: Index(4) }),
        (meta(6, 2, all), 6, CompactError::NotApplied { index: Index(6), applied: Index(4) }),
    ];
    for (snapshot, through, error) in table {
        let before = node.raft.clone();
        let input = Input::Compact { snapshot, through: Index(through) };
        assert_eq!(node.raft.step(input, &mut node.effects), Err(Refused::Compact(error)));
        assert_eq!(node.raft, before);
    }
    // The same one again, or letting go of less, is nothing new.
    for through in [0, 3, 4] {
        compact(&mut node, 4, through).unwrap();
        assert_eq!(node.raft.base(), at(4, 2));
    }
    let nothing = Node::new(3, &[], 1).raft.snapshot_meta(Index(0));
    assert_eq!(nothing, Err(CompactError::MembersUnknown { index: Index(0) }));
}

#[test]
fn f16_a_log_kept_in_part_compares_at_its_boundary_and_knows_better_below_it() {
    let compacted = || {
        let mut node = Node::new(3, &[1, 1, 2, 2], 2);
        node.hear(2, 2, append(at(4, 2), &[], 4));
        compact(&mut node, 4, 2).unwrap();
        assert_eq!((node.raft.base(), node.terms()), (at(2, 1), vec![2, 2]));
        node
    };
    // (prev, entries, matched)
    let table: [(_, &[u64], _); 5] = [
        (at(2, 1), &[2, 2, 2], 5),
        (at(0, 0), &[1, 1, 2], 4),
        (at(1, 1), &[1, 2, 2, 2, 2], 6),
        (at(0, 0), &[], 4),
        (at(4, 2), &[2], 5),
    ];
    for (prev, new, matched) in table {
        let mut node = compacted();
        let said = node.hear(2, 2, append(prev, new, 0));
        // Up to 4 it had said so before.
        assert_eq!(said.last(), Some(&(2, accepted(matched, 0))), "{prev:?} {new:?}");
        assert!(!node.raft.has_halted());
    }
    // Contradicting what is compacted is contradicting what is committed.
    for (prev, new) in [(at(2, 2), &[][..]), (at(1, 1), &[2][..])] {
        let mut node = compacted();
        node.hear(2, 2, append(prev, new, 0));
        assert!(node.raft.has_halted(), "{prev:?} {new:?}");
    }
}

#[test]
fn f16_a_snapshot_that_stands_for_nothing_is_suspect() {
    let legal = members(&[1, 2, 3]);
    let none = Membership::default();
    for (index, term, membership) in
        [(0, 1, &legal), (1, 0, &legal), (3, 9, &legal), (3, 2, &none), (1 << 63, 2, &legal)]
    {
        let mut node = Node::new(3, &[1], 1);
        let before = node.raft.clone();
        node.hear(2, 2, whole(index, term, membership.clone()));
        let suspect = |reason| Event::Suspect { from: NodeId(2), reason };
        let reason = if index == 1 << 63 { Suspicion::OutOfRange } else { Suspicion::MalformedSnapshot };
        assert_eq!(node.effects.events, [suspect(reason)], "{index} {term}");
        assert_eq!(node.raft, before);
    }
}
