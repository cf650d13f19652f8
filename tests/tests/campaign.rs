//! The main job, end to end and short: real servers, real faults, a verdict, and nothing left behind.

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
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{PLUMBLINE, json, processes_in, run_with, server, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plumbline::schedule::{Nemeses, Pace, Schedule, plan};

#[test]
fn a_short_run_passes_explains_itself_and_leaves_nothing_behind() {
    let store = tempfile::tempdir().unwrap();
    let output =
        run_with(server(), store.path(), &["--nodes", "3", "--time-limit", "6s", "--seed", "7", "--json"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}\n{}", text(&output.stdout));
    assert!(error.starts_with("seed 7"), "{error}");
    let results = json(&output);
    assert_eq!((&results["valid"], &results["seed"]), (&true.into(), &7.into()));
    let count = |kind: &str| results["count"][kind].as_u64().unwrap();
    assert_eq!(count("invoke"), count("ok") + count("fail") + count("info"));
    assert!(count("ok") > 100, "{}", results["count"]);
    assert!(results["nemesis"]["injected"].as_u64().unwrap() > 0);

    let latest = store.path().join("latest");
    assert_eq!(latest.canonicalize().unwrap(), store.path().join("kv/latest").canonicalize().unwrap());
    for file in [
        "results.json",
        "verdict.txt",
        "schedule.json",
        "history.jsonl",
        "history.edn",
        "nodes/n3/server.log",
    ] {
        assert!(latest.join(file).is_file(), "no {file}");
    }
    let mut stored: Schedule =
        serde_json::from_slice(&std::fs::read(latest.join("schedule.json")).unwrap()).unwrap();
    let options = std::mem::take(&mut stored.options);
    let told = &results["setup"]["server_args"];
    assert_eq!(*told, serde_json::json!(["--snapshot-every=1000", "--keep-entries=300"]), "its habits");
    assert!(options.contains(&"--concurrency=10".to_owned()), "{options:?}");
    assert_eq!(
        stored,
        plan(7, 3, Duration::from_secs(6), &Nemeses::all(), Pace::default()),
        "the schedule is the seed's"
    );
    assert!(processes_in(store.path()).is_empty(), "{:?}", processes_in(store.path()));

    // Both histories say the same, also to the command line.
    for file in ["history.jsonl", "history.edn"] {
        let history = latest.join(file);
        let checked = common::plumbline(&["check", history.to_str().unwrap(), "--model", "kv", "--json"]);
        assert_eq!(checked.status.code(), Some(0), "{file}: {}", text(&checked.stdout));
        assert_eq!(json(&checked)["valid"], true, "{file}");
    }
}

/// A run in the background whose clients are at work already.
fn running(store: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(PLUMBLINE);
    command.args(["run", "--nodes", "3", "--server"]).arg(server()).arg("--store").arg(store).args(args);
    let harness = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let history = store.join("latest/history.jsonl");
    until("operations", Duration::from_secs(60), || {
        std::fs::read_to_string(&history).is_ok_and(|text| text.matches(r#""type":"ok""#).count() > 50)
    });
    harness
}

/// How a run in the background ended: its exit code and its results.
fn ended(harness: Child) -> (Option<i32>, serde_json::Value) {
    let output = harness.wait_with_output().unwrap();
    (output.status.code(), json(&output))
}

/// The process id of one server of the runs in this store.
fn a_server_of(store: &Path) -> Pid {
    let servers = processes_in(store);
    Pid::from_raw(servers[0].split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_terminated_run_heals_checks_reports_and_leaves_no_process() {
    let store = tempfile::tempdir().unwrap();
    let harness = running(store.path(), &["--time-limit", "10m", "--nemesis", "pause", "--json"]);
    kill(Pid::from_raw(harness.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let (code, results) = ended(harness);
    assert_eq!((code, &results["valid"]), (Some(3), &"unknown".into()), "{results}");
    assert_eq!(results["linearizability"]["valid"], true, "{results}");
    assert!(results["findings"].to_string().contains("interrupted"), "{results}");
    assert!(processes_in(store.path()).is_empty());
}

#[test]
fn a_server_that_ends_by_itself_fails_the_run() {
    let store = tempfile::tempdir().unwrap();
    let harness = running(store.path(), &["--time-limit", "3s", "--nemesis", "none", "--json"]);
    // Not by the harness, as far as the harness knows.
    kill(a_server_of(store.path()), Signal::SIGKILL).unwrap();
    let (code, results) = ended(harness);
    assert_eq!((code, &results["valid"]), (Some(1), &false.into()), "{results}");
    assert!(results["findings"].to_string().contains("ended by itself"), "{results}");
    assert_eq!(results["linearizability"]["valid"], true, "the others went on");
}

#[test]
fn a_killed_harness_takes_its_servers_with_it_also_stopped_ones() {
    let store = tempfile::tempdir().unwrap();
    let mut harness = running(store.path(), &["--time-limit", "10m", "--nemesis", "none"]);
    assert_eq!(processes_in(store.path()).len(), 3);
    let stopped = a_server_of(store.path());
    kill(stopped, Signal::SIGSTOP).unwrap();
    until("the server to stop", Duration::from_secs(30), || {
        std::fs::read_to_string(format!("/proc/{stopped}/stat")).is_ok_and(|stat| stat.contains(") T "))
    });
    harness.kill().unwrap();
    harness.wait().unwrap();
    until("the servers' end", Duration::from_secs(30), || processes_in(store.path()).is_empty());
}
