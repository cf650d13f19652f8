//! What a "no" says: the conflict, how far an order could be taken, why it goes no further, what the history still is.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use checker::generate::{Plan, Workload, generate, history};
use checker::{
    CheckOptions, Event, Explanation, History, Kind, Model, ModelName, ModelOptions, ReadFault, ReadOptions,
    Sequential, Value, Verdict,
};

/// `process type f value time`, one event a line.
fn read(script: &str) -> History {
    let mut text = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [process, kind, f, value, time] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("five words: {line}");
        };
        text.push_str(&format!(
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
        ));
    }
    History::read(text.as_bytes(), "script", &ReadOptions::default()).expect("a good history")
}

fn explain_within(history: &History, model: ModelName, explanation: Duration) -> Explanation {
    let model = Model::new(model, &ModelOptions::default(), history).expect("a suitable start");
    let options = CheckOptions { explanation, ..CheckOptions::default() };
    match model.check(history, &options).expect("known operations").verdict {
        Verdict::NotLinearizable { explanation } => *explanation,
        other => panic!("{other:?}"),
    }
}

fn explain(history: &History) -> Explanation {
    explain_within(history, ModelName::CasRegister, Duration::from_secs(60))
}

const STALE: &str = "
    0 invoke write 1 0
    0 ok     write 1 1000000
    0 invoke write 2 2000000
    0 ok     write 2 3000000
    0 invoke write 3 4000000
    0 ok     write 3 5000000
    2 invoke write 4 6000000
    1 invoke read null 7000000
    1 ok     read 1 8000000
    2 ok     write 4 9000000";

#[test]
fn a_stale_read_is_explained_whole() {
    let history = read(STALE);
    let why = explain(&history);
    assert_eq!((why.conflict.as_slice(), why.minimal, why.confirmed), (&[2, 4][..], true, true));
    assert_eq!((why.blocked, why.prefix.as_slice(), why.prefix_complete), (4, &[0, 1, 2][..], true));
    assert_eq!((why.states.as_slice(), why.states_complete), (&["3".to_owned(), "4".to_owned()][..], true));
    let ends: Vec<_> = why.ends.iter().map(|end| (end.through.as_slice(), end.state.as_str())).collect();
    assert_eq!((ends, why.ends_complete), (vec![(&[][..], "3"), (&[3][..], "4")], true));
    let Some(ReadFault::Stale(stale)) = why.read_fault else { panic!("{:?}", why.read_fault) };
    assert_eq!((stale.read, stale.writer, stale.overwrites, stale.since), (4, Some(0), 2, 1));
    assert_eq!(stale.time(&history), Some(Duration::from_millis(4)));
    assert!(matches!(why.sequential, Sequential::Yes { .. }), "the reader may just lag behind");
    let text = why.render(&history);
    for said in [
        "script:8: read → 1 by process 1",
        "is stale by 2 writes, for 4.0ms at least",
        "longest order (3 operations) ends: write 1 (line 1), write 2 (line 3), write 3 (line 5)",
        "in state 4 after write 4 (line 7)",
        "what it still is: sequentially consistent",
    ] {
        assert!(text.contains(said), "{said} is missing:\n{text}");
    }
}

#[test]
fn a_read_that_goes_back_in_its_own_process_is_not_even_sequentially_consistent() {
    let seen = format!(
        "{}
        1 invoke read null 10000000
        1 ok     read 3 11000000
        1 invoke read null 12000000
        1 ok     read 2 13000000",
        STALE.replace("1 ok     read 1 8000000", "1 ok     read 3 8000000")
    );
    let history = read(&seen);
    let why = explain(&history);
    let Sequential::No { cycle } = &why.sequential else { panic!("{:?}", why.sequential) };
    assert!(cycle.len() >= 2, "{cycle:?}");
    assert!(why.render(&history).contains("not sequentially consistent either"));
}

#[test]
fn a_value_from_nowhere_and_a_value_from_the_future_are_told_apart() {
    let nowhere = read(&STALE.replace("read 1", "read 9"));
    let why = explain(&nowhere);
    assert_eq!(why.read_fault, Some(ReadFault::NeverWritten { read: 4 }));
    assert!(matches!(&why.sequential, Sequential::No { cycle } if cycle == &[4]), "{:?}", why.sequential);
    let future = read(&format!(
        "{}
        3 invoke write 9 10000000
        3 ok     write 9 11000000",
        STALE.replace("read 1", "read 9")
    ));
    let why = explain(&future);
    assert_eq!(why.read_fault, Some(ReadFault::NotYetWritten { read: 4, writer: 5 }));
    assert!(matches!(why.sequential, Sequential::Yes { .. }), "{:?}", why.sequential);
}

/// Whoever saw the value of a write that never returned had it: then the next write is certainly later.
#[test]
fn a_write_without_an_end_is_over_once_somebody_saw_it() {
    let history = read(
        "
        0 invoke write 7 0
        0 ok     write 7 0
        9 invoke write 1 0
        0 invoke read null 1
        0 ok     read 1 2
        0 invoke write 2 3
        0 ok     write 2 4
        1 invoke read null 5
        1 ok     read 1 6
        ",
    );
    let Some(ReadFault::Stale(stale)) = explain(&history).read_fault else { panic!("stale") };
    assert_eq!((stale.writer, stale.overwrites, stale.since), (Some(1), 1, 3));
}

#[test]
fn without_time_to_explain_there_is_a_verdict_and_a_conflict_that_is_not_called_minimal() {
    let history = read(STALE);
    let why = explain_within(&history, ModelName::CasRegister, Duration::from_nanos(1));
    assert!(!why.minimal);
    assert!(why.conflict.contains(&why.blocked), "{:?}", why.conflict);
    assert!(why.render(&history).contains("perhaps not all are needed"));
}

/// One key, a hundred thousand operations, one stale read near the end: the worst case for taking operations out one by one.
#[test]
fn a_long_history_is_explained_in_time() {
    let plan = Plan { operations: 100_000, clients: 10, ..Plan::new(Workload::Register, 11) };
    let mut events = generate(&plan).events;
    for (kind, value) in [(Kind::Invoke, Value::Nil), (Kind::Ok, Value::Int(1))] {
        events.push(Event::new(1_000_000, kind, "read", value));
    }
    let history = history(&events);
    let start = std::time::Instant::now();
    let why = explain(&history);
    println!("{} operations explained in {:?}", history.operations.len(), start.elapsed());
    assert!(why.minimal && why.confirmed, "{}", why.render(&history));
    assert!(why.conflict.len() <= 3, "{:?}", why.conflict);
    assert!(why.prefix_complete && !why.ends.is_empty());
}
