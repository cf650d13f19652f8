//! R: linearizable reads by read index.

use raft_core::{Body, Index, Input, NodeId, ReadId, ReadOutcome, Refused, Round, Timer};

use crate::cluster::Cluster;
use crate::node::{Node, accepted, append, append_in_round, at};

fn ready(id: u64, index: u64) -> ReadOutcome {
    ReadOutcome::Ready { id: ReadId(id), index: Index(index) }
}

#[test]
fn r01_only_acknowledgements_of_later_appends_confirm_a_read() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.input(Input::Read(ReadId(7)));
    node.hear(2, 1, accepted(1, 0));
    node.hear(3, 1, accepted(1, 0));
    assert_eq!(node.effects.reads, [], "these answer what was sent before the read came");
    node.hear(3, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
}

#[test]
fn r01_a_repeated_acknowledgement_confirms_nothing_twice() {
    // etcd #20418: a context that was used again let an old confirmation release a new read.
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.input(Input::Read(ReadId(7)));
    node.hear(2, 1, accepted(1, 1));
    node.input(Input::Read(ReadId(7)));
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(7, 1)], "the second read of that name still waits");
}

#[test]
fn r02_one_confirmation_releases_all_earlier_reads_in_order() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    for id in 1..=3 {
        node.input(Input::Read(ReadId(id)));
    }
    node.hear(2, 1, accepted(1, 1));
    assert_eq!(node.effects.reads, [ready(1, 1)], "the others came while the first round was under way");
    node.hear(3, 1, accepted(1, 2));
    assert_eq!(node.effects.reads, [ready(1, 1), ready(2, 1), ready(3, 1)]);
}

#[test]
fn r06_pending_reads_are_aborted_on_stepping_down() {
    let mut node = Node::leader(3, &[], 1);
    node.input(Input::Read(ReadId(7)));
    node.hear(2, 5, append(at(0, 0), &[], 0));
    assert_eq!(node.effects.reads, [ReadOutcome::Aborted { id: ReadId(7) }]);
    let refused = node.raft.step(Input::Read(ReadId(8)), &mut node.effects);
    assert_eq!(refused, Err(Refused::NotLeader { leader: Some(NodeId(2)) }));
}

#[test]
fn r08_a_single_voter_answers_at_once() {
    let mut node = Node::leader(1, &[], 1);
    node.input(Input::Read(ReadId(7)));
    assert_eq!(node.effects.reads, [ready(7, 1)]);
}

#[test]
fn r09_a_new_leader_serves_no_read_below_its_opening() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.propose(NodeId(1)).unwrap();
    cluster.settle();
    // Only the old leader knows that the command is committed.
    cluster.crash(NodeId(1), 0);
    cluster.elect(NodeId(2), 4, |id| id != NodeId(1));
    cluster.lose(|_| true);
    assert_eq!(cluster.leader(), Some(NodeId(2)));
    cluster.read(NodeId(2)).unwrap();
    cluster.settle();
    cluster.heartbeat(NodeId(2));
    assert_eq!(cluster.server(NodeId(2)).served.last().map(|served| served.1), Some(Index(3)));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn reads_waiting_are_bounded() {
    let mut node = Node::leader(3, &[], 1);
    let limit = node.raft.config().limits.pending_reads as u64;
    for id in 0..limit {
        node.input(Input::Read(ReadId(id)));
    }
    assert_eq!(node.raft.step(Input::Read(ReadId(limit)), &mut node.effects), Err(Refused::QuotaFull));
}

#[test]
fn a_lost_round_is_repeated_by_the_heartbeat() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.read(NodeId(1)).unwrap();
    cluster.lose(|_| true);
    cluster.fire(NodeId(1), Timer::Heartbeat);
    cluster.settle();
    assert_eq!(cluster.server(NodeId(1)).served.len(), 1);
}

#[test]
fn r01_an_echo_of_an_earlier_term_confirms_nothing() {
    // Rounds start over with each leadership: a reply to a late append must not carry its round into another term, where
    // the same server leads again.
    let mut follower = Node::new(3, &[], 5);
    let said = follower.hear(2, 3, append_in_round(at(0, 0), &[], 0, 7));
    let [(2, Body::AppendResponse(response))] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(response.round, Round(0));
}
