//! Just-in-time linearization: `cargo bench -p checker --bench linear`.

mod common;

use checker::Algorithm;
use checker::generate::Workload;
use common::{decide, plan, refuse};
use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = [5, 10])]
fn kv_unique_values(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, &plan(Workload::KeyValue, 10_000, clients, 0, 0), Algorithm::Linear);
}

#[divan::bench(args = [5, 10])]
fn register_five_values(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, &plan(Workload::CasRegister, 1_000, clients, 5, 10), Algorithm::Linear);
}

/// Whoever keeps every way in which calls of unknown outcome may have been used is lost here.
#[divan::bench(args = [1_000, 3_000])]
fn register_five_values_many_unknown(bencher: Bencher<'_, '_>, operations: usize) {
    decide(bencher, &plan(Workload::CasRegister, operations, 10, 5, 50), Algorithm::Linear);
}

#[divan::bench]
fn register_five_values_refused(bencher: Bencher<'_, '_>) {
    refuse(bencher, &plan(Workload::CasRegister, 1_000, 5, 5, 10), Algorithm::Linear, false);
}
