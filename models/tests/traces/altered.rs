//! Traces that somebody has altered, checksums and all: each is found out, at its place.

use std::io::Cursor;

use bytes::Bytes;
use models::{TraceError, Validated, Verdict, validate};
use raft_core::{Body, Entries, Entry, Input, Message, MutantSwitch, Payload};
use trace::{Item, Reader, Scribe, Step};

use crate::cluster::{Cluster, judged, write};

pub(crate) type Items = Vec<Item<Bytes>>;

/// What a correct cluster recorded.
fn recorded() -> Vec<Vec<u8>> {
    Cluster::new(3, MutantSwitch::default()).live(4_000)
}

/// The items of a trace; the number of each record is in `records`.
pub(crate) fn items(trace: &[u8]) -> (Items, Vec<u64>) {
    let mut reader = Reader::<_, Bytes>::new(Cursor::new(trace));
    let mut items = (Vec::new(), Vec::new());
    while let Some(located) = reader.read().unwrap() {
        items.0.push(located.item);
        items.1.push(located.record);
    }
    items
}

pub(crate) fn bytes(items: &Items) -> Vec<u8> {
    let mut scribe = Scribe::new(0);
    items.iter().for_each(|item| scribe.write(item));
    let mut bytes = Vec::new();
    scribe.flush(&mut bytes);
    bytes
}

/// The message of an item, if it is one that was received.
fn message(item: &mut Item<Bytes>) -> Option<&mut Message<Bytes>> {
    match item {
        Item::Step(Step { input: Some(Input::Receive { message, .. }), .. }) => Some(message),
        _ => None,
    }
}

/// Alters the first item of any trace that `alter` takes; returns the traces, and where it was.
fn altered(alter: impl Fn(&mut Item<Bytes>) -> bool) -> (Vec<Vec<u8>>, String) {
    let mut traces = recorded();
    for (at, trace) in traces.iter_mut().enumerate() {
        let (mut items, records) = items(trace);
        if let Some(found) = items.iter_mut().position(&alter) {
            *trace = bytes(&items);
            return (traces, format!("n{}.trace:{}", at + 1, records[found]));
        }
    }
    panic!("nothing to alter");
}

/// Refused, with the place among the findings.
pub(crate) fn refused(validated: &Validated, place: &str, rules: &[&str]) {
    assert_eq!(validated.verdict, Verdict::Violated, "{:#?}", validated.findings);
    let at_the_place = validated.findings.iter().filter(|finding| {
        let text = finding.place.as_ref().map(ToString::to_string).unwrap_or_default();
        finding.is_violation && text.ends_with(&format!("/{place}"))
    });
    let found: Vec<&str> = at_the_place.map(|finding| finding.rule).collect();
    for rule in rules {
        assert!(found.contains(rule), "{rule} at {place}: {:#?}", validated.findings);
    }
    assert!(validated.headline().contains("VIOLATED: "), "{}", validated.headline());
}

#[test]
fn a_copy_that_is_not_altered_is_as_good() {
    let traces: Vec<Vec<u8>> = recorded().iter().map(|trace| bytes(&items(trace).0)).collect();
    assert_eq!(judged(&traces).verdict, Verdict::Holds);
}

#[test]
fn a_vote_that_was_refused_and_is_granted_now_is_found_out() {
    let (traces, place) = altered(|item| match message(item).map(|message| &mut message.body) {
        Some(Body::VoteResponse { granted }) => {
            *granted = !*granted;
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["messages were sent"]);
}

#[test]
fn another_command_in_an_entry_is_found_out() {
    let (traces, place) = altered(|item| match message(item).map(|message| &mut message.body) {
        Some(Body::Append(append))
            if append.entries.iter().any(|entry| matches!(entry.payload, Payload::Command(_))) =>
        {
            let other = |entry: &Entry<Bytes>| Entry {
                payload: match &entry.payload {
                    Payload::Command(_) => Payload::Command(Bytes::from_static(b"another")),
                    payload => payload.clone(),
                },
                ..entry.clone()
            };
            append.entries = append.entries.iter().map(other).collect::<Entries<Bytes>>();
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["same effects", "messages were sent"]);
}

#[test]
fn another_command_in_a_proposal_is_found_out() {
    let (traces, place) = altered(|item| match item {
        Item::Step(Step { input: Some(Input::Propose(commands)), .. }) => {
            commands[0] = Bytes::from_static(b"another");
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["same effects"]);
}

#[test]
fn a_server_that_recovers_less_than_it_was_told_is_durable_is_found_out() {
    let (traces, place) = altered(|item| match item {
        Item::Start(start) if start.recovered.entries.len() > 5 => {
            start.recovered.entries.truncate(2);
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["the disk keeps"]);
}

#[test]
fn a_server_that_recovers_another_vote_is_found_out() {
    let (traces, place) = altered(|item| match item {
        Item::Start(start) if start.recovered.hard_state.voted_for.is_some() => {
            start.recovered.hard_state.voted_for = None;
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["the disk keeps"]);
}

#[test]
fn a_server_that_cannot_have_started_is_found_out() {
    let (traces, place) = altered(|item| match item {
        Item::Start(start) if !start.recovered.entries.is_empty() => {
            start.recovered.entries.remove(1);
            true
        }
        _ => false,
    });
    let validated = judged(&traces);
    assert_ne!(validated.verdict, Verdict::Holds);
    assert!(
        validated.findings.iter().any(|finding| finding.to_string().contains(&place)),
        "{:#?}",
        validated.findings
    );
    let (traces, place) = altered(|item| match item {
        Item::Start(start) if !start.recovered.entries.is_empty() => {
            start.recovered.hard_state.term = raft_core::Term(0);
            true
        }
        _ => false,
    });
    refused(&judged(&traces), &place, &["the disk keeps", "legal restart"]);
}

#[test]
fn a_record_that_is_left_out_is_found_out_where_it_matters() {
    // Any step that brings a message with entries: the next step of that server differs, or what it says afterwards.
    let mut traces = recorded();
    let (mut kept, records) = items(&traces[1]);
    let gone = kept
        .iter_mut()
        .position(|item| matches!(message(item), Some(Message { body: Body::Append(append), .. }) if !append.entries.is_empty()))
        .unwrap();
    kept.remove(gone);
    traces[1] = bytes(&kept);
    let validated = judged(&traces);
    assert_eq!(validated.verdict, Verdict::Violated, "{:#?}", validated.findings);
    let place = validated.findings[0].place.clone().unwrap();
    assert!(place.file.ends_with("n2.trace") && place.record >= records[gone], "{place}");
    assert_eq!(validated.findings[0].rule, "same effects");
}

#[test]
fn the_end_of_a_trace_may_be_torn_but_what_others_received_must_be_in_it() {
    let traces = recorded();
    // A few bytes: the record of the stop. Nobody saw anything of it.
    let mut cut = traces.clone();
    let length = cut[0].len();
    cut[0].truncate(length - 3);
    let validated = judged(&cut);
    assert_eq!((validated.verdict, validated.torn), (Verdict::Holds, 1), "{:#?}", validated.findings);
    // The last fifth: others received what is not there. That may be a copy of a file that was still growing: unknown.
    cut[0].truncate(length * 4 / 5);
    let validated = judged(&cut);
    assert_eq!(validated.verdict, Verdict::Unknown, "{:#?}", validated.findings);
    assert!(validated.headline().contains("lost its end"), "{}", validated.headline());
    // The same with a stop at its end: then it is said to be all there was.
    let (mut items, _) = items(&cut[0]);
    items.push(Item::Stop);
    cut[0] = bytes(&items);
    let validated = judged(&cut);
    assert_eq!(validated.verdict, Verdict::Violated, "{:#?}", validated.findings);
    assert!(validated.headline().contains("never sent"), "{}", validated.headline());
}

#[test]
fn a_trace_that_begins_later_than_its_server_is_no_pass_and_no_violation() {
    let mut traces = recorded();
    // Without its first life.
    let starts = |item: &Item<Bytes>| matches!(item, Item::Start(_));
    let late = traces.iter_mut().find_map(|trace| {
        let (items, _) = items(trace);
        let second = items.iter().skip(1).position(starts)? + 1;
        *trace = bytes(&items[second..].to_vec());
        Some(())
    });
    assert!(late.is_some(), "no server was started twice");
    let validated = judged(&traces);
    assert_eq!(validated.verdict, Verdict::Unknown, "{:#?}", validated.findings);
    assert!(validated.headline().contains("begins later than its server"), "{}", validated.headline());
}

#[test]
fn another_core_that_does_otherwise_is_no_violation_and_no_pass() {
    let of_another_core = |item: &mut Item<Bytes>, effects_too: bool| match item {
        Item::Start(start) => start.core = "0.0.9+12345678".to_owned(),
        Item::Step(step) if effects_too && step.input.is_some() => step.effects = [7; 4],
        _ => {}
    };
    let all = |effects_too| -> Vec<Vec<u8>> {
        let change = |trace: &Vec<u8>| {
            let mut items = items(trace).0;
            items.iter_mut().for_each(|item| of_another_core(item, effects_too));
            bytes(&items)
        };
        recorded().iter().map(change).collect()
    };
    assert_eq!(judged(&all(false)).verdict, Verdict::Holds, "another core that does the same is welcome");
    let validated = judged(&all(true));
    assert_eq!(validated.verdict, Verdict::Unknown, "{:#?}", validated.findings);
    assert!(validated.headline().contains("recorded by core 0.0.9+12345678"), "{}", validated.headline());
}

#[test]
fn what_is_not_all_there_is_no_pass() {
    let traces = recorded();
    let validated = judged(&traces[..2]);
    assert_eq!(validated.verdict, Verdict::Unknown);
    assert!(validated.headline().contains("no trace of server 3"), "{}", validated.headline());
    let validated = judged(&[traces[0].clone(), traces[1].clone(), Vec::new()]);
    assert_eq!(validated.verdict, Verdict::Unknown, "an empty file");
    assert_eq!(judged(&[Vec::new()]).verdict, Verdict::Unknown, "nothing but an empty file");

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(validate(folder.path()), Err(TraceError::None { .. })));
    write(folder.path(), &[traces[0].clone(), traces[0].clone()]);
    assert!(matches!(validate(folder.path()), Err(TraceError::Twice { .. })));
}

#[test]
fn damage_is_refused_with_file_and_record() {
    let mut traces = recorded();
    let middle = traces[2].len() / 2;
    traces[2][middle] ^= 0x40;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &traces);
    let error = validate(folder.path()).unwrap_err().to_string();
    assert!(error.contains("n3.trace: record ") && error.contains("damaged"), "{error}");
}
