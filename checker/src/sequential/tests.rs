//! Against all orders, on thousands of small histories.

use super::*;
use crate::Value;
use crate::generate::{Dice, Plan, Workload, generate, history};
use crate::history::Kind;
use crate::limits::Limits;
use crate::partition::split;
use crate::spec::{RegisterFamily, RegisterOp, Vocabulary};

const MAP: RegisterFamily = RegisterFamily {
    vocabulary: Vocabulary::KeyValue,
    initial: Value::Nil,
    nil_reads_any: false,
    failed_cas_observes: false,
};

/// A few operations on two keys whose reads see made-up values.
fn small(seed: u64, unique: bool) -> History {
    let mut dice = Dice::new(!seed);
    let plan = Plan {
        operations: 4 + dice.index(5),
        clients: 2 + dice.index(2),
        keys: 1 + dice.index(2),
        values: if unique { 0 } else { 3 },
        unknown: 60 * dice.below(3),
        ..Plan::new(Workload::KeyValue, seed)
    };
    let mut events = generate(&plan).events;
    // Nil is written by every delete: with those, hardly any history is unique.
    events.retain(|event| !unique || &*event.f != "delete");
    let mut written: Vec<Value> = events
        .iter()
        .filter_map(|event| match (&*event.f, event.value.items()) {
            ("put", _) => Some(event.value.clone()),
            ("cas", Some([_, to])) => Some(to.clone()),
            _ => None,
        })
        .collect();
    written.push(Value::Nil);
    for event in &mut events {
        if event.kind == Kind::Ok && &*event.f == "get" && dice.below(2) == 0 {
            event.value = written[dice.index(written.len())].clone();
        }
    }
    history(&events)
}

/// The definition: is there an interleaving that the specification allows?
fn oracle(partitions: &[Partition<RegisterOp>], programs: &Programs) -> bool {
    fn go(
        partitions: &[Partition<RegisterOp>],
        programs: &[Vec<Place>],
        at: &mut [usize],
        states: &[Value],
    ) -> bool {
        let left = |process: usize, at: &[usize]| programs[process].get(at[process]).copied();
        let optional = |place: Place| partitions[place.0 as usize].calls[place.1 as usize].optional;
        if (0..programs.len()).all(|process| left(process, at).is_none_or(optional)) {
            return true;
        }
        (0..programs.len()).any(|process| {
            let Some((which, call)) = left(process, at) else { return false };
            let partition = &partitions[which as usize];
            let op = &partition.kinds[partition.calls[call as usize].kind as usize];
            let Some(next) = MAP.step(&states[which as usize], op) else { return false };
            let mut states = states.to_vec();
            states[which as usize] = next;
            at[process] += 1;
            let found = go(partitions, programs, at, &states);
            at[process] -= 1;
            found
        })
    }
    let states = vec![Value::Nil; partitions.len()];
    go(partitions, &programs.programs, &mut vec![0; programs.programs.len()], &states)
}

fn said<S: Specification>(
    answer: &Answer,
    spec: &S,
    partitions: &[Partition<S::Op>],
    programs: &Programs,
) -> Option<bool> {
    match answer {
        Answer::Yes(order) => {
            assert!(replays(spec, partitions, programs, order), "an order that is none");
            Some(true)
        }
        Answer::No(_) => Some(false),
        Answer::Unknown(_) => None,
    }
}

#[test]
fn small_histories_are_what_all_interleavings_say() {
    let budget = Budget::new(&Limits::default());
    let (mut good, mut bad, mut derived, mut open) = (0, 0, 0, 0);
    for seed in 0..6000 {
        let history = small(seed, seed % 2 == 0);
        let partitions = split(&MAP, &history).expect("known operations");
        let programs = Programs::new(&history, &partitions);
        let expected = oracle(&partitions, &programs);
        *(if expected { &mut good } else { &mut bad }) += 1;
        let searched = search::decide(&MAP, &partitions, &programs, &budget);
        assert_eq!(said(&searched, &MAP, &partitions, &programs), Some(expected), "search, seed {seed}");
        if let Some(answer) = constraints::decide(&MAP, &partitions, &programs, &budget) {
            derived += 1;
            match said(&answer, &MAP, &partitions, &programs) {
                None => open += 1,
                said => assert_eq!(said, Some(expected), "constraints, seed {seed}"),
            }
            if let Answer::No(cycle) = answer {
                assert!(!cycle.is_empty(), "seed {seed}: a reason");
            }
        }
    }
    assert!(good > 600 && bad > 600, "{good} good, {bad} bad");
    assert!(derived > 2000, "{derived} with one writer each");
    assert!(open * 100 < derived, "{open} of {derived} left open");
}

/// Two clients, two keys: each reads the other's key stale. Each key alone has an order, both together have none.
#[test]
fn each_key_may_have_an_order_where_all_together_have_none() {
    let event = |process, kind, f, key: &str, value| {
        crate::Event::new(process, kind, f, value).on_key(Value::string(key))
    };
    let mut events = Vec::new();
    for (process, key, other) in [(0, "x", "y"), (1, "y", "x")] {
        let one = || Value::Int(1);
        events.push(event(process, Kind::Invoke, "put", key, one()));
        events.push(event(process, Kind::Ok, "put", key, one()));
        events.push(event(process, Kind::Invoke, "get", other, Value::Nil));
        events.push(event(process, Kind::Ok, "get", other, Value::Nil));
    }
    let history = history(&events);
    let partitions = split(&MAP, &history).expect("known operations");
    let programs = Programs::new(&history, &partitions);
    let budget = Budget::new(&Limits::default());
    for answer in [
        constraints::decide(&MAP, &partitions, &programs, &budget).expect("one writer each"),
        search::decide(&MAP, &partitions, &programs, &budget),
    ] {
        assert_eq!(said(&answer, &MAP, &partitions, &programs), Some(false));
    }
}

#[test]
fn an_order_that_is_none_is_refused() {
    let (mut refused, mut seen) = (0, 0);
    for seed in 0..200 {
        let history = small(seed, true);
        let partitions = split(&MAP, &history).expect("known operations");
        let programs = Programs::new(&history, &partitions);
        let budget = Budget::new(&Limits::default());
        let Answer::Yes(order) = search::decide(&MAP, &partitions, &programs, &budget) else { continue };
        if order.len() < 2 {
            continue;
        }
        let check = |order: &[Place]| replays(&MAP, &partitions, &programs, order);
        seen += 1;
        let twice: Vec<Place> = order.iter().chain(order.last()).copied().collect();
        assert!(!check(&twice), "seed {seed}: twice");
        let required = |place: &&Place| call(&partitions, **place).is_some_and(Call::required);
        if let Some(last) = order.iter().rev().find(required) {
            let without: Vec<Place> = order.iter().filter(|place| *place != last).copied().collect();
            assert!(!check(&without), "seed {seed}: missing");
        }
        let backwards: Vec<Place> = order.iter().rev().copied().collect();
        refused += usize::from(!check(&backwards));
    }
    assert!(seen > 100 && refused * 10 > seen * 8, "{refused} of {seen} reversed orders refused");
}

#[test]
fn a_process_keeps_its_own_order() {
    let event = |kind, value| crate::Event::new(0, kind, "put", Value::Int(value)).on_key(Value::string("x"));
    let events: Vec<_> =
        (0..2).flat_map(|value| [event(Kind::Invoke, value), event(Kind::Ok, value)]).collect();
    let history = history(&events);
    let partitions = split(&MAP, &history).expect("known operations");
    let programs = Programs::new(&history, &partitions);
    assert!(replays(&MAP, &partitions, &programs, &[(0, 0), (0, 1)]));
    assert!(!replays(&MAP, &partitions, &programs, &[(0, 1), (0, 0)]));
}
