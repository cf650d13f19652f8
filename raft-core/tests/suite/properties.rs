//! Whole clusters under random schedules: loss, reordering, duplication, partitions, crashes, slow disks, late and
//! coalesced acknowledgements, every invariant checked after every step.

use proptest::test_runner::{Config as Proptest, TestRunner};

use crate::schedule::{run, schedule};

const CASES: u32 = 3000;
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
fn schedules_reach_elections_commits_truncations_and_reads() {
    let mut runner = TestRunner::deterministic();
    let (mut led, mut committed, mut truncated, mut read, mut restarted_with_log) = (0, 0, 0, 0, 0);
    for _ in 0..300 {
        use proptest::strategy::{Strategy, ValueTree};
        let schedule = schedule(LENGTH).new_tree(&mut runner).expect("the strategy has values").current();
        let (cluster, result) = run(&schedule, |_| {});
        result.expect("no violation");
        led += usize::from(cluster.leader().is_some());
        committed += usize::from(cluster.ghost.committed().0 > 2);
        read += usize::from(cluster.servers.iter().any(|server| !server.served.is_empty()));
        truncated += usize::from(cluster.ghost.truncations > 0);
        restarted_with_log += usize::from(cluster.ghost.restarts_with_log > 0);
    }
    println!(
        "of 300: led {led}, committed {committed}, truncated {truncated}, read {read}, restarted with a log {restarted_with_log}"
    );
    for (what, count, floor) in [
        ("led", led, 120),
        ("committed", committed, 100),
        ("truncated", truncated, 30),
        ("read", read, 40),
        ("restarted with a log", restarted_with_log, 100),
    ] {
        assert!(count >= floor, "{what} in only {count} of 300 schedules");
    }
}
