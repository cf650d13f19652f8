//! Wing & Gong's search: `cargo bench -p checker --bench wgl`.

mod common;

use checker::Algorithm;
use checker::generate::{Plan, Workload};
use common::{decide, plan, refuse};
use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = [5, 20])]
fn kv_unique_values(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, &plan(Workload::KeyValue, 20_000, clients, 0, 0), Algorithm::Wgl);
}

#[divan::bench(args = [5, 10])]
fn register_five_values(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, &plan(Workload::CasRegister, 1_000, clients, 5, 10), Algorithm::Wgl);
}

#[divan::bench(args = [5, 10])]
fn register_five_values_refused(bencher: Bencher<'_, '_>, clients: usize) {
    refuse(bencher, &plan(Workload::CasRegister, 1_000, clients, 5, 10), Algorithm::Wgl, false);
}

#[divan::bench]
fn append(bencher: Bencher<'_, '_>) {
    decide(bencher, &plan(Workload::Append, 1_000, 10, 0, 0), Algorithm::Wgl);
}

#[divan::bench]
fn writes_that_never_return(bencher: Bencher<'_, '_>) {
    let plan = Plan { seed: 2, ..plan(Workload::CasRegister, 150, 10, 5, 80) };
    refuse(bencher, &plan, Algorithm::Wgl, false);
}
