//! What counterexamples look like as tests of the core: `raft-core/tests/suite/replayed` is what is made of them, and runs there,
//! green on the sound core and red with the seeded bug.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use models::{Counterexample, Engine, Hunt, Options, ReplayError, hunts};
use raft_core::{Mutant, MutantSwitch};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../raft-core/tests/suite/replayed");

fn caught(hunt: &Hunt) -> Counterexample {
    let (mutant, laws) = (MutantSwitch::on(hunt.mutant), hunt.laws.to_vec());
    let options = Options { engine: Engine::Layered, mutant, laws, ..Options::default() };
    let report = models::explore(hunt.mutant.name(), hunt.bounds, &[], &options, |_| {});
    report.expect("sensible bounds").counterexample.expect("the seeded bug is caught")
}

/// Those that a run can show to the core's own judge. That nobody is elected in the end is seen in no single step.
fn shown() -> impl Iterator<Item = Hunt> {
    hunts().into_iter().filter(|hunt| hunt.mutant != Mutant::PrevoteDeadlock)
}

/// `BLESS=1` writes them anew.
#[test]
fn the_suite_of_the_core_has_the_counterexamples_of_its_seeded_bugs() {
    let list = std::fs::read_to_string(format!("{FOLDER}/mod.rs")).expect("the list is there");
    let mut stale = Vec::new();
    for hunt in shown() {
        let story = caught(&hunt);
        let source = story.regression_with(MutantSwitch::on(hunt.mutant)).expect("it can happen again");
        let name = hunt.mutant.name().replace('-', "_");
        let file = format!("{FOLDER}/{name}.rs");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &source).expect("it can be written");
        }
        let is_there = std::fs::read_to_string(&file).is_ok_and(|there| there == source);
        if !is_there || !list.contains(&format!("\nmod {name};\n")) {
            stale.push(name);
        }
    }
    assert_eq!(
        stale, [""; 0],
        "make them anew, and list them: BLESS=1 cargo test -p models --test regressions"
    );
}

#[test]
fn what_cannot_happen_is_no_test() {
    let hunt = models::hunt(Mutant::ForgetVote).expect("it is hunted");
    let story = caught(&hunt);
    // This build's sound core does not follow it to its end.
    let refused = story.regression_with(MutantSwitch::default());
    assert!(matches!(refused, Err(ReplayError::Impossible { step: 8, .. })), "{refused:?}");
    // A run that breaks nothing has one test, and no bug to switch on.
    let mut quiet = Counterexample { mutant: None, ..story };
    quiet.steps.truncate(7);
    let source = quiet.regression_with(MutantSwitch::default()).expect("the sound core follows");
    assert!(source.contains("run.receives(3, 6, 0);\n}\n\n#[test]\nfn keeps_election_safety()"), "{source}");
    assert!(!source.contains("departs") && !source.contains("Mutant"), "{source}");
}
