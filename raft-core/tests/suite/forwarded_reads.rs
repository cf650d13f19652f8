//! R: reads at followers and learners, and reads whose quorum changes while they wait.

use raft_core::{
    Body, Change, Config, HardState, Index, Input, Membership, NodeId, ReadId, ReadOutcome, Refused, Term,
    Ticket, Timer,
};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, accepted, append, at};

fn ready(id: u64, index: u64) -> ReadOutcome {
    ReadOutcome::Ready { id: ReadId(id), index: Index(index) }
}

fn aborted(id: u64) -> ReadOutcome {
    ReadOutcome::Aborted { id: ReadId(id) }
}

fn ticket(number: u64) -> Ticket {
    Ticket { boot: 1, number }
}

fn request(number: u64) -> Body<u64> {
    Body::ReadRequest { ticket: ticket(number) }
}

fn response(number: u64, index: u64) -> Body<u64> {
    Body::ReadResponse { ticket: ticket(number), index: Index(index) }
}

/// Server 1, that follows server 2 in term 1 and forwards.
fn follower() -> Node {
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), |config| config.forward = true);
    node.hear(2, 1, append(at(1, 1), &[], 1));
    node.effects.clear();
    node
}

fn forwarding(n: usize) -> Cluster {
    let mut cluster = Cluster::new(n, |config| config.forward = true);
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster
}

#[test]
fn r05_a_read_at_a_follower_is_answered_by_way_of_its_leader() {
    let mut node = follower();
    assert_eq!(node.input(Input::Read(ReadId(7))), [(2, request(1))]);
    assert_eq!(node.input(Input::Read(ReadId(8))), [], "one request at a time");
    assert_eq!(node.input(Input::Read(ReadId(9))), []);
    assert_eq!(node.hear(2, 1, response(1, 5)), [(2, request(2))], "the others go together");
    assert_eq!(node.effects.reads, [ready(7, 5)]);
    node.hear(2, 1, response(2, 6));
    assert_eq!(node.effects.reads, [ready(7, 5), ready(8, 6), ready(9, 6)]);
    let mut cluster = forwarding(3);
    cluster.propose(NodeId(1)).unwrap();
    cluster.exchange(1000, |id| id != NodeId(3));
    cluster.lose(|packet| packet.to == NodeId(3));
    cluster.read(NodeId(3)).unwrap();
    cluster.settle();
    assert_eq!(cluster.server(NodeId(3)).served.last().map(|served| served.1), Some(Index(2)));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn r05_late_repeated_and_foreign_answers_release_nothing() {
    // etcd #20418: an answer to an earlier read released a later one.
    let foreign = Body::ReadResponse { ticket: Ticket { boot: 0, number: 2 }, index: Index(1) };
    let mut node = follower();
    node.input(Input::Read(ReadId(7)));
    node.hear(2, 1, response(1, 1));
    node.input(Input::Read(ReadId(8)));
    node.effects.clear();
    for body in [response(1, 1), response(3, 1), foreign] {
        assert_eq!(node.hear(2, 1, body.clone()), [], "{body:?}");
        assert_eq!(node.effects.reads, [], "{body:?}");
    }
    node.hear(3, 1, response(2, 1));
    assert_eq!(node.effects.reads, [], "from one that is not the leader");
    node.hear(2, 1, response(2, 1));
    assert_eq!(node.effects.reads, [ready(8, 1)]);
}

#[test]
fn r05_forwarded_reads_are_aborted_when_the_leader_is_lost() {
    type Loss = fn(&mut Node);
    let losses: [(&str, Loss); 5] = [
        ("a later term", |node| drop(node.hear(3, 2, append(at(1, 1), &[], 0)))),
        ("silence", |node| drop(node.fire(Timer::Contact))),
        ("an own campaign", |node| drop(node.fire(Timer::Election))),
        ("forgetting", |node| drop(node.input(Input::ForgetLeader))),
        ("a broken disk", |node| drop(node.input(Input::StorageFailed))),
    ];
    for (what, lose) in losses {
        let mut node = follower();
        node.input(Input::Read(ReadId(7)));
        node.input(Input::Read(ReadId(8)));
        lose(&mut node);
        assert_eq!(node.effects.reads, [aborted(7), aborted(8)], "{what}");
        node.hear(2, 1, response(1, 1));
        assert_eq!(node.effects.reads.len(), 2, "{what}: the late answer decides nothing again");
    }
}

#[test]
fn r05_a_request_that_is_lost_is_made_again_with_the_heartbeats() {
    let mut node = follower();
    node.input(Input::Read(ReadId(7)));
    let heartbeat = || append(at(1, 1), &[], 1);
    assert!(!node.hear(2, 1, heartbeat()).contains(&(2, request(1))), "it may just be slow");
    assert!(node.hear(2, 1, heartbeat()).contains(&(2, request(1))));
    for lose_answer in [false, true] {
        let mut cluster = forwarding(3);
        cluster.read(NodeId(3)).unwrap();
        let is_lost = |packet: &crate::cluster::Packet| match packet.message.body {
            Body::ReadRequest { .. } => !lose_answer,
            _ => false,
        };
        cluster.lose(is_lost);
        cluster.exchange(1, |_| lose_answer);
        cluster.exchange(2, |_| lose_answer);
        cluster.lose(|packet| matches!(packet.message.body, Body::ReadResponse { .. }));
        for _ in 0..4 {
            cluster.heartbeat(NodeId(1));
        }
        assert_eq!(cluster.server(NodeId(3)).served.len(), 1, "the answer was lost: {lose_answer}");
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn r05_without_forwarding_or_a_leader_a_read_is_refused() {
    let refused = |node: &mut Node| node.raft.step(Input::Read(ReadId(7)), &mut node.effects);
    let mut node = Node::new(3, &[1], 1);
    node.hear(2, 1, append(at(1, 1), &[], 0));
    assert_eq!(refused(&mut node), Err(Refused::NotLeader { leader: Some(NodeId(2)) }), "not configured");
    let mut node = follower();
    node.fire(Timer::Contact);
    assert_eq!(refused(&mut node), Err(Refused::NotLeader { leader: None }));
    node.fire(Timer::Election);
    assert_eq!(refused(&mut node), Err(Refused::NotLeader { leader: None }), "a candidate has nobody to ask");
}

#[test]
fn r05_reads_that_wait_at_a_follower_are_bounded_and_at_its_leader_one_per_peer() {
    let configure = |config: &mut Config| (config.forward, config.limits.pending_reads) = (true, 2);
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), configure);
    node.hear(2, 1, append(at(1, 1), &[], 1));
    node.input(Input::Read(ReadId(1)));
    node.input(Input::Read(ReadId(2)));
    assert_eq!(node.raft.step(Input::Read(ReadId(3)), &mut node.effects), Err(Refused::QuotaFull));
    // At the leader: requests that follow take the place of the one before, which was given up then.
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, accepted(1, 0));
    for number in 1..=100 {
        leader.hear(2, 1, request(number));
    }
    leader.hear(2, 1, request(50));
    let answers: Vec<_> = (0..4u64).flat_map(|round| leader.hear(3, 1, accepted(1, round))).collect();
    let answers: Vec<_> = answers.into_iter().filter(|said| said.0 == 2).collect();
    let responses: Vec<_> =
        answers.iter().filter(|(_, body)| matches!(body, Body::ReadResponse { .. })).collect();
    assert_eq!(responses, [&(2, response(100, 1))]);
}

#[test]
fn r01_a_forwarded_read_is_answered_only_after_echoes_of_later_appends() {
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, accepted(1, 0));
    leader.hear(2, 1, request(1));
    assert!(leader.hear(3, 1, accepted(1, 0)).iter().all(|(_, body)| *body != response(1, 1)));
    assert!(leader.hear(3, 1, accepted(1, 1)).contains(&(2, response(1, 1))));
    // That the follower asks says that it follows, but not that it did after it had asked.
    leader.hear(2, 1, request(2));
    assert!(leader.hear(2, 1, accepted(1, 2)).contains(&(2, response(2, 1))), "an echo of its own does");
}

#[test]
fn r09_a_forwarded_read_waits_for_a_new_leaders_opening() {
    let mut leader = Node::leader(3, &[1, 1], 2);
    leader.hear(2, 2, request(1));
    let said = leader.hear(2, 2, accepted(2, 1));
    let is_answer = |(_, body): &(u64, Body<u64>)| matches!(body, Body::ReadResponse { .. });
    assert!(!said.iter().any(is_answer), "confirmed, but nothing of this term is committed: {said:?}");
    let said = leader.hear(2, 2, accepted(3, 1));
    assert!(said.contains(&(2, response(1, 3))), "{said:?}");
}

#[test]
fn r07_a_learner_may_ask_and_never_confirms() {
    let learners = |config: &mut Config| {
        config.forward = true;
        config.founders = Some(Membership::new([1, 2, 3].map(NodeId)).with_learners([4, 5].map(NodeId)));
    };
    let mut node = Node::with(3, &[], HardState::new(Term(0), None), learners);
    node.input(Input::Campaign);
    node.hear(2, 0, Body::PreVoteResponse { next_term: Term(1), granted: true });
    node.hear(2, 1, GRANTED);
    node.hear(2, 1, accepted(1, 0));
    node.input(Input::Read(ReadId(7)));
    node.hear(4, 1, accepted(1, 1));
    node.hear(5, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, []);
    node.hear(4, 1, request(1));
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
    assert!(node.hear(3, 1, accepted(1, 2)).contains(&(4, response(1, 1))), "a learner's read");
}

/// A leader of so many voters, its opening committed, with a read that waits.
fn reading(n: u64) -> Node {
    let mut node = Node::leader(n, &[], 1);
    for peer in 2..=n {
        node.hear(peer, 1, accepted(1, 0));
    }
    node.input(Input::Read(ReadId(7)));
    assert_eq!(node.effects.reads, []);
    node
}

fn change(node: &mut Node, changes: &[Change]) {
    let changes = changes.to_vec();
    node.input(Input::ChangeMembership { changes, transition: raft_core::Transition::Auto });
}

#[test]
fn r12_reads_that_wait_are_looked_at_again_when_the_quorum_changes() {
    // One voter fewer: two of four had echoed, now they are two of three.
    let mut node = reading(4);
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [], "two of four");
    change(&mut node, &[Change::Remove(NodeId(4))]);
    assert_eq!(node.effects.reads, [ready(7, 1)]);
    // One voter more: two of three would have been enough, two of four are not.
    let mut node = reading(3);
    change(&mut node, &[Change::Voter(NodeId(4))]);
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [], "two of four");
    node.hear(4, 1, accepted(0, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
    // Two at once: both majorities.
    let mut node = reading(3);
    change(&mut node, &[Change::Voter(NodeId(4)), Change::Voter(NodeId(5))]);
    node.hear(4, 1, accepted(0, 1));
    node.hear(5, 1, accepted(0, 1));
    assert_eq!(node.effects.reads, [], "three of the new five, one of the old three");
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
}

#[test]
fn r12_the_echo_of_a_removed_voter_confirms_nothing() {
    let mut node = reading(5);
    node.hear(2, 1, accepted(1, 1));
    change(&mut node, &[Change::Remove(NodeId(2))]);
    assert_eq!(node.effects.reads, [], "two of five were not enough, one of four is not");
    node.hear(3, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [], "two of four");
    node.hear(2, 1, accepted(2, 1));
    assert_eq!(node.effects.reads, [], "what the removed one says does not count");
    node.hear(4, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
}

#[test]
fn r05_an_answer_tells_the_follower_what_is_committed_as_far_as_it_was_compared() {
    // (index of the answer, commit after it): entry 2 is in the log, but only 1 is known to be the leader's.
    for (index, commit) in [(1, 1), (2, 1), (9, 1)] {
        let mut node = Node::with(3, &[1, 1], HardState::new(Term(1), None), |config| config.forward = true);
        node.hear(2, 1, append(at(1, 1), &[], 0));
        node.input(Input::Read(ReadId(7)));
        node.hear(2, 1, response(1, index));
        assert_eq!(node.raft.commit(), Index(commit), "the answer says {index}");
        assert_eq!(node.effects.reads, [ready(7, index)]);
    }
}
