//! Traces of real servers: recorded by every run, replayed, and refused where they are not what happened.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::path::Path;

use common::{json, plumbline, run_with, server, server_with_mutants, text};

fn validate(folder: &Path) -> (Option<i32>, String) {
    let output = plumbline(&["model", "validate", folder.to_str().unwrap()]);
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_run_with_kills_is_replayed_and_holds_and_an_altered_trace_of_it_does_not() {
    let store = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--time-limit", "6s", "--seed", "5", "--nemesis", "kill", "--json"];
    let output = run_with(server(), store.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let results = json(&output);
    let traces = &results["traces"];
    assert_eq!((&traces["valid"], &traces["servers"]), (&true.into(), &3.into()), "{traces}");
    assert!(
        traces["inputs"].as_u64().unwrap() > 1_000 && traces["messages"].as_u64().unwrap() > 500,
        "{traces}"
    );
    assert!(traces["lives"].as_u64().unwrap() > 3, "nobody was killed: {traces}");
    let latest = store.path().join("latest");
    let verdict = std::fs::read_to_string(latest.join("verdict.txt")).unwrap();
    assert!(verdict.contains("  traces      3 servers, ") && verdict.contains("laws hold"), "{verdict}");

    let output = plumbline(&["model", "validate", latest.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&json(&output)["valid"], &json(&output)["inputs"]), (&true.into(), &traces["inputs"]));

    let trace = latest.join("nodes/n2/core.trace");
    let bytes = std::fs::read(&trace).unwrap();
    // Without its end: that is no crash of the server's, since the others received what is missing.
    std::fs::write(&trace, &bytes[..bytes.len() / 2]).unwrap();
    let (code, said) = validate(&latest);
    assert!(code == Some(3) || code == Some(1), "{said}");
    // Another byte in the middle.
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    std::fs::write(&trace, &altered).unwrap();
    let (code, said) = validate(&latest);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("core.trace: record ") && said.contains("damaged"), "{said}");
    // None at all, and none of anybody.
    std::fs::remove_file(&trace).unwrap();
    let (code, said) = validate(&latest);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no trace of server 2"), "{said}");
    let (code, said) = validate(&latest.join("nodes/n2"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no traces"), "{said}");
}

#[test]
fn a_run_without_traces_says_nothing_of_them() {
    let store = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--time-limit", "2s", "--nemesis", "none", "--no-trace", "--json"];
    let output = run_with(server(), store.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(json(&output)["traces"].is_null());
    assert!(!store.path().join("latest/nodes/n1/core.trace").exists());
}

/// The bug is the log writer's, not the core's, so that a build without seeded bugs can replay its traces.
#[test]
fn an_acknowledgement_before_its_fsync_shows_in_the_traces() {
    let caught = (1..=5).find_map(|seed: u64| {
        let store = tempfile::tempdir().unwrap();
        let seed = seed.to_string();
        let args = ["--nodes", "3", "--time-limit", "10s", "--nemesis", "kill", "--seed", &seed, "--json"];
        let args = [&args[..], &["--mutant", "ack-before-fsync"]].concat();
        let output = run_with(server_with_mutants(), store.path(), &args);
        let traces = &json(&output)["traces"];
        assert_eq!(traces["error"], serde_json::Value::Null, "{traces}");
        let findings = traces["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["rule"] == "the disk keeps")?;
        assert_eq!(output.status.code(), Some(1), "{found}");
        Some(found.to_string())
    });
    println!("{}", caught.expect("the seeded bug was missed"));
}
