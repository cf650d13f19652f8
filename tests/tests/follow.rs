//! `plumbline check --follow`: a history is judged while it is being written, and the first violation ends it.
//!
//! No test waits for a time to pass: the writer never ends a history whose violation must be seen, so that a follower who
//! waited for its end would hang.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use checker::generate::{Dice, Plan, Workload, generate};
use checker::{Event, Format, Keys, Kind, Value, Writer};
use common::{json, plumbline, text};

fn start(file: &str, model: &str, more: &[&str]) -> Child {
    Command::new(common::PLUMBLINE)
        .args(["check", "--follow", file, "--model", model, "--json"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The verdict of a follower whose standard input stays open: it must end by itself.
fn stopped(mut child: Child) -> (Output, Option<ChildStdin>) {
    let open = child.stdin.take();
    (child.wait_with_output().unwrap(), open)
}

fn lines(events: &[Event], format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).keys(Keys::Tuple);
    events.iter().for_each(|event| writer.write(event).unwrap());
    writer.into_inner()
}

fn good(workload: Workload) -> Vec<Event> {
    generate(&Plan { operations: 300, clients: 4, keys: 2, unknown: 20, ..Plan::new(workload, 3) }).events
}

/// A read by somebody new of a value that nobody wrote.
fn phantom(keyed: bool) -> [Event; 2] {
    [(Kind::Invoke, Value::Nil), (Kind::Ok, Value::Int(-1))].map(|(kind, value)| {
        let event = Event::new(1 << 20, kind, "read", value);
        if keyed { event.on_key(Value::string("k0")) } else { event }
    })
}

#[test]
fn a_violation_ends_it_while_the_history_goes_on() {
    for (workload, model, format) in [
        (Workload::Register, "register", Format::JsonLines),
        (Workload::CasRegister, "cas-register", Format::LogLines),
        (Workload::KeyValue, "kv", Format::Edn),
    ] {
        let mut child = start("/dev/stdin", model, &[]);
        let mut events = good(workload);
        let good_lines = events.len();
        events.extend(phantom(model == "kv"));
        child.stdin.as_mut().unwrap().write_all(&lines(&events, format)).unwrap();
        let (output, _open) = stopped(child);
        let said = json(&output);
        assert_eq!((output.status.code(), &said["valid"]), (Some(1), &false.into()), "{said:#}");
        assert_eq!(said["followed"]["end"], "violation");
        assert_eq!(said["explanation"]["op"]["completed_line"], good_lines + 2, "{said:#}");
    }
}

#[test]
fn a_good_history_passes_when_its_pipe_ends() {
    let mut child = start("/dev/stdin", "kv", &[]);
    let events = good(Workload::KeyValue);
    let mut input = child.stdin.take().unwrap();
    for half in lines(&events, Format::Edn).chunks(4096) {
        input.write_all(half).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = json(&output);
    assert_eq!((output.status.code(), &said["valid"]), (Some(0), &true.into()), "{said:#}");
    assert_eq!(
        (&said["followed"]["end"], &said["followed"]["line"]),
        (&"history".into(), &events.len().into())
    );
}

#[test]
fn a_file_is_followed_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let text = lines(&good(Workload::Register), Format::JsonLines);
    // Even in the middle of a line.
    let (first, rest) = text.split_at(text.len() / 2);
    std::fs::write(&path, first).unwrap();
    let child = start(path.to_str().unwrap(), "register", &[]);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(rest).unwrap();
    let mut after = lines(&phantom(false), Format::JsonLines);
    after = String::from_utf8(after).unwrap().replace("\"index\":", "\"number\":").into_bytes();
    let (most, end) = after.split_at(after.len() - 9);
    file.write_all(most).unwrap();
    file.write_all(end).unwrap();
    let (output, _open) = stopped(child);
    let said = json(&output);
    assert_eq!((output.status.code(), &said["followed"]["end"]), (Some(1), &"violation".into()), "{said:#}");
}

#[test]
fn a_signal_ends_it_with_the_verdict_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, lines(&good(Workload::Register), Format::JsonLines)).unwrap();
    let page = folder.path().join("page.html");
    let child = start(path.to_str().unwrap(), "register", &["--html", page.to_str().unwrap()]);
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    wait_until_it_reads(&path, child.id());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let (output, _open) = stopped(child);
    let said = json(&output);
    assert_eq!((output.status.code(), &said["followed"]["end"]), (Some(0), &"told".into()), "{said:#}");
    assert!(std::fs::read_to_string(page).unwrap().contains("linearizable"));
}

/// Until the process has that file open: it waits for signals before that.
fn wait_until_it_reads(path: &Path, process: u32) {
    let path = path.canonicalize().unwrap();
    let open = || {
        let files = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file == path)
    };
    while !open() {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_does_not_grow_any_more_is_complete_if_so_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, lines(&good(Workload::Register), Format::JsonLines)).unwrap();
    let path = path.to_str().unwrap();
    let output = plumbline(&["check", "--follow", path, "--model", "register", "--until-idle", "100ms"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("the history has ended"), "{said}");
}

/// What was read before is not there any more, and what is there now may be anything.
#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, lines(&good(Workload::Register), Format::JsonLines)).unwrap();
    let child = start(path.to_str().unwrap(), "register", &[]);
    wait_until_it_reads(&path, child.id());
    // Until all has been read: only then is there something to miss.
    let position = || {
        let folder = format!("/proc/{}/fd", child.id());
        let ours = |file: &std::fs::DirEntry| std::fs::read_link(file.path()).is_ok_and(|to| to == path);
        let file = std::fs::read_dir(folder).unwrap().flatten().find(ours)?;
        let info =
            std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", child.id(), file.file_name().to_str()?));
        info.ok()?.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse::<u64>().ok())
    };
    let length = std::fs::metadata(&path).unwrap().len();
    while position() != Some(length) {
        std::thread::yield_now();
    }
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let (output, _open) = stopped(child);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("became shorter"), "{}", text(&output.stderr));
}

/// Many keys, a piece of any length at a time: half lines, half letters.
#[test]
fn a_violation_of_one_key_among_many_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.edn");
    let plan = Plan { operations: 2_000, clients: 8, keys: 20, ..Plan::new(Workload::KeyValue, 9) };
    let mut events = generate(&plan).events;
    let (middle, key) = (events.len() / 2, Value::string("k7"));
    let read = [(Kind::Invoke, Value::Nil), (Kind::Ok, Value::string("ähem"))];
    let read = read.map(|(kind, value)| Event::new(1 << 20, kind, "read", value).on_key(key.clone()));
    events.splice(middle..middle, read);
    events.iter_mut().for_each(|event| event.time = None);
    std::fs::write(&path, "").unwrap();
    let child = start(path.to_str().unwrap(), "kv", &[]);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    let (mut dice, text) = (Dice::new(3), lines(&events, Format::Edn));
    let mut rest = &text[..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + dice.index(700)).min(rest.len()));
        file.write_all(piece).unwrap();
        rest = after;
    }
    let (output, _open) = stopped(child);
    let said = json(&output);
    assert_eq!((output.status.code(), &said["followed"]["end"]), (Some(1), &"violation".into()), "{said:#}");
    assert_eq!(said["explanation"]["op"]["completed_line"], middle + 2, "{said:#}");
    assert_eq!(said["explanation"]["key"], "\"k7\"", "{said:#}");
}

#[test]
fn faults_of_the_file_and_of_the_command_line_are_errors() {
    let mut child = start("/dev/stdin", "register", &[]);
    let broken = [&lines(&good(Workload::Register), Format::JsonLines)[..], b"{\"process\":\n"].concat();
    child.stdin.as_mut().unwrap().write_all(&broken).unwrap();
    let (output, _open) = stopped(child);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected"), "{}", text(&output.stderr));

    // What is wrong before the fault is still wrong.
    let mut child = start("/dev/stdin", "register", &[]);
    let wrong = [&lines(&phantom(false), Format::JsonLines)[..], b"{\"process\":\n"].concat();
    child.stdin.as_mut().unwrap().write_all(&wrong).unwrap();
    assert_eq!(stopped(child).0.status.code(), Some(1));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, lines(&good(Workload::Register), Format::JsonLines)).unwrap();
    let file = path.to_str().unwrap();
    for wrong in [
        vec!["check", "--follow", file, file],
        vec!["check", "--follow", "no-such-file"],
        vec!["check", file, "--until-idle", "1s"],
        vec!["check", "--follow", file, "--second-opinion", "knossos"],
    ] {
        assert_eq!(plumbline(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}
