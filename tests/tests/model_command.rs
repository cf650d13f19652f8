//! `plumbline model` on the command line: what was not exhausted is no pass, and the explorer is for this machine only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{PLUMBLINE, json, plumbline, text};

#[test]
fn a_search_that_is_cut_short_is_unknown_and_one_to_the_end_passes() {
    let whole = plumbline(&["model", "check", "base-t2", "--json"]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    for cut in [["--states", "100"], ["--memory", "1"]] {
        let output = plumbline(&[&["model", "check", "base-t2", "--json"], &cut[..]].concat());
        assert_eq!(output.status.code(), Some(3), "{cut:?}: {}", text(&output.stderr));
        assert_ne!(json(&output)["valid"], true, "{cut:?}");
    }
}

#[test]
fn the_explorer_is_for_loopback_and_says_nothing_before_it_listens() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    for (address, why) in [("192.0.2.1:80", "not a loopback address"), (taken.as_str(), "cannot listen on")] {
        let output = plumbline(&["model", "explore", "base-t2", "--address", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        let said = text(&output.stderr);
        assert!(said.contains(why) && !said.contains("http://"), "{said}");
    }
}

#[test]
fn the_explorer_serves_the_world_at_the_address_it_names() {
    let mut command = Command::new(PLUMBLINE);
    command.args(["model", "explore", "base-t2", "--address", "127.0.0.1:0"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        if let Ok(mut stream) = TcpStream::connect(&address) {
            stream.write_all(b"GET /.states/ HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            break answer;
        }
        assert!(Instant::now() < deadline, "nobody listens at {address}");
        std::thread::yield_now();
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{answer}");
    assert!(answer.contains("follower"), "the servers can be read: {answer}");
}
