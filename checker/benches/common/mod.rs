//! What the benchmarks share.

#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each benchmark uses a part; a benchmark of what is known to be good"
)]

use std::num::NonZero;

use checker::generate::{Plan, Workload, generate};
use checker::{Algorithm, CheckOptions, Model, ModelOptions};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// A history by `clients` on ten keys, or on the one object that there is; `values` as for [`Plan::values`], `unknown` of a
/// thousand.
pub(crate) fn plan(workload: Workload, operations: usize, clients: usize, values: u64, unknown: u64) -> Plan {
    Plan { operations, clients, keys: 10, values, unknown, ..Plan::new(workload, 1) }
}

/// Decides it on one thread, without explaining.
pub(crate) fn decide(bencher: Bencher<'_, '_>, plan: &Plan, algorithm: Algorithm) {
    let history = generate(plan).history();
    let model = Model::new(plan.workload.model(), &ModelOptions::default(), &history).expect("good");
    let options = CheckOptions { algorithm, threads: NonZero::new(1), ..CheckOptions::default() };
    bencher
        .counter(ItemsCount::new(plan.operations))
        .bench(|| model.check(black_box(&history), &options).expect("good"));
}

/// Refuses it on one thread because of one stale read, with the explanation or without.
pub(crate) fn refuse(bencher: Bencher<'_, '_>, plan: &Plan, algorithm: Algorithm, explain: bool) {
    let events = generate(plan).with_stale_read(plan.seed).expect("a read");
    let history = checker::generate::history(&events);
    let model = Model::new(plan.workload.model(), &ModelOptions::default(), &history).expect("good");
    let mut options = CheckOptions { algorithm, threads: NonZero::new(1), ..CheckOptions::default() };
    if !explain {
        options.explanation = std::time::Duration::ZERO;
    }
    bencher
        .counter(ItemsCount::new(plan.operations))
        .bench(|| model.check(black_box(&history), &options).expect("good"));
}
