//! K: what may be said before which write is durable, and what an acknowledgement proves.

use raft_core::{Batch, HardState, Index, Input, NodeId, Refused, RoleKind, Term, Timer, Write, WriteAck};

use crate::cluster::Cluster;
use crate::node::{GRANTED, Node, accepted, append, at, entries, vote_request};

fn take(node: &mut Node) -> (Batch<u64>, WriteAck) {
    node.effects.writes.remove(0).split()
}

fn durable(node: &mut Node, ack: WriteAck) -> crate::node::Said {
    node.input(Input::Durable(ack))
}

fn slow(n: u64, log: &[u64], term: u64) -> Node {
    Node { slow: true, ..Node::new(n, log, term) }
}

#[test]
fn k01_a_vote_is_told_after_it_is_durable() {
    let mut node = slow(3, &[], 0);
    assert_eq!(node.hear(2, 1, vote_request(at(0, 0))), []);
    let (batch, ack) = take(&mut node);
    assert_eq!(batch.hard_state, Some(HardState::new(Term(1), Some(NodeId(2)))));
    assert_eq!(durable(&mut node, ack), [(2, GRANTED)]);
}

#[test]
fn k01_an_append_is_acknowledged_after_it_is_durable() {
    let mut node = slow(3, &[], 1);
    assert_eq!(node.hear(2, 1, append(at(0, 0), &[1, 1], 0)), []);
    let (batch, ack) = take(&mut node);
    assert_eq!(batch.entries, entries(1, &[1, 1]).into());
    assert_eq!(durable(&mut node, ack), [(2, accepted(2, 0))]);
}

#[test]
fn k02_a_leader_replicates_before_its_own_disk_answers_and_commits_without_it() {
    let mut node = Node::leader(3, &[], 1);
    node.slow = true;
    for peer in [2, 3] {
        node.hear(peer, 1, accepted(1, 0));
    }
    let said = node.input(Input::Propose(vec![7]));
    assert_eq!(said.len(), 2, "both appends leave at once");
    node.hear(2, 1, accepted(2, 0));
    assert_eq!(
        node.raft.commit(),
        Index(1),
        "one other copy is no majority while the own one is not durable"
    );
    node.hear(3, 1, accepted(2, 0));
    assert_eq!(node.raft.commit(), Index(2), "two others are");
    assert_eq!(node.raft.durable(), Index(1));
}

#[test]
fn k05_acknowledgements_may_come_out_of_order_repeated_or_only_for_the_last() {
    let acks = |node: &mut Node| -> Vec<WriteAck> {
        (0..3).for_each(|i| drop(node.hear(2, 1, append(at(i, i.min(1)), &[1], 0))));
        node.effects.writes.drain(..).map(|write| Write::split(write).1).collect()
    };
    for order in [vec![0, 1, 2], vec![2], vec![2, 1, 0], vec![1, 0, 2, 2], vec![0, 0, 2]] {
        let mut node = slow(3, &[], 1);
        let acks = acks(&mut node);
        let mut said = Vec::new();
        for i in &order {
            said.extend(durable(&mut node, acks[*i]));
        }
        assert_eq!(said.last(), Some(&(2, accepted(3, 0))), "{order:?}");
        assert_eq!(node.raft.durable(), Index(3), "{order:?}");
    }
}

#[test]
fn k06_a_term_is_written_with_or_before_its_entries() {
    let mut node = slow(3, &[], 0);
    node.hear(2, 4, append(at(0, 0), &[4], 0));
    let (batch, _) = take(&mut node);
    assert_eq!(batch.hard_state.map(|hard| hard.term), Some(Term(4)));
    assert_eq!(batch.entries, entries(1, &[4]).into());
}

#[test]
fn k07_truncation_and_append_are_one_write() {
    let mut node = slow(3, &[1, 1, 1], 1);
    node.hear(2, 2, append(at(1, 1), &[2], 0));
    assert_eq!(node.effects.writes.len(), 1);
    assert_eq!(take(&mut node).0.entries, entries(2, &[2]).into());
}

#[test]
fn k10_every_prefix_of_the_write_stream_is_a_legal_start() {
    for kept in 0..6 {
        let mut cluster = Cluster::new(3, |_| {});
        cluster.elect(NodeId(1), 1000, |_| true);
        cluster.slow = vec![NodeId(3)];
        for _ in 0..4 {
            cluster.propose(NodeId(1)).unwrap();
            cluster.settle();
        }
        cluster.slow.clear();
        cluster.crash(NodeId(3), kept);
        cluster.restart(NodeId(3));
        cluster.heartbeat(NodeId(1));
        cluster.heartbeat(NodeId(1));
        cluster.heartbeat(NodeId(1));
        assert_eq!(cluster.log(3), cluster.log(1), "after {kept} writes");
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn k13_acknowledgements_of_an_earlier_boot_mark_nothing() {
    let mut before = slow(3, &[], 1);
    before.hear(2, 1, append(at(0, 0), &[1], 0));
    let (_, ack) = take(&mut before);
    let hard_state = HardState::new(Term(1), None);
    let config = raft_core::Config::new(NodeId(1), (1..=3).map(NodeId));
    let recovered = raft_core::Recovered { boot: 2, hard_state, ..raft_core::Recovered::nothing() };
    let mut effects = raft_core::Effects::default();
    let raft = raft_core::Raft::start(config, recovered, &mut effects).unwrap();
    let mut after = Node { raft, effects: raft_core::Effects::default(), slow: true };
    after.hear(2, 1, append(at(0, 0), &[1], 0));
    assert_eq!(durable(&mut after, ack), []);
    assert_eq!(after.raft.durable(), Index(0));
}

#[test]
fn k14_acknowledgements_of_overwritten_entries_mark_nothing() {
    let mut node = slow(3, &[], 1);
    node.hear(2, 1, append(at(0, 0), &[1, 1], 0));
    let (_, old) = take(&mut node);
    node.hear(3, 2, append(at(0, 0), &[2, 2], 0));
    let (_, new) = take(&mut node);
    assert_eq!(durable(&mut node, old), [], "the first write is durable, but it is not this log any more");
    assert_eq!(node.raft.durable(), Index(0));
    assert_eq!(durable(&mut node, new), [(3, accepted(2, 0))]);
}

#[test]
fn outstanding_writes_are_bounded() {
    let hard_state = HardState::new(Term(1), None);
    let mut node = Node::with(3, &[], hard_state, |config| config.limits.outstanding_writes = 2);
    node.slow = true;
    for i in 0..5 {
        node.hear(2, 1, append(at(i, i.min(1)), &[1], 0));
    }
    assert_eq!(node.effects.writes.len(), 2);
    node.fire(Timer::Election);
    assert_eq!(node.raft.role(), RoleKind::Follower, "an election would have to write, too");
    assert_eq!(node.raft.step(Input::Campaign, &mut node.effects), Err(Refused::CannotCampaign));
    node.flush();
    node.fire(Timer::Election);
    assert_eq!(node.raft.role(), RoleKind::Candidate, "and everything goes on when the disk has caught up");
}

#[test]
fn heartbeats_are_answered_while_a_slow_disk_is_at_work() {
    let mut node = slow(3, &[1], 1);
    assert_eq!(node.hear(2, 1, append(at(1, 1), &[1], 0)), []);
    for _ in 0..3 {
        assert_eq!(
            node.hear(2, 1, append(at(2, 1), &[], 0)),
            [(2, accepted(1, 0))],
            "check-quorum must not fail"
        );
    }
    assert_eq!(node.flush(), [(2, accepted(2, 0))]);
}

#[test]
fn a_candidacy_waits_for_a_slow_disk_instead_of_starting_over() {
    let hard_state = HardState::new(Term(1), None);
    let mut node = Node::with(3, &[], hard_state, |config| config.pre_vote = false);
    node.slow = true;
    for _ in 0..5 {
        node.fire(Timer::Election);
    }
    assert_eq!(node.raft.term(), Term(2));
    assert_eq!(node.flush().len(), 2, "and then asks for votes");
}

#[test]
fn acknowledgements_are_heard_however_much_is_unwritten() {
    let mut node = Node::leader(3, &[], 1);
    node.slow = true;
    let limit = node.raft.config().limits.outstanding_writes;
    while node.raft.step(Input::Propose(vec![1]), &mut node.effects).is_ok() {}
    assert_eq!(node.effects.writes.len(), limit);
    node.hear(2, 1, accepted(5, 0));
    node.hear(3, 1, accepted(5, 0));
    assert_eq!(node.raft.commit(), Index(5));
}
