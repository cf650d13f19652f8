//! `unique`: polynomial algorithms for objects whose values tell who wrote what another saw.
//!
//! [`registers`](crate::registers) for registers, compare-and-set and maps of them; [`collections`](crate::collections) for queues, stacks,
//! lists and sets. They answer the same questions as the search, with the same kind of witness, which the same validator
//! replays. Where the values of a partition do not tell (two writers of one value that somebody saw), they are silent.

use crate::Specification;
use crate::collections::Collection;
use crate::decision::{Decision, Progress, Refutation};
use crate::limits::{Budget, Stopped};
use crate::partition::{Call, FOREVER};
use crate::registers::{Register, before};
use crate::wgl::{Strategy, search};

/// What a polynomial algorithm says about some calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A linearization.
    Order(Vec<u32>),
    /// There is none.
    Impossible,
    /// The algorithm does not apply.
    Silent,
    /// Out of time.
    Stopped(Stopped),
}

/// Decides `calls`, if one of the algorithms applies.
pub(crate) fn decide<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
) -> Option<Decision> {
    /// What the algorithms take for each call, at most.
    const EACH: usize = 160;
    if let Err(reason) = budget.purse().take(calls.len() * EACH) {
        return Some(Decision::Undecided(reason, Progress::default()));
    }
    if let Some(register) = Register::new(spec, kinds) {
        return settle(spec, kinds, calls, &|calls| register.order(calls), budget);
    }
    let collection = Collection::new(spec, kinds)?;
    settle(spec, kinds, calls, &|calls| collection.order(calls, budget), budget)
}

fn settle<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    order: &dyn Fn(&[Call]) -> Answer,
    budget: &Budget,
) -> Option<Decision> {
    match order(calls) {
        Answer::Order(order) => Some(Decision::Legal(order)),
        Answer::Impossible => Some(Decision::Illegal(refutation(spec, kinds, calls, order, budget))),
        Answer::Stopped(reason) => {
            let steps = calls.len() as u64 * 2;
            Some(Decision::Undecided(reason, Progress { steps, ..Progress::default() }))
        }
        Answer::Silent => None,
    }
}

/// Steps of search for an order that no polynomial algorithm finds.
const SHARE: u64 = 1 << 16;

/// Linearizability is prefix-closed: the first return at which a linearization is known to be impossible is found by bisection.
/// Where the algorithm is silent about a beginning of the history, it counts as possible.
fn refutation<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    order: &dyn Fn(&[Call]) -> Answer,
    budget: &Budget,
) -> Refutation {
    let mut returns: Vec<u32> =
        calls.iter().filter(|call| call.required()).map(|call| call.returned).collect();
    returns.sort_unstable();
    let until = |position: u32| order(&before(calls, position));
    let first = returns.partition_point(|position| until(*position) != Answer::Impossible);
    let position = returns.get(first).or(returns.last()).copied().unwrap_or(FOREVER);
    let blocked = calls.iter().position(|call| call.returned == position);
    let last = first.checked_sub(1).and_then(|last| returns.get(last));
    let order = last.map_or_else(Vec::new, |last| match until(*last) {
        Answer::Order(order) => order,
        _ => match search(spec, kinds, &before(calls, *last), budget, Strategy::DepthFirst, true, SHARE) {
            Decision::Legal(order) => order,
            _ => Vec::new(),
        },
    });
    let kind = |call: &u32| calls.get(*call as usize).and_then(|call| kinds.get(call.kind as usize));
    let state = order.iter().try_fold(spec.initial(), |state, call| spec.step(&state, kind(call)?));
    let states = state.iter().map(|state| spec.describe_state(state)).collect();
    let blocked = blocked.and_then(|at| u32::try_from(at).ok()).unwrap_or(FOREVER);
    Refutation { blocked, order, states, foreseen: false }
}

#[cfg(test)]
mod tests;
