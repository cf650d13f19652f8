//! Why not: the fewest operations that contradict each other.

use crate::check::{CheckOptions, operations};
use crate::decide::{Algorithm, decide};
use crate::decision::{Decision, Refutation};
use crate::limits::{Budget, Limits, Stopped};
use crate::partition::{Call, FOREVER, Partition};
use crate::registers::before;
use crate::verdict::Explanation;
use crate::{Access, Specification};

/// Steps of search for each attempt to make a conflict smaller.
const SHARE: u64 = 10_000;
/// Writers shown for each value.
const WRITERS: usize = 2;

pub(crate) fn explain<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    refutation: &Refutation,
    options: &CheckOptions,
) -> Explanation {
    let budget = Budget::until(&options.limits, Limits::EXPLANATION.min(options.limits.time));
    let (conflict, minimal) = shrink(spec, partition, refutation, options.algorithm, &budget);
    let blocked = partition.calls.get(refutation.blocked as usize).copied();
    let concurrent = partition.calls.iter().filter(|call| {
        blocked.is_some_and(|blocked| {
            let overlap = call.invoked < blocked.returned && call.returned > blocked.invoked;
            overlap && call.operation != blocked.operation
        })
    });
    let concurrent = concurrent.map(|call| call.operation).collect();
    Explanation {
        key: partition.key.clone(),
        prefix: operations(partition, &refutation.order),
        states: refutation.states.clone(),
        blocked: blocked.map_or(0, |call| call.operation),
        concurrent,
        related: operations(partition, &writers(spec, partition, &conflict)),
        conflict: operations(partition, &conflict),
        minimal,
    }
}

/// Makes a conflict small: which calls contradict each other even if any of the others had never happened?
///
/// Calls are made *optional* in chunks, from half of them down to single ones. If there is still no linearization they
/// stay optional. What is required at the end is a contradiction among those calls alone. (Taking calls out instead would
/// make contradictions that are none: without its write, every read is wrong.) This is delta debugging by complements
/// (Zeller & Hildebrandt 2002). Returns the calls, and whether each of them was tried.
fn shrink<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    refutation: &Refutation,
    algorithm: Algorithm,
    budget: &Budget,
) -> (Vec<u32>, bool) {
    let until = partition.calls.get(refutation.blocked as usize).map_or(FOREVER, |call| call.returned);
    let pure: Vec<bool> = partition.kinds.iter().map(|op| spec.is_pure(op)).collect();
    let mut calls = before(&partition.calls, until);
    let required = |(at, call): (usize, &Call)| u32::try_from(at).ok().filter(|_| call.required());
    let mut held: Vec<u32> = calls.iter().enumerate().filter_map(required).collect();
    let mut chunk = held.len().div_ceil(2);
    let mut complete = true;
    while chunk > 0 {
        let mut start = 0;
        while start < held.len() {
            let end = (start + chunk).min(held.len());
            let mut fewer = calls.clone();
            for id in held.get(start..end).unwrap_or_default() {
                if let Some(call) = fewer.get_mut(*id as usize) {
                    call.optional = true;
                }
            }
            match attempt(spec, partition, &pure, &fewer, algorithm, budget) {
                Decision::Illegal(_) => {
                    calls = fewer;
                    held.drain(start..end);
                }
                Decision::Legal(_) => start = end,
                Decision::Undecided(Stopped::Share, _) => {
                    complete = false;
                    start = end;
                }
                Decision::Undecided(..) => return (held, false),
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    (held, complete)
}

fn attempt<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    pure: &[bool],
    calls: &[Call],
    algorithm: Algorithm,
    budget: &Budget,
) -> Decision {
    // An optional read says nothing.
    let says = |call: &&Call| call.required() || !pure.get(call.kind as usize).copied().unwrap_or(false);
    let calls: Vec<Call> = calls.iter().filter(says).copied().collect();
    decide(spec, &partition.kinds, &calls, algorithm, budget, SHARE)
}

/// The last calls that wrote what `conflict` saw, if the object is a register.
fn writers<S: Specification>(spec: &S, partition: &Partition<S::Op>, conflict: &[u32]) -> Vec<u32> {
    let access = |id: u32| {
        let call = partition.calls.get(id as usize)?;
        Some((spec.access(partition.kinds.get(call.kind as usize)?)?, *call))
    };
    let mut writers = Vec::new();
    for id in conflict {
        let Some((Access::Read(seen) | Access::Cas(seen, _), call)) = access(*id) else { continue };
        let wrote = |other: &u32| match access(*other) {
            Some((Access::Write(value) | Access::Cas(_, value), writer)) => {
                value == seen && writer.invoked < call.returned
            }
            _ => false,
        };
        let all = 0..u32::try_from(partition.calls.len()).unwrap_or(0);
        let last: Vec<u32> = all.rev().filter(wrote).filter(|other| other != id).take(WRITERS).collect();
        writers.extend(last.into_iter().filter(|other| !conflict.contains(other)));
    }
    writers.sort_unstable();
    writers.dedup();
    writers
}
