//! `plumbline check --second-opinion`: agreement, disagreement, absence; and the real Knossos where one is at hand.
//!
//! The last needs `KNOSSOS_CLASSPATH` (and a JVM); elsewhere it says that it skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use checker::generate::{Plan, Workload, generate};
use checker::{Event, Format, Writer};
use common::{json, text};

/// A world in which only the given programs are to be found, beside what a shell needs.
struct World {
    folder: tempfile::TempDir,
    classpath: Option<&'static str>,
}

impl World {
    fn new(classpath: Option<&'static str>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), classpath }
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn history(&self, name: &str, events: &[Event]) -> PathBuf {
        let path = self.folder.path().join(name);
        let format = if name.ends_with("edn") { Format::Edn } else { Format::JsonLines };
        let mut writer = Writer::new(fs::File::create(&path).unwrap(), format);
        events.iter().for_each(|event| writer.write(event).unwrap());
        path
    }

    fn check(&self, history: &Path, model: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumbline"));
        command.env_remove("KNOSSOS_CLASSPATH").env("PATH", self.folder.path());
        if let Some(classpath) = self.classpath {
            command.env("KNOSSOS_CLASSPATH", classpath);
        }
        command.args(["check", history.to_str().unwrap(), "--model", model]).args(more).output().unwrap()
    }
}

fn events(workload: Workload, stale: bool) -> Vec<Event> {
    let generated = generate(&Plan { operations: 60, clients: 3, keys: 2, ..Plan::new(workload, 7) });
    if stale { generated.with_stale_read(3).unwrap() } else { generated.events }
}

const KNOSSOS: [&str; 2] = ["--second-opinion", "knossos"];

/// A stand-in for the JVM: answers the same about every history that it is given.
fn answers(answer: &str) -> String {
    format!(
        "shift 7; while [ $# -gt 0 ]; do [ -s \"$1\" ] || exit 9; echo 'some logging'; echo 'second-opinion {answer}'; shift; done"
    )
}

#[test]
fn without_knossos_the_error_says_how_to_get_it() {
    let world = World::new(None);
    let history = world.history("h.edn", &events(Workload::Register, false));
    let output = world.check(&history, "register", &KNOSSOS);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    for word in ["KNOSSOS_CLASSPATH", "clojure", "lein"] {
        assert!(text(&output.stderr).contains(word), "{word}: {}", text(&output.stderr));
    }
    // A JVM that cannot start it is absence as well.
    let world = World::new(Some("nowhere"));
    world.program("java", "echo 'Could not find or load main class clojure.main' >&2; exit 1");
    let output = world.check(&history, "register", &KNOSSOS);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("could not find or load") || said.contains("Could not find or load"), "{said}");
}

#[test]
fn agreement_is_told_and_disagreement_is_an_error_with_both_explanations() {
    let world = World::new(Some("somewhere"));
    let (good, bad) = (events(Workload::KeyValue, false), events(Workload::KeyValue, true));
    let (good, bad) = (world.history("good.jsonl", &good), world.history("bad.jsonl", &bad));
    world.program("java", &answers("{:valid? true, :op nil}"));
    let output = world.check(&good, "kv", &KNOSSOS);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("knossos agrees (linearizable"), "{}", text(&output.stdout));
    let output = world.check(&good, "kv", &[&KNOSSOS[..], &["--json"]].concat());
    assert_eq!(json(&output)["second_opinion"]["valid"], true);

    let output = world.check(&bad, "kv", &KNOSSOS);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in
        ["two checkers disagree", "cannot be linearized", "operations conflict", "knossos: linearizable"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    world.program("java", &answers("{:valid? false, :op {:process 1, :f :read, :value 9}}"));
    assert_eq!(world.check(&bad, "kv", &KNOSSOS).status.code(), Some(1));
    let output = world.check(&good, "kv", &KNOSSOS);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["the validator has replayed it", "knossos: not linearizable", ":value 9"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_checker_that_does_not_know_contradicts_nobody() {
    let world = World::new(Some("somewhere"));
    let good = world.history("good.edn", &events(Workload::CasRegister, false));
    world.program("java", &answers("{:valid? :unknown, :cause :timeout}"));
    let output = world.check(&good, "cas-register", &KNOSSOS);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("knossos does not know (unknown") && said.contains(":timeout"), "{said}");
}

#[test]
fn answers_that_are_none_are_errors() {
    let world = World::new(Some("somewhere"));
    let good = world.history("good.edn", &events(Workload::CasRegister, false));
    for script in
        ["exit 0", &answers("{:op nil}"), &answers("{:valid?"), "echo 'Exception: boom' >&2; exit 255"]
    {
        world.program("java", script);
        let output = world.check(&good, "cas-register", &KNOSSOS);
        assert_eq!(output.status.code(), Some(2), "{script}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains("Knossos"), "{script}: {}", text(&output.stderr));
    }
}

#[test]
fn without_a_classpath_the_tools_that_can_fetch_are_tried() {
    let world = World::new(None);
    let good = world.history("good.edn", &events(Workload::CasRegister, false));
    // Some systems' `clojure` knows no options: it is passed over.
    world.program("clojure", "exit 1");
    world.program(
        "lein",
        "[ \"$1\" = version ] && exit 0; [ -f project.clj ] && [ \"$1 $2 $3\" = 'run -m clojure.main' ] || exit 8; \
         echo 'second-opinion {:valid? true}'",
    );
    assert_eq!(world.check(&good, "cas-register", &KNOSSOS).status.code(), Some(0));
    world.program(
        "clojure",
        "[ \"$1\" = -Sdescribe ] && { echo '{:version \"1\"}'; exit 0; }; [ \"$1\" = -Sdeps ] && [ \"$3\" = -M ] || exit 8; \
         echo 'second-opinion {:valid? false}'",
    );
    let output = world.check(&good, "cas-register", &KNOSSOS);
    assert_eq!(output.status.code(), Some(2), "the tools come before lein: {}", text(&output.stdout));
}

#[test]
fn what_knossos_cannot_be_asked_is_said() {
    let world = World::new(Some("somewhere"));
    world.program("java", "exit 7");
    let cas = world.history("cas.edn", &events(Workload::CasRegister, false));
    let output = world.check(&cas, "cas-register", &[&KNOSSOS[..], &["--failed-cas", "observe"]].concat());
    assert!(text(&output.stderr).contains("--failed-cas drop"), "{}", text(&output.stderr));
    let append = world.history("append.edn", &events(Workload::Append, false));
    let output = world.check(&append, "kv", &KNOSSOS);
    assert!(text(&output.stderr).contains("appends"), "{}", text(&output.stderr));
}

#[test]
fn a_command_of_ones_own_answers_by_its_exit_code() {
    let world = World::new(None);
    let good = world.history("it's good.jsonl", &events(Workload::KeyValue, false));
    for name in ["sh", "sleep"] {
        std::os::unix::fs::symlink(format!("/bin/{name}"), world.folder.path().join(name)).unwrap();
    }
    let ask = |command: &str| world.check(&good, "kv", &["--time-limit", "2s", "--second-opinion", command]);
    let agrees = ask("porcupine=[ -f {} ] && echo fine");
    assert_eq!(agrees.status.code(), Some(0), "{}", text(&agrees.stderr));
    assert!(text(&agrees.stdout).contains("porcupine agrees") && text(&agrees.stdout).contains(": fine"));
    let disagrees = ask("porcupine=echo no: {}; exit 1");
    assert_eq!(disagrees.status.code(), Some(2));
    assert!(text(&disagrees.stderr).contains("two checkers disagree"), "{}", text(&disagrees.stderr));
    for unknown in ["porcupine=exit 3; {}", "porcupine=sleep 1000; {}"] {
        let output = ask(unknown);
        assert_eq!(output.status.code(), Some(0), "{unknown}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("porcupine does not know"), "{}", text(&output.stdout));
    }
    let broken = ask("porcupine=echo cannot >&2; exit 5; {}");
    assert_eq!(broken.status.code(), Some(2));
    assert!(text(&broken.stderr).contains("exit code 5") && text(&broken.stderr).contains("cannot"));
    for wrong in ["porcupine", "porcupine=true", "=true {}"] {
        assert_eq!(ask(wrong).status.code(), Some(2), "{wrong}");
    }
}

/// Knossos itself, on histories with known verdicts of everything that it has a model for.
#[test]
fn the_real_knossos_agrees() {
    if std::env::var_os("KNOSSOS_CLASSPATH").is_none() {
        println!("skipped: no Knossos at hand (set KNOSSOS_CLASSPATH)");
        return;
    }
    let world = World::new(None);
    let check = |history: &Path, model: &str, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_plumbline"))
            .args(["check", history.to_str().unwrap(), "--model", model, "--json", "--explain", "0s"])
            .args(KNOSSOS)
            .args(more)
            .output()
            .unwrap();
        let said = json(&output);
        println!("{}: {} by {}", history.display(), said["valid"], said["second_opinion"]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{said:#} {}", text(&output.stderr));
        assert_eq!(said["second_opinion"]["valid"], said["valid"], "{said:#}");
        said["valid"].as_bool().unwrap()
    };
    for (workload, model, name) in [
        (Workload::Register, "register", "register.edn"),
        (Workload::CasRegister, "cas-register", "cas-register.jsonl"),
        (Workload::KeyValue, "kv", "kv.edn"),
        (Workload::MultiRegister, "multi-register", "multi-register.edn"),
        (Workload::Mutex, "mutex", "mutex.edn"),
    ] {
        // Knossos takes a read of nothing for granted, in transactions always.
        let more: &[&str] = if workload == Workload::MultiRegister { &["--nil-reads", "any"] } else { &[] };
        assert!(check(&world.history(name, &events(workload, false)), model, more), "{name}");
        if !matches!(workload, Workload::MultiRegister | Workload::Mutex) {
            assert!(!check(&world.history(name, &events(workload, true)), model, more), "{name}, stale");
        }
    }
    let Some(corpora) = std::env::var_os("PLUMBLINE_CORPORA").map(PathBuf::from) else { return };
    for (file, model, more) in [
        ("knossos/cas-register/bad/cas-failure.edn", "cas-register", &["--initial", "0"][..]),
        ("knossos/cas-register/good/cas-register-bug.edn", "cas-register", &["--initial", "0"]),
        ("knossos/mutex/bad/etcd.edn", "mutex", &[]),
        ("knossos/multi-register/good/multi-register.edn", "multi-register", &[]),
        ("porcupine/jepsen/etcd_001.log", "cas-register", &["--failed-cas", "drop"]),
        ("synthetic/kv-c10-n10k-k10-bad.jsonl", "kv", &[]),
    ] {
        check(&corpora.join(file), model, more);
    }
}
