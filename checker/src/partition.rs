//! A history cut by key: linearizability is local (Herlihy & Wing 1990, Theorem 1; "P-compositionality" in Horn & Kroening
//! 2015), so every key is judged alone, and the whole is linearizable exactly if all are.

use std::borrow::Cow;
use std::hash::Hash;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::mutant::{Mutant, on};
use crate::{History, Operation, Outcome, Specification, Unfit, Value};

/// The end of what never ends.
pub(crate) const FOREVER: u32 = u32::MAX;

/// One operation as the algorithms see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Which of the partition's distinct operations.
    pub(crate) kind: u32,
    /// Position of its invocation.
    pub(crate) invoked: u32,
    /// Position by which it happened, if it did; [`FOREVER`] if it may still happen.
    pub(crate) returned: u32,
    /// Whether it may also never have happened.
    pub(crate) optional: bool,
    /// Index of the operation in the history.
    pub(crate) operation: u32,
}

impl Call {
    /// Whether it has to happen.
    pub(crate) fn required(&self) -> bool {
        !self.optional
    }
}

/// The operations of one key.
#[derive(Debug)]
pub(crate) struct Partition<Op> {
    pub(crate) key: Option<Value>,
    /// The operations that calls are of. Once [`Partition::merged`], no two are equal.
    pub(crate) kinds: Vec<Op>,
    /// The calls, by invocation.
    pub(crate) calls: Vec<Call>,
}

impl<Op> Partition<Op> {
    /// The same calls, with equal operations as one: those are interchangeable but for their times, which is what searches
    /// live on. Who does not search need not pay for it.
    pub(crate) fn merged(&self) -> Self
    where
        Op: Clone + Eq + Hash,
    {
        let mut kinds: IndexSet<&Op, FxBuildHasher> = IndexSet::default();
        let mut calls = self.calls.clone();
        for call in &mut calls {
            if let Some(op) = self.kinds.get(call.kind as usize) {
                // Fits: there are no more than before.
                call.kind = u32::try_from(kinds.insert_full(op).0).unwrap_or(FOREVER);
            }
        }
        Self { key: self.key.clone(), kinds: kinds.into_iter().cloned().collect(), calls }
    }

    /// Whether anything is known to have happened. What may as well never have contradicts nothing.
    pub(crate) fn says_something(&self) -> bool {
        self.calls.iter().any(Call::required)
    }

    /// Bytes that it holds; what its operations share with the history is counted there.
    pub(crate) fn memory(&self) -> usize {
        self.kinds.capacity() * size_of::<Op>() + self.calls.capacity() * size_of::<Call>()
    }
}

/// Cuts a history by [`Specification::part`]. Operations that say nothing (failed, reads of unknown outcome) are left out.
pub(crate) fn split<S: Specification>(spec: &S, history: &History) -> Result<Vec<Partition<S::Op>>, Unfit> {
    let mut parts: Vec<Partition<S::Op>> = Vec::new();
    let mut by_key: FxHashMap<Value, usize> = FxHashMap::default();
    for (at, operation) in history.operations.iter().enumerate() {
        let operation = &*mutated(operation);
        let Some(op) = spec.parse(operation)? else { continue };
        let unknown = operation.outcome == Outcome::Info;
        if unknown && spec.is_pure(&op) {
            // Legal never to happen, and nothing changes if it does.
            continue;
        }
        let key = spec.part(operation, &op);
        keyed_alike(parts.first().map(|first| &first.key), &key, operation)?;
        let which = match key.as_deref() {
            None => 0,
            Some(key) => match by_key.get(key) {
                Some(which) => *which,
                None => *by_key.entry(key.clone()).or_insert(parts.len()),
            },
        };
        let which = if on(Mutant::MixedKeys) { which & !1 } else { which };
        if which == parts.len() {
            let key = key.map(Cow::into_owned);
            parts.push(Partition { key, kinds: Vec::new(), calls: Vec::new() });
        }
        let Some(part) = parts.get_mut(which) else { continue };
        room(&mut part.calls, at, history.operations.len());
        room(&mut part.kinds, at, history.operations.len());
        let returned = match operation.completed {
            Some(mark) if on(Mutant::InfoEnds) => mark.position,
            Some(mark) if !unknown && on(Mutant::LateReturn) => mark.position + 2,
            Some(mark) if !unknown => mark.position,
            _ => FOREVER,
        };
        part.calls.push(Call {
            // Both fit: a history has fewer events.
            kind: u32::try_from(part.kinds.len()).unwrap_or(FOREVER),
            operation: u32::try_from(at).unwrap_or(FOREVER),
            invoked: operation.invoked.position,
            returned,
            optional: unknown,
        });
        part.kinds.push(op);
    }
    Ok(parts)
}

/// Either all operations have a key or none has: one without would be a register of its own, and contradict nobody.
pub(crate) fn keyed_alike<K>(
    first: Option<&Option<Value>>,
    key: &Option<K>,
    operation: &Operation,
) -> Result<(), Unfit> {
    match first {
        Some(Some(_)) if key.is_none() => Err(Unfit::operation(operation, "a key, like those before it")),
        Some(None) if key.is_some() => Err(Unfit::operation(operation, "no key, like those before it")),
        _ => Ok(()),
    }
}

/// Makes room for one more: for as many as come if the rest of the history is like its beginning, of which this is operation
/// `at` of `all`. Doubling would leave twice the room it needs behind, for each of many keys.
fn room<T>(vector: &mut Vec<T>, at: usize, all: usize) {
    const FEW: usize = 64;
    let have = vector.len();
    if have < vector.capacity() {
        return;
    }
    let expected = have as u64 * all.saturating_sub(at) as u64 / (at as u64 + 1);
    let expected = usize::try_from(expected).unwrap_or(have);
    vector.reserve_exact(if have < FEW { have.max(4) } else { expected + have / 16 });
}

/// The operation, unless a seeded bug makes it another.
fn mutated(operation: &Operation) -> Cow<'_, Operation> {
    let outcome = match operation.outcome {
        Outcome::Info if on(Mutant::InfoFailed) => Outcome::Fail,
        Outcome::Fail if on(Mutant::FailOk) => Outcome::Ok,
        _ => return Cow::Borrowed(operation),
    };
    Cow::Owned(Operation { outcome, ..operation.clone() })
}
