//! Every seeded bug of the core is caught by the property suite: same schedules, same invariants. (Those that concern time are
//! caught in `leases`.)

use std::time::Instant;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use raft_core::{Mutant, MutantSwitch};

use crate::leases;
use crate::schedule::{run, schedule};

/// A mutant that survives this many schedules counts as not caught.
const CASES: usize = 10_000;
const LENGTH: usize = 120;

/// Returns how many schedules it took, and what was seen.
fn hunt(switch: MutantSwitch) -> Option<(usize, String)> {
    let mut runner = TestRunner::deterministic();
    let strategy = schedule(LENGTH);
    (1..=CASES).find_map(|case| {
        let schedule = strategy.new_tree(&mut runner).expect("the strategy has values").current();
        let (_, result) = run(&schedule, move |config| config.mutant = switch);
        result.err().map(|violation| (case, violation))
    })
}

#[test]
fn every_seeded_bug_is_caught_by_the_property_suite() {
    let mut survivors = Vec::new();
    println!("| mutant | level | schedules | seconds | seen as |\n|---|---|---|---|---|");
    for &mutant in Mutant::ALL.iter().filter(|mutant| !leases::BUGS.contains(mutant)) {
        let start = Instant::now();
        match hunt(MutantSwitch::on(mutant)) {
            Some((case, violation)) => {
                println!("| {mutant} | P | {case} | {:.2} | {violation} |", start.elapsed().as_secs_f64());
            }
            None => survivors.push(mutant),
        }
    }
    assert_eq!(hunt(MutantSwitch::default()), None, "the very same schedules are green without a seeded bug");
    assert!(survivors.is_empty(), "not caught within {CASES} schedules: {survivors:?}");
}
