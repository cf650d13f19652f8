//! Whole clusters under random schedules: loss, reordering, duplication, partitions, crashes, slow disks, late and
//! coalesced acknowledgements, every invariant checked after every step.

use proptest::test_runner::{Config as Proptest, TestRunner};

use raft_core::Event;

use crate::schedule::{run, schedule};

const CASES: u32 = 5000;
const LENGTH: usize = 120;

/// Shrinks and prints the failing schedule, and persists its seed, like every proptest.
#[test]
fn figure_3_and_linearizable_reads_under_every_fault() {
    let mut runner = TestRunner::new(Proptest { cases: CASES, ..Proptest::with_source_file(file!()) });
    let result = runner.run(&schedule(LENGTH), |schedule| {
        let (_, result) = run(&schedule, |_| {});
        result.map_err(proptest::test_runner::TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// The schedules reach what they are meant to reach: a property that holds because nothing happened proves nothing.
#[test]
fn schedules_reach_everything_that_must_hold_for_a_reason() {
    use proptest::strategy::{Strategy, ValueTree};
    const SCHEDULES: usize = 600;
    let mut runner = TestRunner::deterministic();
    // What, in how many schedules it was seen, in how many it must be.
    let mut table = [
        ("led", 0, 240),
        ("committed", 0, 200),
        ("truncated", 0, 60),
        ("read", 0, 80),
        ("restarted with a log", 0, 200),
        ("restored a snapshot", 0, 20),
        ("changed the members", 0, 40),
        ("entered a joint membership and left it", 0, 12),
        ("lost the end of a log and got it back", 0, 5),
        ("served a read at a follower", 0, 12),
    ];
    for _ in 0..SCHEDULES {
        let schedule = schedule(LENGTH).new_tree(&mut runner).expect("the strategy has values").current();
        let (cluster, result) = run(&schedule, |_| {});
        result.expect("no violation");
        let seen = [
            cluster.leader().is_some(),
            cluster.ghost.committed().0 > 2,
            cluster.ghost.truncations > 0,
            cluster.servers.iter().any(|server| !server.served.is_empty()),
            cluster.ghost.restarts_with_log > 0,
            cluster.ghost.restored > 0,
            cluster.ghost.changes() > 0,
            cluster.ghost.joint_changes() > 0,
            cluster.events.iter().any(|(_, event)| matches!(event, Event::Repaired { .. })),
            cluster.ghost.read_at_follower,
        ];
        for ((_, count, _), seen) in table.iter_mut().zip(seen) {
            *count += usize::from(seen);
        }
    }
    println!("of {SCHEDULES}: {:?}", table.map(|(what, count, _)| format!("{what} {count}")));
    for (what, count, floor) in table {
        assert!(count >= floor, "{what} in only {count} of {SCHEDULES} schedules");
    }
}
