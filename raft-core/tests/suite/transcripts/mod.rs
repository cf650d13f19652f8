//! Scenarios where order matters, as transcripts that a person can follow: `tests/transcripts/*.txt`.
//!
//! A transcript that has changed is a change of behaviour: read the difference. If it is meant, run the tests with `BLESS=1`,
//! which writes the files anew.

mod stage;
mod words;

use std::path::Path;

use raft_core::{Body, Change, Config, Input, NodeId, RoleKind, Timer, Transition};

use stage::Stage;

fn golden(name: &str, script: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&path, script).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(script.lines()).position(|(expected, said)| expected != said);
    let place = differs.unwrap_or_else(|| expected.lines().count().min(script.lines().count()));
    let at = |text: &str| text.lines().nth(place).unwrap_or("(the end)").to_owned();
    assert!(
        expected == script,
        "{name}.txt, line {}:\n  expected: {}\n  but now:  {}\nBLESS=1 writes it anew",
        place + 1,
        at(&expected),
        at(script)
    );
}

/// n1 leads term 1, and everybody knows that its opening is committed.
fn led(goal: &str, voters: u64) -> Stage {
    let mut stage = Stage::new(goal, voters);
    stage.meanwhile(|stage| {
        stage.fire(1, Timer::Election);
        stage.settle();
        stage.fire(1, Timer::Heartbeat);
        stage.settle();
    });
    assert_eq!(stage.raft(1).role(), RoleKind::Leader);
    stage
}

fn propose(stage: &mut Stage, id: u64, command: u64) {
    stage.act(id, &format!("is asked for \"{command}\""), Input::Propose(vec![command]));
}

#[test]
fn c04_election_with_pre_vote() {
    let goal = "Goal: pre-votes change nothing anywhere; votes are asked for, and given, only when they are durable.";
    let mut stage = Stage::new(goal, 3);
    stage.set_slow(1, true);
    stage.fire(1, Timer::Election);
    stage.settle();
    stage.remark("Both others would vote for n1. Its new term and its own vote go to a slow disk first.");
    stage.fire(1, Timer::Election);
    stage.settle();
    stage.remark("Waiting again changes nothing: the candidacy is still on its way to the disk.");
    stage.sync(1);
    stage.set_slow(1, false);
    stage.settle();
    stage.remark("The opening is committed; the others learn that with the next heartbeat.");
    stage.fire(1, Timer::Heartbeat);
    stage.settle();
    golden("election_with_pre_vote", &stage.script());
}

#[test]
fn k01_replication_with_a_slow_disk() {
    let goal = "Goal: a slow disk delays acknowledgements and nothing else; the leader's own disk counts like any other.";
    let mut stage = led(goal, 3);
    stage.remark("n1 leads term 1; all have entry 1. n3's disk is slow.");
    stage.set_slow(3, true);
    propose(&mut stage, 1, 7);
    stage.settle();
    stage.remark("Committed by n1 and n2. n3 answers heartbeats meanwhile: it is not lost, only slow.");
    stage.fire(1, Timer::Heartbeat);
    stage.settle();
    propose(&mut stage, 1, 8);
    stage.settle();
    stage.remark("One answer for everything that became durable.");
    stage.sync(3);
    stage.set_slow(3, false);
    stage.settle();
    stage.remark("Now the leader's disk is the slow one: the others commit without it.");
    stage.set_slow(1, true);
    propose(&mut stage, 1, 9);
    stage.settle();
    stage.sync(1);
    stage.settle();
    golden("replication_with_a_slow_disk", &stage.script());
}

#[test]
fn f13_snapshot_transfer() {
    let goal = "Goal: a follower that lacks what is compacted away gets a snapshot in chunks, one of them twice, and goes on.";
    let mut stage = led(goal, 3);
    stage.meanwhile(|stage| {
        for command in [7, 8] {
            propose(stage, 1, command);
            stage.lose(&[3]);
            stage.settle();
        }
    });
    stage.remark("n1 leads term 1; n3 was away while entries 2 and 3 were committed.");
    stage.compact(1);
    stage.meanwhile(|stage| {
        propose(stage, 1, 9);
        stage.lose(&[3]);
        stage.settle();
    });
    stage.remark("Entry 4 is committed too. n3 is back, and heard of: that is when its snapshot begins.");
    stage.fire(1, Timer::Heartbeat);
    while !stage.is_under_way(|body| matches!(body, Body::Snapshot(chunk) if chunk.offset == 4)) {
        assert!(stage.deliver());
    }
    stage.lose_first(|body| matches!(body, Body::Snapshot(_)));
    stage.settle();
    stage.remark("Nothing moves in an election timeout, nor in the next: the leader sends it again.");
    for _ in 0..2 {
        stage.fire(1, Timer::Contact);
        stage.fire(1, Timer::Heartbeat);
        stage.settle();
    }
    stage.remark("Everything is there, and n3 follows again.");
    stage.fire(1, Timer::Heartbeat);
    stage.settle();
    assert_eq!(stage.raft(3).applied(), stage.raft(1).applied());
    golden("snapshot_transfer", &stage.script());
}

#[test]
fn g06_joint_change_with_a_removed_leader() {
    let goal = "Goal: n1 replaces itself by n4 through a joint membership, finishes its work, hands over and leaves.";
    let mut stage = led(goal, 3);
    stage.enter(Config::joining(NodeId(4)));
    stage.remark("n1 leads n1, n2 and n3 in term 1. n4 is up and knows nobody.");
    let changes = vec![Change::Voter(NodeId(4)), Change::Remove(NodeId(1))];
    let change = Input::ChangeMembership { changes, transition: Transition::Auto };
    stage.act(1, "is told to add n4 and to remove itself", change);
    stage.settle();
    stage.remark("It is done. n1 is told nothing more, and has nothing to say.");
    stage.fire(1, Timer::Election);
    stage.settle();
    golden("joint_change_with_a_removed_leader", &stage.script());
}

#[test]
fn j02_transfer() {
    let goal = "Goal: leadership goes to a server that lags: it catches up, campaigns without pre-vote, and is elected at once.";
    let mut stage = led(goal, 3);
    stage.meanwhile(|stage| {
        propose(stage, 1, 7);
        stage.lose(&[3]);
        stage.settle();
    });
    stage.remark("n1 leads term 1; n3 lacks entry 2, which n1 does not know.");
    stage.act(1, "is told to hand over to n3", Input::TransferLeadership(Some(NodeId(3))));
    propose(&mut stage, 1, 8);
    stage.settle();
    stage.fire(1, Timer::Heartbeat);
    stage.settle();
    assert_eq!(stage.raft(3).role(), RoleKind::Leader);
    golden("transfer", &stage.script());
}
