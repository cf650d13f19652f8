//! Short cuts for registers ([`Access`]): no search is needed where every value that was seen has one writer.
//!
//! # Unique writers
//!
//! If a value *v* that somebody saw was written by one call only, the calls that wrote or saw it stay together in every
//! linearization: the write, then its reads, then perhaps the one compare-and-set that left *v* for *u*, then the reads of
//! *u*, and so on, up to the next plain write. Call such a run a *block*:
//!
//! ```text
//!   write 1 · read 1 · read 1 · cas 1→2 · read 2      write 3 · read 3      write 4
//!   └────────────────── block ─────────────────┘      └─── block ───┘      └ block ┘
//! ```
//!
//! Inside a block the order is given (reads of one value among themselves: by invocation), and real time either agrees or
//! not. Between blocks *A* must precede *B* if some call of *A* returned before some call of *B* was invoked, that is,
//! with *f* the first return and *s* the last invocation of a block, if f(A) < s(B). An order of the blocks exists exactly
//! if that relation has no cycle, and it has one only if it has one of length two: in a shortest cycle A₁→A₂→…→Aₖ with
//! k ≥ 3 there is no chord Aᵢ→Aᵢ₊₂, so s(Aᵢ₊₂) ≤ f(Aᵢ), and Aᵢ₊₁→Aᵢ₊₂ gives f(Aᵢ₊₁) < s(Aᵢ₊₂) ≤ f(Aᵢ): f falls all the way
//! round the cycle. Without 2-cycles, the blocks by min(f, s) are in a right order, and one pass that keeps the largest s
//! finds any B with f(B) < s(A) for an A before it. (Gibbons & Korach 1997, §4, for reads and writes; blocks carry it to
//! compare-and-set.) The initial value is written by a call that returns before everything.
//!
//! Optional calls whose value nobody saw need not happen and are left out; the others must have happened.

#![expect(clippy::indexing_slicing, reason = "indices are made here and by `partition`")]

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::unique::Answer;
use crate::{Access, Specification, Value};

/// The calls as accesses, and the initial value; `None` if the object is not one register.
pub(crate) struct Register<'a> {
    accesses: Vec<Access<'a>>,
    initial: &'a Value,
}

/// The writer of the initial value.
const INITIAL: u32 = FOREVER;
/// More than one writer.
const AMBIGUOUS: u32 = FOREVER - 1;

impl<'a> Register<'a> {
    pub(crate) fn new<S: Specification>(spec: &'a S, kinds: &'a [S::Op]) -> Option<Self> {
        let accesses = kinds.iter().map(|op| spec.access(op)).collect::<Option<Vec<_>>>()?;
        Some(Self { accesses, initial: spec.initial_value()? })
    }

    fn access(&self, call: &Call) -> Access<'a> {
        match self.accesses[call.kind as usize] {
            Access::Cas(from, to) if from == to => Access::Read(from),
            access => access,
        }
    }

    /// A call that saw a value which nobody could have written by then.
    pub(crate) fn phantom(&self, calls: &[Call]) -> Option<u32> {
        let mut first: FxHashMap<&Value, u32> = FxHashMap::default();
        for call in calls {
            if let Access::Write(value) | Access::Cas(_, value) = self.access(call) {
                let known = first.entry(value).or_insert(call.invoked);
                *known = call.invoked.min(*known);
            }
        }
        let phantom = |call: &Call| match self.access(call) {
            Access::Read(value) | Access::Cas(value, _) => {
                value != self.initial && first.get(value).is_none_or(|invoked| *invoked > call.returned)
            }
            Access::Write(_) | Access::Differs(_) => false,
        };
        let phantoms = calls.iter().enumerate().filter(|(_, call)| call.required() && phantom(call));
        phantoms.min_by_key(|(_, call)| call.returned).and_then(|(at, _)| u32::try_from(at).ok())
    }

    /// An order of the calls, if every value that was seen has one writer.
    pub(crate) fn order(&self, calls: &[Call]) -> Answer {
        let Clusters { reads, mut leaving, mut heads } = match self.clusters(calls) {
            Ok(clusters) => clusters,
            Err(answer) => return answer,
        };
        heads.push(INITIAL);
        let mut placed = 0;
        let mut blocks = Vec::with_capacity(heads.len());
        let mut order = Vec::with_capacity(calls.len());
        let everything = heads.len() - 1 + leaving.len();
        for head in heads {
            let start = order.len();
            let Some((first, last)) = block(calls, head, &reads, &mut leaving, &mut order, &mut placed)
            else {
                return Answer::Impossible;
            };
            if start < order.len() {
                blocks.push((first.min(last), first, last, start, order.len()));
            }
        }
        if placed != everything {
            // A ring of compare-and-sets that nobody entered.
            return Answer::Impossible;
        }
        blocks.sort_unstable();
        let mut latest = -1;
        let mut sorted = Vec::with_capacity(order.len());
        for (_, first, last, start, end) in blocks {
            if first < latest && !on(Mutant::BlocksOverlap) {
                return Answer::Impossible;
            }
            latest = latest.max(last);
            sorted.extend_from_slice(&order[start..end]);
        }
        Answer::Order(sorted)
    }

    /// Who wrote what others saw.
    fn clusters(&self, calls: &[Call]) -> Result<Clusters, Answer> {
        let mut writers: FxHashMap<&Value, u32> = FxHashMap::default();
        writers.insert(self.initial, INITIAL);
        for (at, call) in calls.iter().enumerate() {
            if let Access::Write(value) | Access::Cas(_, value) = self.access(call) {
                let id = u32::try_from(at).unwrap_or(AMBIGUOUS);
                writers
                    .entry(value)
                    .and_modify(|writer| *writer = if on(Mutant::LastWriter) { id } else { AMBIGUOUS })
                    .or_insert(id);
            }
        }
        let mut clusters = Clusters::default();
        // Optional calls that must have happened, since someone saw what they wrote.
        let mut needed = Vec::new();
        let mut known = vec![false; calls.len()];
        let required = (0..calls.len()).filter(|at| calls[*at].required());
        let mut work: Vec<usize> = required.collect();
        let mut possible = true;
        while let Some(at) = work.pop().or_else(|| needed.pop()) {
            let id = u32::try_from(at).unwrap_or(AMBIGUOUS);
            let seen = match self.access(&calls[at]) {
                Access::Differs(_) => return Err(Answer::Silent),
                Access::Write(_) => {
                    clusters.heads.push(id);
                    continue;
                }
                Access::Read(seen) | Access::Cas(seen, _) => seen,
            };
            let writer = match writers.get(seen) {
                Some(&AMBIGUOUS) => return Err(Answer::Silent),
                Some(writer) => *writer,
                None => {
                    possible = false;
                    continue;
                }
            };
            if writer != INITIAL && !calls[writer as usize].required() && !known[writer as usize] {
                known[writer as usize] = true;
                needed.push(writer as usize);
            }
            match self.access(&calls[at]) {
                Access::Cas(..) => match clusters.leaving.entry(writer) {
                    // Two left the same value, which was there once.
                    Entry::Occupied(_) => possible = false,
                    Entry::Vacant(place) => drop(place.insert(id)),
                },
                _ => clusters.reads.entry(writer).or_default().push(id),
            }
        }
        possible.then_some(clusters).ok_or(Answer::Impossible)
    }
}

#[derive(Default)]
struct Clusters {
    /// By writer: who read what it wrote.
    reads: FxHashMap<u32, Vec<u32>>,
    /// By writer: the compare-and-set that replaced what it wrote.
    leaving: FxHashMap<u32, u32>,
    /// Plain writes: each begins a block.
    heads: Vec<u32>,
}

/// Appends the block that begins with `head`; says its first return and last invocation. `None` if real time forbids it.
fn block(
    calls: &[Call],
    head: u32,
    reads: &FxHashMap<u32, Vec<u32>>,
    leaving: &mut FxHashMap<u32, u32>,
    order: &mut Vec<u32>,
    placed: &mut usize,
) -> Option<(i64, i64)> {
    // The initial value was written before everything.
    let (mut first, mut last) = if head == INITIAL { (-1, -1) } else { (i64::MAX, -1) };
    let mut place = |id: u32, bound: i64, order: &mut Vec<u32>| {
        let call = &calls[id as usize];
        let returned = if call.returned == FOREVER { i64::MAX } else { i64::from(call.returned) };
        first = first.min(returned);
        last = last.max(i64::from(call.invoked));
        order.push(id);
        // Nobody of an earlier part of the block may have been invoked after this one returned.
        (returned >= bound).then_some(last)
    };
    let mut bound = -1;
    let mut writer = head;
    loop {
        if writer != INITIAL {
            bound = place(writer, bound, order)?;
            *placed += 1;
        }
        if let Some(readers) = reads.get(&writer) {
            let mut readers = readers.clone();
            readers.sort_unstable_by_key(|id| calls[*id as usize].invoked);
            let before = bound;
            for id in readers {
                bound = place(id, before, order)?;
            }
        }
        match leaving.remove(&writer) {
            Some(next) => writer = next,
            None => return Some((first, last)),
        }
    }
}

/// The calls as they stood at `position`: what had not returned may still happen or not, what was not invoked is not there.
pub(crate) fn before(calls: &[Call], position: u32) -> Vec<Call> {
    let cut = |call: &Call| match call.returned > position {
        true => Call { returned: FOREVER, optional: true, ..*call },
        false => *call,
    };
    calls.iter().take_while(|call| call.invoked <= position).map(cut).collect()
}
