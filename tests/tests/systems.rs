//! Other systems under test: what is known to be wrong with them is found, and what is right passes.
//!
//! Each test is skipped, with a notice, where its system is not installed.

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
use std::time::Duration;

use common::{json, plumbline, text, until};

/// How many seeds are tried before something counts as not found.
const TRIES: u64 = 5;

/// Whether this program can be run here; says so if not.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        println!("SKIPPED: there is no {program} on this machine");
    }
    found
}

/// One run: its exit code and results.
fn run(store: &Path, seed: u64, args: &[&str]) -> (Option<i32>, serde_json::Value) {
    let (store, seed) = (store.to_str().unwrap(), seed.to_string());
    let output =
        plumbline(&[&["run", "--store", store, "--seed", &seed, "--json", "--no-trace"], args].concat());
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{args:?}: {}", text(&output.stderr));
    (output.status.code(), json(&output))
}

/// The first of some seeds with which the run is judged a violation, and the finding.
fn found(args: &[&str]) -> Option<String> {
    for seed in 1..=TRIES {
        let store = tempfile::tempdir().unwrap();
        if let (Some(1), results) = run(store.path(), seed, args) {
            let finding = results["findings"][0]["what"].as_str().unwrap().to_owned();
            println!("seed {seed}: {finding}");
            return Some(finding);
        }
    }
    None
}

/// Processes that name this folder are all gone: nothing is left of the servers, nor of what watches over them.
fn nothing_left(store: &Path) {
    let folder = store.to_str().unwrap();
    until("the servers' end", Duration::from_secs(10), || {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        !lines.into_iter().any(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(folder) && !line.contains("plumbline")
        })
    });
}

#[test]
fn redis_is_found_to_lose_acknowledged_writes_when_its_master_is_cut_off() {
    if !has("redis-server") {
        return;
    }
    let args = ["--system", "redis", "--nodes", "3", "--time-limit", "15s", "--workload", "register"];
    let finding = found(&[&args[..], &["--nemesis", "isolate"]].concat()).expect("the losses were missed");
    assert!(finding.contains("not linearizable"), "{finding}");
    // Without faults there is no failover, and nothing is lost.
    let store = tempfile::tempdir().unwrap();
    let (code, results) = run(store.path(), 1, &[&args[..], &["--nemesis", "none"]].concat());
    assert_eq!(code, Some(0), "{results}");
    nothing_left(store.path());
}

#[test]
fn redis_is_found_to_lose_what_was_added_to_a_set() {
    if !has("redis-server") {
        return;
    }
    let args = ["--system", "redis", "--nodes", "3", "--time-limit", "15s", "--workload", "set"];
    found(&[&args[..], &["--nemesis", "isolate"]].concat()).expect("the losses were missed");
}

#[test]
fn etcd_s_serializable_reads_are_found_stale_and_its_others_are_not() {
    if !has("etcd") {
        return;
    }
    let args = ["--system", "etcd", "--nodes", "3", "--time-limit", "10s", "--workload", "cas-register"];
    let args = [&args[..], &["--nemesis", "pause"]].concat();
    let finding = found(&[&args[..], &["--stale-reads"]].concat()).expect("the stale reads were missed");
    assert!(finding.contains("not linearizable"), "{finding}");
    let store = tempfile::tempdir().unwrap();
    let (code, results) = run(store.path(), 1, &args);
    assert_eq!(code, Some(0), "{}", results["findings"]);
    nothing_left(store.path());
}

/// Whether faults of packets can be injected here; says so if not.
fn has_packets() -> bool {
    let usable = plumbline(&["doctor", "--require", "packets"]).status.success();
    if !usable {
        println!("SKIPPED: packets cannot be dropped on this machine (see `plumbline doctor`)");
    }
    usable
}

/// etcd #15271: a member that was cut off until it needed a snapshot tells its watchers again what they have been told before.
/// (It is there up to 3.4.24 and 3.5.7.)
#[test]
fn etcd_s_watch_is_found_to_go_back_in_time_after_a_partition() {
    if !has("etcd") || !has_packets() {
        return;
    }
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plans/cut-off-until-a-snapshot-is-needed.json");
    let args = ["--system", "etcd", "--workload", "register", "--rate", "3000", "--concurrency", "100"];
    let args = [&args[..], &["--schedule", plan, "--server-arg=--snapshot-count=100"]].concat();
    let finding = found(&args).expect("it was missed");
    assert!(finding.starts_with("a watch went back in time: n3"), "{finding}");
}

#[test]
fn etcd_hands_leadership_over_and_compacts_and_its_watches_are_in_order_all_the_same() {
    if !has("etcd") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let args = ["--system", "etcd", "--nodes", "3", "--time-limit", "8s", "--workload", "register"];
    let (code, results) = run(store.path(), 1, &[&args[..], &["--nemesis", "transfer,compact"]].concat());
    assert_eq!(code, Some(0), "{}", results["findings"]);
    let faults = results["nemesis"]["faults"].as_array().unwrap();
    for kind in ["transfer", "compact"] {
        let is_felt = |fault: &&serde_json::Value| fault["kind"] == kind && fault["effective"] == true;
        assert!(faults.iter().any(|fault| is_felt(&fault)), "{kind}: {faults:?}");
    }
    assert!(results["leaders"].as_array().unwrap().len() > 1, "{}", results["leaders"]);
    assert!(results["watches"]["events"].as_u64().unwrap() > 100, "{}", results["watches"]);
}

#[test]
fn etcd_keeps_its_banks_in_balance() {
    if !has("etcd") {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let args = ["--system", "etcd", "--nodes", "3", "--time-limit", "8s", "--workload", "bank"];
    let (code, results) = run(store.path(), 1, &[&args[..], &["--nemesis", "kill"]].concat());
    assert_eq!(code, Some(0), "{}", results["findings"]);
    assert!(
        results["operations"]["by_f"]["transfer"]["ok"].as_u64().unwrap() > 20,
        "{}",
        results["operations"]
    );
}

#[test]
fn a_store_in_another_language_is_tested_and_found_out_if_it_forgets() {
    if !has("python3") {
        return;
    }
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exec/store.py");
    let client = format!("python3 '{example}' client");
    let server = |flags: &str| format!("python3 '{example}' serve {{client}} {{data}} {flags}");
    let args = |server: &str| {
        let fixed = "run --system exec --nodes 1 --knows cas --nemesis kill --time-limit 15s --rate 60 --concurrency 4";
        let mut args: Vec<String> = fixed.split(' ').skip(1).map(str::to_owned).collect();
        args.extend(["--server-command".into(), server.into(), "--client-command".into(), client.clone()]);
        args
    };
    let store = tempfile::tempdir().unwrap();
    let sound = args(&server(""));
    let (code, results) = run(store.path(), 1, &sound.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{}", results["findings"]);
    nothing_left(store.path());
    let forgetful = args(&server("--forgetful"));
    let finding = found(&forgetful.iter().map(String::as_str).collect::<Vec<_>>()).expect("it was missed");
    assert!(finding.contains("not linearizable"), "{finding}");
}

#[test]
fn what_a_system_lacks_is_refused_before_anything_starts() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().to_str().unwrap();
    let run =
        |args: &[&str]| plumbline(&[&["run", "--store", folder, "--server", "/bin/true"], args].concat());
    for (args, complaint) in [
        (
            &["--system", "etcd", "--nemesis", "partition"][..],
            "the fault partition needs links that can be cut",
        ),
        (&["--system", "redis", "--nemesis", "members"], "the fault members needs changes of members"),
        (
            &["--system", "exec", "--server-command", "x", "--client-command", "y", "--workload", "bank"],
            "the workload bank needs transactions, which exec lacks",
        ),
        (&["--stale-reads"], "--system etcd"),
        (&["--workload", "nothing"], "append-list"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(complaint), "{args:?}: {}", text(&output.stderr));
    }
}
