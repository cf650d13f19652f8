//! Why every continuation fails: from the end of a longest order, what else could have happened first, and where that leads.

use rustc_hash::FxHashSet;

use crate::Specification;
use crate::limits::Budget;
use crate::partition::{Call, Partition};

/// The most continuations that are listed.
const MOST: usize = 24;
/// The most continuations that are looked at.
const EFFORT: usize = 1 << 14;

/// A continuation of an order, given as calls, and the state it ends in.
pub(crate) struct Continuation<State> {
    pub(crate) calls: Vec<u32>,
    pub(crate) state: State,
}

/// The continuations of an order up to a call that is not legal after any of them.
pub(crate) struct Continuations<State> {
    /// One of the shortest for each state; the first adds nothing.
    pub(crate) found: Vec<Continuation<State>>,
    /// Whether these are all the states that any continuation ends in.
    pub(crate) complete: bool,
}

/// Continues `order`, in which all has its place that returned before `blocked` did, by what was open then. `None` if that
/// shows `blocked` to be possible after all.
pub(crate) fn continuations<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    order: &[u32],
    end: S::State,
    blocked: u32,
    budget: &Budget,
) -> Option<Continuations<S::State>> {
    let last = partition.calls.get(blocked as usize)?;
    let step = |state: &S::State, call: &Call| spec.step(state, partition.kinds.get(call.kind as usize)?);
    let placed: FxHashSet<u32> = order.iter().copied().collect();
    let open: Vec<(u32, &Call)> = (0..)
        .zip(&partition.calls)
        .take_while(|(_, call)| call.invoked < last.returned)
        .filter(|(at, _)| *at != blocked && !placed.contains(at))
        .collect();
    let mut known = FxHashSet::default();
    let mut states = FxHashSet::default();
    let mut work = std::collections::VecDeque::from([Continuation { calls: Vec::new(), state: end }]);
    let mut found: Vec<Continuation<S::State>> = Vec::new();
    let mut complete = true;
    while let Some(Continuation { calls, state }) = work.pop_front() {
        if step(&state, last).is_some() {
            return None;
        }
        for (at, call) in &open {
            if calls.contains(at) {
                continue;
            }
            let Some(next) = step(&state, call).filter(|next| *next != state) else { continue };
            let mut calls = calls.clone();
            calls.push(*at);
            let mut set = calls.clone();
            set.sort_unstable();
            if known.len() >= EFFORT || budget.check().is_err() {
                complete = false;
            } else if known.insert((set, next.clone())) {
                work.push_back(Continuation { calls, state: next });
            }
        }
        if !states.insert(state.clone()) {
            continue;
        }
        if found.len() < MOST {
            found.push(Continuation { calls, state });
        } else {
            complete = false;
        }
    }
    Some(Continuations { found, complete })
}
