//! What a person and a program learn from `plumbline doctor`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::process::{Command, Stdio};

use common::{PLUMBLINE, json, plumbline, text};
use plumbline::schedule::Kind;

fn state<'a>(report: &'a serde_json::Value, list: &str, name: &str) -> &'a serde_json::Value {
    let list = report[list].as_array().unwrap();
    list.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:#?}"))
}

#[test]
fn every_fault_is_looked_at_and_what_works_everywhere_works() {
    let output = plumbline(&["doctor", "--json", "--require", "kill,pause,ports,signals"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    for kind in Kind::ALL {
        assert!(!state(&report, "faults", kind.name())["about"].as_str().unwrap().is_empty());
    }
    assert_eq!(state(&report, "faults", "kill")["state"], "usable");
    let people = text(&plumbline(&["doctor"]).stdout);
    assert!(people.contains("usable   kill") && people.contains("clock-shim"), "{people}");
}

#[test]
fn what_nobody_knows_cannot_be_required() {
    let output = plumbline(&["doctor", "--require", "fire"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing is called \"fire\""), "{}", text(&output.stderr));
}

#[test]
fn what_is_missing_is_said_with_the_reason_and_fails_only_if_it_is_required() {
    // A machine without FUSE: another device in its place, in a namespace of our own.
    let script = "mount --bind /dev/null /dev/fuse && exec \"$0\" doctor \"$@\"";
    let on_a_poor_machine = |args: &[&str]| {
        let mut shell = Command::new("unshare");
        shell.arg(if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" });
        shell.args(["sh", "-c", script, PLUMBLINE]).args(args).stdin(Stdio::null()).output().unwrap()
    };
    let output = on_a_poor_machine(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    for (list, name) in [("mechanisms", "fault-disk"), ("faults", "power"), ("faults", "disk-slow")] {
        assert_eq!(state(&report, list, name)["state"], "missing", "{name}");
        assert!(!state(&report, list, name)["why"].as_str().unwrap().is_empty());
    }
    assert_eq!(state(&report, "faults", "kill")["state"], "usable");
    for required in ["fault-disk", "power", "all"] {
        let output = on_a_poor_machine(&["--require", required]);
        assert_eq!(output.status.code(), Some(2), "{required}");
        assert!(text(&output.stderr).contains("is required and missing"), "{}", text(&output.stderr));
    }
}
