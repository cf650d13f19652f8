//! Wrong usage is said precisely, with exit code 2; what the environment refuses, with exit code 1.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::process::{Command, Output};

/// Right in form, but no server can start from them: nothing that is under test here may go on running.
const FLAGS: [&str; 8] = [
    "--id",
    "1",
    "--data-dir",
    "/dev/null/data",
    "--peer-listen",
    "127.0.0.1:1",
    "--client-listen",
    "127.0.0.1:0",
];

fn server(arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } =
        Command::new(env!("CARGO_BIN_EXE_kv-server")).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_flags_are_named() {
    for (more, expected) in [
        (&["--peer", "1=127.0.0.1:9"][..], "server 1 is this server itself"),
        (&["--peer", "2=127.0.0.1:9", "--peer", "2=127.0.0.1:8"], "server 2 is among the peers twice"),
        (&["--peer", "two=127.0.0.1:9"], "\"two\" is not a server's number"),
        (&["--peer", "2=nowhere"], "\"nowhere\" is not an IP address and port"),
        (&["--heartbeat-interval", "1s"], "heartbeat interval 1s and election timeout 300ms"),
        (&["--election-timeout", "3 fortnights"], "is not a time such as 300ms"),
        (&["--config", "/nonexistent/file.toml"], "cannot read /nonexistent/file.toml"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let (code, message) = server(&[&FLAGS, more].concat());
        assert_eq!(code, 2, "{more:?}: {message}");
        assert!(message.contains(expected), "{more:?}: {message}");
    }
    let (code, message) = server(&["--id", "1"]);
    assert!(code == 2 && message.contains("`data-dir` is missing"), "{message}");
}

#[test]
fn a_release_has_no_flag_for_seeded_bugs() {
    let (code, message) = server(&[&FLAGS[..], &["--mutant", "forget-vote"]].concat());
    if cfg!(feature = "mutants") {
        assert_ne!(code, 2, "{message}");
    } else {
        assert_eq!(code, 2, "{message}");
        assert!(message.contains("--mutant"), "{message}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_of_the_environment() {
    let (code, message) = server(&FLAGS);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("/dev/null/data"), "{message}");
}
