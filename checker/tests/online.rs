//! A history that is judged while it grows is judged, at every moment, as it would be from its beginning.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::generate::{Dice, Plan, Workload, generate};
use std::time::Duration;

use checker::history::Builder;
use checker::{
    CheckOptions, Event, History, Kind, Limits, Model, ModelOptions, Online, Process, Standing, Unknown,
    Value, Verdict,
};

fn builder(events: &[Event]) -> Builder {
    let mut builder = Builder::default();
    for event in events {
        builder.push(event.clone()).expect("a possible history");
    }
    builder
}

fn linearizable(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Linearizable { .. } => true,
        Verdict::NotLinearizable { .. } => false,
        // Nothing to check yet.
        Verdict::Unknown { .. } => true,
    }
}

/// Some answers are others than they were, and some operations end in another way.
fn damaged(mut events: Vec<Event>, dice: &mut Dice) -> Vec<Event> {
    // Clocks would tell that something was moved.
    events.iter_mut().for_each(|event| event.time = None);
    for _ in 0..=dice.below(4) {
        let ends = |event: &Event| matches!(event.process, Process::Client(_)) && event.kind != Kind::Invoke;
        let places: Vec<usize> = (0..events.len()).filter(|at| ends(&events[*at])).collect();
        let at = places[dice.index(places.len())];
        match dice.below(3) {
            0 => {
                let other = events[places[dice.index(places.len())]].clone();
                if (&other.f, &other.key, other.kind) == (&events[at].f, &events[at].key, events[at].kind) {
                    events[at].value = other.value;
                }
            }
            1 if events[at].kind == Kind::Ok => events[at].kind = Kind::Fail,
            _ => {
                // Its end comes later, or never.
                let event = events.remove(at);
                let same = |other: &Event| other.process == event.process;
                let until = events[at..].iter().position(same).map_or(events.len(), |next| at + next);
                let place = at + dice.index(until - at + 1);
                if place < until || until < events.len() {
                    events.insert(place, event);
                }
            }
        }
    }
    events
}

/// Looks at every prefix that is a multiple of some random step; says how many looks there were, and whether all was well.
fn follow(workload: Workload, events: &[Event], step: usize, what: &str) -> (u32, bool) {
    // What is hard is not what is asked here.
    let limits = Limits { time: Duration::from_secs(1), ..Limits::default() };
    let options = CheckOptions { explanation: Duration::ZERO, limits, ..CheckOptions::default() };
    let asked = ModelOptions { initial: initial(workload), ..ModelOptions::default() };
    let mut online = Online::new(workload.model(), &asked, &options);
    let mut builder = Builder::default();
    let mut looks = 0;
    for (at, event) in events.iter().enumerate() {
        builder.push(event.clone()).expect("a possible history");
        if (at + 1) % step != 0 && at + 1 < events.len() {
            continue;
        }
        looks += 1;
        let history = builder.so_far();
        let said = online.look(history).expect("a suitable history");
        let from_scratch = whole(workload, &asked, history, &options);
        // A slow machine may leave a question open.
        assert!(
            said == Standing::Open || (said == Standing::Fine) == from_scratch,
            "{what}: event {at} of {events:#?}"
        );
        if said == Standing::Violated {
            let report = online.report(history).expect("a report");
            assert!(!linearizable(&report.verdict), "{what}");
            return (looks, false);
        }
    }
    let history = builder.so_far();
    // Each witness has been replayed.
    let report = online.report(history).expect("a report");
    if matches!(report.verdict, Verdict::Unknown { reason: Unknown::Time(_) }) {
        return (looks, true);
    }
    assert!(linearizable(&report.verdict), "{what}: {:?}", report.verdict);
    let again = Model::new(workload.model(), &asked, history).expect("a model").check(history, &options);
    let again = again.expect("a suitable history");
    assert_eq!((report.checked, report.partitions), (again.checked, again.partitions), "{what}");
    (looks, true)
}

fn whole(workload: Workload, asked: &ModelOptions, history: &History, options: &CheckOptions) -> bool {
    let model = Model::new(workload.model(), asked, history).expect("a model");
    linearizable(&model.check(history, options).expect("a suitable history").verdict)
}

fn initial(workload: Workload) -> Option<Value> {
    match workload {
        Workload::Append => Some(Value::string("")),
        Workload::Register | Workload::CasRegister | Workload::KeyValue => Some(Value::Nil),
        _ => None,
    }
}

#[test]
fn every_look_agrees_with_a_look_from_the_beginning() {
    let cases: u64 =
        std::env::var("PLUMBLINE_ORACLE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let (mut fine, mut violated, mut looks) = (0, 0, 0);
    for seed in 0..cases {
        let mut dice = Dice::new(seed);
        let workload = Workload::ALL[usize::try_from(seed % 16).expect("few")];
        let plan = Plan {
            operations: 5 + dice.index(30),
            clients: 2 + dice.index(4),
            keys: 1 + dice.index(3),
            values: if dice.below(2) == 0 { 0 } else { 2 + dice.below(4) },
            unknown: dice.below(3) * 80,
            ..Plan::new(workload, seed)
        };
        let events = damaged(generate(&plan).events, &mut dice);
        let step = 1 + dice.index(9);
        let (looked, well) =
            follow(workload, &events, step, &format!("seed {seed}, {workload}, step {step}"));
        looks += looked;
        *(if well { &mut fine } else { &mut violated }) += 1;
    }
    println!("{fine} linearizable, {violated} not, {looks} looks");
    assert!(fine > cases / 5 && violated > cases / 20, "{fine} and {violated}: both should be tried");
}

/// A write whose value was seen while it was open, and that then says that it never happened.
#[test]
fn what_failed_in_the_end_did_not_happen() {
    let event = |process, kind, f, value: Option<i64>| {
        Event::new(process, kind, f, value.map_or(Value::Nil, Value::Int))
    };
    let events = [
        event(0, Kind::Invoke, "write", Some(1)),
        event(1, Kind::Invoke, "read", None),
        event(1, Kind::Ok, "read", Some(1)),
        event(2, Kind::Invoke, "write", Some(2)),
        event(2, Kind::Ok, "write", Some(2)),
        event(0, Kind::Fail, "write", Some(1)),
    ];
    let mut online =
        Online::new(Workload::Register.model(), &ModelOptions::default(), &CheckOptions::default());
    for end in 1..events.len() {
        assert_eq!(online.look(builder(&events[..end]).so_far()).expect("good"), Standing::Fine, "{end}");
    }
    let mut all = builder(&events);
    assert_eq!(online.look(all.so_far()).expect("good"), Standing::Violated);
    let report = online.report(all.so_far()).expect("good");
    let Verdict::NotLinearizable { explanation } = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!((explanation.blocked, &*explanation.conflict), (1, &[1][..]));
}

/// Looking after every single event costs about as much as looking once, whatever the length.
#[test]
fn a_look_costs_what_is_new() {
    for (workload, clients, unknown) in [
        (Workload::Register, 10, 0),
        (Workload::Register, 30, 5),
        (Workload::CasRegister, 10, 10),
        (Workload::KeyValue, 20, 10),
        (Workload::Counter, 5, 0),
        (Workload::Mutex, 5, 5),
    ] {
        let each = |operations: usize| {
            let plan = Plan { operations, clients, unknown, keys: 5, ..Plan::new(workload, 11) };
            let events = generate(&plan).events;
            let mut online =
                Online::new(workload.model(), &ModelOptions::default(), &CheckOptions::default());
            let mut builder = Builder::default();
            for event in events {
                builder.push(event).expect("a possible history");
                assert_eq!(online.look(builder.so_far()).expect("good"), Standing::Fine);
            }
            online.effort() as f64 / operations as f64
        };
        let (short, long) = (each(500), each(4_000));
        println!("{workload}, {clients} clients: each operation was judged {short:.1} and {long:.1} times");
        // From the beginning every time it would be thousands.
        assert!(long < short * 3.0 + 10.0, "{workload}: {short} became {long}");
    }
}
