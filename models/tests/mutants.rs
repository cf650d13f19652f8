//! Every seeded bug of the core is caught, in a world in which the same search finds nothing without it.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use models::{Engine, Hunt, Options, Report, hunt, hunts};
use raft_core::{Mutant, MutantSwitch};

fn search(hunt: &Hunt, mutant: MutantSwitch, max_states: Option<u64>) -> Report {
    let laws = hunt.laws.to_vec();
    let options = Options { engine: Engine::Layered, mutant, laws, max_states, ..Options::default() };
    models::explore(hunt.mutant.name(), hunt.bounds, &[], &options, |_| {}).expect("sensible bounds")
}

#[test]
fn those_without_a_scenario_are_known() {
    let missing: Vec<_> =
        Mutant::ALL.iter().filter_map(|&m| Some((m.name(), hunt(m).err()?.to_string()))).collect();
    missing.iter().for_each(|(name, why)| println!("{name:28} {why}"));
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "echo-stale-round",
            "lease-survives-transfer",
            "lease-ignores-drift",
            "lease-survives-pause",
            "lease-forgotten-at-restart",
            "lease-forgotten-with-term",
        ]
    );
}

#[test]
fn every_mutant_is_caught_where_the_sound_core_is_not() {
    let mut survivors = Vec::new();
    for hunt in hunts() {
        let report = search(&hunt, MutantSwitch::on(hunt.mutant), None);
        let name = hunt.mutant.name();
        let states = report.unique_states;
        let Some(story) = report.counterexample else {
            println!("{name:28} SURVIVES {states} states in {}", hunt.bounds.summary());
            survivors.push(name);
            continue;
        };
        let steps = story.steps.len();
        println!("{name:28} {:22} {steps:3} steps {states:8} states {:6.2} s", story.law, report.seconds);
        // The same search, at least as far, of the same world without the bug.
        let control = search(&hunt, MutantSwitch::default(), Some(states + 10_000));
        assert!(control.counterexample.is_none(), "{name}: {:#?}", control.counterexample);
        assert!(control.exhausted || control.depth as usize > steps, "{name}");
    }
    assert_eq!(survivors, [""; 0]);
}
