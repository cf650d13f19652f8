//! *All* histories up to a stated size.

use super::*;

/// What was there before anybody wrote, then the value that each call writes.
fn seen(calls: usize) -> impl Iterator<Item = Value> {
    std::iter::once(Value::Nil).chain((0..calls).map(value))
}

fn register_menu(calls: usize, cas: bool) -> impl Fn(usize) -> Vec<RegisterOp> {
    move |at| {
        let mut menu = vec![RegisterOp::Write(value(at))];
        menu.extend(seen(calls).map(RegisterOp::Read));
        if cas {
            menu.extend(seen(calls).map(|from| RegisterOp::Cas(from, value(at))));
        }
        menu
    }
}

#[test]
fn all_histories_of_three_calls_on_a_register() {
    let tally = exhaust(&REGISTER, 3, true, register_menu(3, true));
    assert_eq!(tally.silent, 0);
}

#[test]
fn all_histories_of_four_reads_and_writes_on_a_register() {
    let tally = exhaust(&REGISTER, 4, true, register_menu(4, false));
    assert_eq!(tally.silent, 0);
}

#[test]
fn all_histories_of_four_completed_calls_on_a_register() {
    let tally = exhaust(&REGISTER, 4, false, register_menu(4, true));
    assert_eq!(tally.silent, 0);
}

fn transfer_menu(calls: usize) -> impl Fn(usize) -> Vec<Transfer> {
    move |at| {
        let takes = (0..calls).filter(|other| *other != at).map(value).map(Transfer::Take);
        [Transfer::Put(value(at)), Transfer::Nothing].into_iter().chain(takes).collect()
    }
}

/// As above, with takes of unknown outcome.
fn lossy_menu(calls: usize) -> impl Fn(usize) -> Vec<Transfer> {
    let menu = transfer_menu(calls);
    move |at| {
        let mut menu = menu(at);
        menu.push(Transfer::Unknown);
        menu
    }
}

fn every_transfer<S: Specification<Op = Transfer>>(spec: &S) {
    exhaust(spec, 3, true, lossy_menu(3));
    let tally = exhaust(spec, 4, true, transfer_menu(4));
    assert_eq!(tally.silent, 0);
}

#[test]
fn all_histories_of_four_calls_on_a_fifo_queue() {
    every_transfer(&FifoQueue::default());
}

#[test]
fn all_histories_of_four_calls_on_an_unordered_queue() {
    every_transfer(&UnorderedQueue::default());
}

#[test]
fn all_histories_of_four_calls_on_a_priority_queue() {
    every_transfer(&PriorityQueue::default());
}

#[test]
fn all_histories_of_four_calls_on_a_stack() {
    every_transfer(&Stack::default());
}

/// Of the roles of six calls, an unoptimised build tries one in so many, other ones for each shape.
const PART: usize = if cfg!(debug_assertions) { 4 } else { 1 };

/// Three values need six calls: all ways in which those can overlap.
fn three_values<S: Specification<Op = Transfer>>(spec: &S) {
    let budget = Budget::new(&Limits { time: std::time::Duration::from_secs(3600), ..Limits::default() });
    let mut tally = Tally::default();
    let mut roles = Vec::new();
    // Values are numbered by their puts; takes come in any order.
    for puts in 0_u32..64 {
        if puts.count_ones() == 3 {
            for takes in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let (mut put, mut take) = (0..3, takes.into_iter());
                let role = |at: u32| match puts >> at & 1 {
                    1 => Transfer::Put(value(put.next().expect("three"))),
                    _ => Transfer::Take(value(take.next().expect("three"))),
                };
                roles.push((0..6).map(role).collect::<Vec<_>>());
            }
        }
    }
    for (at, shape) in shapes(6, false).iter().enumerate() {
        for ops in roles.iter().skip(if PART > 1 { at % PART } else { 0 }).step_by(PART) {
            agrees(spec, shape, ops, &budget, false, &mut tally);
        }
    }
    assert!(tally.legal > 1000 && tally.illegal > 1000 && tally.silent == 0, "{tally:?}");
}

#[test]
fn all_ways_to_pass_three_values_through_a_fifo_queue() {
    three_values(&FifoQueue::default());
}

#[test]
fn all_ways_to_pass_three_values_through_a_priority_queue() {
    three_values(&PriorityQueue::default());
}

#[test]
fn all_ways_to_pass_three_values_through_a_stack() {
    three_values(&Stack::default());
}

#[test]
fn all_histories_of_three_calls_and_of_four_that_completed_on_a_list() {
    let spec = AppendList::new([]);
    let read = |values: &[usize]| {
        let values: Vec<Value> = values.iter().copied().map(value).collect();
        parsed(&spec, "read", Value::Nil, Value::vector(values))
    };
    for (calls, unknown) in [(3, true), (4, false)] {
        let tally = exhaust(&spec, calls, unknown, |at| {
            let mut menu = vec![parsed(&spec, "append", value(at), Value::Nil), read(&[])];
            menu.extend((0..calls).map(|one| read(&[one])));
            for one in 0..3 {
                menu.extend((0..3).filter(|other| *other != one).map(|other| read(&[one, other])));
            }
            menu
        });
        assert_eq!(tally.silent, 0);
    }
}

#[test]
fn all_histories_of_three_calls_and_of_four_that_completed_on_a_set() {
    let spec = Set::new([Value::Nil], &History::default());
    // A set with something in it is no short cut's business; this one starts empty, and is read as a whole.
    assert_eq!(spec.discipline(), None);
    let whole = crate::generate::history(&[crate::Event::new(0, crate::Kind::Invoke, "read", Value::Nil)]);
    let spec = Set::new([], &whole);
    for (calls, unknown) in [(3, true), (4, false)] {
        let tally = exhaust(&spec, calls, unknown, |at| {
            let parts = (0_usize..1 << calls).filter(|part| part.count_ones() <= 2);
            let read = |part: usize| {
                let values: Vec<Value> = (0..calls).filter(|bit| part >> bit & 1 == 1).map(value).collect();
                SetOp::Read(values.into())
            };
            std::iter::once(SetOp::Add(value(at), None)).chain(parts.map(read)).collect()
        });
        assert_eq!(tally.silent, 0);
    }
}
