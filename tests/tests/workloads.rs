//! Every workload on real servers under real faults: it passes, and it does something.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use checker::{History, ReadOptions};
use common::{json, run_with, server, text};

fn passes(workload: &str) {
    let store = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--time-limit", "8s", "--seed", "3", "--json", "--workload", workload];
    let faults = ["--nemesis", "kill,pause,partition"];
    let output = run_with(server(), store.path(), &[&args[..], &faults].concat());
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let results = json(&output);
    for (f, counts) in results["operations"]["by_f"].as_object().unwrap() {
        assert!(counts["ok"].as_u64().unwrap() > 20, "{workload}: {f}: {counts}");
    }
    // Both files say the same, and nothing was lost on the way.
    let read =
        |file: &str| History::open(&store.path().join("latest").join(file), &ReadOptions::default()).unwrap();
    let (jsonl, edn) = (read("history.jsonl"), read("history.edn"));
    assert_eq!(jsonl.counts, edn.counts);
    assert_eq!(jsonl.counts.invoke, results["count"]["invoke"].as_u64().unwrap());
    println!("{workload}: {}", results["operations"]["by_f"]);
}

macro_rules! workloads {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            passes($name);
        })*

        #[test]
        fn none_is_left_out() {
            assert_eq!([$($name),*], plumbline::workload::NAMES);
        }
    };
}

workloads! {
    a_register_passes: "register",
    a_register_with_compare_and_set_passes: "cas-register",
    a_map_passes: "map",
    a_list_passes: "append-list",
    a_set_passes: "set",
    a_counter_passes: "counter",
    a_queue_passes: "queue",
    a_lock_passes: "lock",
    a_bank_passes: "bank",
}
