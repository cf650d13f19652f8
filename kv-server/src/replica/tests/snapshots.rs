//! Snapshots: taken when it is time, read at a start, and sent to a server that is too far behind.

use std::sync::Arc;
use std::time::Duration;

use raft_core::{Append, Body, Entry, Index, Message, NodeId, Payload, Position, Round, Term};

use super::cluster::{Cluster, create, get, put};
use crate::machine::{Outcome, Response};
use crate::protocol::{Answer, RequestBody};
use crate::replica::{ReplicaInput, SnapshotPolicy};

const PASS: Duration = Duration::from_millis(700);
const OFTEN: SnapshotPolicy = SnapshotPolicy { every: 10, kept: 3 };

/// Three servers that take snapshots often, and a session.
fn cluster() -> (Cluster, NodeId, u64) {
    let mut cluster = Cluster::new(3);
    cluster.policy = OFTEN;
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    let leader = cluster.elect();
    let session = cluster.open_session(leader);
    (cluster, leader, session)
}

fn write(cluster: &mut Cluster, leader: NodeId, session: u64, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        cluster.call(leader, put(session, sequence, "k", "v")).unwrap();
    }
}

fn base(cluster: &Cluster, id: NodeId) -> u64 {
    cluster.replica(id).raft().snapshot().map_or(0, |snapshot| snapshot.last.index.0)
}

#[test]
fn a_snapshot_is_taken_when_so_much_was_executed_and_the_log_before_it_goes() {
    let (mut cluster, leader, session) = cluster();
    write(&mut cluster, leader, session, 1..=40);
    cluster.pass(PASS);
    for id in cluster.ids() {
        let raft = cluster.replica(id).raft();
        assert!(base(&cluster, id) > 30, "server {id:?}: {}", base(&cluster, id));
        assert_eq!(raft.base().index.0, base(&cluster, id) - OFTEN.kept, "kept for those that lag");
    }
}

#[test]
fn m05_a_server_that_starts_from_a_snapshot_has_its_state_and_its_sessions() {
    let (mut cluster, leader, session) = cluster();
    assert_eq!(
        cluster.call(leader, create(session, 1, "once")),
        Ok(Answer::Executed(Outcome::Applied(Response::Cas { swapped: true })))
    );
    cluster.call(leader, take(0)).unwrap();
    for id in cluster.ids() {
        cluster.crash(id);
        cluster.restart(id);
    }
    let leader = cluster.elect();
    // A retry across snapshot and restart gets the first answer.
    assert_eq!(
        cluster.call(leader, create(session, 1, "once")),
        Ok(Answer::Executed(Outcome::Applied(Response::Cas { swapped: true })))
    );
    assert_eq!(cluster.call(leader, get("once")), Ok(Answer::Value(Some("created".into()))));
}

#[test]
fn a_server_that_is_too_far_behind_gets_the_snapshot_in_parts() {
    let (mut cluster, leader, session) = cluster();
    let lagging = cluster.others(leader)[0];
    cluster.cut.insert(lagging);
    write(&mut cluster, leader, session, 1..=40);
    assert!(cluster.replica(leader).raft().base().index > cluster.replica(lagging).raft().last().index);
    cluster.cut.clear();
    cluster.pass(PASS);
    let leader = cluster.elect();
    cluster.call(leader, get("k")).unwrap();
    cluster.pass(PASS);
    let state = |id| cluster.replica(id).machine().state_hash();
    assert_eq!(state(lagging), state(leader));
    assert!(base(&cluster, lagging) > 0);
}

#[test]
fn what_was_committed_after_a_snapshot_waits_until_its_state_is_read() {
    let (mut cluster, leader, session) = cluster();
    write(&mut cluster, leader, session, 1..=15);
    let follower = cluster.others(leader)[0];
    cluster.crash(follower);
    write(&mut cluster, leader, session, 16..=17);
    // So much may be handed out at once that entries follow the snapshot before its state is there.
    cluster.unapplied_entries = 1000;
    cluster.restart(follower);
    // Its disk has not brought the state yet; meanwhile the leader tells it what is committed.
    let before = cluster.take_reads(follower);
    assert!(!before.is_empty(), "it asked for the state");
    cluster.pass(PASS);
    assert_eq!(
        cluster.replica(follower).machine().applied(),
        Index(0),
        "nothing is executed on an empty state"
    );
    // What an earlier snapshot held is not what is waited for.
    let last = Position { index: Index(1), term: Term(1) };
    cluster.turn(follower, [ReplicaInput::Restored { last, machine: Box::default() }]);
    assert_eq!(cluster.replica(follower).raft().applied(), Index(0));
    cluster.turn(follower, before);
    cluster.pass(PASS);
    let state = |id| cluster.replica(id).machine().state_hash();
    assert_eq!(state(follower), state(leader));
}

fn take(kept: u64) -> RequestBody {
    RequestBody::TakeSnapshot { kept }
}

#[test]
fn a_snapshot_can_be_asked_for() {
    let (mut cluster, leader, session) = cluster();
    write(&mut cluster, leader, session, 1..=2);
    let last = cluster.replica(leader).raft().applied();
    assert_eq!(cluster.call(leader, take(1)), Ok(Answer::Snapshot { last: last.0 }));
    assert_eq!(cluster.replica(leader).raft().base().index.next(), last);
    // There is nothing new: the same snapshot does, and more of the log may go.
    assert_eq!(cluster.call(leader, take(0)), Ok(Answer::Snapshot { last: last.0 }));
    assert_eq!(cluster.replica(leader).raft().base().index, last);
    assert_eq!(cluster.call(leader, get("k")), Ok(Answer::Value(Some("v".into()))));
}

#[test]
fn a_membership_in_the_log_is_executed_as_nothing() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let follower = cluster.others(leader)[0];
    let raft = cluster.replica(leader).raft();
    let prev = raft.last();
    let payload = Payload::Membership(Arc::clone(raft.membership()));
    let entry = Entry { index: prev.index.next(), term: raft.term(), payload };
    let commit = entry.index;
    let append = Append { prev, entries: vec![entry].into(), commit, round: Round::default() };
    let message = Message { term: raft.term(), body: Body::Append(append) };
    let before = cluster.replica(follower).machine().clone();
    cluster.turn(follower, [ReplicaInput::Message { from: leader, message }]);
    assert_eq!(cluster.applied(follower), commit);
    assert_eq!(cluster.replica(follower).machine().state_hash(), before.state_hash());
}
