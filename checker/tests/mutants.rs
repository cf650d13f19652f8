//! The tests of the tests: every seeded bug is found by comparing small random histories with the definition, and without one
//! the same search finds nothing. `cargo test -p checker --features mutants --test mutants -- --nocapture` prints which bug is
//! found where.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod oracle;

use checker::generate::{Plan, Workload, generate, history};
use checker::mutant::{Mutant, seed};
use checker::{Algorithm, CheckOptions, History, Model, ModelOptions, Value, Verdict};

/// The verdict, where there is one; an error counts as noticed.
fn verdict(workload: Workload, history: &History, algorithm: Algorithm) -> Result<Option<bool>, String> {
    let initial = (workload == Workload::Append).then(|| Value::string(""));
    let options = ModelOptions { initial, ..ModelOptions::default() };
    let model = Model::new(workload.model(), &options, history).expect("a suitable start");
    let options = CheckOptions { algorithm, threads: std::num::NonZero::new(1), ..CheckOptions::default() };
    match model.check(history, &options) {
        Ok(report) => Ok(match report.verdict {
            Verdict::Linearizable { .. } => Some(true),
            Verdict::NotLinearizable { .. } => Some(false),
            Verdict::Unknown { .. } => None,
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// The first history on which an algorithm is wrong.
fn found(cases: u64) -> Option<String> {
    for case in 0..cases {
        let workload = Workload::ALL[usize::try_from(case).expect("small") % Workload::ALL.len()];
        // Small ones against the definition, and ones of several keys that are linearizable by construction.
        let (history, expected) = if case % 8 == 7 {
            let plan = Plan {
                operations: 30,
                clients: 3,
                unknown: 50,
                values: case / 8 % 4,
                ..Plan::new(workload, case)
            };
            (generate(&plan).history(), true)
        } else {
            let history = history(&oracle::small(case, workload, case / 2 % 2 == 0));
            let expected = oracle::linearizable(workload, &history);
            (history, expected)
        };
        for algorithm in [Algorithm::Auto, Algorithm::Wgl, Algorithm::Linear] {
            let told = verdict(workload, &history, algorithm);
            if !matches!(told, Ok(None)) && told != Ok(Some(expected)) {
                let told = match told {
                    Ok(told) => format!("{}, not {expected}", told.unwrap_or_default()),
                    Err(error) => error,
                };
                return Some(format!("case {case}, {workload}, {algorithm}: {told}"));
            }
        }
    }
    None
}

#[test]
fn every_seeded_bug_is_found_and_nothing_without_one() {
    const CASES: u64 = 20_000;
    seed(None);
    assert_eq!(found(CASES / 4), None);
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        seed(Some(mutant));
        match found(CASES) {
            Some(how) => println!("{mutant:?}: {how}"),
            None => survivors.push(mutant),
        }
    }
    seed(None);
    assert_eq!(survivors, []);
}
