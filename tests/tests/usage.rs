//! The command line: what is out of range is refused with the range, and every command explains itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

use std::process::{Command, Output};

fn plumbline(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plumbline")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_flag_out_of_range_is_a_usage_error_that_names_the_range() {
    for (args, said) in [
        (["soak", "--hours", "0"], "above 0"),
        (["scenario", "seed-3", "--json"], "seed-1, seed-2"),
        (["serve", "--port", "65536"], "65535"),
        (["sweep", "colour", "--json"], "election-timeout"),
        (["run", "--nodes", "0"], "1..=9"),
        (["run", "--nodes", "10"], "1..=9"),
        (["run", "--concurrency", "0"], "1..=1000"),
        (["run", "--time-limit", "0s"], "1s..=24h"),
        (["run", "--time-limit", "soon"], "60s"),
        (["run", "--rate", "0"], "1..=100000"),
        (["run", "--test-count", "0"], "1..=10000"),
        (["run", "--nemesis", "quake"], "expected kill, pause"),
        (["run", "--name", "../x"], "letters"),
        (["run", "--seed=-1", "--json"], "--seed"),
    ] {
        let output = plumbline(&args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?} should say {said:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["run"][..],
        &["soak"],
        &["scenario"],
        &["sweep"],
        &["serve"],
        &["compare"],
        &["report"],
        &["check"],
        &["model"],
        &["bench"],
        &["bench", "server"],
        &["bench", "checker"],
        &[],
    ] {
        let output = plumbline(&[command, &["--help"]].concat());
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(help.contains("Example"), "{command:?} has no example:\n{help}");
        let shown = help.lines().any(|line| line.trim_start().starts_with("plumbline "));
        assert!(shown, "{command:?} shows no command line:\n{help}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_environment_error() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().to_str().unwrap();
    let output = plumbline(&["run", "--server", "no/such/server", "--store", folder]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no/such/server"));
    assert_eq!(
        std::fs::read_dir(store.path()).unwrap().count(),
        0,
        "nothing is left of a run that never was"
    );
}

#[test]
fn a_server_that_dies_at_once_is_an_environment_error_with_the_end_of_its_log() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().to_str().unwrap();
    let output =
        plumbline(&["run", "--nodes", "3", "--server", "/bin/false", "--store", folder, "--seed", "1"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("ended before the run began"), "{error}");
}
