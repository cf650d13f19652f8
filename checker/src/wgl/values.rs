//! What a register's values tell about the future (only if the object is a register, [`Access`], and nobody saw merely
//! that the value was *another* one).
//!
//! **Last chances.** If nobody can write *v* any more and the state is *v*, leaving it is the end for every required call that
//! still has to see *v*: a configuration that must leave *v* while such a call has not even been invoked is given up,
//! and if an open compare-and-set from *v* is waiting, it is the only way out.
//!
//! **Dead writes.** If nobody has to see *v* any more, a required write of *v* does not matter but for its own return. In any
//! order the next call after it is another plain write, or there is none: everything else would have to see *v*. So it is
//! placed for nothing just before the next plain write, and tried by itself only when its own return is due. That next plain
//! write may be an optional one which leaves the state as it was: while a dead write is open, such a one is not useless.
//!
//! **The weaker call first.** Where an optional write of *v* and a compare-and-set to *v* lead from the present state to the same one,
//! the write need not be tried: it can do later, at any state, what the compare-and-set would have done there. In an order that
//! has the write here and the compare-and-set further on, exchange them; in one that has no such compare-and-set, it is optional and takes
//! the write's place. The write must not lapse earlier, and no dead write may be waiting for it.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use rustc_hash::FxHashMap;

use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::{Access, Specification, Value};

/// What a call does to the value, with values as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Sets it.
    Write(u32),
    /// Sees it.
    Read(u32),
    /// Sees the first, sets the second.
    Cas(u32, u32),
}

/// Facts about one value, as positions.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// The last invocation of a required call that sees it.
    last_seen: u32,
    /// After this nobody writes it. (At this position, a call that returns here may still have to.)
    closed: u32,
    /// After this nobody sees it.
    dead: u32,
}

#[derive(Clone)]
pub(crate) struct Values {
    effects: Vec<Effect>,
    facts: Vec<Facts>,
    /// The value of each state.
    of_state: Vec<u32>,
}

impl Values {
    /// `useful`: until when somebody sees each value (see the timeline).
    pub(crate) fn new<S: Specification>(
        spec: &S,
        kinds: &[S::Op],
        calls: &[Call],
        useful: &FxHashMap<&Value, u32>,
    ) -> Option<Self> {
        let mut ids: FxHashMap<&Value, u32> = FxHashMap::default();
        let mut facts: Vec<Facts> = Vec::new();
        let mut id = |value| {
            *ids.entry(value).or_insert_with(|| {
                facts.push(Facts { dead: useful.get(value).copied().unwrap_or(0), ..Facts::default() });
                // Fits: there are at most two values per call.
                u32::try_from(facts.len() - 1).unwrap_or(FOREVER)
            })
        };
        let initial = id(spec.initial_value()?);
        let mut effects = Vec::with_capacity(kinds.len());
        for op in kinds {
            effects.push(match spec.access(op)? {
                Access::Write(value) => Effect::Write(id(value)),
                Access::Read(value) => Effect::Read(id(value)),
                Access::Cas(from, to) if from == to => Effect::Read(id(from)),
                Access::Cas(from, to) => Effect::Cas(id(from), id(to)),
                Access::Differs(_) => return None,
            });
        }
        let mut writers = vec![0_u32; facts.len()];
        writers[initial as usize] = 1;
        for call in calls {
            let effect = effects[call.kind as usize];
            if let (Effect::Read(value) | Effect::Cas(value, _), true) = (effect, call.required()) {
                let seen = &mut facts[value as usize].last_seen;
                *seen = call.invoked.max(*seen);
            }
            if let Effect::Write(value) | Effect::Cas(_, value) = effect {
                let closed = &mut facts[value as usize].closed;
                *closed = call.returned.max(*closed);
                writers[value as usize] += 1;
            }
        }
        // If it is there, its only writer has written it.
        for (facts, _) in facts.iter_mut().zip(&writers).filter(|(_, writers)| **writers <= 1) {
            facts.closed = 0;
        }
        Some(Self { effects, facts, of_state: vec![initial] })
    }

    /// Learns that `kind` leads to `state`.
    pub(crate) fn learn(&mut self, kind: u32, state: u32) {
        let (Effect::Write(value) | Effect::Read(value) | Effect::Cas(_, value)) =
            self.effects[kind as usize];
        let state = state as usize;
        if self.of_state.len() <= state {
            self.of_state.resize(state + 1, FOREVER);
        }
        self.of_state[state] = value;
    }

    fn facts(&self, state: u32) -> Option<&Facts> {
        self.facts.get(*self.of_state.get(state as usize)? as usize)
    }

    /// Whether `state` must not be left at `position`, and will have to be.
    pub(crate) fn hopeless(&self, state: u32, position: u32) -> bool {
        self.facts(state).is_some_and(|facts| facts.closed < position && facts.last_seen > position)
    }

    /// Whether a compare-and-set from `state` that is open at `position` has no second chance.
    pub(crate) fn last_chance(&self, state: u32, position: u32) -> bool {
        self.facts(state).is_some_and(|facts| facts.closed < position)
    }

    pub(crate) fn is_cas(&self, kind: u32) -> bool {
        matches!(self.effects[kind as usize], Effect::Cas(..))
    }

    pub(crate) fn is_write(&self, kind: u32) -> bool {
        matches!(self.effects[kind as usize], Effect::Write(_))
    }

    /// Takes out of `found` (states and the calls that lead there) the optional writes that give way: a compare-and-set that
    /// leads to the same state is used first (see above). Not while dead writes are open, which only a write can hide.
    pub(crate) fn give_way(&self, calls: &[Call], found: &mut Vec<(u32, u32)>) {
        let stronger = |at: usize| {
            let (state, id) = found[at];
            let call = calls[id as usize];
            let weaker = |(next, other): &(u32, u32)| {
                let other = calls[*other as usize];
                *next == state && self.is_cas(other.kind) && other.returned <= call.returned
            };
            call.optional && self.is_write(call.kind) && found.iter().any(weaker)
        };
        if found.len() > 1 {
            let keep: Vec<bool> = (0..found.len()).map(|at| !stronger(at)).collect();
            let mut keep = keep.into_iter();
            found.retain(|_| keep.next().unwrap_or(true));
        }
    }

    /// Whether `kind` writes what nobody sees from `position` on.
    pub(crate) fn is_dead_write(&self, kind: u32, position: u32) -> bool {
        match self.effects[kind as usize] {
            Effect::Write(value) => self.facts[value as usize].dead < position || on(Mutant::EarlyDeath),
            _ => false,
        }
    }
}
