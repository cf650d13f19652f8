//! `--memory` means it: whatever the file and the question, what the process takes stays within the limit and a little, and the answer
//! is then unknown. Linux says how much that was.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;

use checker::generate::{Plan, Workload, generate};
use checker::{Event, Format, Kind, Value, Writer};
use common::{json, plumbline};
use nix::sys::resource::{UsageWho, getrusage};

/// What the program takes beside: its code, buffers, the stacks of its threads, what the allocator holds back.
const BESIDE: u64 = 24 << 20;

/// Names the one command that this process is for: the limit, then the arguments.
const CASE: &str = "PLUMBLINE_MEMORY_CASE";

/// Runs a check in a process whose only child it is, so that the most memory of its children is that of this one. Says the
/// exit code, and what it printed.
fn measured(limit: u64, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "what_a_check_takes", "--nocapture"]);
    let output = command.env(CASE, format!("{limit}\n{}", args.join("\n"))).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let line = told.lines().find(|line| line.contains("MiB")).unwrap().to_owned();
    println!("{line}");
    let code = told.lines().find_map(|line| line.strip_prefix("code ")).unwrap().parse().ok();
    (code, told)
}

/// Not a test by itself: the child of those below.
#[test]
fn what_a_check_takes() {
    let Ok(case) = std::env::var(CASE) else { return };
    let (limit, args) = case.split_once('\n').unwrap();
    let (limit, args): (u64, Vec<&str>) = (limit.parse().unwrap(), args.lines().collect());
    let memory = limit.to_string();
    let output = plumbline(&[&["check", "--json", "--memory", &memory], &args[..]].concat());
    let said = json(&output);
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    let taken = u64::try_from(kibibytes).unwrap() << 10;
    println!("\n{} MiB of {} MiB: {} {}", taken >> 20, limit >> 20, said["valid"], said["cause"]);
    println!("code {}", output.status.code().unwrap());
    assert!(taken <= limit + limit / 8 + BESIDE, "{taken} bytes of {limit}: {args:?}");
}

fn write(path: &Path, events: &[Event], format: Format) {
    let mut writer = Writer::new(BufWriter::new(File::create(path).unwrap()), format);
    events.iter().for_each(|event| writer.write(event).unwrap());
    writer.flush().unwrap();
}

fn long(operations: usize, keys: usize) -> Vec<Event> {
    generate(&Plan { operations, clients: 20, keys, unknown: 2, ..Plan::new(Workload::KeyValue, 5) }).events
}

#[test]
fn a_file_that_does_not_fit_is_unknown_and_says_how_far_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in [(Format::JsonLines, "h.jsonl"), (Format::Edn, "h.edn")] {
        let path = folder.path().join(name);
        write(&path, &long(400_000, 20), format);
        let (code, told) = measured(8 << 20, &[path.to_str().unwrap(), "--model", "kv"]);
        assert_eq!(code, Some(3), "{told}");
        assert!(told.contains("out of memory") && told.contains(name), "{told}");
    }
}

/// One event larger than the limit: in the middle of it the reader must stop.
#[test]
fn one_value_that_does_not_fit_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let many = "[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1] ".repeat(1 << 19);
    let deep = format!("[{}]", format!("[{}] ", "1 ".repeat(1 << 19)).repeat(12));
    let text = format!("\"{}\"", "x".repeat(15 << 20));
    let json = format!("[{}1]", "[1,1,1,1,1,1,1],".repeat(1 << 19));
    let edn = |value: &str| format!("{{:process 0, :type :invoke, :f :write, :value {value}}}\n");
    let cases = [
        ("many.edn", edn(&format!("[{many}]"))),
        ("deep.edn", edn(&deep)),
        ("text.edn", edn(&text)),
        ("text.log", format!("0\t:invoke\t:write\t{text}\n")),
        ("many.jsonl", format!("{{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":{json}}}\n")),
    ];
    for (name, content) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let (code, told) = measured(16 << 20, &[path.to_str().unwrap(), "--model", "register"]);
        assert_eq!(code, Some(3), "{name}: {told}");
        assert!(told.contains("out of memory") && told.contains(name), "{told}");
    }
}

/// Limits at which the history fits, or nearly: what comes after the reading must keep to them as well.
#[test]
fn deciding_and_explaining_keep_to_the_limit_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.jsonl");
    for stale in [false, true] {
        let mut events = long(200_000, 1);
        if stale {
            for (kind, value) in [(Kind::Invoke, Value::Nil), (Kind::Ok, Value::Int(1))] {
                let key = events[0].key.clone().unwrap();
                let time = events.last().and_then(|event| event.time).unwrap();
                events.push(Event::new(1 << 20, kind, "get", value).on_key(key).at_time(time));
            }
        }
        write(&path, &events, Format::JsonLines);
        for limit in [64_u64 << 20, 96 << 20, 128 << 20, 192 << 20] {
            for algorithm in ["auto", "wgl", "linear", "competition"] {
                let file = path.to_str().unwrap();
                let (code, _) = measured(limit, &[file, "--model", "kv", "--algorithm", algorithm]);
                assert!(code == Some(3) || code == Some(i32::from(stale)), "{algorithm}: {code:?}");
            }
        }
    }
}
