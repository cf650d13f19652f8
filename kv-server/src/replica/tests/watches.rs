//! Watches at whatever server, through elections, restarts and snapshots.

use std::time::Duration;

use bytes::Bytes;
use raft_core::NodeId;

use super::cluster::{Cluster, create, execute, get, put};
use crate::limits::WATCH_HOLD;
use crate::machine::{Compare, Operation, Test, Transaction, Write};
use crate::protocol::{Answer, Failure, RequestBody, Revision, Scope};
use crate::replica::SnapshotPolicy;

const PASS: Duration = Duration::from_millis(700);

fn watch(from: u64) -> RequestBody {
    RequestBody::Watch { scope: Scope::Prefix(Bytes::new()), from }
}

/// What it was told, as `revision key=value`, and where to go on.
fn told(answer: &super::cluster::Result) -> (Vec<String>, u64) {
    let Ok(Answer::Changes { revisions, next }) = answer else { panic!("{answer:?}") };
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let line = |Revision { revision, changes }: &Revision| {
        let change = |change: &crate::machine::KeyChange| {
            format!("{}={}", text(&change.key), change.value.as_ref().map_or("gone".to_owned(), text))
        };
        format!("{revision} {}", changes.iter().map(change).collect::<Vec<_>>().join(" "))
    };
    (revisions.iter().map(line).collect(), *next)
}

/// Everything from this revision on that a server has to tell now.
fn all(cluster: &mut Cluster, id: NodeId, from: u64) -> Vec<String> {
    told(&cluster.call(id, watch(from))).0
}

#[test]
fn every_server_tells_the_same_changes_and_only_what_changed_something() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    let first = cluster.applied(leader).0 + 1;
    cluster.call(leader, create(session, 1, "a")).unwrap();
    cluster.call(leader, create(session, 1, "a")).unwrap(); // A retry,
    cluster.call(leader, create(session, 2, "a")).unwrap(); // and one that finds it there.
    cluster.call(leader, execute(session, 3, Operation::Delete { key: "none".into() })).unwrap();
    cluster.call(leader, execute(session, 4, Operation::Delete { key: "a".into() })).unwrap();
    let write = |key: &'static str, value: &'static str| Write::Put { key: key.into(), value: value.into() };
    let transaction = Transaction {
        compares: vec![Compare { key: "a".into(), test: Test::Is(None) }],
        success: vec![
            write("b", "1"),
            write("c", "1"),
            write("b", "2"),
            Write::Delete { key: "none".into() },
        ],
        otherwise: vec![write("never", "1")],
    };
    cluster.call(leader, execute(session, 5, Operation::Txn(transaction))).unwrap();
    cluster.pass(PASS);
    let expected: Vec<String> = [(0, "a=created"), (4, "a=gone"), (5, "c=1 b=2")]
        .map(|(n, what)| format!("{} {what}", first + n))
        .into();
    for id in cluster.ids() {
        assert_eq!(all(&mut cluster, id, 1), expected, "{id:?}");
        assert_eq!(all(&mut cluster, id, first + 1), expected[1..], "resumed at {id:?}");
    }
    let one = RequestBody::Watch { scope: Scope::Key("b".into()), from: 1 };
    assert_eq!(told(&cluster.call(leader, one)).0.len(), 1, "only what is asked for");
}

#[test]
fn a_server_that_lags_is_asked_for_its_future_and_tells_nothing_older() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    let lagging = cluster.others(leader)[0];
    cluster.cut.insert(lagging);
    for sequence in 1..=5 {
        cluster.call(leader, put(session, sequence, "k", "v")).unwrap();
    }
    let future = cluster.applied(leader).0;
    let waiting = cluster.ask(lagging, watch(future));
    cluster.settle();
    assert_eq!(cluster.answer(waiting), None);
    cluster.cut.clear();
    cluster.pass(PASS);
    assert_eq!(told(cluster.answer(waiting).unwrap()), (vec![format!("{future} k=v")], future + 1));
}

#[test]
fn what_a_snapshot_stands_for_is_refused_also_to_one_that_waits() {
    let mut cluster = Cluster::new(3);
    cluster.policy = SnapshotPolicy { every: 10, kept: 3 };
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    let leader = cluster.elect();
    let session = cluster.open_session(leader);
    let lagging = cluster.others(leader)[0];
    cluster.cut.insert(lagging);
    let waiting = cluster.ask(lagging, watch(cluster.applied(lagging).0 + 1));
    for sequence in 1..=40 {
        cluster.call(leader, put(session, sequence, "k", "v")).unwrap();
    }
    cluster.cut.clear();
    cluster.pass(PASS);
    let snapshot = cluster.replica(lagging).raft().snapshot().unwrap().last.index.0;
    let Some(Err(Failure::Compacted { oldest })) = cluster.answer(waiting) else {
        panic!("{:?}", cluster.answer(waiting))
    };
    assert!(*oldest > 10 && *oldest <= snapshot + 1, "{oldest}, {snapshot}");
    let oldest = *oldest;
    // From there on it has what the others have.
    let leader = cluster.elect();
    cluster.call(leader, get("k")).unwrap();
    cluster.call(leader, put(session, 41, "k", "last")).unwrap();
    cluster.pass(PASS);
    let expected = all(&mut cluster, leader, oldest);
    assert_eq!(all(&mut cluster, lagging, oldest), expected);
    // A server that starts from a snapshot has only the log after it.
    cluster.crash(lagging);
    cluster.restart(lagging);
    cluster.pass(PASS);
    assert!(matches!(cluster.call(lagging, watch(1)), Err(Failure::Compacted { .. })));
    let last = cluster.applied(leader).0;
    assert_eq!(all(&mut cluster, lagging, last), expected[expected.len() - 1..]);
}

#[test]
fn one_that_waits_is_answered_in_time_and_at_a_server_s_end() {
    let (mut cluster, leader) = Cluster::with_leader(1);
    let applied = cluster.applied(leader).0;
    let waiting = cluster.ask(leader, watch(0));
    cluster.pass(WATCH_HOLD / 2);
    assert_eq!(cluster.answer(waiting), None);
    cluster.pass(WATCH_HOLD);
    assert_eq!(told(cluster.answer(waiting).unwrap()), (vec![], applied + 1));
    let waiting = cluster.ask(leader, watch(0));
    cluster.turn(leader, [crate::replica::ReplicaInput::Stop]);
    assert_eq!(cluster.answer(waiting), Some(&Err(Failure::Stopping)));
}
