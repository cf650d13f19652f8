//! The proof test: the polynomial algorithms against the definition (every order is tried) on *all* histories up to a stated
//! size, and against the definition, `wgl` and `linear` on random ones.
//!
//! `exhaustive` makes all of them, `random` many larger ones. More random ones on demand: `PLUMBLINE_ORACLE_CASES=10000000 cargo test --release -p checker unique`.

mod exhaustive;
mod random;

use super::*;
use crate::limits::Limits;
use crate::linear::linear;
use crate::partition::Partition;
use crate::spec::{
    AppendList, FifoQueue, PriorityQueue, RegisterFamily, RegisterOp, Set, SetOp, Stack, Transfer,
    UnorderedQueue, Vocabulary,
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

const REGISTER: RegisterFamily = RegisterFamily {
    vocabulary: Vocabulary::CasRegister,
    initial: Value::Nil,
    nil_reads_any: false,
    failed_cas_observes: false,
};

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
