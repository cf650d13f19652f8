//! `plumbline check` on histories that a person edits by hand: what must be refused, with its place, and what must pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fmt::Write as _;
use std::path::PathBuf;

use common::{json, plumbline, text};

/// A history file of one key; each event is process, type, f and value.
fn history(folder: &tempfile::TempDir, events: &[(u64, &str, &str, &str)]) -> PathBuf {
    let mut lines = String::new();
    for (index, (process, kind, f, value)) in events.iter().enumerate() {
        let time = index * 1_000;
        writeln!(
            lines,
            r#"{{"index":{index},"time":{time},"process":{process},"type":"{kind}","f":"{f}","key":"k0","value":{value}}}"#
        )
        .unwrap();
    }
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

fn check(path: &std::path::Path, more: &[&str]) -> std::process::Output {
    plumbline(&[&["check", path.to_str().unwrap(), "--model", "kv"], more].concat())
}

const TWO_WRITES: [(u64, &str, &str, &str); 4] = [
    (0, "invoke", "write", "1"),
    (0, "ok", "write", "1"),
    (0, "invoke", "write", "2"),
    (0, "ok", "write", "2"),
];

#[test]
fn a_history_edited_into_a_stale_read_is_refused_with_the_operations_that_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = [&TWO_WRITES[..], &[(1, "invoke", "read", "null"), (1, "ok", "read", "2")]].concat();
    assert_eq!(check(&history(&folder, &fresh), &[]).status.code(), Some(0));
    let stale = [&TWO_WRITES[..], &[(1, "invoke", "read", "null"), (1, "ok", "read", "1")]].concat();
    let path = history(&folder, &stale);
    let refused = check(&path, &[]);
    let said = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for word in ["k0", "read", "write"] {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
    let refused = check(&path, &["--json"]);
    assert_eq!((refused.status.code(), &json(&refused)["valid"]), (Some(1), &false.into()));
}

#[test]
fn a_put_that_timed_out_may_land_much_later() {
    let folder = tempfile::tempdir().unwrap();
    let reads = |seen: &'static str| [(1, "invoke", "read", "null"), (1, "ok", "read", seen)];
    let mut events = TWO_WRITES.to_vec();
    events.extend([(2, "invoke", "write", "3"), (2, "info", "write", "3")]);
    for seen in ["2", "2", "2", "3", "3"] {
        events.extend(reads(seen));
    }
    assert_eq!(check(&history(&folder, &events), &[]).status.code(), Some(0), "it landed late");
    let never = &events[..TWO_WRITES.len() + 2 + 3 * 2];
    assert_eq!(check(&history(&folder, never), &[]).status.code(), Some(0), "it never landed");
    let mut failed = events.clone();
    failed[TWO_WRITES.len() + 1].1 = "fail";
    assert_eq!(check(&history(&folder, &failed), &[]).status.code(), Some(1), "what failed must not be seen");
    events.extend(reads("2"));
    assert_eq!(check(&history(&folder, &events), &[]).status.code(), Some(1), "it cannot come and go");
}

#[test]
fn a_truncated_or_malformed_history_is_an_error_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = history(&folder, &TWO_WRITES);
    let whole = std::fs::read_to_string(&path).unwrap();
    let third = whole.lines().take(2).map(|line| line.len() + 1).sum::<usize>();
    for (edited, place) in [
        (whole[..third + 30].to_owned(), "3"),
        (whole.replacen("\"ok\"", "\"okay\"", 1), "2"),
        (whole.replacen("\"process\":0", "\"process\":}", 1), "1"),
        (format!("{whole}garbage\n"), "5"),
    ] {
        std::fs::write(&path, &edited).unwrap();
        let refused = check(&path, &[]);
        let error = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{edited}\n{error}");
        let named =
            error.contains(&format!("history.jsonl:{place}:")) || error.contains(&format!("line {place}"));
        assert!(named && error.contains("expected"), "line {place} and what was expected: {error}");
    }
    let missing = check(&folder.path().join("no-such-file"), &[]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_history_without_operations_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    assert_ne!(check(&history(&folder, &[]), &[]).status.code(), Some(0));
}
