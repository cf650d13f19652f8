//! `plumbline bench checker --peer`: other checkers next to ours, on the same files, in turns.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use common::{PLUMBLINE, json, plumbline, text};

fn bench(more: &[&str]) -> std::process::Output {
    plumbline(&[&["bench", "checker", "--operations", "300", "--json"], more].concat())
}

#[test]
fn checkers_take_turns_on_the_same_files_and_what_they_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("turns");
    let turn =
        |name: &str, work: &str| format!("{name}=printf {name} >> '{}'; {work}; # {{}}", log.display());
    let (busy, large) = (
        turn("a", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"),
        turn("b", "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null"),
    );
    let same = format!("same='{PLUMBLINE}' check {{}} --model kv");
    let output = bench(&["--peer", &busy, "--peer", &large, "--peer", &same]);
    let said = json(&output);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(said["files"].as_array().unwrap().len(), 3);
    for file in said["files"].as_array().unwrap() {
        let checkers = file["checkers"].as_array().unwrap();
        let names: Vec<&str> = checkers.iter().map(|checker| checker["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["plumbline", "a", "b", "same"]);
        for checker in checkers {
            assert_eq!(checker["ended"], "linearizable (0)", "{checker:#}");
            assert_eq!(checker["rounds"].as_array().unwrap().len(), 3);
        }
        let cpu = |at: usize| checkers[at]["cpu_seconds"].as_f64().unwrap();
        let peak = |at: usize| checkers[at]["peak_bytes"].as_u64().unwrap();
        assert!(cpu(1) > 0.02, "two hundred thousand steps of a shell in {} s", cpu(1));
        assert!(peak(2) > 100 << 20 && peak(1) < 50 << 20, "{} and {} bytes", peak(2), peak(1));
    }
    // Ours stands first in the first round, last but two in the second, last but one in the third.
    assert_eq!(std::fs::read_to_string(log).unwrap(), "ababba".repeat(3));
    let table = plumbline(&["bench", "checker", "--operations", "300", "--rounds", "1", "--peer", &same]);
    let table = text(&table.stdout);
    assert!(table.starts_with("| file | verdict | plumbline: CPU ms | peak MiB | same: CPU ms |"), "{table}");
    assert!(table.contains("-seed1.jsonl | linearizable (0) | "), "{table}");
}

#[test]
fn who_takes_too_much_memory_or_time_is_ended_and_has_no_verdict() {
    let large = "large=exec dd if=/dev/zero of=/dev/null bs=400M count=1000; {}";
    let slow = "slow=exec tail -f {}";
    let limits = ["--rounds", "1", "--memory", "100", "--time-limit", "1s"];
    let output = bench(&[&["--peer", large, "--peer", slow], &limits[..]].concat());
    let said = json(&output);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let ended = |at: usize| said["files"][0]["checkers"][at]["ended"].as_str().unwrap();
    assert_eq!([ended(0), ended(1), ended(2)], ["linearizable (0)", "out of memory", "out of time"]);
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let fickle = format!("fickle=[ -f '{0}' ] && exit 1; : > '{0}'; # {{}}", mark.display());
    for (peer, more, said) in [
        ("absent=no-such-checker {}", &[][..], "no-such-checker"),
        ("wrong=exit 1; {}", &[], "the checkers disagree"),
        (&fickle, &[], "linearizable (0) first, then not (1)"),
        ("true=true {}", &["--file", "no-such-file"], "no-such-file"),
        ("true=true", &[], "{}"),
    ] {
        let output = bench(&[&["--peer", peer], more].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{peer}: {error}");
        assert!(error.contains(said), "{peer}: {error}");
    }
}
