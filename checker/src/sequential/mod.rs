//! What a history that is not linearizable still is: sequentially consistent (Lamport 1979), or not even that.
//!
//! Sequential consistency asks for an order of *all* operations, of all keys together (it is not local, Herlihy & Wing 1990,
//! §3.3), that the specification allows and in which each process' own operations keep their order. Real time is not
//! looked at. Processes are those of the history: a client that goes on under another number after an operation of
//! unknown outcome is another process.
//!
//! The question is NP-complete (Gibbons & Korach 1997), so the effort is bounded, and *unknown* is an answer. `constraints`
//! derives what must come before what where values have one writer each, and `search` tries orders elsewhere. A "yes" is
//! replayed by [`replays`] before it is said.

mod blocks;
mod constraints;
mod search;

use rustc_hash::FxHashMap;

use crate::limits::Budget;
use crate::partition::{Call, Partition};
use crate::{History, Specification};

/// Whether a history that is not linearizable is sequentially consistent. Numbers are indices into
/// [`crate::History::operations`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequential {
    /// It is, by this order.
    Yes {
        /// All operations that took effect.
        order: Vec<u32>,
    },
    /// It is not.
    No {
        /// Each must come before the next, and the last before the first; empty if all orders were tried instead.
        cycle: Vec<u32>,
    },
    /// Not decided.
    Unknown {
        /// Why not.
        reason: &'static str,
    },
}

impl Default for Sequential {
    fn default() -> Self {
        Self::Unknown { reason: "not looked at" }
    }
}

/// A call of one partition: the partition, and its number there.
type Place = (u32, u32);

/// Who did what in which order.
struct Programs {
    /// By process.
    programs: Vec<Vec<Place>>,
}

impl Programs {
    fn new<Op>(history: &History, partitions: &[Partition<Op>]) -> Self {
        let mut places: Vec<(u32, Place)> = Vec::new();
        for (which, partition) in (0..).zip(partitions) {
            places.extend((0..).zip(&partition.calls).map(|(at, call)| (call.operation, (which, at))));
        }
        // Operations are numbered by invocation.
        places.sort_unstable();
        let mut numbers: FxHashMap<i64, usize> = FxHashMap::default();
        let mut programs: Vec<Vec<Place>> = Vec::new();
        for (operation, place) in places {
            let Some(process) = history.operations.get(operation as usize).map(|op| op.process) else {
                continue;
            };
            let fresh = programs.len();
            let number = *numbers.entry(process).or_insert(fresh);
            if number == fresh {
                programs.push(Vec::new());
            }
            if let Some(program) = programs.get_mut(number) {
                program.push(place);
            }
        }
        Self { programs }
    }
}

fn call<Op>(partitions: &[Partition<Op>], (which, at): Place) -> Option<&Call> {
    partitions.get(which as usize)?.calls.get(at as usize)
}

/// What an algorithm says, before anybody has looked at it.
enum Answer {
    Yes(Vec<Place>),
    No(Vec<Place>),
    Unknown(&'static str),
}

/// Is this history sequentially consistent? `suspect` is a partition that is not linearizable.
pub(crate) fn sequential<S: Specification>(
    spec: &S,
    history: &History,
    partitions: &[Partition<S::Op>],
    suspect: usize,
    budget: &Budget,
) -> Sequential {
    let programs = Programs::new(history, partitions);
    let answer = match constraints::decide(spec, partitions, &programs, budget) {
        Some(answer) => answer,
        None => {
            // If one key alone has no order, all together have none; and it is much the smaller question.
            let one = partitions.get(suspect..=suspect).unwrap_or_default();
            let alone = match one.len() < partitions.len() {
                true => search::decide(spec, one, &Programs::new(history, one), budget),
                false => Answer::Unknown(""),
            };
            match alone {
                Answer::No(_) => Answer::No(Vec::new()),
                _ => search::decide(spec, partitions, &programs, budget),
            }
        }
    };
    let operations = |places: Vec<Place>| -> Vec<u32> {
        places.into_iter().filter_map(|place| call(partitions, place)).map(|call| call.operation).collect()
    };
    match answer {
        Answer::Yes(order) if replays(spec, partitions, &programs, &order) => {
            Sequential::Yes { order: operations(order) }
        }
        Answer::Yes(_) => Sequential::Unknown { reason: "the order that was found does not replay" },
        Answer::No(cycle) => Sequential::No { cycle: operations(cycle) },
        Answer::Unknown(reason) => Sequential::Unknown { reason },
    }
}

/// The judge of a "yes": everything that happened is there once, each process in its own order, and the specification
/// allows it.
fn replays<S: Specification>(
    spec: &S,
    partitions: &[Partition<S::Op>],
    programs: &Programs,
    order: &[Place],
) -> bool {
    let mut ranks: FxHashMap<Place, usize> = FxHashMap::default();
    let mut states: Vec<S::State> = partitions.iter().map(|_| spec.initial()).collect();
    for (rank, place) in order.iter().enumerate() {
        let kinds = partitions.get(place.0 as usize).map_or(&[][..], |partition| &partition.kinds);
        let op = call(partitions, *place).and_then(|call| kinds.get(call.kind as usize));
        let (Some(op), Some(state)) = (op, states.get_mut(place.0 as usize)) else { return false };
        match spec.step(state, op) {
            Some(next) => *state = next,
            None => return false,
        }
        if ranks.insert(*place, rank).is_some() {
            return false;
        }
    }
    programs.programs.iter().all(|program| {
        let mut last = None;
        program.iter().all(|place| match ranks.get(place) {
            None => call(partitions, *place).is_some_and(|call| call.optional),
            Some(rank) => last.replace(*rank).is_none_or(|before| before < *rank),
        })
    })
}

#[cfg(test)]
mod tests;
