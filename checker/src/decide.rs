//! One partition, one answer: the short cuts first, then the search.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::Specification;
use crate::decision::{Decision, Progress, Refutation};
use crate::limits::{Budget, Stopped};
use crate::linear::linear;
use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::registers::{Register, before};
use crate::unique;
use crate::wgl::{Strategy, search, somewhere};

/// How to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// [`Algorithm::Unique`] where it applies, else [`Algorithm::Wgl`].
    #[default]
    Auto,
    /// Polynomial algorithms for objects whose values tell who wrote them; no answer where they do not.
    Unique,
    /// Wing & Gong with Lowe's memoisation, always.
    Wgl,
    /// Just-in-time linearization, always.
    Linear,
    /// [`Algorithm::Unique`] where it applies, else [`Algorithm::Wgl`] and [`Algorithm::Linear`] at the same time: the first
    /// answer wins.
    Competition,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Unique, Self::Wgl, Self::Linear, Self::Competition];
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Unique => "unique",
            Self::Wgl => "wgl",
            Self::Linear => "linear",
            Self::Competition => "competition",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|algorithm| algorithm.to_string() == name).ok_or_else(|| {
            let all = Self::ALL.map(|algorithm| algorithm.to_string()).join(", ");
            format!("unknown algorithm `{name}`: expected one of {all}")
        })
    }
}

/// Configurations of a depth-first search before it is given up for the breadth-first one.
const DEPTH_FIRST_SHARE: u64 = 1 << 20;

/// Configurations of a depth-first search that either finds a linearization soon or is not the way to find one.
const QUICK_SHARE: u64 = 1 << 14;

/// Decides `calls` with at most `share` steps of search.
pub(crate) fn decide<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    algorithm: Algorithm,
    budget: &Budget,
    share: u64,
) -> Decision {
    shortly(spec, kinds, calls, algorithm, budget)
        .unwrap_or_else(|| at_length(spec, kinds, calls, algorithm, budget, share))
}

/// Decides without a search, if it can be done so and the algorithm asked for allows it.
pub(crate) fn shortly<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    algorithm: Algorithm,
    budget: &Budget,
) -> Option<Decision> {
    if let Err(reason) = budget.check() {
        return Some(Decision::Undecided(reason, Progress::default()));
    }
    if matches!(algorithm, Algorithm::Wgl | Algorithm::Linear) {
        return None;
    }
    unique::decide(spec, kinds, calls, budget).or_else(|| {
        let phantom = Register::new(spec, kinds)?.phantom(calls)?;
        Some(Decision::Illegal(refute(spec, kinds, calls, phantom, budget)))
    })
}

/// Decides by searching. Equal operations should be one ([`crate::partition::Partition::merged`]).
pub(crate) fn at_length<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    algorithm: Algorithm,
    budget: &Budget,
    share: u64,
) -> Decision {
    let wgl = |budget: &Budget| {
        told(spec, kinds, calls, share, &|calls, foresight, share| {
            wgl(spec, kinds, calls, budget, foresight, share)
        })
    };
    let linear = |budget: &Budget| {
        told(spec, kinds, calls, share, &|calls, foresight, share| {
            linear(spec, kinds, calls, budget, foresight, share)
        })
    };
    match algorithm {
        Algorithm::Unique => Decision::Undecided(Stopped::Inapplicable, Progress::default()),
        Algorithm::Auto | Algorithm::Wgl => wgl(budget),
        Algorithm::Linear => linear(budget),
        Algorithm::Competition => race(budget, &wgl, &linear),
    }
}

/// Runs both at the same time. The first answer wins, and the other is told to stop; of two that have none, the first one's
/// reason is told.
fn race(
    budget: &Budget,
    one: &(dyn Fn(&Budget) -> Decision + Sync),
    other: &(dyn Fn(&Budget) -> Decision + Sync),
) -> Decision {
    let over = Arc::new(AtomicBool::new(false));
    let run = |racer: &(dyn Fn(&Budget) -> Decision + Sync)| {
        let decision = racer(&budget.racer(over.clone()));
        if !matches!(decision, Decision::Undecided(..)) {
            over.store(true, Ordering::Relaxed);
        }
        decision
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| run(other));
        (run(one), other.join())
    });
    match (one, other) {
        (Decision::Undecided(..), Ok(decision @ (Decision::Legal(_) | Decision::Illegal(_)))) => decision,
        (Decision::Undecided(_, mine), Ok(Decision::Undecided(reason, progress)))
            if progress.reached > mine.reached =>
        {
            Decision::Undecided(reason, progress)
        }
        (decision, Ok(_)) => decision,
        // A racer that panicked is a fault of this program, not a lost race.
        (_, Err(panic)) => std::panic::resume_unwind(panic),
    }
}

/// A search with foresight, and if that finds something impossible, where.
fn told<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    share: u64,
    search: &Search<'_>,
) -> Decision {
    match search(calls, true, share) {
        Decision::Illegal(refutation) if refutation.foreseen => {
            Decision::Illegal(first_impossible(spec, kinds, calls, refutation, search))
        }
        decision => decision,
    }
}

/// Searches calls, with foresight or without, with at most so many steps.
type Search<'a> = dyn Fn(&[Call], bool, u64) -> Decision + 'a;

fn wgl<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
    foresight: bool,
    share: u64,
) -> Decision {
    let look = |strategy, share| search(spec, kinds, calls, budget, strategy, foresight, share);
    let mut first = share.min(DEPTH_FIRST_SHARE);
    let register = spec.initial_value().is_some() && kinds.iter().all(|op| spec.access(op).is_some());
    if foresight && register && calls.iter().any(|call| call.optional) {
        match look(Strategy::DepthFirst, share.min(QUICK_SHARE)) {
            Decision::Undecided(Stopped::Share, _) if share > QUICK_SHARE => {}
            // Small histories are decided here, and would never show that bug.
            _ if on(Mutant::TwiceUsed) => {}
            decision => return decision,
        }
        match look(Strategy::Relaxed, share) {
            Decision::Undecided(Stopped::Share, _) => {}
            // Where it is lost with calls to spare is no measure of where it is without.
            Decision::Illegal(_) => return Decision::Illegal(somewhere(calls)),
            decision => return decision,
        }
        // Who was quick would have found it; the rest has to be seen.
        first = first.min(QUICK_SHARE * 8);
    }
    match look(Strategy::DepthFirst, first) {
        Decision::Undecided(Stopped::Share, _) if share > first => look(Strategy::BreadthFirst, share),
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
    search: &Search<'_>,
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
        match search(&cut(middle), true, DEPTH_FIRST_SHARE) {
            Decision::Illegal(_) => high = middle,
            Decision::Legal(_) => low = middle + 1,
            Decision::Undecided(..) => break,
        }
    }
    match search(&cut(high), false, DEPTH_FIRST_SHARE) {
        Decision::Illegal(refutation) => refutation,
        // Without foresight that was too much: name the operation, and the order that led there.
        _ => {
            let last = returns.get(high).copied().unwrap_or(FOREVER);
            let blocked = calls.iter().position(|call| call.required() && call.returned == last);
            let blocked = blocked.and_then(|at| u32::try_from(at).ok()).unwrap_or(known.blocked);
            match high.checked_sub(1).map(|at| search(&cut(at), true, DEPTH_FIRST_SHARE)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    /// If it did not, this would never end.
    #[test]
    fn the_loser_of_a_race_stops() {
        let budget = Budget::new(&Limits { time: std::time::Duration::MAX, ..Limits::default() });
        let wins = |_: &Budget| Decision::Legal(Vec::new());
        let loses = |budget: &Budget| {
            loop {
                if let Err(reason) = budget.check() {
                    return Decision::Undecided(reason, Progress::default());
                }
                thread::yield_now();
            }
        };
        for decision in [race(&budget, &wins, &loses), race(&budget, &loses, &wins)] {
            assert!(matches!(decision, Decision::Legal(_)), "{decision:?}");
        }
    }

    #[test]
    #[should_panic(expected = "a fault of ours")]
    fn a_racer_that_panics_has_not_just_lost() {
        let budget = Budget::new(&Limits::default());
        race(&budget, &|_| Decision::Legal(Vec::new()), &|_| panic!("a fault of ours"));
    }
}
