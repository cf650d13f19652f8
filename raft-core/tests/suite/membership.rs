//! G: who the members are: which changes are taken, and what becomes of those they concern.

use std::sync::Arc;

use raft_core::{
    Append, Body, Change, ChangeError, Config, Effects, Entry, Event, HardState, Index, Input, Membership,
    NodeId, Payload, Raft, Recovered, Refused, RoleKind, Round, StartError, Suspicion, Term, Timer,
    Transition,
};

use crate::node::{GRANTED, Node, accepted, append, at, vote_request};
use crate::snapshots::{members, whole};

use Change::{Learner, Remove, Voter};
use Transition::{Auto, Explicit};

/// Server 1 leads term 1 of these founders; its opening is committed.
pub fn leader(founders: Membership) -> Node {
    let voters: Vec<u64> = founders.voters().iter().map(|id| id.0).filter(|id| *id != 1).collect();
    let mut node = Node::with(1, &[], HardState::default(), |config| {
        config.founders = Some(founders.clone());
        config.pre_vote = false;
        config.limits.promotion_lag = 1;
    });
    node.input(Input::Campaign);
    voters.iter().for_each(|&peer| drop(node.hear(peer, 1, GRANTED)));
    voters.iter().for_each(|&peer| drop(node.hear(peer, 1, accepted(1, 0))));
    assert_eq!((node.raft.role(), node.raft.commit()), (RoleKind::Leader, Index(1)));
    node.effects.clear();
    node
}

pub fn change(node: &mut Node, changes: &[Change], transition: Transition) -> Result<(), Refused> {
    let input = Input::ChangeMembership { changes: changes.to_vec(), transition };
    let result = node.raft.step(input, &mut node.effects);
    node.flush();
    result
}

pub fn listed(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// Everybody in force acknowledges everything.
fn all_accept(node: &mut Node) {
    let last = node.raft.last().index;
    for peer in node.raft.peers().map(|peer| peer.id).collect::<Vec<_>>() {
        if node.raft.role() == RoleKind::Leader {
            node.hear(peer.0, 1, accepted(last.0, 0));
        }
    }
}

#[test]
fn g01_only_a_leader_changes_members_and_not_while_it_hands_over() {
    let mut node = Node::new(3, &[1], 1);
    let refused = change(&mut node, &[Voter(NodeId(4))], Auto);
    assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
    let mut node = leader(members(&[1, 2, 3]));
    node.input(Input::TransferLeadership(Some(NodeId(2))));
    assert_eq!(change(&mut node, &[Voter(NodeId(4))], Auto), Err(Refused::Transferring { to: NodeId(2) }));
}

#[test]
fn g02_a_second_change_waits_for_the_first_to_be_committed() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Voter(NodeId(4))], Auto).unwrap();
    assert_eq!(change(&mut node, &[Voter(NodeId(5))], Auto), Err(Refused::ChangePending));
    node.hear(2, 1, accepted(2, 0));
    assert_eq!(change(&mut node, &[Voter(NodeId(5))], Auto), Err(Refused::ChangePending), "2 of 4");
    node.hear(3, 1, accepted(2, 0));
    assert_eq!(change(&mut node, &[Voter(NodeId(5))], Auto), Ok(()));
}

#[test]
fn g02_a_change_that_a_new_leader_has_inherited_counts_too() {
    let inherited = Payload::Membership(Arc::new(members(&[1, 2, 3, 4])));
    let entries = vec![Entry { index: Index(1), term: Term(1), payload: inherited }];
    let recovered =
        Recovered { boot: 1, hard_state: HardState::new(Term(1), None), entries, ..Recovered::nothing() };
    let mut config = Config::new(NodeId(1), listed(&[1, 2, 3]));
    config.pre_vote = false;
    let raft = Raft::start(config, recovered, &mut Effects::default()).unwrap();
    let mut node = Node { raft, effects: Effects::default(), slow: false };
    node.input(Input::Campaign);
    [2, 3].into_iter().for_each(|peer| drop(node.hear(peer, 2, GRANTED)));
    assert_eq!(node.raft.role(), RoleKind::Leader);
    // Ongaro, raft-dev 2015: not even that one may be counted before an entry of its own term.
    [2, 3].into_iter().for_each(|peer| drop(node.hear(peer, 2, accepted(1, 0))));
    assert_eq!(change(&mut node, &[Voter(NodeId(5))], Auto), Err(Refused::NotCommittedInTerm));
    [2, 3].into_iter().for_each(|peer| drop(node.hear(peer, 2, accepted(2, 0))));
    assert_eq!(change(&mut node, &[Voter(NodeId(5))], Auto), Ok(()));
    assert_eq!(change(&mut node, &[Voter(NodeId(6))], Auto), Err(Refused::ChangePending));
}

#[test]
fn g06_a_joint_membership_needs_both_majorities_and_is_left_by_itself() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Voter(NodeId(4)), Voter(NodeId(5))], Auto).unwrap();
    assert!(node.raft.membership().is_joint() && node.raft.membership().leaves_by_itself());
    // Old majority, 1 2 3; new one, three of 1 to 5. (who has acknowledged the change, committed)
    let table: [(&[u64], bool); 5] =
        [(&[], false), (&[2], false), (&[4, 5], false), (&[2, 4], true), (&[2, 3], true)];
    for (acknowledge, committed) in table {
        let mut node = node.clone();
        acknowledge.iter().for_each(|&peer| drop(node.hear(peer, 1, accepted(2, 0))));
        assert_eq!(node.raft.commit() == Index(2), committed, "{acknowledge:?}");
        assert_eq!(node.raft.membership().is_joint(), !committed, "left as soon as it is committed");
        if committed {
            assert_eq!(**node.raft.membership(), members(&[1, 2, 3, 4, 5]));
            assert_eq!(node.raft.last().index, Index(3), "by an entry, like everything");
            assert_eq!(change(&mut node, &[Remove(NodeId(5))], Auto), Err(Refused::ChangePending));
        }
    }
}

#[test]
fn g06_an_explicit_change_lasts_until_the_host_ends_it() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Voter(NodeId(4))], Explicit).unwrap();
    assert_eq!(node.raft.membership().outgoing(), listed(&[1, 2, 3]), "joint, though one step would do");
    assert_eq!(node.raft.step(Input::LeaveJoint, &mut node.effects), Err(Refused::ChangePending));
    all_accept(&mut node);
    (0..3).for_each(|_| drop(node.fire(Timer::Heartbeat)));
    assert!(node.raft.membership().is_joint());
    node.input(Input::LeaveJoint);
    all_accept(&mut node);
    assert_eq!(**node.raft.membership(), members(&[1, 2, 3, 4]));
}

#[test]
fn g06_a_leader_that_is_replaced_finishes_the_change_hands_over_and_steps_down() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Remove(NodeId(1)), Voter(NodeId(4))], Auto).unwrap();
    all_accept(&mut node);
    assert_eq!(**node.raft.membership(), members(&[2, 3, 4]));
    assert_eq!(node.raft.role(), RoleKind::Leader, "the end of the change is not committed");
    // It does not count itself (§6): two of the three others are needed.
    node.hear(2, 1, accepted(3, 0));
    assert_eq!(node.raft.commit(), Index(2));
    let said = node.hear(3, 1, accepted(3, 0));
    assert_eq!((node.raft.commit(), node.raft.role()), (Index(3), RoleKind::Follower));
    let told: Vec<u64> =
        said.iter().filter(|(_, body)| *body == Body::TimeoutNow).map(|(to, _)| *to).collect();
    assert!(told == [2] || told == [3], "one that has everything takes over at once: {told:?}");
    node.effects.clear();
    node.fire(Timer::Contact);
    node.fire(Timer::Election);
    assert_eq!((node.raft.role(), node.effects.send.len()), (RoleKind::Follower, 0), "and it keeps quiet");
}

#[test]
fn g07_a_demotion_takes_effect_when_the_joint_membership_is_left() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Learner(NodeId(3)), Voter(NodeId(4))], Explicit).unwrap();
    let joint = Arc::clone(node.raft.membership());
    assert_eq!(joint.demoted(), listed(&[3]));
    assert_eq!(joint.learners(), []);
    assert!(joint.is_voter(NodeId(3)));
    // 3 still counts among the outgoing voters: with 4 among the new ones it makes both majorities.
    [3, 4].into_iter().for_each(|peer| drop(node.hear(peer, 1, accepted(2, 0))));
    assert_eq!(node.raft.commit(), Index(2));
    node.input(Input::LeaveJoint);
    let left = members(&[1, 2, 4]).with_learners([NodeId(3)]);
    assert_eq!(**node.raft.membership(), left);
    node.hear(3, 1, accepted(3, 0));
    assert_eq!(node.raft.commit(), Index(2), "and now it does not");
    node.hear(4, 1, accepted(3, 0));
    assert_eq!(node.raft.commit(), Index(3));
    assert!(node.raft.peers().any(|peer| peer.id == NodeId(3)), "it is still sent the log");
}

#[test]
fn g07_a_leader_that_is_demoted_hands_over_when_that_is_committed() {
    let mut node = leader(members(&[1, 2, 3]));
    change(&mut node, &[Learner(NodeId(1))], Auto).unwrap();
    node.hear(2, 1, accepted(2, 0));
    assert_eq!(
        (node.raft.commit(), node.raft.role()),
        (Index(1), RoleKind::Leader),
        "of 2 and 3 it takes both"
    );
    let said = node.hear(3, 1, accepted(2, 0));
    assert_eq!((node.raft.commit(), node.raft.role()), (Index(2), RoleKind::Follower));
    assert!(said.iter().any(|(_, body)| *body == Body::TimeoutNow));
    node.effects.clear();
    node.fire(Timer::Election);
    assert_eq!(node.effects.send, [], "a learner does not campaign (B16)");
}

#[test]
fn g08_leaving_twice_and_entering_twice_are_refused() {
    let mut node = leader(members(&[1, 2, 3]));
    let leave = |node: &mut Node| {
        let result = node.raft.step(Input::LeaveJoint, &mut node.effects);
        node.flush();
        result
    };
    let not_joint = Err(Refused::Change(ChangeError::NotJoint));
    assert_eq!(leave(&mut node), not_joint);
    change(&mut node, &[Voter(NodeId(4))], Explicit).unwrap();
    all_accept(&mut node);
    for transition in [Auto, Explicit] {
        let again = change(&mut node, &[Voter(NodeId(5))], transition);
        assert_eq!(again, Err(Refused::Change(ChangeError::IsJoint)));
    }
    assert_eq!(leave(&mut node), Ok(()));
    assert_eq!(leave(&mut node), Err(Refused::ChangePending));
    all_accept(&mut node);
    assert_eq!(leave(&mut node), not_joint);
    assert_eq!(node.raft.last().index, Index(3), "two entries in all");
}

#[test]
fn g13_a_fresh_voter_counts_as_heard_of_once() {
    let mut node = leader(members(&[1]));
    change(&mut node, &[Voter(NodeId(2))], Auto).unwrap();
    node.fire(Timer::Contact);
    assert_eq!(node.raft.role(), RoleKind::Leader, "it has had no time to answer");
    node.fire(Timer::Contact);
    assert_eq!(node.raft.role(), RoleKind::Follower, "now it has had some");
}

#[test]
fn g17_the_last_voter_stays() {
    let mut node = leader(members(&[1]).with_learners([NodeId(2)]));
    for changes in
        [vec![Remove(NodeId(1))], vec![Learner(NodeId(1))], vec![Learner(NodeId(1)), Remove(NodeId(2))]]
    {
        for transition in [Auto, Explicit] {
            let refused = change(&mut node, &changes, transition);
            assert_eq!(refused, Err(Refused::Change(ChangeError::NoVoters)), "{changes:?}");
        }
    }
    // Nor does anybody else get this server to believe that there is none.
    let nobody = Membership::default().with_learners([NodeId(1)]);
    let mut node = Node::new(3, &[], 1);
    let payload = Payload::Membership(Arc::new(nobody.clone()));
    let entries = vec![Entry { index: Index(1), term: Term(1), payload }];
    let malformed =
        Append { prev: at(0, 0), entries: entries.clone().into(), commit: Index(0), round: Round(0) };
    node.hear(2, 1, Body::Append(malformed));
    node.hear(2, 1, whole(1, 1, nobody.clone()));
    let suspect = |reason| Event::Suspect { from: NodeId(2), reason };
    let expected = [Suspicion::MalformedAppend, Suspicion::MalformedSnapshot].map(suspect);
    assert_eq!(node.effects.events, expected);
    let hard_state = HardState::new(Term(1), None);
    let recovered = Recovered { hard_state, entries, ..Recovered::nothing() };
    let start = |config, recovered| Raft::start(config, recovered, &mut Effects::<u64>::default()).err();
    let config = Config::new(NodeId(1), listed(&[1]));
    let illegal = StartError::IllegalMembership { index: Index(1) };
    assert_eq!(start(config.clone(), recovered), Some(illegal));
    let config = Config { founders: Some(nobody), ..config };
    assert_eq!(start(config, Recovered::nothing()), Some(StartError::NoVoters));
}

/// The membership is in force as soon as it is in the leader's log, so one of two voters can be removed whether it lives or
/// not; and one that removes itself stays until the other has it.
#[test]
fn g18_two_voters_shrink_to_one() {
    let mut node = leader(members(&[1, 2]));
    change(&mut node, &[Remove(NodeId(2))], Auto).unwrap();
    assert_eq!((node.raft.commit(), node.raft.role()), (Index(2), RoleKind::Leader), "without the dead one");
    node.fire(Timer::Contact);
    node.fire(Timer::Contact);
    assert_eq!(node.raft.role(), RoleKind::Leader);
    assert_eq!(node.hear(2, 5, vote_request(at(9, 4))), [], "which disturbs nobody when it returns");
    assert_eq!(node.state(), (RoleKind::Leader, 1, Some(1)));

    let mut node = leader(members(&[1, 2]));
    change(&mut node, &[Remove(NodeId(1))], Auto).unwrap();
    assert_eq!((node.raft.commit(), node.raft.role()), (Index(1), RoleKind::Leader));
    let mut lost = node.clone();
    lost.fire(Timer::Contact);
    lost.fire(Timer::Contact);
    assert_eq!(lost.raft.role(), RoleKind::Follower);
    lost.fire(Timer::Election);
    assert_eq!(lost.raft.role(), RoleKind::Candidate, "it may still be needed (diss. 4.2.2)");
    let said = node.hear(2, 1, accepted(2, 0));
    assert!(said.contains(&(2, Body::TimeoutNow)));
    assert_eq!(node.raft.role(), RoleKind::Follower);
}

/// An id is for one server for ever ([`NodeId`]): one that comes back with nothing is not mistaken for a slow one, and gets
/// nothing until it is removed and added again.
#[test]
fn g20_a_server_with_a_used_id_and_an_empty_disk_is_not_taken_for_the_old_one() {
    let mut node = leader(members(&[1, 2]).with_learners([NodeId(3)]));
    node.input(Input::Propose(vec![1]));
    [2, 3].into_iter().for_each(|peer| drop(node.hear(peer, 1, accepted(2, 0))));
    let mut empty = Node::with(1, &[], HardState::default(), |config| config.founders = None);
    let heartbeat = append(at(2, 1), &[], 2);
    let said = empty.hear(2, 1, heartbeat);
    let [(_, refusal)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(node.hear(3, 1, refusal.clone()), []);
    let matched = node.raft.peers().find(|peer| peer.id == NodeId(3)).unwrap().matched;
    assert_eq!(matched, Index(2), "what was vouched for stays so");
    for changes in [[Remove(NodeId(3))], [Learner(NodeId(3))]] {
        change(&mut node, &changes, Auto).unwrap();
        node.hear(2, 1, accepted(node.raft.last().index.0, 0));
    }
    let [fresh] = &node.raft.peers().filter(|peer| peer.id == NodeId(3)).collect::<Vec<_>>()[..] else {
        panic!("it is no member")
    };
    assert_eq!(fresh.matched, Index(0), "and now it begins at the beginning");
}
