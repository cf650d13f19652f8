//! B: elections between several, and servers that must not campaign or may not win.

use std::sync::Arc;

use raft_core::{
    Body, Config, HardState, Input, Membership, NodeId, Refused, RoleKind, Round, SnapshotChunk,
    SnapshotMeta, Term, Timer,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, REFUSED, append, at, vote_request};

use RoleKind::{Candidate, Follower, Leader};

/// No pre-vote, no stickiness: every timeout is an election.
fn plain(n: usize) -> Cluster {
    Cluster::new(n, |config| (config.pre_vote, config.check_quorum) = (false, false))
}

fn role(cluster: &Cluster, id: u64) -> (RoleKind, u64) {
    (cluster.raft(id).role(), cluster.raft(id).term().0)
}

#[test]
fn b08_duelling_candidates_converge() {
    let mut cluster = plain(3);
    let apart = |p: &crate::cluster::Packet| p.from.0 + p.to.0 == 4;
    // 1 and 3 campaign at once and do not hear each other; 2 hears 1 first.
    for id in [NodeId(1), NodeId(3)] {
        cluster.fire(id, Timer::Election);
        cluster.flush(id);
    }
    cluster.lose(apart);
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.lose(apart);
    cluster.exchange(1000, |id| id != NodeId(1));
    assert_eq!(role(&cluster, 1), (Leader, 1));
    assert_eq!(role(&cluster, 3), (Candidate, 1), "one refusal of two others decides nothing");
    cluster.propose(NodeId(1)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.lose(|_| true);
    // Healed: 3 learns the result, and its later campaign deposes 1, but its log is too short to win.
    cluster.fire(NodeId(3), Timer::Election);
    cluster.settle();
    assert_eq!([1, 2, 3].map(|id| role(&cluster, id)), [(Follower, 2); 3]);
    // One with the longer log wins.
    cluster.fire(NodeId(2), Timer::Election);
    cluster.settle();
    cluster.heartbeat(NodeId(2));
    assert_eq!(role(&cluster, 2), (Leader, 3));
    assert_eq!(cluster.log(3), cluster.log(1));
    // And now that the logs are equal, 3 would too.
    cluster.fire(NodeId(3), Timer::Election);
    cluster.settle();
    assert_eq!(role(&cluster, 3), (Leader, 4));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn b09_a_candidate_concedes_and_catches_up() {
    let mut cluster = plain(3);
    cluster.fire(NodeId(1), Timer::Election);
    cluster.flush(NodeId(1));
    cluster.lose(|_| true);
    cluster.fire(NodeId(3), Timer::Election);
    cluster.exchange(1000, |id| id != NodeId(1));
    cluster.propose(NodeId(3)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(1));
    assert_eq!((role(&cluster, 1), role(&cluster, 3)), ((Candidate, 1), (Leader, 1)));
    cluster.lose(|_| true);
    cluster.heartbeat(NodeId(3));
    cluster.heartbeat(NodeId(3));
    assert_eq!(role(&cluster, 1), (Follower, 1));
    assert_eq!(cluster.raft(1).hard_state().voted_for, Some(NodeId(1)), "its vote stays");
    assert_eq!((cluster.log(1), cluster.raft(1).commit()), (cluster.log(3), cluster.raft(3).commit()));
    assert_eq!(cluster.ghost.violation, None);
}

/// Server 1 as a learner of 2 and 3, as one that never was a member, and as one that was removed.
fn voteless() -> Vec<(&'static str, Node)> {
    let learner = |config: &mut Config| {
        config.founders = Some(Membership::new([2, 3].map(NodeId)).with_learners([NodeId(1)]));
    };
    let hard_state = HardState::new(Term(1), None);
    let mut removed = Node::new(3, &[1], 1);
    let membership = Arc::new(Membership::new([2, 3].map(NodeId)));
    let payload = raft_core::Payload::Membership(membership);
    let entry = raft_core::Entry { index: raft_core::Index(2), term: Term(1), payload };
    let commit = raft_core::Index(2);
    let append = raft_core::Append { prev: at(1, 1), entries: vec![entry].into(), commit, round: Round(0) };
    removed.hear(2, 1, Body::Append(append));
    vec![
        ("learner", Node::with(3, &[1], hard_state, learner)),
        ("joining", Node::with(3, &[], hard_state, |config| config.founders = None)),
        ("removed", removed),
    ]
}

#[test]
fn b16_a_server_without_a_vote_never_campaigns() {
    for (what, mut node) in voteless() {
        let prev = node.raft.last();
        node.hear(2, 1, append(prev, &[], 0));
        node.effects.clear();
        assert_eq!(node.hear(2, 1, Body::TimeoutNow), [], "{what}: told to by its leader");
        assert_eq!(node.fire(Timer::Election), [], "{what}: on a timeout");
        assert_eq!(node.fire(Timer::Election), [], "{what}: on another");
        assert_eq!(node.state(), (Follower, 1, None), "{what}");
        assert!(node.effects.timers.contains(&Timer::Election), "{what}: it may become a voter");
        assert!(node.effects.writes.is_empty(), "{what}");
    }
}

#[test]
fn b14_a_server_without_a_vote_refuses_to_campaign() {
    for (what, mut node) in voteless() {
        let refused = node.raft.step(Input::Campaign, &mut node.effects);
        assert_eq!(refused, Err(Refused::CannotCampaign), "{what}");
        assert_eq!(node.state(), (Follower, 1, None), "{what}");
    }
}

#[test]
fn b18_a_vote_given_while_a_snapshot_is_installed_waits_for_it_and_knows_its_log() {
    let snapshot = Arc::new(SnapshotMeta {
        last: at(5, 1),
        membership: Arc::new(Membership::new([1, 2, 3].map(NodeId))),
    });
    let chunk = SnapshotChunk { snapshot, offset: 0, data: vec![1], done: true, round: Round(0) };
    let mut node = Node { slow: true, ..Node::new(3, &[1, 1], 1) };
    node.hear(2, 1, Body::Snapshot(chunk));
    assert_eq!(node.effects.writes.len(), 1, "the install is under way");
    node.fire(Timer::Contact);
    // Its log counts as the snapshot says from now on: a candidate that lacks a part of that gets no vote.
    assert_eq!(node.hear(3, 2, vote_request(at(4, 1))), [(3, REFUSED)]);
    assert_eq!(node.hear(3, 2, vote_request(at(5, 1))), [], "the vote is not durable");
    let acks: Vec<_> = node.effects.writes.drain(..).map(|write| write.split().1).collect();
    assert_eq!(acks.len(), 3, "install, term, vote");
    assert_eq!(node.input(Input::Durable(acks[0])), [], "the snapshot is there, the vote is not");
    assert_eq!(node.input(Input::Durable(acks[2])), [(3, GRANTED)]);
    assert_eq!(node.raft.last(), at(5, 1));
}

#[test]
fn b20_priority_respects_the_log() {
    // Own log ends at i2 t2, own priority 5. (candidate's last, its priority, vote)
    let table = [
        (at(2, 2), 4, false),
        (at(2, 2), 5, true),
        (at(2, 2), 6, true),
        (at(3, 2), 0, true),
        (at(1, 3), 0, true),
        (at(1, 2), 9, false),
        (at(9, 1), 9, false),
    ];
    for (last, priority, granted) in table {
        let hard_state = HardState::new(Term(2), None);
        let prioritised = |config: &mut Config| config.priority = 5;
        let mut node = Node::with(3, &[1, 2], hard_state, prioritised);
        let asked = Body::PreVoteRequest { next_term: Term(4), last, priority };
        let said = node.hear(2, 3, asked);
        assert_eq!(said, [(2, Body::PreVoteResponse { next_term: Term(4), granted })], "{last:?} {priority}");
        let said = node.hear(2, 4, Body::VoteRequest { last, priority, by_transfer: false });
        assert_eq!(said, [(2, Body::VoteResponse { granted })], "{last:?} {priority}");
    }
}

#[test]
fn b20_one_that_cannot_lead_does_not_insist_on_its_priority() {
    let learner = |config: &mut Config| {
        config.priority = 5;
        config.founders = Some(Membership::new([2, 3].map(NodeId)).with_learners([NodeId(1)]));
    };
    let mut node = Node::with(3, &[1, 2], HardState::new(Term(2), None), learner);
    assert_eq!(node.hear(2, 3, vote_request(at(2, 2))), [(2, GRANTED)]);
}

#[test]
fn b20_of_equal_logs_the_higher_priority_wins_and_a_lower_one_if_only_it_has_the_log() {
    let mut cluster = Cluster::new(3, |config| config.priority = u8::try_from(config.id.0).unwrap());
    cluster.elect(NodeId(1), 1000, |_| true);
    assert_eq!(cluster.leader(), None, "2 and 3 have as good a log");
    cluster.elect(NodeId(3), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(3)));
    // What 3 commits with 1 alone, only 1 has when 3 is gone.
    cluster.propose(NodeId(3)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(2));
    cluster.crash(NodeId(3), 0);
    cluster.lose(|_| true);
    cluster.elect(NodeId(2), 1000, |_| true);
    assert_eq!(cluster.leader(), None, "its log is too short");
    cluster.elect(NodeId(1), 1000, |_| true);
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn b11_own_pre_vote_or_vote_of_a_superseded_election_does_not_count() {
    // The own vote reaches the disk when: (its election was superseded by a later one of its own, lost, or won already)
    let mut node = Node::with(3, &[], HardState::new(Term(0), None), |config| config.pre_vote = false);
    node.slow = true;
    node.fire(Timer::Election);
    let first = node.effects.writes.remove(0).split().1;
    node.hear(2, 3, REFUSED);
    assert_eq!(node.state(), (Follower, 3, None));
    node.fire(Timer::Election);
    assert_eq!(node.state(), (Candidate, 4, Some(1)));
    assert_eq!(node.input(Input::Durable(first)), [], "the vote of term 1 announces nothing in term 4");
    assert_eq!(node.hear(2, 4, GRANTED), []);
    assert_eq!(node.state(), (Candidate, 4, Some(1)), "and elects nobody");
    node.flush();
    assert!(!node.hear(2, 4, GRANTED).is_empty());
    assert_eq!(node.state(), (Leader, 4, Some(1)));
    // A pre-vote that comes when the real election has begun counts for nothing.
    let mut node = Node::new(5, &[], 0);
    node.fire(Timer::Election);
    let pre_vote = Body::PreVoteResponse { next_term: Term(1), granted: true };
    for peer in [2, 3, 4, 5] {
        node.hear(peer, 0, pre_vote.clone());
    }
    assert_eq!(node.state(), (Candidate, 1, Some(1)));
}
