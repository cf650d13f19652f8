//! M: where proposals go, and that each is answered.

use raft_core::{
    Abandoned, Body, Config, ForwardOutcome, Forwarded, HardState, Index, Input, NodeId, Payload, Placed,
    Proposed, Refused, Term, Ticket, Timer,
};

use crate::cluster::Cluster;
use crate::node::{Node, accepted, append, at};

fn ticket(number: u64) -> Ticket {
    Ticket { boot: 1, number }
}

fn proposal(number: u64, commands: &[u64]) -> Body<u64> {
    Body::Proposal { ticket: ticket(number), commands: commands.into() }
}

fn taken(number: u64, first: u64, last: u64) -> Body<u64> {
    Body::ProposalResponse { ticket: ticket(number), outcome: Ok((Index(first), Index(last))) }
}

fn refused(number: u64, why: Refused) -> Body<u64> {
    Body::ProposalResponse { ticket: ticket(number), outcome: Err(why) }
}

/// Server 1, that follows server 2 in term 1 and forwards.
fn follower(configure: impl Fn(&mut Config)) -> Node {
    let mut node = Node::with(3, &[1], HardState::new(Term(1), None), |config| {
        config.forward = true;
        configure(config);
    });
    node.hear(2, 1, append(at(1, 1), &[], 1));
    node.effects.clear();
    node
}

fn commands(node: &Node) -> Vec<u64> {
    let command = |payload: &Payload<u64>| match payload {
        Payload::Command(command) => Some(*command),
        _ => None,
    };
    node.raft.entries().filter_map(|entry| command(&entry.payload)).collect()
}

#[test]
fn m01_a_follower_forwards_or_refuses() {
    let mut node = follower(|config| config.forward = false);
    let result = node.raft.step(Input::Propose(vec![7]), &mut node.effects);
    assert_eq!(result, Err(Refused::NotLeader { leader: Some(NodeId(2)) }));
    assert_eq!((node.effects.proposed, node.effects.send.len()), (None, 0));
    let mut node = follower(|_| {});
    assert_eq!(node.input(Input::Propose(vec![7, 8])), [(2, proposal(1, &[7, 8]))]);
    assert_eq!(node.effects.proposed, Some(Proposed::Forwarded(ticket(1))));
    node.hear(2, 1, taken(1, 5, 6));
    let placed = Placed { term: Term(1), first: Index(5), last: Index(6) };
    let answer = Forwarded { ticket: ticket(1), outcome: ForwardOutcome::Appended(placed) };
    assert_eq!(node.effects.forwarded, [answer]);
    assert_eq!(node.raft.commit(), Index(1), "which is not yet to say that it is committed");
    // The leader's side.
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, accepted(1, 0));
    let said = leader.hear(2, 1, proposal(4, &[7, 8]));
    assert!(said.contains(&(2, taken(4, 2, 3))), "{said:?}");
    assert_eq!(commands(&leader), [7, 8]);
    // And all together.
    let mut cluster = Cluster::new(3, |config| config.forward = true);
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    cluster.propose(NodeId(2)).unwrap();
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    assert!(cluster.servers.iter().all(|server| server.applied.len() == 2));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn m02_a_refusal_of_the_leader_comes_back_with_its_reason() {
    let ask = |leader: &mut Node| leader.hear(2, 1, proposal(1, &[7]));
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(3, 1, accepted(1, 0));
    leader.input(Input::TransferLeadership(Some(NodeId(3))));
    let transferring = Refused::Transferring { to: NodeId(3) };
    assert_eq!(ask(&mut leader), [(2, refused(1, transferring))]);
    let mut leader = Node::leader(3, &[], 1);
    let limit = leader.raft.config().limits.uncommitted_entries as u64;
    leader.input(Input::Propose((1..limit).collect()));
    assert_eq!(ask(&mut leader), [(2, refused(1, Refused::QuotaFull))]);
    let mut leader = Node::leader(3, &[], 1);
    assert_eq!(leader.hear(2, 1, proposal(1, &[])), [(2, refused(1, Refused::Empty))]);
    leader.input(Input::StepDown);
    assert_eq!(ask(&mut leader), [(2, refused(1, Refused::NotLeader { leader: None }))]);
    // And at the follower.
    let mut node = follower(|_| {});
    node.input(Input::Propose(vec![7]));
    node.hear(2, 1, refused(1, transferring));
    let outcome = ForwardOutcome::Refused(transferring);
    assert_eq!(node.effects.forwarded, [Forwarded { ticket: ticket(1), outcome }]);
}

#[test]
fn m02_what_a_follower_forwards_is_bounded() {
    let mut node = follower(|config| config.limits.pending_forwards = 2);
    let propose = |node: &mut Node| node.raft.step(Input::Propose(vec![7]), &mut node.effects);
    assert_eq!((propose(&mut node), propose(&mut node)), (Ok(()), Ok(())));
    assert_eq!(propose(&mut node), Err(Refused::QuotaFull));
    assert_eq!(node.effects.proposed, None);
    let empty = node.raft.step(Input::Propose(Vec::new()), &mut node.effects);
    assert_eq!(empty, Err(Refused::Empty));
    node.hear(2, 1, taken(1, 2, 2));
    assert_eq!(propose(&mut node), Ok(()));
}

#[test]
fn m03_what_a_leader_could_not_finish_is_reported_when_it_loses_its_office() {
    type Loss = fn(&mut Node);
    let losses: [(&str, Loss); 4] = [
        ("a later term", |node| drop(node.hear(3, 9, append(at(0, 0), &[], 0)))),
        ("no contact", |node| (0..2).for_each(|_| drop(node.fire(Timer::Contact)))),
        ("stepping down", |node| drop(node.input(Input::StepDown))),
        ("a broken disk", |node| drop(node.input(Input::StorageFailed))),
    ];
    for (what, lose) in losses {
        let mut node = Node::leader(3, &[1], 2);
        node.hear(2, 2, accepted(2, 0));
        node.input(Input::Propose(vec![7, 8, 9]));
        node.hear(2, 2, accepted(3, 0));
        lose(&mut node);
        let abandoned = Abandoned { term: Term(2), first: Index(4), last: Index(5) };
        assert_eq!(node.effects.abandoned, [abandoned], "{what}: entry 3 is known to be committed");
    }
    // Nothing pending, nothing abandoned; and what earlier leaders left is not this one's.
    let mut node = Node::leader(3, &[1], 2);
    node.hear(2, 2, accepted(2, 0));
    node.input(Input::StepDown);
    assert_eq!(node.effects.abandoned, []);
    let mut node = Node::leader(3, &[1, 1], 2);
    node.input(Input::StepDown);
    let own = Abandoned { term: Term(2), first: Index(3), last: Index(3) };
    assert_eq!(node.effects.abandoned, [own]);
}

#[test]
fn m03_forwarded_proposals_are_unknown_when_the_leader_is_lost() {
    type Loss = fn(&mut Node);
    let losses: [(&str, Loss); 4] = [
        ("a later term", |node| drop(node.hear(3, 2, append(at(1, 1), &[], 0)))),
        ("silence", |node| drop(node.fire(Timer::Contact))),
        ("an own campaign", |node| drop(node.fire(Timer::Election))),
        ("a broken disk", |node| drop(node.input(Input::StorageFailed))),
    ];
    for (what, lose) in losses {
        let mut node = follower(|_| {});
        node.input(Input::Propose(vec![7]));
        node.input(Input::Propose(vec![8]));
        lose(&mut node);
        let unknown = |number| Forwarded { ticket: ticket(number), outcome: ForwardOutcome::Unknown };
        assert_eq!(node.effects.forwarded, [unknown(1), unknown(2)], "{what}");
        node.hear(2, 1, taken(1, 2, 2));
        assert_eq!(node.effects.forwarded.len(), 2, "{what}: each is answered once");
    }
}

#[test]
fn m04_a_late_or_repeated_forward_is_not_appended_again() {
    let mut leader = Node::leader(3, &[], 2);
    leader.hear(2, 2, accepted(1, 0));
    leader.hear(2, 2, proposal(3, &[7]));
    // Repeated, overtaken, of another term; but not another follower's with the same number.
    for (from, term, number) in [(2, 2, 3), (2, 2, 2), (2, 1, 4)] {
        leader.hear(from, term, proposal(number, &[9]));
        assert_eq!(commands(&leader), [7], "ticket {number} of term {term}");
    }
    leader.hear(3, 2, proposal(3, &[8]));
    leader.hear(2, 2, proposal(4, &[9]));
    assert_eq!(commands(&leader), [7, 8, 9]);
    // A follower that has restarted counts from 1 again, in a later life.
    let ticket = Ticket { boot: 2, number: 1 };
    leader.hear(2, 2, Body::Proposal { ticket, commands: [10].into() });
    assert_eq!(commands(&leader), [7, 8, 9, 10]);
    leader.hear(2, 2, proposal(5, &[11]));
    assert_eq!(commands(&leader), [7, 8, 9, 10], "and its earlier life is over");
}

#[test]
fn m04_whatever_is_repeated_every_forwarded_command_is_executed_at_most_once() {
    let mut cluster = Cluster::new(3, |config| config.forward = true);
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.heartbeat(NodeId(1));
    let mut forwards = Vec::new();
    for round in 0..4u64 {
        cluster.propose(NodeId(3)).unwrap();
        let is_forward =
            |packet: &&crate::cluster::Packet| matches!(packet.message.body, Body::Proposal { .. });
        forwards.extend(cluster.network.iter().filter(is_forward).cloned());
        // Every forward so far comes again, to whoever it was for.
        cluster.network.extend(forwards.iter().cloned());
        cluster.settle();
        let next = NodeId(round % 2 + 1);
        cluster.elect(next, 1000, |_| true);
        cluster.heartbeat(next);
        cluster.network.extend(forwards.iter().cloned());
        cluster.settle();
        cluster.heartbeat(next);
    }
    let executed = &cluster.server(NodeId(1)).applied;
    let mut done: Vec<_> =
        executed.iter().filter(|entry| matches!(entry.payload, Payload::Command(_))).collect();
    assert_eq!(done.len(), 4);
    done.dedup_by_key(|entry| entry.payload.clone());
    assert_eq!(done.len(), 4);
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn m09_a_forwarded_batch_is_appended_in_order_and_together() {
    let mut leader = Node::leader(3, &[], 1);
    leader.hear(2, 1, proposal(1, &[5, 3, 4]));
    leader.input(Input::Propose(vec![6]));
    leader.hear(3, 1, proposal(1, &[2, 1]));
    assert_eq!(commands(&leader), [5, 3, 4, 6, 2, 1]);
}
