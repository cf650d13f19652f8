//! A write is applied once, however often it is sent and whatever happens in between.

use raft_core::{Append, Body, Message, Round};

use super::cluster::{Cluster, Result, TIMING, create, get, put};
use crate::machine::{Outcome, Response};
use crate::protocol::{Answer, Failure};
use crate::replica::ReplicaInput;

fn swapped() -> Result {
    Ok(Answer::Executed(Outcome::Applied(Response::Cas { swapped: true })))
}

#[test]
fn m05_a_write_retried_at_the_same_leader_is_applied_once() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    assert_eq!(cluster.call(leader, create(session, 1, "k")), swapped());
    assert_eq!(cluster.call(leader, create(session, 1, "k")), swapped(), "the first answer again");
    let other = Ok(Answer::Executed(Outcome::Applied(Response::Cas { swapped: false })));
    assert_eq!(cluster.call(leader, create(session, 2, "k")), other, "another operation");
}

#[test]
fn m05_a_write_retried_after_a_leader_change_is_applied_once() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    assert_eq!(cluster.call(leader, create(session, 1, "k")), swapped());
    cluster.crash(leader);
    cluster.cut.insert(leader);
    let next = cluster.elect();
    assert_ne!(next, leader);
    assert_eq!(cluster.call(next, create(session, 1, "k")), swapped());
}

#[test]
fn m05_a_write_retried_after_all_servers_restarted_is_applied_once() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    assert_eq!(cluster.call(leader, create(session, 1, "k")), swapped());
    cluster.ids().into_iter().for_each(|id| cluster.crash(id));
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    let next = cluster.elect();
    assert_eq!(cluster.call(next, create(session, 1, "k")), swapped());
    assert_eq!(cluster.call(next, get("k")), Ok(Answer::Value(Some("created".into()))));
}

#[test]
fn m03_a_write_whose_leader_loses_its_office_has_an_unknown_outcome() {
    let (mut cluster, old) = Cluster::with_leader(3);
    let session = cluster.open_session(old);
    cluster.cut.insert(old);
    let lost = cluster.ask(old, put(session, 1, "k", "lost"));
    cluster.settle();
    assert_eq!(cluster.answer(lost), None, "nobody has confirmed it");

    let new = cluster.elect();
    cluster.pass(TIMING.election * 2);
    assert_eq!(cluster.answer(lost), Some(&Err(Failure::OutcomeUnknown)), "it gave up by itself");
    cluster.call(new, put(session, 2, "k", "kept")).unwrap();
    cluster.cut.clear();
    cluster.elect();
    // The entry of another term has taken its place.
    assert_eq!(cluster.call(new, get("k")), Ok(Answer::Value(Some("kept".into()))));
    let retry = cluster.call(new, put(session, 1, "k", "lost"));
    assert_eq!(retry, Ok(Answer::Executed(Outcome::StaleSequence)), "too late, and so never");
}

#[test]
fn m03_another_leaders_entry_in_the_place_of_a_write_does_not_answer_it() {
    let (mut cluster, old) = Cluster::with_leader(3);
    let session = cluster.open_session(old);
    cluster.cut.insert(old);
    // The first will be replaced by the next leader's no-op, the second by a command.
    let lost = [1, 2].map(|sequence| cluster.ask(old, put(session, sequence, "k", "lost")));
    cluster.settle();
    let others = cluster.others(old);
    let paused = cluster.take(old);
    let new = cluster.elect_among(&others);
    cluster.call(new, create(session, 3, "other")).unwrap();
    // When it goes on, the first that it hears is those entries, already committed: it learns all in one step.
    cluster.put_back(old, paused);
    let prev = cluster.replica(old).raft().entry(cluster.applied(old)).unwrap().position();
    let raft = cluster.replica(new).raft();
    let entries = raft.entries().filter(|entry| entry.index > prev.index).cloned().collect();
    let append = Append { prev, entries, commit: raft.commit(), round: Round::default() };
    let message = Message { term: raft.term(), body: Body::Append(append) };
    cluster.turn(old, [ReplicaInput::Message { from: new, message }]);
    assert_eq!(cluster.applied(old), cluster.applied(new));
    for request in lost {
        assert_eq!(cluster.answer(request), Some(&Err(Failure::OutcomeUnknown)));
    }
}

#[test]
fn m03_a_write_that_was_committed_before_the_office_was_lost_is_answered() {
    let (mut cluster, leader) = Cluster::with_leader(3);
    let session = cluster.open_session(leader);
    let write = cluster.ask(leader, put(session, 1, "k", "v"));
    cluster.settle();
    cluster.cut.insert(leader);
    cluster.elect();
    assert!(matches!(cluster.answer(write), Some(Ok(Answer::Executed(Outcome::Applied(_))))));
}

/// The tests above can fail: without the session table, a retry is another write.
#[cfg(feature = "mutants")]
#[test]
fn retry_applied_twice_is_seen_by_its_answer() {
    use crate::machine::Machine;
    use crate::wal::mutant::ServerMutant;

    let machine = Machine::new().with_mutant(ServerMutant::RetryAppliedTwice);
    let mut cluster = Cluster::with_machine(3, machine);
    let leader = cluster.elect();
    let session = cluster.open_session(leader);
    assert_eq!(cluster.call(leader, create(session, 1, "k")), swapped());
    let again = cluster.call(leader, create(session, 1, "k"));
    assert_eq!(again, Ok(Answer::Executed(Outcome::Applied(Response::Cas { swapped: false }))));
}
