//! Schedules from files, and runs that are run again: the same faults, the same operations, the same options.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{json, plumbline, run_with, server, text};
use serde_json::Value;

/// What each worker did, one after the other: operation, key, and the value if it is one that it brings.
fn operations(store: &Path, workers: u64) -> BTreeMap<u64, Vec<String>> {
    let history = std::fs::read_to_string(store.join("latest/history.jsonl")).unwrap();
    let mut by_worker: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in history.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let (Some(process), Some("invoke")) = (event["process"].as_u64(), event["type"].as_str()) else {
            continue;
        };
        let value = match event["f"].as_str().unwrap() {
            "write" => event["value"].to_string(),
            // What it expects is what the clients have seen, which is up to chance.
            "cas" => event["value"][1].to_string(),
            _ => String::new(),
        };
        let operation = format!("{} {} {value}", event["f"], event["key"]);
        by_worker.entry(process % workers).or_default().push(operation);
    }
    by_worker
}

#[test]
fn operations_stay_as_they_were_when_faults_are_taken_away() {
    let with = tempfile::tempdir().unwrap();
    let without = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--time-limit", "4s", "--seed", "11", "--concurrency", "4", "--rate", "200"];
    for (store, nemesis) in [(&with, "kill,isolate,latency"), (&without, "none")] {
        let output =
            run_with(server(), store.path(), &[&args[..], &["--nemesis", nemesis, "--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(json(&output)["nemesis"]["injected"] == 0, nemesis == "none");
    }
    let (with, without) = (operations(with.path(), 4), operations(without.path(), 4));
    for worker in 0..4 {
        let (one, other) = (&with[&worker], &without[&worker]);
        // Final reads come last, and are not the worker's.
        let common = one.len().min(other.len()) - 5;
        assert!(common > 30, "worker {worker} did just {common}");
        assert_eq!(one[..common], other[..common], "worker {worker}");
    }
}

#[test]
fn a_schedule_from_a_file_is_carried_out_and_the_run_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let text_of_plan = r#"{"version": 1, "nodes": 3, "time_limit_ms": 6000, "plan": {"sequence": [
        {"until": {"condition": "leader"}},
        {"until": {"condition": "election", "step": {"inject": {"fault": {"partition": {"isolate": "leader"}}}}}},
        {"inject": {"duration_ms": 300, "fault": {"pause": "follower[2]"}}},
        {"until": {"condition": "snapshot", "step": {"inject": {"duration_ms": 0, "fault": {"compact": "all"}}}}},
        {"mix": {"times": 2, "of": [{"step": {"inject": {"duration_ms": 100, "fault": {"kill": "random[1]"}}}}]}}]}}"#;
    std::fs::write(&plan, text_of_plan).unwrap();
    let store = folder.path().join("one");
    let args = ["--schedule", plan.to_str().unwrap(), "--seed", "3", "--keys", "2", "--concurrency", "6"];
    let output = run_with(
        server(),
        &store,
        &[&args[..], &["--server-arg", "--election-timeout=200ms", "--json"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let results = json(&output);
    let faults = results["nemesis"]["faults"].as_array().unwrap();
    let kinds: Vec<&str> = faults.iter().map(|fault| fault["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["partition", "pause", "compact", "kill", "kill"], "{results}");
    assert_eq!(faults[1]["planned"]["fault"]["pause"], "follower[2]");
    assert!(faults[1]["nodes"][0].is_u64() && faults[1]["what"].as_str().unwrap().contains("follower n"));
    assert!(
        faults[0]["effective"] == true && faults[0]["links"].as_array().unwrap().len() == 4,
        "{faults:?}"
    );
    let waited = results["nemesis"]["waited"].as_array().unwrap();
    assert!(waited.len() == 3 && waited.iter().all(|one| one["met"] == true), "{waited:?}");

    let again = folder.path().join("two");
    let source = store.join("latest");
    let (source, again_text) = (source.to_str().unwrap(), again.to_str().unwrap());
    let output = plumbline(&["replay", source, "--store", again_text, "--json", "--keys", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let repeated = json(&output);
    for setting in ["server", "server_args", "nodes", "concurrency", "time_limit_ms", "nemesis", "rate"] {
        assert_eq!(repeated["setup"][setting], results["setup"][setting], "{setting}");
    }
    assert_eq!((&repeated["seed"], &repeated["setup"]["keys"]), (&3.into(), &3.into()));
    let schedule = |store: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(store.join("latest/schedule.json")).unwrap()).unwrap()
    };
    let (mut one, mut two) = (schedule(&store), schedule(&again));
    assert_ne!(one["options"].take(), two["options"].take(), "the number of keys was another");
    assert_eq!(one, two);
}

#[test]
fn what_cannot_be_carried_out_is_an_error_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let store = folder.path().join("store");
    let refused = |text_of_plan: &str, args: &[&str]| {
        std::fs::write(&plan, text_of_plan).unwrap();
        let output = run_with(server(), &store, &[&["--schedule", plan.to_str().unwrap()], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        assert!(!store.exists(), "it began");
        text(&output.stderr)
    };
    let kill =
        |whom: &str| format!(r#"{{"version": 1, "plan": {{"inject": {{"fault": {{"kill": "{whom}"}}}}}}}}"#);
    let error = refused(&kill("n7"), &["--nodes", "3"]);
    assert!(error.contains("fault 1") && error.contains("a cluster of 3 has no n7"), "{error}");
    assert!(refused(&kill("the boss"), &[]).contains("follower[1]"));
    assert!(refused("{", &[]).contains("plan.json"));
    assert!(refused(&kill("all"), &["--nemesis", "kill"]).contains("cannot be used with"));
    let output = plumbline(&["replay", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("store/latest"), "{}", text(&output.stderr));
    let wrong = plumbline(&["replay", plan.to_str().unwrap(), "--no-such-option"]);
    assert_eq!(wrong.status.code(), Some(2));
}
