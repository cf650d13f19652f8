//! Why not: how far an order could be taken, why it goes no further, and the fewest operations that contradict each other.

use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::check::{CheckOptions, operations};
use crate::confirm::{Confirmed, confirm, states_before};
use crate::decision::Refutation;
use crate::ends::continuations;
use crate::limits::Budget;
use crate::partition::{Call, FOREVER, Partition};
use crate::registers::before;
use crate::sequential::Sequential;
use crate::shrink::shrink;
use crate::staleness::read_fault;
use crate::validate::validate;
use crate::verdict::{CheckError, End, Explanation};
use crate::{Access, Specification};

/// Writers shown for each value.
const WRITERS: usize = 2;

/// The shares of an explanation's time: half of it for the conflict, then these for what else is asked.
pub(crate) fn allowance(options: &CheckOptions, part: u32) -> Budget {
    let all = options.explanation.min(options.limits.time);
    Budget::until(&options.limits, all.checked_div(part).unwrap_or(Duration::ZERO))
}

pub(crate) fn explain<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    refutation: &Refutation,
    options: &CheckOptions,
) -> Result<Explanation, CheckError> {
    if options.explanation.is_zero() {
        return Ok(unexplained(partition, refutation));
    }
    let conflict = shrink(spec, partition, refutation.blocked, options.algorithm, &allowance(options, 2));
    let ids: Vec<u32> = conflict.calls.iter().map(|call| call.operation).collect();
    let until = partition.calls.get(refutation.blocked as usize).map_or(FOREVER, |call| call.returned);
    let confirmed = match confirmed(spec, partition, &ids, until, &allowance(options, 8)) {
        Confirmed::Yes => true,
        Confirmed::Unknown => false,
        Confirmed::No => {
            let key = partition.key.as_ref().map_or("(none)".to_owned(), ToString::to_string);
            return Err(CheckError::InvalidConflict { key, operations: ids });
        }
    };
    let blocked = partition.calls.get(refutation.blocked as usize).copied();
    let concurrent = partition.calls.iter().filter(|call| {
        blocked.is_some_and(|blocked| {
            let overlap = call.invoked < blocked.returned && call.returned > blocked.invoked;
            overlap && call.operation != blocked.operation
        })
    });
    let concurrent = concurrent.map(|call| call.operation).collect();
    let way = way(spec, partition, refutation, until, &allowance(options, 8));
    let related = writers(spec, partition, &conflict.calls);
    Ok(Explanation {
        key: partition.key.clone(),
        prefix: way.prefix,
        prefix_complete: way.prefix_complete,
        states: way.states,
        states_complete: way.states_complete,
        ends: way.ends,
        ends_complete: way.ends_complete,
        blocked: blocked.map_or(0, |call| call.operation),
        concurrent,
        related,
        minimal: conflict.minimal,
        confirmed,
        read_fault: read_fault(spec, partition, &conflict.calls),
        conflict: ids,
        sequential: Sequential::default(),
    })
}

/// What the decision itself has shown.
fn unexplained<Op>(partition: &Partition<Op>, refutation: &Refutation) -> Explanation {
    let blocked = partition.calls.get(refutation.blocked as usize);
    Explanation {
        key: partition.key.clone(),
        prefix: operations(partition, &refutation.order),
        prefix_complete: false,
        states: Vec::new(),
        states_complete: false,
        ends: Vec::new(),
        ends_complete: false,
        blocked: blocked.map_or(0, |call| call.operation),
        concurrent: Vec::new(),
        conflict: Vec::new(),
        minimal: false,
        confirmed: false,
        related: Vec::new(),
        read_fault: None,
        sequential: Sequential::default(),
    }
}

/// The judge's word on a conflict: those operations happened, all others of this key may have, up to `until`.
fn confirmed<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    conflict: &[u32],
    until: u32,
    budget: &Budget,
) -> Confirmed {
    let held: FxHashSet<u32> = conflict.iter().copied().collect();
    let weaken = |call: &Call| Call { optional: call.optional || !held.contains(&call.operation), ..*call };
    let calls: Vec<Call> = before(&partition.calls, until).iter().map(weaken).collect();
    confirm(spec, &partition.kinds, &calls, budget)
}

/// How far an order could be taken, and why no further.
struct Way {
    prefix: Vec<u32>,
    prefix_complete: bool,
    states: Vec<String>,
    states_complete: bool,
    ends: Vec<End>,
    ends_complete: bool,
}

fn way<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    refutation: &Refutation,
    until: u32,
    budget: &Budget,
) -> Way {
    let mut way = Way {
        prefix: operations(partition, &refutation.order),
        prefix_complete: false,
        states: refutation.states.clone(),
        states_complete: false,
        ends: Vec::new(),
        ends_complete: false,
    };
    // Everything that returned before `blocked` did: is the order a linearization of that?
    let calls = before(&partition.calls, until.saturating_sub(1));
    let cut = Partition { key: partition.key.clone(), kinds: partition.kinds.clone(), calls };
    if let Ok(end) = validate(spec, &cut, &refutation.order) {
        way.prefix_complete = true;
        let order = &refutation.order;
        if let Some(all) = continuations(spec, partition, order, end, refutation.blocked, budget) {
            let end = |found: &crate::ends::Continuation<S::State>| End {
                through: operations(partition, &found.calls),
                state: spec.describe_state(&found.state),
            };
            way.ends = all.found.iter().map(end).collect();
            way.ends_complete = all.complete;
        }
    }
    let cut = before(&partition.calls, until);
    if let Some(states) = states_before(spec, &partition.kinds, &cut, until, budget) {
        let mut states: Vec<String> = states.iter().map(|state| spec.describe_state(state)).collect();
        states.sort_unstable();
        states.dedup();
        way.states_complete = states.len() <= Refutation::MOST_STATES;
        states.truncate(Refutation::MOST_STATES);
        way.states = states;
    }
    way
}

/// The last calls that wrote what `conflict` saw, if the object is a register.
fn writers<S: Specification>(spec: &S, partition: &Partition<S::Op>, conflict: &[Call]) -> Vec<u32> {
    let access = |call: &Call| spec.access(partition.kinds.get(call.kind as usize)?);
    let mut writers = Vec::new();
    for call in conflict {
        let Some(Access::Read(seen) | Access::Cas(seen, _)) = access(call) else { continue };
        let wrote = |other: &Call| match access(other) {
            Some(Access::Write(value) | Access::Cas(_, value)) => {
                value == seen && other.invoked < call.returned && other.operation != call.operation
            }
            _ => false,
        };
        let last = partition.calls.iter().rev().filter(|other| wrote(other)).take(WRITERS);
        writers.extend(last.map(|call| call.operation));
    }
    writers.retain(|writer| !conflict.iter().any(|call| call.operation == *writer));
    writers.sort_unstable();
    writers.dedup();
    writers
}
