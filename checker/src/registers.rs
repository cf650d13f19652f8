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

use rustc_hash::FxHashMap;

use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::unique::Answer;
use crate::{Access, Specification, Value};

/// A register whose values are numbers: in the order in which they are met, the initial one first.
pub(crate) struct Register {
    accesses: Vec<Effect>,
    /// How many values there are.
    values: usize,
}

/// An access by numbers.
#[derive(Clone, Copy)]
enum Effect {
    Write(u32),
    Read(u32),
    Cas(u32, u32),
    Differs,
}

/// The initial value.
const START: u32 = 0;
/// The writer of the initial value.
const INITIAL: u32 = FOREVER;
/// More than one writer.
const AMBIGUOUS: u32 = FOREVER - 1;
/// Nobody at all.
const NOBODY: u32 = FOREVER - 2;

impl Register {
    /// `None` if the object is not one register.
    pub(crate) fn new<S: Specification>(spec: &S, kinds: &[S::Op]) -> Option<Self> {
        let mut numbers: FxHashMap<&Value, u32> = FxHashMap::default();
        // Most values are written once and read a few times.
        numbers.reserve(kinds.len() / 4);
        numbers.insert(spec.initial_value()?, START);
        let mut number = |value| {
            // Fits: there are at most two values for each call.
            let next = numbers.len() as u32;
            *numbers.entry(value).or_insert(next)
        };
        let effect = |op| {
            Some(match spec.access(op)? {
                Access::Write(value) => Effect::Write(number(value)),
                Access::Read(value) => Effect::Read(number(value)),
                Access::Cas(from, to) if from == to => Effect::Read(number(from)),
                Access::Cas(from, to) => Effect::Cas(number(from), number(to)),
                Access::Differs(_) => Effect::Differs,
            })
        };
        let accesses = kinds.iter().map(effect).collect::<Option<Vec<_>>>()?;
        Some(Self { accesses, values: numbers.len() })
    }

    fn access(&self, call: &Call) -> Effect {
        self.accesses[call.kind as usize]
    }

    /// A call that saw a value which nobody could have written by then.
    pub(crate) fn phantom(&self, calls: &[Call]) -> Option<u32> {
        // By value: the first invocation of who writes it.
        let mut first = vec![FOREVER; self.values];
        first[START as usize] = 0;
        for call in calls {
            if let Effect::Write(value) | Effect::Cas(_, value) = self.access(call) {
                let known = &mut first[value as usize];
                *known = call.invoked.min(*known);
            }
        }
        let phantom = |call: &Call| match self.access(call) {
            Effect::Read(value) | Effect::Cas(value, _) => {
                let first = first[value as usize];
                first == FOREVER || first > call.returned
            }
            Effect::Write(_) | Effect::Differs => false,
        };
        let phantoms = calls.iter().enumerate().filter(|(_, call)| call.required() && phantom(call));
        phantoms.min_by_key(|(_, call)| call.returned).and_then(|(at, _)| u32::try_from(at).ok())
    }

    /// An order of the calls, if every value that was seen has one writer.
    pub(crate) fn order(&self, calls: &[Call]) -> Answer {
        let mut clusters = match self.clusters(calls) {
            Ok(clusters) => clusters,
            Err(answer) => return answer,
        };
        let mut heads = std::mem::take(&mut clusters.heads);
        let everything = heads.len() + clusters.cas;
        heads.push(INITIAL);
        let mut placed = 0;
        let mut blocks = Vec::with_capacity(heads.len());
        let mut order = Vec::with_capacity(calls.len());
        let mut readers = Vec::new();
        for head in heads {
            let start = order.len();
            let Some(block) = clusters.block(calls, head, &mut order, &mut readers) else {
                return Answer::Impossible;
            };
            placed += block.writers;
            if start < order.len() {
                // Fit: there are fewer calls.
                let (start, end) = (start as u32, order.len() as u32);
                blocks.push((block.first.min(block.last), block.first, block.last, start, end));
            }
        }
        if placed != everything {
            // A ring of compare-and-sets that nobody entered.
            return Answer::Impossible;
        }
        blocks.sort_unstable();
        let mut latest = BEGINNING;
        let mut sorted = Vec::with_capacity(order.len());
        for (_, first, last, start, end) in blocks {
            if first < latest && !on(Mutant::BlocksOverlap) {
                return Answer::Impossible;
            }
            latest = latest.max(last);
            sorted.extend_from_slice(&order[start as usize..end as usize]);
        }
        Answer::Order(sorted)
    }

    /// By value: who wrote it.
    fn writers(&self, calls: &[Call]) -> Vec<u32> {
        let mut writers = vec![NOBODY; self.values];
        writers[START as usize] = INITIAL;
        for (call, id) in calls.iter().zip(0_u32..) {
            if let Effect::Write(value) | Effect::Cas(_, value) = self.access(call) {
                let writer = &mut writers[value as usize];
                *writer = if *writer == NOBODY || on(Mutant::LastWriter) { id } else { AMBIGUOUS };
            }
        }
        writers
    }

    /// Who wrote what others saw.
    fn clusters(&self, calls: &[Call]) -> Result<Clusters, Answer> {
        let writers = self.writers(calls);
        let mut clusters = Clusters::new(calls.len());
        // Optional calls that must have happened, since someone saw what they wrote.
        let mut needed: Vec<u32> = Vec::new();
        let mut known = vec![false; calls.len()];
        let mut possible = true;
        // Backwards, so that the chains of readers, which grow at their front, come out by invocation.
        let mut required = (0..calls.len() as u32).rev().filter(|id| calls[*id as usize].required());
        while let Some(id) = required.next().or_else(|| needed.pop()) {
            let access = self.access(&calls[id as usize]);
            let seen = match access {
                Effect::Differs => return Err(Answer::Silent),
                Effect::Write(_) => {
                    clusters.heads.push(id);
                    continue;
                }
                Effect::Read(seen) | Effect::Cas(seen, _) => seen,
            };
            let writer = match writers[seen as usize] {
                AMBIGUOUS => return Err(Answer::Silent),
                NOBODY => {
                    possible = false;
                    continue;
                }
                writer => writer,
            };
            if writer != INITIAL && !calls[writer as usize].required() && !known[writer as usize] {
                known[writer as usize] = true;
                needed.push(writer);
            }
            let place = clusters.place(writer);
            if matches!(access, Effect::Cas(..)) {
                // Two that left the same value, which was there once, are impossible.
                possible &= clusters.leaving[place] == NOBODY;
                clusters.leaving[place] = id;
                clusters.cas += 1;
            } else {
                clusters.next_reader[id as usize] = clusters.first_reader[place];
                clusters.first_reader[place] = id;
            }
        }
        possible.then_some(clusters).ok_or(Answer::Impossible)
    }
}

/// Before all positions.
const BEGINNING: i64 = -1;

struct Clusters {
    /// By writer: the first who read what it wrote; by reader: the next one.
    first_reader: Vec<u32>,
    next_reader: Vec<u32>,
    /// By writer: the compare-and-set that replaced what it wrote.
    leaving: Vec<u32>,
    /// How many of those there are.
    cas: usize,
    /// Plain writes: each begins a block.
    heads: Vec<u32>,
}

/// A block that was placed.
struct Block {
    /// Its first return.
    first: i64,
    /// Its last invocation.
    last: i64,
    /// How many of its calls write.
    writers: usize,
}

impl Clusters {
    fn new(calls: usize) -> Self {
        // The last place is that of the initial value.
        let nobody = || vec![NOBODY; calls + 1];
        let (first_reader, next_reader, leaving) = (nobody(), nobody(), nobody());
        Self { first_reader, next_reader, leaving, cas: 0, heads: Vec::new() }
    }

    fn place(&self, writer: u32) -> usize {
        if writer == INITIAL { self.leaving.len() - 1 } else { writer as usize }
    }

    /// Appends the block that begins with `head` to `order`. `None` if real time forbids it.
    fn block(
        &mut self,
        calls: &[Call],
        head: u32,
        order: &mut Vec<u32>,
        readers: &mut Vec<u32>,
    ) -> Option<Block> {
        // The initial value was written before everything.
        let first = if head == INITIAL { BEGINNING } else { i64::MAX };
        let mut block = Block { first, last: BEGINNING, writers: 0 };
        // Nobody of a later part of the block may have returned before one of an earlier part was invoked.
        let mut bound = BEGINNING;
        let mut writer = head;
        loop {
            if writer != INITIAL {
                block.place(calls, writer, bound, order)?;
                block.writers += 1;
                bound = block.last;
            }
            let place = self.place(writer);
            readers.clear();
            let mut reader = self.first_reader[place];
            while reader != NOBODY {
                readers.push(reader);
                reader = self.next_reader[reader as usize];
            }
            readers.sort_unstable_by_key(|id| calls[*id as usize].invoked);
            for id in readers.iter() {
                block.place(calls, *id, bound, order)?;
            }
            bound = block.last;
            match std::mem::replace(&mut self.leaving[place], NOBODY) {
                NOBODY => return Some(block),
                next => writer = next,
            }
        }
    }
}

impl Block {
    fn place(&mut self, calls: &[Call], id: u32, bound: i64, order: &mut Vec<u32>) -> Option<()> {
        let call = &calls[id as usize];
        let returned = if call.returned == FOREVER { i64::MAX } else { i64::from(call.returned) };
        self.first = self.first.min(returned);
        self.last = self.last.max(i64::from(call.invoked));
        order.push(id);
        (returned >= bound).then_some(())
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
