//! What is asked of each seeded bug that real processes can show: a campaign that suits it finds it, its schedule shrinks to at most
//! three faults, and the same campaign passes without the bug.
//!
//! One of them runs with every `cargo test`. All of them take an hour or so, and say what came of it, as a table:
//! `cargo test --release -p plumbline --test campaigns -- --ignored --nocapture` (`PLUMBLINE_CAMPAIGNS=forget-vote,…` chooses some).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{PLUMBLINE, harness_with_mutants, json, plumbline, server, server_with_mutants, text};
use serde_json::Value;

/// How many seeds are tried before a bug counts as missed: a campaign meets a bug only if its timing lets it.
const TRIES: u64 = 8;

/// A seeded bug, and what finds it. A core with a bug leaves traces that only a harness with the bugs can replay: without one,
/// `--no-trace`.
struct Campaign {
    mutant: &'static str,
    args: &'static [&'static str],
    plan: Option<&'static str>,
}

const READ_WITHOUT_QUORUM: Campaign = Campaign {
    mutant: "read-without-quorum",
    args: &["--nodes=3", "--time-limit=10s", "--nemesis=isolate"],
    plan: None,
};

/// Leases that last for a second, by clocks that may be wrong by a fifth.
const LEASES: &[&str] =
    &["--server-arg=--lease-reads=200000", "--server-arg=--election-timeout=1s", "--rate=600"];

const CAMPAIGNS: &[Campaign] = &[
    READ_WITHOUT_QUORUM,
    Campaign { mutant: "forget-vote", args: &["--nodes=3", "--time-limit=8s", "--nemesis=kill"], plan: None },
    Campaign {
        mutant: "ack-before-fsync",
        args: &["--nodes=3", "--time-limit=8s", "--nemesis=kill"],
        plan: None,
    },
    Campaign {
        mutant: "read-before-own-commit",
        args: &["--rate=600"],
        plan: Some("transfers-on-slow-disks.json"),
    },
    Campaign { mutant: "lease-survives-transfer", args: LEASES, plan: Some("transfers-unheard.json") },
    Campaign { mutant: "lease-ignores-drift", args: LEASES, plan: Some("drift-then-cut-off.json") },
    Campaign {
        mutant: "lease-survives-pause",
        args: &[LEASES[0], LEASES[1], LEASES[2], "--op-timeout=8s", "--concurrency=40"],
        plan: Some("pause-then-cut-off.json"),
    },
    Campaign {
        mutant: "apply-before-persist",
        args: &["--nodes=1", "--time-limit=8s", "--nemesis=power"],
        plan: None,
    },
    Campaign {
        mutant: "log-tail-unchecked",
        args: &["--rate=3000", "--concurrency=100"],
        plan: Some("torn-by-power.json"),
    },
    Campaign { mutant: "apply-index-not-atomic", args: &[], plan: Some("compact-then-kill.json") },
    Campaign {
        mutant: "retry-applied-twice",
        args: &["--nodes=3", "--time-limit=10s", "--nemesis=latency", "--op-timeout=800ms"],
        plan: None,
    },
    Campaign {
        mutant: "redirect-loses-write",
        args: &["--nodes=3", "--time-limit=8s", "--nemesis=isolate,kill"],
        plan: None,
    },
    Campaign {
        mutant: "snapshot-not-atomic",
        args: &["--server-arg=--snapshot-every=40", "--server-arg=--keep-entries=1"],
        plan: Some("kill-while-installing.json"),
    },
];

impl Campaign {
    /// One run by this harness.
    fn run(&self, harness: &Harness, seed: u64, mutant: bool, store: &Path) -> Value {
        let seed = seed.to_string();
        let server = if mutant { server_with_mutants() } else { server() };
        let (server, store) = (server.to_str().unwrap(), store.to_str().unwrap());
        let mut args = vec!["run", "--server", server, "--store", store, "--json", "--seed", &seed];
        args.extend(harness.options);
        args.extend(self.args);
        let plan = self.plan.map(|plan| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(plan));
        if let Some(plan) = &plan {
            args.extend(["--schedule", plan.to_str().unwrap()]);
        }
        if mutant {
            args.extend(["--mutant", self.mutant]);
        }
        let output = harness.call(&args);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 3)), "{} {code:?}: {}", self.mutant, text(&output.stderr));
        json(&output)
    }

    /// In one line, for a person.
    fn words(&self) -> String {
        let plan = self.plan.map(|plan| format!("--schedule tests/tests/plans/{plan}"));
        let args: Vec<String> = self.args.iter().copied().map(str::to_owned).chain(plan).collect();
        args.join(" ")
    }

    /// Finds the bug, shrinks what found it, and returns the line of the table.
    fn found_and_shrunk(&self, harness: &Harness, attempts: &str, most_runs: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let seed = (1..=TRIES).find(|seed| self.run(harness, *seed, true, &store)["valid"] == false);
        let seed = seed.unwrap_or_else(|| panic!("{} was missed with {TRIES} seeds", self.mutant));
        let run = store.join("latest").canonicalize().unwrap();
        let shrunk = harness.call(&[
            "shrink",
            run.to_str().unwrap(),
            "--attempts",
            attempts,
            "--most-runs",
            most_runs,
            "--json",
        ]);
        let answer = json(&shrunk);
        assert_eq!(shrunk.status.code(), Some(1), "{answer}\n{}", text(&shrunk.stderr));
        assert!(answer["faults_after"].as_u64().unwrap() <= 3, "{answer}");
        assert!(answer["faults_after"].as_u64() <= answer["faults_before"].as_u64(), "{answer}");
        self.is_repeated(harness, &run.join("shrink"), answer["finding"].as_str().unwrap());
        format!(
            "| {} | `{}` | {seed} | {} | {} | {} |",
            self.mutant,
            self.words(),
            answer["finding"].as_str().unwrap(),
            answer["size_after"].as_str().unwrap(),
            rate(&answer["after"]),
        )
    }

    /// The script runs the small schedule, and shows the same.
    fn is_repeated(&self, harness: &Harness, shrunk: &Path, finding: &str) {
        let script = std::fs::read_to_string(shrunk.join("repro.sh")).unwrap();
        assert!(script.contains(finding) && script.contains(" of "), "{script}");
        let again = shrunk.join("again");
        for _ in 0..TRIES {
            let output = Command::new(shrunk.join("repro.sh"))
                .env("PLUMBLINE", &harness.program)
                .args(["--json", "--store", again.to_str().unwrap()])
                .output()
                .unwrap();
            let results = json(&output);
            let findings = results["findings"].as_array().unwrap();
            if findings.iter().any(|one| one["kind"] == finding && one["weight"] == "violation") {
                assert_eq!(output.status.code(), Some(1));
                return;
            }
        }
        panic!("{}: {} does not fail again", self.mutant, shrunk.display());
    }
}

/// The program that runs and judges.
struct Harness {
    program: PathBuf,
    options: &'static [&'static str],
}

impl Harness {
    /// As it is released: it cannot replay the traces of a core with a bug.
    fn released() -> Harness {
        Harness { program: PLUMBLINE.into(), options: &["--no-trace"] }
    }

    /// With the seeded bugs, so that it replays them, and holds what comes of it against the laws.
    fn with_mutants() -> Harness {
        Harness { program: harness_with_mutants().to_owned(), options: &[] }
    }

    fn call(&self, args: &[&str]) -> Output {
        Command::new(&self.program).args(args).stdin(Stdio::null()).output().unwrap()
    }
}

fn rate(rate: &Value) -> String {
    format!("{} of {}", rate["failed"], rate["runs"])
}

#[test]
fn a_failing_run_shrinks_to_a_script_that_fails_again() {
    let harness = Harness::released();
    println!("{}", READ_WITHOUT_QUORUM.found_and_shrunk(&harness, "3", "25"));
    let store = tempfile::tempdir().unwrap();
    let passed = READ_WITHOUT_QUORUM.run(&harness, 1, false, store.path());
    assert_eq!(passed["valid"], true, "without the bug the same must pass: {}", passed["findings"]);
    let run = store.path().join("latest");
    let nothing = plumbline(&["shrink", run.to_str().unwrap()]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("nothing to shrink"), "{}", text(&nothing.stderr));
}

#[test]
#[ignore = "takes an hour; see the top"]
fn every_seeded_bug_that_processes_show_is_found_and_shrunk_to_three_faults() {
    let harness = Harness::with_mutants();
    println!("| Seeded bug | Campaign | Found in | Violation | Shrunk to | Fails |");
    println!("|---|---|---|---|---|---|");
    let chosen = std::env::var("PLUMBLINE_CAMPAIGNS").unwrap_or_default();
    for campaign in CAMPAIGNS.iter().filter(|campaign| chosen.is_empty() || chosen.contains(campaign.mutant))
    {
        println!("{}", campaign.found_and_shrunk(&harness, "3", "30"));
        let store = tempfile::tempdir().unwrap();
        let passed = campaign.run(&harness, 1, false, store.path());
        assert_eq!(passed["valid"], true, "without {}: {}", campaign.mutant, passed["findings"]);
    }
}
