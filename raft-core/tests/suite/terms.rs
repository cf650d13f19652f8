//! A: terms and roles.

use raft_core::{Body, Breach, Event, Input, Refused, RoleKind, StartError, Suspicion, Term, Timer};
use raft_core::{Config, Effects, HardState, Index, NodeId, Raft, Recovered, Round, Ticket};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, REFUSED, accepted, append, at, entries, rejected, vote_request};

use RoleKind::{Candidate, Follower, Leader};

fn in_role(role: RoleKind) -> Node {
    match role {
        Follower => Node::new(3, &[1], 2),
        Candidate => {
            let mut node = Node::new(3, &[1], 1);
            node.input(Input::Campaign);
            node.hear(2, 1, Body::PreVoteResponse { next_term: Term(2), granted: true });
            assert_eq!(node.state(), (Candidate, 2, Some(1)));
            node
        }
        Leader => Node::leader(3, &[1], 2),
    }
}

#[test]
fn a01_higher_term_is_adopted_in_every_role() {
    for role in [Follower, Candidate, Leader] {
        for body in [append(at(1, 1), &[], 0), REFUSED, rejected(1, at(0, 0))] {
            let mut node = in_role(role);
            node.hear(2, 5, body.clone());
            assert_eq!(node.state(), (Follower, 5, None), "{role:?} hears {body:?}");
        }
    }
}

#[test]
fn a02_stale_term_message_changes_nothing() {
    for role in [Follower, Candidate, Leader] {
        for body in [append(at(1, 1), &[1], 1), vote_request(at(9, 1)), GRANTED, accepted(1, 0)] {
            let mut node = in_role(role);
            let before = node.raft.clone();
            node.hear(2, 1, body.clone());
            assert_eq!(node.raft, before, "{role:?} hears {body:?}");
        }
    }
}

#[test]
fn a03_stale_leader_is_told_the_newer_term_once() {
    let mut node = Node::new(3, &[1], 4);
    node.hear(2, 2, append(at(1, 1), &[], 0));
    let sent = &node.effects.send;
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].message.term), (NodeId(2), Term(4)));
}

#[test]
fn a04_starts_as_follower_with_persisted_term_and_vote() {
    let hard_state = HardState::new(Term(3), Some(NodeId(2)));
    let node = Node::with(3, &[1, 3], hard_state, |_| {});
    assert_eq!(node.state(), (Follower, 3, Some(2)));
    assert_eq!(node.raft.leader(), None);
}

#[test]
fn a05_leader_heartbeats_to_every_other_member_each_interval() {
    let mut node = Node::leader(5, &[], 1);
    for peer in 2..=5 {
        node.hear(peer, 1, accepted(1, 0));
    }
    let said = node.fire(Timer::Heartbeat);
    let to: Vec<u64> = said.iter().filter(|(_, body)| matches!(body, Body::Append(_))).map(|s| s.0).collect();
    assert_eq!(to, [2, 3, 4, 5]);
    assert!(node.effects.timers.contains(&Timer::Heartbeat), "and the next one is armed");
}

#[test]
fn a06_legal_role_transitions_only() {
    // A follower never becomes leader in one step with others around, a leader never becomes candidate.
    let mut follower = in_role(Follower);
    follower.hear(2, 2, GRANTED);
    assert_eq!(follower.state().0, Follower);
    let mut leader = in_role(Leader);
    leader.fire(Timer::Election);
    assert_eq!(leader.state().0, Leader);
}

#[test]
fn a07_same_term_append_demotes_candidate_and_keeps_its_vote() {
    let mut node = in_role(Candidate);
    node.hear(2, 2, append(at(1, 1), &[], 0));
    assert_eq!(node.state(), (Follower, 2, Some(1)));
    assert_eq!(node.raft.leader(), Some(NodeId(2)));
}

#[test]
fn a08_stepping_down_within_a_term_keeps_the_vote() {
    let mut node = in_role(Leader);
    node.fire(Timer::Contact);
    node.fire(Timer::Contact);
    assert_eq!(node.state(), (Follower, 2, Some(1)));
    assert_eq!(node.hear(3, 2, vote_request(at(9, 9))), [(3, REFUSED)]);
}

#[test]
fn a09_two_leaders_in_one_term_halt_the_node() {
    for role in [Follower, Leader] {
        let mut node = in_role(role);
        node.hear(2, 2, append(at(1, 1), &[], 0));
        node.hear(3, 2, append(at(1, 1), &[], 0));
        let is_breach = |e: &Event| matches!(e, Event::Halted(Breach::TwoLeaders { .. }));
        assert!(node.effects.events.iter().any(is_breach), "{role:?}");
        assert!(node.raft.has_halted());
        assert_eq!(node.raft.step(Input::Propose(vec![1]), &mut node.effects), Err(Refused::Halted));
        let timers = [Timer::Election, Timer::Heartbeat, Timer::Contact];
        assert!(!timers.into_iter().any(|timer| node.raft.listens_to(timer)));
    }
}

#[test]
fn a10_unchanged_hard_state_is_not_written() {
    let mut node = in_role(Follower);
    node.slow = true;
    node.hear(2, 2, append(at(1, 1), &[], 1));
    node.hear(3, 2, vote_request(at(0, 0)));
    assert!(node.effects.writes.is_empty());
}

#[test]
fn a11_commit_is_learned_again_after_a_restart() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 100, |_| true);
    cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    for id in cluster.ids() {
        cluster.crash(id, 0);
        cluster.restart(id);
        assert_eq!(cluster.raft(id.0).commit().0, 0);
    }
    cluster.elect(NodeId(2), 100, |_| true);
    cluster.heartbeat(NodeId(2));
    assert!(cluster.ids().iter().all(|id| cluster.server(*id).applied.len() == 3));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn a12_echoes_are_suspect_and_strangers_have_no_say() {
    for role in [Follower, Candidate, Leader] {
        let mut node = in_role(role);
        node.effects.clear();
        let before = node.raft.clone();
        node.hear(1, 7, append(at(0, 0), &[7], 1));
        let reason = Suspicion::FromItself;
        assert_eq!(node.effects.events, [Event::Suspect { from: NodeId(1), reason }]);
        // Whatever a server says that is no member: it neither votes, nor acknowledges, nor asks, nor has a term.
        let ticket = Ticket { boot: 1, number: 1 };
        let bodies = [
            GRANTED,
            REFUSED,
            accepted(1, 1),
            Body::PreVoteResponse { next_term: Term(8), granted: true },
            Body::SnapshotResponse { last: at(1, 1), next: 0, round: Round(1) },
            Body::SnapshotRequest { at_least: Index(0) },
            Body::TransferRequest { to: None },
            Body::ReadRequest { ticket },
            Body::Proposal { ticket, commands: vec![1].into() },
        ];
        for body in bodies {
            node.effects.clear();
            assert_eq!(node.hear(9, 9, body.clone()), [], "{body:?}");
            assert_eq!(node.effects.events, [Event::Stranger { from: NodeId(9) }], "{body:?}");
        }
        assert_eq!(node.raft, before);
    }
}

#[test]
fn a12_leaders_and_candidates_of_a_later_membership_are_listened_to() {
    let mut node = in_role(Follower);
    assert_eq!(node.hear(9, 7, vote_request(at(9, 6))), [(9, GRANTED)]);
    let mut node = in_role(Follower);
    node.hear(9, 7, append(at(0, 0), &[7], 0));
    assert_eq!((node.raft.leader(), node.terms()), (Some(NodeId(9)), vec![7]));
}

#[test]
fn start_refuses_what_no_crash_can_leave() {
    let start = |config: Config, term: u64, log: Vec<raft_core::Entry<u64>>| {
        let hard_state = HardState::new(Term(term), None);
        Raft::start(
            config,
            Recovered { boot: 1, hard_state, entries: log, ..Recovered::nothing() },
            &mut Effects::default(),
        )
        .map(|_| ())
    };
    let config = || Config::new(NodeId(1), [NodeId(1), NodeId(2)]);
    assert_eq!(start(Config::new(NodeId(1), []), 0, vec![]), Err(StartError::NoVoters));
    assert_eq!(
        start(Config::new(NodeId(3), [NodeId(1)]), 0, vec![]),
        Err(StartError::NotAMember { id: NodeId(3) })
    );
    assert!(matches!(start(config(), 5, entries(2, &[1])), Err(StartError::Gap { .. })));
    assert!(matches!(start(config(), 5, entries(1, &[2, 1])), Err(StartError::TermOutOfOrder { .. })));
    assert!(matches!(start(config(), 1, entries(1, &[2])), Err(StartError::TermOutOfOrder { .. })));
    let mut zero = config();
    zero.limits.append_entries = 0;
    assert_eq!(start(zero, 0, vec![]), Err(StartError::ZeroLimit { name: "append_entries" }));
}

#[test]
fn malformed_appends_are_suspect_and_halt_nothing() {
    for (term, body) in [
        (3, append(at(0, 1), &[], 0)),
        (3, append(at(1, 0), &[], 0)),
        (3, append(at(0, 0), &[0], 0)),
        (3, append(at(0, 0), &[4], 0)),
        (0, append(at(0, 0), &[], 0)),
    ] {
        let mut node = in_role(Follower);
        let before = node.raft.clone();
        node.hear(2, term, body.clone());
        assert_eq!(node.raft, before, "{body:?}");
        assert!(matches!(node.effects.events.as_slice(), [Event::Suspect { .. }]), "{body:?}");
    }
}
