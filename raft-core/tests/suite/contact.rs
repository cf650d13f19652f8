//! C: who counts as heard, and who gives up whom.

use raft_core::{Body, Config, HardState, Input, Lease, Membership, NodeId, Refused, RoleKind, Term, Timer};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, accepted, append, at, vote_request};

use RoleKind::{Follower, Leader};

fn pre_vote_request(last: raft_core::Position) -> Body<u64> {
    Body::PreVoteRequest { next_term: Term(2), last, priority: 0 }
}

fn pre_vote(granted: bool) -> Body<u64> {
    Body::PreVoteResponse { next_term: Term(2), granted }
}

#[test]
fn c07_a_pre_candidate_has_forgotten_its_leader() {
    // raft-rs #84: a server that asked for pre-votes itself kept refusing them to others, for the sake of a leader that was
    // gone; two such servers waited for each other for ever.
    let mut node = Node::new(3, &[1], 1);
    node.hear(3, 1, append(at(1, 1), &[], 0));
    assert_eq!(node.hear(2, 1, pre_vote_request(at(1, 1))), [(2, pre_vote(false))], "it hears its leader");
    node.fire(Timer::Election);
    assert_eq!(node.raft.leader(), None);
    assert_eq!(node.hear(2, 1, pre_vote_request(at(1, 1))), [(2, pre_vote(true))]);
    // The same among three whose leader is gone, only the election timers running out.
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster.crash(NodeId(1), 0);
    cluster.lose(|_| true);
    for id in [2, 3] {
        cluster.fire(NodeId(id), Timer::Election);
        cluster.settle();
    }
    assert_eq!(cluster.leader(), Some(NodeId(3)), "2 asked before, and grants it what it got refused itself");
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn c09_contact_with_a_quorum_keeps_the_leader_and_learners_do_not_count() {
    // Voters 1, 2, 3 and the learners 4, 5. (heard from, stays)
    let table: [(&[u64], bool); 6] =
        [(&[2], true), (&[3], true), (&[2, 3], true), (&[2, 4], true), (&[4, 5], false), (&[], false)];
    for (heard, stays) in table {
        let learners = |config: &mut Config| {
            config.founders = Some(Membership::new([1, 2, 3].map(NodeId)).with_learners([4, 5].map(NodeId)));
        };
        let mut node = Node::with(3, &[], HardState::new(Term(0), None), learners);
        node.input(Input::Campaign);
        node.hear(2, 0, Body::PreVoteResponse { next_term: Term(1), granted: true });
        node.hear(2, 1, GRANTED);
        node.fire(Timer::Contact);
        assert_eq!(node.state().0, Follower, "nobody has answered an append yet");
        let mut node = Node::with(3, &[], HardState::new(Term(0), None), learners);
        node.input(Input::Campaign);
        node.hear(2, 0, Body::PreVoteResponse { next_term: Term(1), granted: true });
        node.hear(2, 1, GRANTED);
        for round in 0..3 {
            for &peer in heard {
                node.hear(peer, 1, accepted(1, 0));
            }
            node.fire(Timer::Contact);
            assert_eq!(node.state().0 == Leader, stays, "{heard:?} heard, look {round}");
        }
    }
}

#[test]
fn c15_a_forgotten_leader_is_not_defended() {
    let mut node = Node::new(3, &[1], 1);
    node.hear(3, 1, append(at(1, 1), &[], 0));
    assert_eq!(node.hear(2, 1, pre_vote_request(at(1, 1))), [(2, pre_vote(false))]);
    node.input(Input::ForgetLeader);
    assert_eq!(node.raft.leader(), None);
    assert_eq!(node.hear(2, 1, pre_vote_request(at(0, 0))), [(2, pre_vote(false))], "not to a stale log");
    assert_eq!(node.hear(2, 1, pre_vote_request(at(1, 1))), [(2, pre_vote(true))]);
    node.hear(3, 1, append(at(1, 1), &[], 0));
    assert_eq!(node.raft.leader(), Some(NodeId(3)), "until it is heard again");
    // In a cluster: one follower's amnesia is enough for the other's campaign.
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster.fire(NodeId(3), Timer::Election);
    cluster.settle();
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    cluster.step(NodeId(2), Input::ForgetLeader).unwrap();
    cluster.fire(NodeId(3), Timer::Election);
    cluster.settle();
    assert_eq!(cluster.leader(), Some(NodeId(3)));
    assert_eq!(cluster.ghost.violation, None);
}

fn leased(config: &mut Config) {
    config.lease = Some(Lease { drift_ppm: 1000 });
}

#[test]
fn c15_with_leases_a_leader_is_not_forgotten() {
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), leased);
    node.hear(3, 1, append(at(1, 1), &[], 0));
    let refused = node.raft.step(Input::ForgetLeader, &mut node.effects);
    assert_eq!(refused, Err(Refused::LeasesForbid));
    assert_eq!(node.hear(2, 1, pre_vote_request(at(1, 1))), [(2, pre_vote(false))]);
}

#[test]
fn c15_a_leader_does_not_forget_itself() {
    let mut node = Node::leader(3, &[], 1);
    node.input(Input::ForgetLeader);
    assert_eq!((node.state().0, node.raft.leader()), (Leader, Some(NodeId(1))));
}

#[test]
fn c16_switching_check_quorum_at_run_time_neither_deposes_nor_wedges() {
    let mut node = Node::leader(3, &[], 1);
    node.input(Input::SetCheckQuorum(false));
    for _ in 0..3 {
        node.fire(Timer::Contact);
    }
    assert_eq!(node.state().0, Leader, "nobody was heard, and nobody asks");
    node.input(Input::SetCheckQuorum(true));
    node.fire(Timer::Contact);
    assert_eq!(node.state().0, Leader, "whoever was not looked for is not missed at the first look");
    node.input(Input::SetCheckQuorum(true));
    node.fire(Timer::Contact);
    assert_eq!(node.state().0, Follower, "but at the second; and to switch on what is on changes nothing");
}

#[test]
fn c16_switching_check_quorum_switches_stickiness() {
    let request = || vote_request(at(1, 1));
    let mut node = Node::new(3, &[1], 1);
    node.hear(3, 1, append(at(1, 1), &[], 0));
    assert_eq!(node.hear(2, 2, request()), [], "it hears its leader");
    node.input(Input::SetCheckQuorum(false));
    assert_eq!(node.hear(2, 2, request()), [(2, GRANTED)]);
    // A whole cluster that is switched on and off again stays in order.
    let mut cluster = Cluster::new(3, |config| config.check_quorum = false);
    cluster.elect(NodeId(1), 1000, |_| true);
    for on in [true, false, true] {
        for id in cluster.ids() {
            cluster.step(id, Input::SetCheckQuorum(on)).unwrap();
        }
        cluster.heartbeat(NodeId(1));
        cluster.fire(NodeId(1), Timer::Contact);
        cluster.propose(NodeId(1)).unwrap();
        cluster.settle();
        assert_eq!(cluster.leader(), Some(NodeId(1)), "switched {on}");
    }
    assert_eq!(cluster.raft(1).commit().0, 4);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn c16_with_leases_check_quorum_stays_on() {
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), leased);
    let refused = node.raft.step(Input::SetCheckQuorum(false), &mut node.effects);
    assert_eq!(refused, Err(Refused::LeasesForbid));
    assert!(node.raft.config().check_quorum);
    assert_eq!(node.raft.step(Input::SetCheckQuorum(true), &mut node.effects), Ok(()));
}
