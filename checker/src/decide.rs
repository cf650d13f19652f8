//! One partition, one answer: the short cuts first, then the search.

use std::str::FromStr;

use crate::Specification;
use crate::decision::{Decision, Progress, Refutation};
use crate::limits::{Budget, Stopped};
use crate::partition::{Call, FOREVER};
use crate::registers::{Register, before};
use crate::wgl::{Strategy, search};

/// How to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The short cut for registers whose values have one writer each, where it applies, else [`Algorithm::Wgl`].
    #[default]
    Auto,
    /// Wing & Gong with Lowe's memoisation, always.
    Wgl,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Wgl => "wgl",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "wgl" => Ok(Self::Wgl),
            other => Err(format!("unknown algorithm `{other}`: expected auto or wgl")),
        }
    }
}

/// Configurations of a depth-first search before it is given up for the breadth-first one.
const DEPTH_FIRST_SHARE: u64 = 1 << 20;

/// Decides `calls` with at most `share` steps of search.
pub(crate) fn decide<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    algorithm: Algorithm,
    budget: &Budget,
    share: u64,
) -> Decision {
    if let Err(reason) = budget.check() {
        return Decision::Undecided(reason, Progress::default());
    }
    if algorithm == Algorithm::Auto
        && let Some(register) = Register::new(spec, kinds)
    {
        if let Some(decision) = register.decide(spec, kinds, calls) {
            return decision;
        }
        if let Some(phantom) = register.phantom(calls) {
            return Decision::Illegal(refute(spec, kinds, calls, phantom, budget));
        }
    }
    match wgl(spec, kinds, calls, budget, true, share) {
        Decision::Illegal(refutation) if refutation.foreseen => {
            Decision::Illegal(first_impossible(spec, kinds, calls, refutation, budget))
        }
        decision => decision,
    }
}

fn wgl<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
    foresight: bool,
    share: u64,
) -> Decision {
    let first = share.min(DEPTH_FIRST_SHARE);
    match search(spec, kinds, calls, budget, Strategy::DepthFirst, foresight, first) {
        Decision::Undecided(Stopped::Share, _) if share > DEPTH_FIRST_SHARE => {
            search(spec, kinds, calls, budget, Strategy::BreadthFirst, foresight, share)
        }
        decision => decision,
    }
}

/// A search with foresight says that there is no linearization, but not how far one could have been taken. Linearizability
/// is prefix-closed: the first return at which it is lost is found by bisection.
fn first_impossible<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    known: Refutation,
    budget: &Budget,
) -> Refutation {
    let returned = |id: u32| calls.get(id as usize).map_or(0, |call| call.returned);
    let required = calls.iter().filter(|call| call.required());
    let mut returns: Vec<u32> = required.map(|call| call.returned).collect();
    returns.sort_unstable();
    // Lost at `returns[high]` for sure; not lost, or not known to be, below `low`.
    let mut low = returns.partition_point(|position| *position < returned(known.blocked));
    let mut high = returns.len().saturating_sub(1);
    let cut = |at: usize| before(calls, returns.get(at).copied().unwrap_or(FOREVER));
    while low < high {
        let middle = low.midpoint(high);
        match wgl(spec, kinds, &cut(middle), budget, true, DEPTH_FIRST_SHARE) {
            Decision::Illegal(_) => high = middle,
            Decision::Legal(_) => low = middle + 1,
            Decision::Undecided(..) => break,
        }
    }
    match wgl(spec, kinds, &cut(high), budget, false, DEPTH_FIRST_SHARE) {
        Decision::Illegal(refutation) => refutation,
        // Without foresight that was too much: name the operation, and the order that led there.
        _ => {
            let last = returns.get(high).copied().unwrap_or(FOREVER);
            let blocked = calls.iter().position(|call| call.required() && call.returned == last);
            let blocked = blocked.and_then(|at| u32::try_from(at).ok()).unwrap_or(known.blocked);
            match high.checked_sub(1).map(|at| wgl(spec, kinds, &cut(at), budget, true, DEPTH_FIRST_SHARE)) {
                Some(Decision::Legal(order)) => {
                    Refutation { blocked, states: end_of(spec, kinds, calls, &order), order, foreseen: false }
                }
                _ => Refutation { blocked, ..known },
            }
        }
    }
}

/// The state at the end of an order, described.
fn end_of<S: Specification>(spec: &S, kinds: &[S::Op], calls: &[Call], order: &[u32]) -> Vec<String> {
    let kind = |call: &u32| calls.get(*call as usize).and_then(|call| kinds.get(call.kind as usize));
    let state = order.iter().try_fold(spec.initial(), |state, call| spec.step(&state, kind(call)?));
    state.iter().map(|state| spec.describe_state(state)).collect()
}

/// `phantom` cannot be: what was possible until it returned?
fn refute<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    phantom: u32,
    budget: &Budget,
) -> Refutation {
    let nothing = Refutation { blocked: phantom, ..Refutation::default() };
    let Some(call) = calls.get(phantom as usize) else { return nothing };
    let until = call.returned.checked_sub(1).unwrap_or(FOREVER);
    let calls = before(calls, until);
    match search(spec, kinds, &calls, budget, Strategy::DepthFirst, false, DEPTH_FIRST_SHARE) {
        Decision::Illegal(earlier) => earlier,
        Decision::Legal(order) => {
            Refutation { states: end_of(spec, kinds, &calls, &order), order, ..nothing }
        }
        Decision::Undecided(..) => nothing,
    }
}
