//! The specification as a table of numbers: states and operations are interned, transitions computed once.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use rustc_hash::FxHashMap;

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
    states: Vec<S::State>,
    ids: FxHashMap<S::State, u32>,
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
            states: Vec::new(),
            ids: FxHashMap::default(),
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
        self.sparse.insert(at, next);
        // An entry and its share of the table's empty places.
        self.unpaid += 32;
        next
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
        if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        // Fits: UNKNOWN many states are beyond any memory limit.
        let id = u32::try_from(self.states.len()).unwrap_or(UNKNOWN);
        self.unpaid += self.spec.weight(&state) + 2 * size_of::<S::State>() + 32;
        if self.kinds.len() <= DENSE {
            self.dense.resize(self.dense.len() + self.kinds.len(), UNKNOWN);
            self.unpaid += 8 * self.kinds.len();
        }
        self.ids.insert(state.clone(), id);
        self.states.push(state);
        id
    }
}
