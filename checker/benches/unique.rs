//! The polynomial algorithms: `cargo bench -p checker --bench unique`.

mod common;

use checker::Algorithm;
use checker::generate::Workload;
use common::{decide, plan, refuse};
use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 100])]
fn register(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, &plan(Workload::CasRegister, 100_000, clients, 0, 10), Algorithm::Unique);
}

#[divan::bench(args = [false, true])]
fn register_refused(bencher: Bencher<'_, '_>, explained: bool) {
    refuse(bencher, &plan(Workload::CasRegister, 10_000, 10, 0, 0), Algorithm::Unique, explained);
}

#[divan::bench(args = [Workload::FifoQueue, Workload::Stack, Workload::UnorderedQueue, Workload::Elements])]
fn collection(bencher: Bencher<'_, '_>, workload: Workload) {
    decide(bencher, &plan(workload, 100_000, 10, 0, 0), Algorithm::Auto);
}

#[divan::bench]
fn list(bencher: Bencher<'_, '_>) {
    decide(bencher, &plan(Workload::AppendList, 2_000, 10, 0, 0), Algorithm::Unique);
}
