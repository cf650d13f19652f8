//! Lists and sets that only grow: whoever saw the contents saw a stage, and the stages follow each other.
//!
//! Of two lists that were read, one is the beginning of the other, of two sets one is part of the other, or there is no order.
//! So the order of the stages is given, and with it when every value that somebody saw was put in, between the last stage
//! without and the first one with it. What nobody saw comes last. Inside a stage the calls go by invocation. Real time agrees if
//! nobody returned before someone earlier in that order was invoked: `latest` below.

use rustc_hash::FxHashMap;

use crate::Value;
use crate::mutant::{Mutant, on};
use crate::partition::Call;
use crate::spec::{Discipline, Handling};
use crate::unique::Answer;

pub(super) fn order<'a>(
    discipline: Discipline,
    handled: impl Iterator<Item = (u32, Call, Handling<'a>)>,
) -> Answer {
    let (mut puts, mut reads) = (Vec::new(), Vec::new());
    for (id, call, handling) in handled {
        match handling {
            Handling::Insert(value) => puts.push((id, call, value)),
            Handling::Contents(seen) if call.required() => reads.push((id, call, seen)),
            Handling::Contents(_) => {}
            _ => return Answer::Silent,
        }
    }
    reads.sort_by_key(|(.., seen)| seen.len());
    let smaller = |one: &[Value], other: &[Value]| match discipline {
        Discipline::List => other.starts_with(one),
        _ => part(one, other),
    };
    let mut stages: FxHashMap<&Value, (usize, bool)> = FxHashMap::default();
    let mut before: &[Value] = &[];
    for (.., seen) in &reads {
        if !smaller(before, seen) && !on(Mutant::Shrinking) {
            return Answer::Impossible;
        }
        let fresh = match discipline {
            Discipline::List => seen.get(before.len()..).unwrap_or_default(),
            _ => seen,
        };
        for (at, value) in fresh.iter().enumerate() {
            let stage = match discipline {
                // Each value of a list is a stage of its own.
                Discipline::List => before.len() + at + 1,
                _ => seen.len(),
            };
            let known = stages.entry(value).or_insert((stage, false));
            // A value that is in a list twice was put twice.
            if discipline == Discipline::List && known.0 != stage {
                return Answer::Silent;
            }
        }
        before = seen;
    }
    // What nobody saw.
    let last = usize::MAX;
    let mut order = Vec::with_capacity(puts.len() + reads.len());
    for (id, call, value) in puts {
        match stages.get_mut(value) {
            Some((_, true)) => return Answer::Silent,
            Some((stage, put)) => {
                *put = true;
                order.push((*stage, false, call.invoked, id, call));
            }
            None if call.required() => order.push((last, false, call.invoked, id, call)),
            None => {}
        }
    }
    if stages.values().any(|(_, put)| !put) {
        return Answer::Impossible;
    }
    order.extend(reads.iter().map(|(id, call, seen)| (seen.len(), true, call.invoked, *id, *call)));
    order.sort_unstable_by_key(|(stage, read, invoked, id, _)| (*stage, *read, *invoked, *id));
    let mut latest = 0;
    for (.., call) in &order {
        if call.returned < latest {
            return Answer::Impossible;
        }
        latest = call.invoked.max(latest);
    }
    Answer::Order(order.into_iter().map(|(.., id, _)| id).collect())
}

/// Whether all of `one` is in `other`; both are sorted.
fn part(one: &[Value], other: &[Value]) -> bool {
    let mut other = other.iter();
    one.iter().all(|value| other.by_ref().find(|candidate| *candidate >= value) == Some(value))
}
