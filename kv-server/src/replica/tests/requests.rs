//! Which way a request takes: served, redirected, held, refused.

use std::time::Duration;

use raft_core::{Index, NodeId};

use super::cluster::{Cluster, HOLD, TIMING, address, get, put};
use crate::limits::{MAX_HELD_REQUESTS, MAX_PENDING_READS, MAX_PENDING_WRITES};
use crate::machine::{MAX_KEY_BYTES, Outcome, Response};
use crate::protocol::{Answer, Failure, RequestBody, Role};
use crate::replica::ReplicaInput;

#[test]
fn a_write_is_answered_when_it_is_applied_and_then_every_read_sees_it() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    assert_eq!(cluster.call(leader, get("k")), Ok(Answer::Value(None)));
    let written = cluster.call(leader, put(session, 1, "k", "v"));
    assert_eq!(written, Ok(Answer::Executed(Outcome::Applied(Response::Put))));
    assert_eq!(cluster.call(leader, get("k")), Ok(Answer::Value(Some("v".into()))));
    cluster.pass(TIMING.heartbeat * 2);
    for id in cluster.ids() {
        assert_eq!(cluster.replica(id).machine().get(b"k").as_deref(), Some(&b"v"[..]), "{id}");
    }
}

#[test]
fn a_single_server_serves_alone() {
    let (mut cluster, leader) = Cluster::with_leader(1);
    let session = cluster.open_session(leader);
    cluster.call(leader, put(session, 1, "k", "v")).unwrap();
    assert_eq!(cluster.call(leader, get("k")), Ok(Answer::Value(Some("v".into()))));
}

#[test]
fn a_follower_that_knows_the_leader_redirects_to_it() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let redirect = Err(Failure::NotLeader { leader, address: Some(address(leader)) });
    for follower in cluster.others(leader) {
        assert_eq!(cluster.call(follower, get("k")), redirect);
        assert_eq!(cluster.call(follower, put(9, 1, "k", "v")), redirect);
    }
}

#[test]
fn a_request_is_held_until_a_leader_is_known_and_then_served_or_redirected() {
    let mut cluster = Cluster::new(3);
    let held: Vec<_> = cluster.ids().into_iter().map(|id| (id, cluster.ask(id, get("k")))).collect();
    cluster.settle();
    assert!(held.iter().all(|(_, request)| cluster.answer(*request).is_none()));
    assert_eq!(cluster.replica(NodeId(1)).status().pending, 1);

    let leader = cluster.elect();
    for (id, request) in held {
        match cluster.answer(request) {
            Some(Ok(Answer::Value(None))) => assert_eq!(id, leader),
            Some(Err(Failure::NotLeader { leader: told, .. })) => {
                assert!(id != leader && *told == leader);
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[test]
fn a_request_is_not_held_for_ever() {
    let mut cluster = Cluster::new(3);
    let alone = NodeId(1);
    cluster.cut.extend(cluster.others(alone));
    let request = cluster.ask(alone, get("k"));
    cluster.pass(HOLD - Duration::from_millis(20));
    assert_eq!(cluster.answer(request), None);
    cluster.pass(Duration::from_millis(40));
    assert_eq!(cluster.answer(request), Some(&Err(Failure::NoLeader)));
}

#[test]
fn the_host_is_called_when_a_held_request_expires() {
    let mut cluster = Cluster::new(3);
    let id = NodeId(1);
    let body = get("k");
    let request = crate::replica::RequestId { connection: 1, request: 1 };
    let patience = Duration::from_millis(1);
    let mut out = crate::replica::ReplicaOutput::default();
    cluster.turn(id, [ReplicaInput::Request { id: request, patience, body }]);
    let expires = cluster.now + patience;
    let mut replica = cluster.take(id);
    replica.handle(cluster.now, [], &mut out);
    assert_eq!(out.deadline, Some(expires), "before any timer of Raft's");
}

#[test]
fn no_more_requests_are_held_than_there_is_room_for() {
    let mut cluster = Cluster::new(3);
    let asked = cluster.ask_all(NodeId(1), vec![get("k"); MAX_HELD_REQUESTS + 1]);
    let refused: Vec<_> = asked.iter().filter_map(|request| cluster.answer(*request)).collect();
    assert_eq!(refused, [&Err(Failure::NoLeader)]);
}

#[test]
fn what_a_gone_connection_asked_is_not_held() {
    let mut cluster = Cluster::new(3);
    let request = cluster.ask(NodeId(1), get("k"));
    cluster.turn(NodeId(1), [ReplicaInput::Disconnected { connection: request.connection }]);
    cluster.elect();
    assert_eq!(cluster.answer(request), None);
}

#[test]
fn a_read_waits_until_leadership_is_confirmed() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    cluster.cut.insert(leader);
    let read = cluster.ask(leader, get("k"));
    cluster.pass(TIMING.heartbeat * 3);
    assert_eq!(cluster.answer(read), None, "nobody says that it still leads");
    cluster.cut.clear();
    cluster.pass(TIMING.heartbeat * 3);
    assert_eq!(cluster.answer(read), Some(&Ok(Answer::Value(None))));
}

#[test]
fn r01_a_deposed_leader_does_not_serve_a_stale_read() {
    let (mut cluster, old) = Cluster::with_leader(3);
    let session = cluster.open_session(old);
    cluster.call(old, put(session, 1, "k", "old")).unwrap();
    cluster.cut.insert(old);
    // The old leader is paused while the others elect another one: only its clock, not its knowledge, moves on.
    let others = cluster.others(old);
    let paused = cluster.take(old);
    let new = cluster.elect_among(&others);
    cluster.call(new, put(session, 2, "k", "new")).unwrap();
    cluster.put_back(old, paused);
    assert_eq!(cluster.replica(old).raft().role(), Role::Leader, "it does not know better");
    let read = cluster.ask(old, get("k"));
    cluster.settle();
    assert_eq!(cluster.answer(read), None, "nobody confirms it");
    cluster.cut.clear();
    cluster.elect();
    let redirect = Err(Failure::NotLeader { leader: new, address: Some(address(new)) });
    assert_eq!(cluster.answer(read), Some(&redirect));
}

#[test]
fn r09_a_read_waits_until_the_state_machine_has_caught_up() {
    let (mut cluster, leader) = Cluster::with_leader(1);
    let session = cluster.open_session(leader);
    for sequence in 1..=30 {
        cluster.call(leader, put(session, sequence, "k", "old")).unwrap();
    }
    cluster.call(leader, put(session, 31, "k", "new")).unwrap();
    cluster.crash(leader);
    cluster.restart(leader);
    // The new term's opening entry is on its way to the disk: nothing of the log is known to be committed.
    cluster.slow_for_leaders = true;
    cluster.elect();
    let read = cluster.ask(leader, get("k"));
    cluster.settle();
    assert_eq!((cluster.applied(leader), cluster.answer(read)), (Index::ZERO, None));
    // Now all of it is at once, and is executed a few entries at a time.
    cluster.quick_disk(leader);
    cluster.settle();
    assert_eq!(cluster.answer(read), Some(&Ok(Answer::Value(Some("new".into())))));
}

#[test]
fn a_read_that_loses_its_leader_starts_over() {
    let (mut cluster, old) = Cluster::with_leader(3);
    cluster.cut.insert(old);
    let read = cluster.ask(old, get("k"));
    let new = cluster.elect();
    assert_eq!(cluster.answer(read), None, "it is held: the old leader knows of no other");
    cluster.cut.clear();
    cluster.elect();
    let redirect = Err(Failure::NotLeader { leader: new, address: Some(address(new)) });
    assert_eq!(cluster.answer(read), Some(&redirect));
}

#[test]
fn writes_of_one_turn_share_one_append_and_one_write() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    let (sent, written, last) = (cluster.sent, cluster.written, cluster.replica(leader).raft().last().index);
    cluster.ask_all(leader, (1..=50).map(|sequence| put(session, sequence, "k", "v")).collect());
    assert_eq!(cluster.replica(leader).raft().last().index.distance_from(last), 50);
    assert_eq!(cluster.sent - sent, 2, "one append to each follower");
    assert_eq!(cluster.written - written, 1);
}

#[test]
fn reads_of_one_turn_share_one_round() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let sent = cluster.sent;
    let asked = cluster.ask_all(leader, vec![get("k"); 50]);
    assert_eq!(cluster.sent - sent, 2);
    cluster.settle();
    assert!(asked.iter().all(|request| cluster.answer(*request) == Some(&Ok(Answer::Value(None)))));
}

#[test]
fn overload_is_answered_not_buffered() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    cluster.cut.insert(leader);
    let overloaded = |cluster: &Cluster, asked: &[crate::replica::RequestId]| {
        asked.iter().filter(|request| cluster.answer(**request) == Some(&Err(Failure::Overloaded))).count()
    };
    let writes = (1..=MAX_PENDING_WRITES as u64 + 3).map(|sequence| put(session, sequence, "k", "v"));
    let asked = cluster.ask_all(leader, writes.collect());
    assert_eq!(overloaded(&cluster, &asked), 3);
    let asked = cluster.ask_all(leader, vec![get("k"); MAX_PENDING_READS + 2]);
    assert_eq!(overloaded(&cluster, &asked), 2);
    let late = cluster.ask_all(leader, vec![get("k"), put(session, 1 << 40, "k", "v")]);
    assert_eq!(overloaded(&cluster, &late), 2);
}

#[test]
fn a_leader_that_waits_for_its_own_disk_commits_by_its_followers() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    cluster.slow_disk(leader);
    assert!(cluster.call(leader, put(session, 1, "k", "v")).is_ok());
    let follower = cluster.others(leader)[0];
    cluster.slow_disk(follower);
    let request = cluster.ask(leader, put(session, 2, "k", "w"));
    cluster.settle();
    assert_eq!(cluster.answer(request), None, "only one disk has it");
}

#[test]
fn an_invalid_request_is_refused_at_the_gate() {
    let (mut cluster, leader) = Cluster::with_leader(1);
    let last = cluster.replica(leader).raft().last().index;
    for body in [
        RequestBody::Get { key: vec![0; MAX_KEY_BYTES + 1].into() },
        RequestBody::Execute { command: "nonsense".into() },
    ] {
        assert!(matches!(cluster.call(leader, body), Err(Failure::Invalid { .. })));
    }
    assert_eq!(cluster.replica(leader).raft().last().index, last, "nothing came into the log");
}

#[test]
fn a_server_that_stops_answers_everything() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    cluster.cut.insert(leader);
    let asked = cluster.ask_all(leader, vec![put(session, 1, "k", "v"), get("k")]);
    cluster.turn(leader, [ReplicaInput::Stop]);
    assert_eq!(cluster.answer(asked[0]), Some(&Err(Failure::OutcomeUnknown)));
    assert_eq!(cluster.answer(asked[1]), Some(&Err(Failure::Stopping)));
    assert_eq!(cluster.call(leader, get("k")), Err(Failure::Stopping));
}

#[test]
fn status_tells_what_the_server_believes() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    cluster.call(leader, put(session, 1, "k", "v")).unwrap();
    cluster.pass(TIMING.heartbeat * 2);
    for id in cluster.ids() {
        let Ok(Answer::Status(status)) = cluster.call(id, RequestBody::Status) else { panic!("no status") };
        assert_eq!((status.id, status.leader), (id.0, Some(leader.0)));
        assert_eq!(status.role == Role::Leader, id == leader);
        assert_eq!(status.applied, cluster.applied(leader).0);
        assert_eq!((status.commit, status.keys, status.pending), (status.last_index, 1, 0));
    }
}
