//! D: what was sent stays as it was, commit only grows, and every entry is executed once.

use std::sync::Arc;

use raft_core::{
    Apply, Body, Config, HardState, Index, Input, Membership, NodeId, Payload, Round, SnapshotChunk,
    SnapshotMeta, Term, Timer,
};

use crate::cluster::Cluster;
use crate::node::{Node, accepted, append, at, rejected, vote_request};

#[test]
fn d20_what_was_sent_and_written_does_not_change_when_the_log_is_cut_off() {
    let mut node = Node::leader(3, &[], 1);
    node.hear(2, 1, accepted(1, 0));
    node.slow = true;
    node.input(Input::Propose(vec![7, 8]));
    let is_new = |outbound: &&raft_core::Outbound<u64>| match &outbound.message.body {
        Body::Append(append) => append.prev == at(1, 1),
        _ => false,
    };
    let sent = node.effects.send.iter().find(is_new).unwrap().clone();
    let written = node.effects.writes[0].clone();
    // Deposed: entries 2 and 3 are replaced by another leader's.
    node.hear(3, 2, append(at(1, 1), &[2, 2, 2], 0));
    assert_eq!(node.terms(), [1, 2, 2, 2]);
    let Body::Append(append) = &sent.message.body else { panic!("{sent:?}") };
    let payloads: Vec<_> = append.entries.iter().map(|entry| (entry.term, entry.payload.clone())).collect();
    assert_eq!(payloads, [7, 8].map(|command| (Term(1), Payload::Command(command))));
    assert_eq!(written.batch().entries, append.entries);
    assert_eq!(node.effects.send.iter().find(is_new), Some(&sent));
}

fn snapshot(index: u64, term: u64, round: u64) -> Body<u64> {
    let membership = Arc::new(Membership::new([1, 2, 3].map(NodeId)));
    let snapshot = Arc::new(SnapshotMeta { last: at(index, term), membership });
    Body::Snapshot(SnapshotChunk { snapshot, offset: 0, data: vec![0], done: true, round: Round(round) })
}

#[test]
fn d22_commit_never_decreases() {
    // A follower that knows of four committed entries of six, one of them executed, hears:
    let reluctant = |config: &mut Config| config.limits.unapplied_entries = 1;
    let bodies = [
        append(at(6, 1), &[], 0),
        append(at(6, 1), &[], 2),
        append(at(4, 1), &[], 1),
        append(at(0, 0), &[1, 1], 3),
        append(at(4, 1), &[2], 0),
        append(at(9, 2), &[], 9),
        snapshot(1, 1, 0),
        snapshot(4, 1, 0),
        vote_request(at(9, 9)),
        Body::ReadResponse { ticket: raft_core::Ticket::default(), index: Index(1) },
    ];
    for body in bodies {
        for term in [1, 2, 3] {
            let mut node = Node::with(3, &[1; 6], HardState::new(Term(2), None), reluctant);
            node.hear(2, 2, append(at(6, 1), &[], 4));
            node.hear(2, term, body.clone());
            assert_eq!(node.raft.commit(), Index(4), "{body:?} of term {term}");
            assert_eq!(node.effects.apply.len(), 1, "{body:?} of term {term}");
        }
    }
    // And a leader that has committed, whatever acknowledgements come late or are wrong.
    for body in
        [accepted(0, 0), accepted(1, 0), accepted(99, 0), rejected(3, at(0, 0)), rejected(0, at(9, 9))]
    {
        let mut node = Node::leader(3, &[1, 1], 2);
        node.hear(2, 2, accepted(3, 0));
        node.hear(2, 2, body.clone());
        assert_eq!(node.raft.commit(), Index(3), "{body:?}");
        node.hear(2, 9, body.clone());
        assert_eq!(node.raft.commit(), Index(3), "{body:?}, deposed");
    }
}

/// The indexes that the state machine is to execute; a snapshot is its last index, negative.
fn applied(node: &mut Node) -> Vec<i64> {
    let index = |apply: &Apply<u64>| match apply {
        Apply::Entry(entry) => i64::try_from(entry.index.0).unwrap(),
        Apply::Snapshot(meta) => -i64::try_from(meta.last.index.0).unwrap(),
    };
    node.effects.apply.drain(..).map(|apply| index(&apply)).collect()
}

#[test]
fn d23_apply_never_repeats_or_skips_whatever_the_host_reports() {
    let configure = |config: &mut Config| config.limits.unapplied_entries = 2;
    let mut node = Node::with(3, &[1; 6], HardState::new(Term(1), None), configure);
    node.hear(2, 1, append(at(6, 1), &[], 5));
    assert_eq!(applied(&mut node), [1, 2]);
    node.hear(2, 1, append(at(6, 1), &[], 5));
    assert_eq!(applied(&mut node), [0; 0], "again what was handed out already");
    for (reported, handed) in [(1, vec![3]), (1, vec![]), (0, vec![]), (99, vec![4, 5]), (2, vec![])] {
        node.input(Input::Applied(Index(reported)));
        assert_eq!(applied(&mut node), handed, "applied up to {reported} is reported");
    }
    assert_eq!(node.raft.applied(), Index(3), "what was not handed out was not executed either");
    // A snapshot takes the place of 6 to 8: it is handed out when it is durable, then what follows, once.
    node.slow = true;
    node.hear(2, 1, snapshot(8, 1, 1));
    node.hear(2, 1, append(at(8, 1), &[1, 1], 9));
    assert_eq!(applied(&mut node), [0; 0]);
    node.flush();
    assert_eq!(applied(&mut node), [-8], "what comes after it when it is executed");
    node.input(Input::Applied(Index(5)));
    assert_eq!(applied(&mut node), [0; 0], "a late report of before the snapshot");
    node.input(Input::Applied(Index(8)));
    assert_eq!(applied(&mut node), [9]);
    node.input(Input::Applied(Index(9)));
    node.hear(2, 1, append(at(10, 1), &[], 10));
    assert_eq!(applied(&mut node), [10]);
}

#[test]
fn d23_apply_never_repeats_or_skips_across_batches_restarts_and_snapshots() {
    let mut cluster = Cluster::new(3, |config| config.limits.unapplied_entries = 2);
    cluster.elect(NodeId(1), 1000, |_| true);
    for round in 0..6u64 {
        for _ in 0..5 {
            cluster.propose(NodeId(1)).unwrap();
        }
        cluster.settle();
        cluster.heartbeat(NodeId(1));
        // 2 restarts each time; 3 misses every other round, and needs a snapshot afterwards.
        cluster.crash(NodeId(2), 0);
        cluster.restart(NodeId(2));
        if round % 2 == 0 {
            cluster.crash(NodeId(3), 0);
        } else {
            cluster.compact(NodeId(1), 0).unwrap();
            cluster.restart(NodeId(3));
            (0..4).for_each(|_| cluster.heartbeat(NodeId(1)));
        }
        cluster.heartbeat(NodeId(1));
    }
    for server in &cluster.servers {
        let indexes: Vec<u64> = server.applied.iter().map(|entry| entry.index.0).collect();
        let last = server.state.index.0;
        let expected: Vec<u64> = (1..=last).skip(usize::try_from(last).unwrap() - indexes.len()).collect();
        assert_eq!(indexes, expected, "each once, in order, up to the end");
        assert_eq!(server.state, cluster.servers[0].state, "and the same everywhere");
    }
    assert!(cluster.ghost.restored > 0, "a snapshot was installed");
    assert_eq!(cluster.servers[0].state.index, Index(31));
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn d16_commit_that_did_not_arrive_is_told_again_without_new_proposals() {
    let mut cluster = Cluster::new(3, |config| config.announce_commits = true);
    cluster.elect(NodeId(1), 1000, |_| true);
    cluster.propose(NodeId(1)).unwrap();
    for _ in 0..2 {
        cluster.exchange(4, |_| true);
        cluster.lose(|packet| packet.to == NodeId(3));
    }
    cluster.settle();
    assert!(cluster.raft(3).commit() < cluster.raft(1).commit());
    cluster.fire(NodeId(1), Timer::Heartbeat);
    cluster.settle();
    cluster.heartbeat(NodeId(1));
    assert_eq!(cluster.raft(3).commit(), cluster.raft(1).commit());
    assert_eq!(cluster.ghost.violation, None);
}

#[test]
fn d17_lost_and_repeated_appends_are_recovered_by_heartbeats() {
    for (lost, repeated) in [(1, 0), (3, 0), (2, 3), (0, 5)] {
        let mut cluster = Cluster::new(2, |config| config.limits.append_entries = 1);
        cluster.elect(NodeId(1), 1000, |_| true);
        cluster.heartbeat(NodeId(1));
        for _ in 0..4 {
            cluster.propose(NodeId(1)).unwrap();
        }
        for _ in 0..lost {
            assert!(cluster.network.pop_front().is_some_and(|packet| packet.is_append()));
        }
        for _ in 0..repeated {
            let packet = cluster.network.front().unwrap().clone();
            cluster.network.push_back(packet);
        }
        cluster.settle();
        (0..2).for_each(|_| cluster.heartbeat(NodeId(1)));
        assert_eq!(cluster.log(2), cluster.log(1), "{lost} lost, {repeated} repeated");
        assert_eq!(cluster.raft(2).commit(), Index(5), "{lost} lost, {repeated} repeated");
        assert_eq!(cluster.ghost.violation, None);
    }
}
