//! N07: the last resort when a quorum is lost for good.

use std::sync::Arc;

use raft_core::{
    Body, Config, Effects, Entry, ForceError, ForcedChange, HardState, Index, LostTail, Membership, NodeId,
    Payload, Raft, Recovered, RoleKind, SnapshotMeta, Term, Timer,
};

use crate::node::{Node, append, at, entries, vote_request};

fn voters(ids: &[u64]) -> Membership {
    Membership::new(ids.iter().copied().map(NodeId))
}

/// Server 1 of five: a snapshot up to entry 2, and the log up to 4.
fn recovered() -> Recovered<u64> {
    let snapshot = SnapshotMeta { last: at(2, 1), membership: Arc::new(voters(&[1, 2, 3, 4, 5])) };
    Recovered {
        boot: 3,
        hard_state: HardState::new(Term(4), Some(NodeId(2))),
        snapshot: Some(snapshot),
        entries: entries(3, &[2, 3]),
        ..Recovered::nothing()
    }
}

fn plan(recovered: &Recovered<u64>, new: Membership) -> Result<ForcedChange<u64>, ForceError> {
    ForcedChange::plan(NodeId(1), Some(&voters(&[1, 2, 3])), recovered, new)
}

#[test]
fn n07_a_forced_change_says_what_may_be_lost() {
    let forced = plan(&recovered(), voters(&[1, 2])).unwrap();
    let expected = "\
Forcing the members on node 1, whose log ends with entry 4 of term 3.
- Voters were 1, 2, 3, 4, 5, and will be 1, 2.
- LOST: every entry after 4 that other servers hold, even if clients were told it is safe.
- FINAL: entries 3 to 4, though nobody knows whether they were committed.
- Servers that are no members any more must never be started again with their present state.";
    assert_eq!(forced.report().to_string(), expected);
    assert_eq!(forced.confirmation(), "lose everything after entry 4 of term 3 and go on with 1, 2");
    // What is known to be committed does not become final now.
    let applied = Recovered { applied: Index(4), ..recovered() };
    assert!(!plan(&applied, voters(&[1])).unwrap().report().to_string().contains("FINAL"));
    // A log that is behind the snapshot, and one without anything.
    let behind = Recovered { entries: entries(1, &[1]), ..recovered() };
    assert_eq!(plan(&behind, voters(&[1])).unwrap().report().last, at(2, 1));
    let nothing = Recovered::nothing();
    let forced = plan(&nothing, voters(&[1])).unwrap();
    assert_eq!((forced.report().last, &forced.report().old), (at(0, 0), &voters(&[1, 2, 3])));
}

#[test]
fn n07_a_forced_change_needs_its_very_confirmation() {
    let phrase = plan(&recovered(), voters(&[1, 2])).unwrap().confirmation();
    let other = plan(&recovered(), voters(&[1])).unwrap().confirmation();
    let cut = &phrase[..phrase.len() - 1];
    for wrong in ["", "yes", "force", &phrase.to_uppercase(), cut, &format!("{phrase} "), &other] {
        let refused = plan(&recovered(), voters(&[1, 2])).unwrap().confirm(wrong);
        assert_eq!(refused, Err(ForceError::NotConfirmed { expected: phrase.clone() }), "{wrong:?}");
    }
    assert!(plan(&recovered(), voters(&[1, 2])).unwrap().confirm(&phrase).is_ok());
}

#[test]
fn n07_what_cannot_be_forced() {
    let joint = voters(&[1, 2]).changed(
        &[raft_core::Change::Voter(NodeId(3)), raft_core::Change::Remove(NodeId(2))],
        raft_core::Transition::Auto,
    );
    let joint = joint.unwrap();
    assert!(joint.is_joint());
    let learner = voters(&[2]).with_learners([NodeId(1)]);
    let table = [
        (recovered(), voters(&[]), ForceError::IllegalMembership),
        (recovered(), joint, ForceError::IllegalMembership),
        (recovered(), voters(&[2, 3]), ForceError::NotAVoter(NodeId(1))),
        (recovered(), learner, ForceError::NotAVoter(NodeId(1))),
    ];
    for (recovered, new, error) in table {
        assert_eq!(plan(&recovered, new.clone()).map(|_| ()), Err(error), "{new:?}");
    }
}

/// There may be nobody left to repair it: then it says what else is lost.
#[test]
fn n07_a_log_that_has_lost_its_end_is_forced_with_its_own_loss_named() {
    let remembered = HardState { lost_tail: Some(at(9, 3)), ..recovered().hard_state };
    let table = [
        (Recovered { hard_state: remembered, ..recovered() }, "its own entries up to 9 of term 3"),
        (Recovered { lost_tail: Some(LostTail::Unknown), ..recovered() }, "the end of its own log"),
    ];
    for (recovered, loss) in table {
        let report = plan(&recovered, voters(&[1])).unwrap().report().to_string();
        assert!(report.contains(&format!("LOST: {loss}")), "{report}");
    }
}

/// The server as it starts after the batch is stored.
fn after(mut recovered: Recovered<u64>, new: Membership) -> Node {
    let forced = plan(&recovered, new).unwrap();
    let phrase = forced.confirmation();
    let batch = forced.confirm(&phrase).unwrap();
    assert!(batch.chunk.is_none() && batch.install.is_none());
    recovered.hard_state = batch.hard_state.unwrap();
    recovered.entries.extend(batch.entries.iter().cloned());
    recovered.boot += 1;
    let mut effects = Effects::default();
    let config = Config::new(NodeId(1), [1, 2, 3, 4, 5].map(NodeId));
    let raft = Raft::start(config, recovered, &mut effects).unwrap();
    Node { raft, effects: Effects::default(), slow: false }
}

#[test]
fn n07_the_server_starts_in_a_term_of_its_own_and_goes_on_alone() {
    let mut node = after(recovered(), voters(&[1]));
    let hard_state = HardState::new(Term(5), Some(NodeId(1)));
    assert_eq!((node.raft.hard_state(), node.raft.last()), (hard_state, at(5, 5)));
    assert_eq!(**node.raft.membership(), voters(&[1]));
    assert_eq!(node.raft.commit(), Index(2), "nothing is committed by that itself");
    node.fire(Timer::Election);
    assert_eq!((node.state(), node.raft.commit()), ((RoleKind::Leader, 6, Some(1)), Index(6)));
    // The entries in doubt are final now; the old members have no say.
    let terms: Vec<u64> = node.raft.entries().map(|entry: &Entry<u64>| entry.term.0).collect();
    assert_eq!(terms, [2, 3, 5, 6]);
    assert!(node.raft.entries().any(|entry| matches!(entry.payload, Payload::Membership(_))));
    assert_eq!(node.hear(3, 9, Body::VoteResponse { granted: false }), []);
    assert_eq!(node.state().0, RoleKind::Leader);
}

#[test]
fn n07_with_another_survivor_both_are_needed_and_that_one_takes_over_the_log() {
    let mut node = after(recovered(), voters(&[1, 2]));
    node.fire(Timer::Election);
    node.hear(2, 5, Body::PreVoteResponse { next_term: Term(6), granted: true });
    assert_eq!(node.state().0, RoleKind::Candidate, "of two voters one is no majority");
    node.hear(2, 6, Body::VoteResponse { granted: true });
    assert_eq!(node.state(), (RoleKind::Leader, 6, Some(1)));
    // The other one, that has not heard of the change, listens to it like to any leader. It had more, which is lost.
    let mut other = Node::new(5, &[1, 1, 2, 3, 3, 3], 4);
    other.hear(2, 6, vote_request(at(5, 5)));
    other.hear(2, 6, append(at(4, 3), &[5, 6], 6));
    assert_eq!(other.terms(), [1, 1, 2, 3, 5, 6]);
    assert_eq!(other.raft.commit(), Index(6));
}
