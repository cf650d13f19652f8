//! What was not as it should be: each of these was red once.

use std::sync::Arc;

use raft_core::{
    Body, Breach, Change, CompactError, Config, Effects, Event, ForwardOutcome, Forwarded, HardState, Index,
    Input, LostTail, Membership, NodeId, Payload, Raft, ReadChunk, Recovered, Refused, Round, Sending,
    SnapshotChunk, SnapshotMeta, StartError, Term, Ticket, Timer, Transition,
};

use crate::node::{Node, accepted, append, at};
use crate::snapshots::{compact, compacted_leader};

const TICKET: Ticket = Ticket { boot: 1, number: 1 };

/// The network repeats the forward of a server that was removed and came back, all in one term: the leader has forgotten
/// which of that server's proposals it has taken.
#[test]
fn m04_a_repeated_forward_of_a_server_that_was_removed_and_added_again_is_not_appended_again() {
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, accepted(1, 0));
    let forward = || Body::Proposal { ticket: TICKET, commands: [7].into() };
    leader.hear(3, 1, forward());
    leader.hear(2, 1, accepted(2, 0));
    for changes in [vec![Change::Remove(NodeId(3))], vec![Change::Voter(NodeId(3))]] {
        leader.input(Input::ChangeMembership { changes, transition: Transition::Auto });
        leader.hear(2, 1, accepted(leader.raft.last().index.0, 0));
        assert_eq!(leader.raft.commit(), leader.raft.last().index);
    }
    leader.hear(3, 1, forward());
    let times = leader.raft.entries().filter(|entry| entry.payload == Payload::Command(7)).count();
    assert_eq!(times, 1);
}

/// A forwarded proposal, or the answer to it, is lost, and the leader stays for good: as with reads, that must come out in
/// the end. Otherwise each such loss takes away one of `pending_forwards` until the leader changes.
#[test]
fn m03_a_forwarded_proposal_that_was_lost_is_answered_although_the_leader_stays() {
    let forwards = |config: &mut Config| (config.forward, config.limits.pending_forwards) = (true, 1);
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), forwards);
    node.hear(2, 1, append(at(1, 1), &[], 1));
    node.input(Input::Propose(vec![7]));
    for _ in 0..1000 {
        node.hear(2, 1, append(at(1, 1), &[], 1));
    }
    let unknown = Forwarded { ticket: TICKET, outcome: ForwardOutcome::Unknown };
    assert_eq!(node.effects.forwarded, [unknown]);
    assert_eq!(node.raft.step(Input::Propose(vec![8]), &mut node.effects), Ok(()));
}

/// A start from beyond the limits that every message is held to: no write stream leads there, and nothing works there.
#[test]
fn k12_a_start_from_beyond_the_limits_is_refused() {
    let beyond_term = HardState::new(Term(Term::LIMIT.0 + 1), None);
    let membership = Arc::new(Membership::new([NodeId(1)]));
    let snapshot = |index| SnapshotMeta { last: at(index, 1), membership: Arc::clone(&membership) };
    let table = [
        (beyond_term, None),
        (HardState::new(Term(1), None), Some(snapshot(Index::LIMIT.0 + 1))),
        (HardState::new(Term(1), None), Some(snapshot(u64::MAX))),
    ];
    for (hard_state, snapshot) in table {
        let recovered: Recovered<u64> =
            Recovered { boot: 1, hard_state, snapshot: snapshot.clone(), ..Recovered::nothing() };
        let config = Config::new(NodeId(1), [NodeId(1)]);
        let started = Raft::start(config, recovered, &mut Effects::default());
        assert!(started.is_err(), "{hard_state:?} {snapshot:?}");
    }
}

/// What becomes of it otherwise: entries of one index after the other.
#[test]
fn k12_a_log_at_the_end_of_all_numbers_does_not_repeat_an_index() {
    let membership = Arc::new(Membership::new([1, 2, 3].map(NodeId)));
    let snapshot = Some(SnapshotMeta { last: at(u64::MAX - 1, 1), membership });
    let hard_state = HardState::new(Term(1), None);
    let recovered: Recovered<u64> = Recovered { boot: 1, hard_state, snapshot, ..Recovered::nothing() };
    let config = Config::new(NodeId(1), [1, 2, 3].map(NodeId));
    let Ok(raft) = Raft::start(config, recovered, &mut Effects::default()) else { return };
    let mut node = Node { raft, effects: Effects::default(), slow: false };
    node.input(Input::Campaign);
    node.hear(2, 1, Body::PreVoteResponse { next_term: Term(2), granted: true });
    node.hear(2, 2, Body::VoteResponse { granted: true });
    node.hear(2, 2, accepted(u64::MAX >> 2, 0));
    for command in 1..4 {
        node.input(Input::Propose(vec![command]));
    }
    let indexes: Vec<u64> = node.raft.entries().map(|entry| entry.index.0).collect();
    assert!(indexes.is_sorted_by(|a, b| a < b), "{indexes:?}");
}

/// A leader whose disk is behind ignores forwards as if they had been lost, where it refuses its own host's proposals: with the
/// above, a follower's `pending_forwards` are used up for good without a single lost message.
#[test]
fn m02_an_overloaded_leader_refuses_a_forward_instead_of_ignoring_it() {
    let configure = |config: &mut Config| config.limits.outstanding_writes = 2;
    let mut leader = Node::with(1, &[], HardState::new(Term(0), None), configure);
    leader.input(Input::Campaign);
    let changes = vec![Change::Learner(NodeId(2))];
    leader.input(Input::ChangeMembership { changes, transition: Transition::Auto });
    leader.slow = true;
    while leader.raft.step(Input::Propose(vec![1]), &mut leader.effects).is_ok() {}
    let said = leader.hear(2, 1, Body::Proposal { ticket: TICKET, commands: [7].into() });
    assert_eq!(said, [(2, Body::ProposalResponse { ticket: TICKET, outcome: Err(Refused::QuotaFull) })]);
}

/// The term that a lost tail makes a server leave may be the last one there is.
#[test]
fn k12_a_lost_tail_in_the_last_term_is_refused_before_anything_is_stored() {
    let hard_state = HardState::new(Term::LIMIT, None);
    let recovered: Recovered<u64> =
        Recovered { hard_state, lost_tail: Some(LostTail::Unknown), ..Recovered::nothing() };
    let mut effects = Effects::default();
    let started = Raft::start(Config::new(NodeId(1), [NodeId(1)]), recovered, &mut effects);
    assert!(matches!(started, Err(StartError::OutOfRange { .. })), "{started:?}");
    assert!(effects.writes.is_empty());
}

/// A refusal leaves nothing behind, not even a number that was used up.
#[test]
fn m02_a_forward_that_is_refused_changes_nothing() {
    let forwards = |config: &mut Config| (config.forward, config.limits.pending_forwards) = (true, 1);
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), forwards);
    node.hear(2, 1, append(at(1, 1), &[], 1));
    node.input(Input::Propose(vec![7]));
    let before = node.raft.clone();
    assert_eq!(node.raft.step(Input::Propose(vec![8]), &mut node.effects), Err(Refused::QuotaFull));
    assert_eq!(node.raft, before);
}

/// Terms never go back along a log: after a committed entry of term 3 no snapshot ends in term 2.
#[test]
fn a09_a_snapshot_that_contradicts_what_is_committed_halts_the_node() {
    let membership = Arc::new(Membership::new([1, 2, 3].map(NodeId)));
    // (the snapshot's last entry, halts), own log 1 3, committed.
    let table = [(at(5, 2), Some(2)), (at(2, 1), Some(2)), (at(1, 1), None), (at(5, 3), None)];
    for (last, breach) in table {
        let mut node = Node::new(3, &[1, 3], 4);
        node.hear(2, 4, append(at(2, 3), &[], 2));
        let snapshot = Arc::new(SnapshotMeta { last, membership: Arc::clone(&membership) });
        let chunk = SnapshotChunk { snapshot, offset: 0, data: vec![1], done: false, round: Round(0) };
        node.hear(2, 4, Body::Snapshot(chunk));
        let expected =
            breach.map(|index| Event::Halted(Breach::CommittedEntryContradicted { index: Index(index) }));
        let halted = node.effects.events.iter().find(|event| matches!(event, Event::Halted(_)));
        assert_eq!(halted, expected.as_ref(), "{last:?}");
    }
}

/// F12 and F02: a wanted snapshot that has been overtaken is given up after a while. Otherwise the peer, to which no appends go
/// meanwhile, would starve.
#[test]
fn f12_a_wanted_snapshot_that_never_arrives_does_not_starve_the_peer() {
    let mut leader = compacted_leader();
    leader.hear(3, 2, accepted(5, 0));
    leader.hear(3, 2, Body::SnapshotRequest { at_least: Index(4) });
    let ReadChunk { to, last, offset } = leader.effects.snapshots.remove(0);
    leader.input(Input::SnapshotChunk { to, last, offset, data: vec![7], done: true });
    let sending =
        |leader: &Node| leader.raft.peers().find(|peer| peer.id == NodeId(3)).map(|peer| peer.sending);
    // All it ever says is that its log is well.
    for _ in 0..2 {
        leader.hear(3, 2, accepted(5, 0));
        assert_eq!(sending(&leader), Some(Sending::Snapshot));
        leader.fire(Timer::Contact);
    }
    leader.hear(3, 2, accepted(5, 0));
    assert_eq!(sending(&leader), Some(Sending::Replicate));
}

/// F18: a host that has been slow to take a snapshot must not put it in the place of a later one.
#[test]
fn f18_a_snapshot_that_is_older_than_the_latest_is_refused() {
    let mut node = Node::new(3, &[1, 1, 2, 2], 2);
    node.hear(2, 2, append(at(4, 2), &[], 4));
    node.input(Input::Applied(Index(4)));
    let slow = node.raft.snapshot_meta(Index(3)).unwrap();
    compact(&mut node, 4, 1).unwrap();
    let before = node.raft.clone();
    let older = CompactError::Older { index: Index(3), latest: Index(4) };
    let input = Input::Compact { snapshot: slow, through: Index(2) };
    assert_eq!(node.raft.step(input, &mut node.effects), Err(Refused::Compact(older)));
    assert_eq!(node.raft, before);
}
