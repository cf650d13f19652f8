//! Random histories, more of them on demand.

use super::*;
use crate::generate::Dice;

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
fn random_histories_of_a_priority_queue() {
    random(&PriorityQueue::default(), 10, random_transfer);
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
    passes(&PriorityQueue::default(), 11);
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
