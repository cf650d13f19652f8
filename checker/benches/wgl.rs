//! Reading and deciding generated histories: `cargo bench -p checker`.

#![allow(clippy::expect_used, reason = "a benchmark of what is known to be good")]

use checker::generate::{Plan, Workload, generate};
use checker::history::Writer;
use checker::{Algorithm, CheckOptions, Format, History, Model, ModelName, ModelOptions, ReadOptions};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const OPERATIONS: usize = 20_000;

fn plan(workload: Workload, clients: usize, values: u64, unknown: u64) -> Plan {
    Plan { operations: OPERATIONS, clients, keys: 10, values, unknown, ..Plan::new(workload, 1) }
}

fn text(format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format);
    for event in generate(&plan(Workload::KeyValue, 10, 0, 0)).events {
        writer.write(&event).expect("a vector takes all");
    }
    writer.into_inner()
}

#[divan::bench(args = [Format::JsonLines, Format::Edn])]
fn read(bencher: Bencher<'_, '_>, format: Format) {
    let text = text(format);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| History::read(black_box(&*text), "bench", &ReadOptions::default()).expect("good"));
}

fn decide(bencher: Bencher<'_, '_>, model: ModelName, plan: &Plan, algorithm: Algorithm) {
    let history = generate(plan).history();
    let model = Model::new(model, &ModelOptions::default(), &history).expect("good");
    let options = CheckOptions { algorithm, threads: std::num::NonZero::new(1), ..CheckOptions::default() };
    bencher
        .counter(ItemsCount::new(plan.operations))
        .bench(|| model.check(black_box(&history), &options).expect("good"));
}

#[divan::bench(args = [5, 20])]
fn kv_unique_values_wgl(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, ModelName::KeyValue, &plan(Workload::KeyValue, clients, 0, 0), Algorithm::Wgl);
}

#[divan::bench(args = [5, 20])]
fn kv_unique_values_auto(bencher: Bencher<'_, '_>, clients: usize) {
    decide(bencher, ModelName::KeyValue, &plan(Workload::KeyValue, clients, 0, 0), Algorithm::Auto);
}

#[divan::bench(args = [5, 10])]
fn register_five_values_wgl(bencher: Bencher<'_, '_>, clients: usize) {
    let plan = Plan { operations: 1_000, ..plan(Workload::CasRegister, clients, 5, 10) };
    decide(bencher, ModelName::CasRegister, &plan, Algorithm::Wgl);
}

#[divan::bench]
fn register_unique_values_auto(bencher: Bencher<'_, '_>) {
    decide(bencher, ModelName::CasRegister, &plan(Workload::CasRegister, 100, 0, 10), Algorithm::Auto);
}

#[divan::bench]
fn append_wgl(bencher: Bencher<'_, '_>) {
    let plan = Plan { operations: 1_000, ..plan(Workload::Append, 10, 0, 0) };
    decide(bencher, ModelName::KeyValue, &plan, Algorithm::Wgl);
}
