//! The proof test: the polynomial algorithms against the definition (every order is tried) on *all* histories up to a stated
//! size, and against the definition, `wgl` and `linear` on random ones.
//!
//! More random ones on demand: `PLUMBLINE_ORACLE_CASES=10000000 cargo test --release -p checker unique`.

use super::*;
use crate::generate::Dice;
use crate::limits::Limits;
use crate::linear::linear;
use crate::partition::Partition;
use crate::spec::{
    AppendList, FifoQueue, RegisterFamily, RegisterOp, Set, SetOp, Stack, Transfer, UnorderedQueue,
    Vocabulary,
};
use crate::validate::validate;
use crate::wgl::{Strategy, search};
use crate::{History, Operation, Value};

/// The definition, word for word: is there an order that real time and the specification allow?
fn possible<S: Specification>(spec: &S, kinds: &[S::Op], calls: &[Call]) -> bool {
    fn go<S: Specification>(
        spec: &S,
        kinds: &[S::Op],
        calls: &[Call],
        placed: u32,
        state: &S::State,
        latest: u32,
    ) -> bool {
        let open = |at: usize| placed >> at & 1 == 0;
        let late = |at: &usize| open(*at) && calls[*at].required() && calls[*at].returned < latest;
        if (0..calls.len()).any(|at| late(&at)) {
            return false;
        }
        if (0..calls.len()).all(|at| !open(at) || calls[at].optional) {
            return true;
        }
        (0..calls.len()).filter(|at| open(*at) && calls[*at].returned >= latest).any(|at| {
            let next = spec.step(state, &kinds[calls[at].kind as usize]);
            let latest = latest.max(calls[at].invoked);
            next.is_some_and(|next| go(spec, kinds, calls, placed | 1 << at, &next, latest))
        })
    }
    go(spec, kinds, calls, 0, &spec.initial(), 0)
}

/// When calls are invoked and return, and whether they may never have happened.
type Shape = Vec<(u32, u32, bool)>;

/// Every way in which `calls` calls can overlap; if `unknown`, also with some of them never returning.
fn shapes(calls: usize, unknown: bool) -> Vec<Shape> {
    fn go(left: usize, open: u32, position: u32, unknown: bool, shape: &mut Shape, all: &mut Vec<Shape>) {
        if left == 0 && open == 0 {
            all.push(shape.clone());
            return;
        }
        if left > 0 {
            for returns in if unknown { &[true, false][..] } else { &[true] } {
                shape.push((position, if *returns { u32::MAX - 1 } else { FOREVER }, !returns));
                go(left - 1, open + u32::from(*returns), position + 1, unknown, shape, all);
                shape.pop();
            }
        }
        for at in 0..shape.len() {
            if shape[at].1 == u32::MAX - 1 {
                shape[at].1 = position;
                go(left, open - 1, position + 1, unknown, shape, all);
                shape[at].1 = u32::MAX - 1;
            }
        }
    }
    let mut all = Vec::new();
    go(calls, 0, 0, unknown, &mut Vec::new(), &mut all);
    all
}

#[test]
fn there_are_as_many_shapes_as_there_should_be() {
    // (2n - 1)!! ways to pair 2n events.
    assert_eq!([1, 2, 3, 4, 5].map(|calls| shapes(calls, false).len()), [1, 3, 15, 105, 945]);
}

fn calls<Op: PartialEq + Clone>(shape: &Shape, ops: &[Op]) -> (Vec<Op>, Vec<Call>) {
    let mut kinds: Vec<Op> = Vec::new();
    let mut calls = Vec::new();
    for (operation, ((invoked, returned, optional), op)) in (0..).zip(shape.iter().zip(ops)) {
        let kind = kinds.iter().position(|kind| kind == op).unwrap_or_else(|| {
            kinds.push(op.clone());
            kinds.len() - 1
        });
        let kind = u32::try_from(kind).expect("few");
        let (invoked, returned, optional) = (*invoked, *returned, *optional);
        calls.push(Call { kind, invoked, returned, optional, operation });
    }
    (kinds, calls)
}

#[derive(Default, Debug)]
struct Tally {
    legal: u64,
    illegal: u64,
    silent: u64,
}

/// Compares the verdicts; a witness must hold. `None` if the algorithm is silent.
fn agrees<S: Specification>(
    spec: &S,
    shape: &Shape,
    ops: &[S::Op],
    budget: &Budget,
    all: bool,
    tally: &mut Tally,
) {
    let (kinds, mut calls) = calls(shape, ops);
    // What may not have been looked at says nothing: the gate leaves it out.
    let many = calls.len();
    calls.retain(|call| call.required() || !spec.is_pure(&kinds[call.kind as usize]));
    if !all && calls.len() < many {
        return;
    }
    let expected = possible(spec, &kinds, &calls);
    let told = |decision: Decision, who: &str| match decision {
        Decision::Legal(order) => {
            let partition = Partition { key: None, kinds: kinds.clone(), calls: calls.clone() };
            let valid = validate(spec, &partition, &order);
            assert!(valid.is_ok(), "{who}: {:?} {calls:?} {kinds:?} {order:?}", valid.err());
            true
        }
        Decision::Illegal(_) => false,
        Decision::Undecided(reason, _) => panic!("{who} stopped: {reason:?}"),
    };
    match decide(spec, &kinds, &calls, budget) {
        Some(decision) => {
            if expected {
                tally.legal += 1;
            } else {
                tally.illegal += 1;
            }
            assert_eq!(told(decision, "unique"), expected, "unique: {calls:?} {kinds:?}");
        }
        None => tally.silent += 1,
    }
    if all {
        let deep = search(spec, &kinds, &calls, budget, Strategy::DepthFirst, true, u64::MAX);
        assert_eq!(told(deep, "wgl"), expected, "wgl: {calls:?} {kinds:?}");
        let wide = search(spec, &kinds, &calls, budget, Strategy::BreadthFirst, true, u64::MAX);
        assert_eq!(told(wide, "wgl, breadth first"), expected, "wgl, breadth first: {calls:?} {kinds:?}");
        if spec.initial_value().is_some() {
            match search(spec, &kinds, &calls, budget, Strategy::Relaxed, true, u64::MAX) {
                Decision::Undecided(Stopped::Share, _) => {}
                decision => assert_eq!(told(decision, "relaxed"), expected, "relaxed: {calls:?} {kinds:?}"),
            }
        }
        let wide = linear(spec, &kinds, &calls, budget, true, u64::MAX);
        assert_eq!(told(wide, "linear"), expected, "linear: {calls:?} {kinds:?}");
    }
}

/// All histories of `calls` calls, each with any of the operations that `menu` offers it.
fn exhaust<S: Specification>(
    spec: &S,
    calls: usize,
    unknown: bool,
    menu: impl Fn(usize) -> Vec<S::Op>,
) -> Tally {
    let budget = Budget::new(&Limits { time: std::time::Duration::from_secs(3600), ..Limits::default() });
    let menus: Vec<Vec<S::Op>> = (0..calls).map(&menu).collect();
    let mut tally = Tally::default();
    for shape in shapes(calls, unknown) {
        let mut choice = vec![0; calls];
        loop {
            let ops: Vec<S::Op> = choice.iter().zip(&menus).map(|(at, menu)| menu[*at].clone()).collect();
            agrees(spec, &shape, &ops, &budget, false, &mut tally);
            let Some(at) = (0..calls).find(|at| choice[*at] + 1 < menus[*at].len()) else { break };
            choice[at] += 1;
            choice[..at].fill(0);
        }
    }
    assert!(tally.legal > 0 && tally.illegal > 0, "{tally:?}");
    tally
}

fn value(at: usize) -> Value {
    Value::Int(i64::try_from(at).expect("small"))
}

/// What was there before anybody wrote, then the value that each call writes.
fn seen(calls: usize) -> impl Iterator<Item = Value> {
    std::iter::once(Value::Nil).chain((0..calls).map(value))
}

const REGISTER: RegisterFamily = RegisterFamily {
    vocabulary: Vocabulary::CasRegister,
    initial: Value::Nil,
    nil_reads_any: false,
    failed_cas_observes: false,
};

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
fn all_ways_to_pass_three_values_through_a_stack() {
    three_values(&Stack::default());
}

/// Lists and sets parse their operations from histories; so do we.
fn parsed<S: Specification>(spec: &S, f: &str, input: Value, output: Value) -> S::Op {
    let mark = crate::history::Mark { position: 0, line: 1, time: None };
    let operation = Operation {
        process: 0,
        f: f.into(),
        key: None,
        input,
        output,
        outcome: crate::Outcome::Ok,
        invoked: mark,
        completed: Some(mark),
    };
    spec.parse(&operation).expect("known").expect("it says something")
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

/// Any shape at all.
fn shape(dice: &mut Dice, calls: usize, unknown: u64, lapsing: u64) -> Shape {
    let mut shape: Shape = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let clients = 1 + dice.index(4);
    let mut position = 0;
    while shape.len() < calls || !open.is_empty() {
        if shape.len() < calls && open.len() < clients && (open.is_empty() || dice.below(2) == 0) {
            shape.push((position, FOREVER, true));
            if dice.below(100) >= unknown {
                open.push(shape.len() - 1);
            }
        } else if !open.is_empty() {
            let which = dice.index(open.len());
            let returns = &mut shape[open.swap_remove(which)];
            // It returned, but perhaps nobody insists on it.
            (returns.1, returns.2) = (position, dice.below(100) < lapsing);
        }
        position += 1;
    }
    shape
}

/// Random histories; few enough values that the algorithms are silent now and then. Optional calls that lapse are among
/// them: an explanation asks about such.
fn random<S: Specification>(spec: &S, seed: u64, menu: impl Fn(&mut Dice, usize, usize) -> S::Op) {
    let cases = std::env::var("PLUMBLINE_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok());
    let budget = Budget::new(&Limits { time: std::time::Duration::from_secs(36_000), ..Limits::default() });
    let mut tally = Tally::default();
    let mut dice = Dice::new(seed);
    for _ in 0..cases.unwrap_or(20_000) {
        let many = 2 + dice.index(6);
        let unknown = [0, 0, 20, 50][dice.index(4)];
        let lapsing = [0, 0, 30][dice.index(3)];
        let shape = shape(&mut dice, many, unknown, lapsing);
        let ops: Vec<S::Op> = (0..many).map(|at| menu(&mut dice, at, many)).collect();
        agrees(spec, &shape, &ops, &budget, true, &mut tally);
    }
    assert!(tally.legal > 100 && tally.illegal > 100, "{tally:?}");
}

#[test]
fn random_histories_of_a_register() {
    random(&REGISTER, 1, |dice, at, many| {
        let seen = |dice: &mut Dice| match dice.index(many + 1) {
            0 => Value::Nil,
            other => value(other - 1),
        };
        // Now and then a value that another writes too.
        let own = if dice.below(12) == 0 { value(dice.index(many)) } else { value(at) };
        match dice.below(10) {
            0..4 => RegisterOp::Write(own),
            4..8 => RegisterOp::Read(seen(dice)),
            _ => RegisterOp::Cas(seen(dice), own),
        }
    });
}

/// Few values and many calls that may never have happened: what the search's short cuts are for.
#[test]
fn random_histories_of_a_register_with_few_values() {
    random(&REGISTER, 10, |dice, _, _| {
        let one = |dice: &mut Dice| match dice.index(4) {
            0 => Value::Nil,
            other => value(other - 1),
        };
        match dice.below(10) {
            0..4 => RegisterOp::Write(value(dice.index(3))),
            4..7 => RegisterOp::Read(one(dice)),
            _ => RegisterOp::Cas(one(dice), value(dice.index(3))),
        }
    });
}

fn random_transfer(dice: &mut Dice, at: usize, many: usize) -> Transfer {
    match dice.below(20) {
        0..8 => Transfer::Put(value(at)),
        8 => Transfer::Put(value(dice.index(many))),
        9 => Transfer::Unknown,
        10 => Transfer::Nothing,
        _ => Transfer::Take(value(dice.index(many))),
    }
}

#[test]
fn random_histories_of_a_fifo_queue() {
    random(&FifoQueue::default(), 2, random_transfer);
}

#[test]
fn random_histories_of_an_unordered_queue() {
    random(&UnorderedQueue::default(), 3, random_transfer);
}

#[test]
fn random_histories_of_a_stack() {
    random(&Stack::default(), 4, random_transfer);
}

/// Passes that make sense: puts and takes of the same few values, most of them taken in some order that a collection gave.
fn passes<S: Specification<Op = Transfer>>(spec: &S, seed: u64) {
    let cases = std::env::var("PLUMBLINE_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok());
    let budget = Budget::new(&Limits { time: std::time::Duration::from_secs(36_000), ..Limits::default() });
    let mut tally = Tally::default();
    let mut dice = Dice::new(seed);
    for _ in 0..cases.unwrap_or(20_000) {
        let many = 4 + dice.index(5);
        let lapsing = [0, 0, 20][dice.index(3)];
        let shape = shape(&mut dice, many, 0, lapsing);
        let (mut ops, mut held) = (Vec::new(), Vec::new());
        for at in 0..many {
            if held.is_empty() && dice.below(3) == 0 {
                ops.push(Transfer::Nothing);
            } else if held.is_empty() || dice.below(2) == 0 {
                held.push(value(at));
                ops.push(Transfer::Put(value(at)));
            } else {
                let which = [0, held.len() - 1, dice.index(held.len())][dice.index(3)];
                ops.push(Transfer::Take(held.remove(which)));
            }
        }
        // Not quite in the order of their invocations.
        for _ in 0..dice.index(3) {
            let (one, other) = (dice.index(many), dice.index(many));
            ops.swap(one, other);
        }
        agrees(spec, &shape, &ops, &budget, true, &mut tally);
    }
    assert!(tally.legal > 1000 && tally.illegal > 1000, "{tally:?}");
}

#[test]
fn random_passes_through_every_collection() {
    passes(&FifoQueue::default(), 5);
    passes(&UnorderedQueue::default(), 6);
    passes(&Stack::default(), 7);
}

#[test]
fn random_histories_of_a_list_and_a_set() {
    let list = AppendList::new([]);
    random(&list, 8, |dice, at, many| {
        if dice.below(2) == 0 {
            return parsed(&list, "append", value(if dice.below(12) == 0 { 0 } else { at }), Value::Nil);
        }
        let mut values: Vec<Value> = (0..many).map(value).filter(|_| dice.below(3) == 0).collect();
        if dice.below(4) == 0 {
            values.reverse();
        }
        parsed(&list, "read", Value::Nil, Value::vector(values))
    });
    let whole = crate::generate::history(&[crate::Event::new(0, crate::Kind::Invoke, "read", Value::Nil)]);
    let set = Set::new([], &whole);
    random(&set, 9, |dice, at, many| {
        let own = value(if dice.below(12) == 0 { 0 } else { at });
        match dice.below(20) {
            0 => SetOp::Contains(own, dice.below(2) == 0),
            1 => SetOp::Remove(own, None),
            2..12 => SetOp::Add(own, None),
            _ => SetOp::Read((0..many).map(value).filter(|_| dice.below(2) == 0).collect()),
        }
    });
}
