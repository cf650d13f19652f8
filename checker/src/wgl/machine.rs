//! The specification as a table of numbers: states and operations are interned, transitions computed once.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::Specification;
use crate::limits::{Purse, Stopped};

/// No such state: the operation is not legal.
pub(crate) const ILLEGAL: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;

/// With at most so many distinct operations, transitions are a dense table.
const DENSE: usize = 128;

pub(crate) struct Machine<'a, S: Specification> {
    spec: &'a S,
    kinds: &'a [S::Op],
    pub(crate) pure: Vec<bool>,
    states: IndexSet<S::State, FxBuildHasher>,
    dense: Vec<u32>,
    sparse: FxHashMap<u64, u32>,
    /// Bytes paid for states and transitions.
    unpaid: usize,
}

impl<'a, S: Specification> Machine<'a, S> {
    pub(crate) fn new(spec: &'a S, kinds: &'a [S::Op]) -> Self {
        let pure = kinds.iter().map(|op| spec.is_pure(op)).collect();
        let mut machine = Self {
            spec,
            kinds,
            pure,
            states: IndexSet::default(),
            dense: Vec::new(),
            sparse: FxHashMap::default(),
            unpaid: 0,
        };
        machine.intern(spec.initial());
        machine
    }

    pub(crate) fn describe(&self, state: u32) -> String {
        self.spec.describe_state(&self.states[state as usize])
    }

    /// The state after `kind` in `state`, or [`ILLEGAL`].
    pub(crate) fn step(&mut self, state: u32, kind: u32) -> u32 {
        if self.kinds.len() <= DENSE {
            let at = state as usize * self.kinds.len() + kind as usize;
            let known = self.dense[at];
            if known != UNKNOWN {
                return known;
            }
            let next = self.compute(state, kind);
            self.dense[at] = next;
            return next;
        }
        let at = u64::from(state) << 32 | u64::from(kind);
        if let Some(known) = self.sparse.get(&at) {
            return *known;
        }
        let next = self.compute(state, kind);
        let room = self.sparse.capacity();
        self.sparse.insert(at, next);
        // An entry with its control byte; at most seven of eight places are taken.
        self.unpaid += (self.sparse.capacity() - room) * 17 * 8 / 7;
        next
    }

    /// Whether so much was taken that it should be paid for at once.
    pub(crate) fn owes(&self) -> bool {
        self.unpaid > 1 << 18
    }

    /// Pays for what was taken since the last time.
    pub(crate) fn pay(&mut self, purse: &mut Purse<'_>) -> Result<(), Stopped> {
        purse.take(std::mem::take(&mut self.unpaid))
    }

    fn compute(&mut self, state: u32, kind: u32) -> u32 {
        match self.spec.step(&self.states[state as usize], &self.kinds[kind as usize]) {
            Some(next) => self.intern(next),
            None => ILLEGAL,
        }
    }

    fn intern(&mut self, state: S::State) -> u32 {
        /// Beside each state: its hash, its places in the table of hashes, and the allocator's own.
        const OVERHEAD: usize = 48;
        let weight = self.spec.weight(&state);
        let (room, (id, new)) = (self.states.capacity(), self.states.insert_full(state));
        if new {
            let more = self.states.capacity() - room;
            self.unpaid += weight + more * (size_of::<S::State>() + OVERHEAD);
            if self.kinds.len() <= DENSE {
                let room = self.dense.capacity();
                self.dense.resize(self.dense.len() + self.kinds.len(), UNKNOWN);
                self.unpaid += (self.dense.capacity() - room) * size_of::<u32>();
            }
        }
        // Fits: UNKNOWN many states are beyond any memory limit.
        u32::try_from(id).unwrap_or(UNKNOWN)
    }
}
