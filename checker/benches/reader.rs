//! Reading: `cargo bench -p checker --bench reader`.

#![allow(clippy::expect_used, reason = "a benchmark of what is known to be good")]

mod common;

use checker::generate::{Workload, generate};
use checker::history::Writer;
use checker::{Format, History, ReadOptions};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench(args = [Format::JsonLines, Format::Edn])]
fn read(bencher: Bencher<'_, '_>, format: Format) {
    let mut writer = Writer::new(Vec::new(), format);
    for event in generate(&common::plan(Workload::KeyValue, 20_000, 10, 0, 0)).events {
        writer.write(&event).expect("a vector takes all");
    }
    let text = writer.into_inner();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| History::read(black_box(&*text), "bench", &ReadOptions::default()).expect("good"));
}
