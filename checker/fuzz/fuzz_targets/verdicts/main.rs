//! A small history of any specification, made from any bytes: every algorithm must judge it as the definition does (the oracle of
//! the checker's own tests, which tries every order and shares nothing with the algorithms).

#![no_main]

mod made;
#[path = "../../../tests/oracle/mod.rs"]
mod oracle;

use checker::generate::{Workload, history};
use checker::{
    Algorithm, CheckOptions, Event, History, Limits, Model, ModelOptions, Unknown, Value, Verdict,
};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// The verdict; `None` where there was nothing to check, or the algorithm does not apply.
fn judge(workload: Workload, history: &History, algorithm: Algorithm) -> Option<bool> {
    let initial = (workload == Workload::Append).then(|| Value::string(""));
    let options = ModelOptions { initial, ..ModelOptions::default() };
    let model = Model::new(workload.model(), &options, history).expect("a suitable start");
    let limits = Limits { time: Duration::from_secs(5), ..Limits::default() };
    // One explanation is enough of that.
    let explanation = if algorithm == Algorithm::Auto { Limits::EXPLANATION } else { Duration::ZERO };
    let options = CheckOptions { explanation, algorithm, limits, threads: std::num::NonZero::new(1) };
    let report = model.check(history, &options).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    match report.verdict {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        Verdict::Unknown { reason: Unknown::NothingToCheck | Unknown::Inapplicable(_) } => None,
        Verdict::Unknown { reason } => panic!("{algorithm}: {reason} of a handful of operations"),
    }
}

/// Without pairs of bytes to say it: a history as the tests draw them.
fn drawn(bytes: &[u8]) -> Option<(Workload, Vec<Event>)> {
    let (first, rest) = bytes.split_first()?;
    let workload = *Workload::ALL.get(usize::from(*first) % Workload::ALL.len())?;
    let seed = rest.iter().fold(u64::from(*first), |seed, byte| seed << 8 | u64::from(*byte));
    Some((workload, oracle::small(seed, workload, seed.is_multiple_of(2))))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((workload, events)) = made::events(bytes).or_else(|| drawn(bytes)) else { return };
    let history = history(&events);
    let expected = oracle::linearizable(workload, &history);
    for algorithm in Algorithm::ALL {
        if let Some(told) = judge(workload, &history, algorithm) {
            assert_eq!(told, expected, "{workload}, {algorithm}: {events:#?}");
        }
    }
});
