//! `--memory` means it: what the process really takes stays within the limit. Linux only, which says how much that was; alone in
//! this file, because it is a question about the whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::generate::{Plan, Workload, generate};
use checker::{Algorithm, CheckOptions, Limits, Model, ModelOptions, Unknown, Verdict};

/// The most memory that the process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number") << 10
}

/// Names the one search that this process is for.
const CASE: &str = "PLUMBLINE_MEMORY_CASE";

#[test]
fn searches_stay_within_the_limit() {
    if let Ok(case) = std::env::var(CASE) {
        let (algorithm, limit) = case.split_once(' ').expect("an algorithm and a limit");
        return search(algorithm.parse().expect("an algorithm"), limit.parse().expect("a number"));
    }
    // Each in a process of its own: what the allocator keeps for the next search would count for it.
    for limit in [16_u64 << 20, 96 << 20] {
        for algorithm in [Algorithm::Wgl, Algorithm::Linear, Algorithm::Competition] {
            let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
            command.args(["--exact", "searches_stay_within_the_limit", "--nocapture"]);
            let output = command.env(CASE, format!("{algorithm} {limit}")).output().expect("it ran");
            let told = String::from_utf8_lossy(&output.stdout);
            println!("{}", told.lines().find(|line| line.contains("MiB")).unwrap_or_default());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn search(algorithm: Algorithm, limit: u64) {
    // Twenty-four clients and three values: as many states as orders, and far more configurations than fit.
    let plan =
        Plan { operations: 400, clients: 24, values: 3, unknown: 10, ..Plan::new(Workload::FifoQueue, 1) };
    let history = generate(&plan).history();
    let model =
        Model::new(plan.workload.model(), &ModelOptions::default(), &history).expect("a suitable start");
    let before = peak();
    let limits = Limits { memory_bytes: limit, ..Limits::default() };
    let options = CheckOptions { algorithm, limits, ..CheckOptions::default() };
    let report = model.check(&history, &options).expect("known operations");
    let Verdict::Unknown { reason: Unknown::Memory(undecided) } = &report.verdict else {
        panic!("{algorithm}: {}", report.summary());
    };
    assert!(undecided[0].progress.reached > 0, "it says how far it got");
    let taken = peak() - before;
    println!("{algorithm}: {} MiB of {} MiB", taken >> 20, limit >> 20);
    assert!(taken <= limit + limit / 16 + (2 << 20), "{algorithm}: {taken} bytes of {limit}");
}
