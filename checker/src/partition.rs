//! A history cut by key: linearizability is local (Herlihy & Wing 1990, Theorem 1; "P-compositionality" in Horn & Kroening
//! 2015), so every key is judged alone, and the whole is linearizable exactly if all are.

use std::borrow::Cow;
use std::hash::Hash;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::history::Packed;
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
}

/// The operations of one key, not yet looked at: their indices, by invocation.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) key: Option<Value>,
    /// Whether anything is known to have happened. What may as well never have contradicts nothing.
    pub(crate) says_something: bool,
    pub(crate) operations: Vec<u32>,
}

impl Part {
    /// The partition, in place of what was there.
    pub(crate) fn gather<S: Specification>(&self, spec: &S, history: &History, into: &mut Partition<S::Op>) {
        into.key.clone_from(&self.key);
        into.kinds.clear();
        into.calls.clear();
        into.kinds.reserve_exact(self.operations.len());
        into.calls.reserve_exact(self.operations.len());
        let all = self.operations.iter().copied();
        let each = history.operations.each(all, |at, place| {
            mutate(&mut place.operation);
            if let Some(op) = spec.parse(&place.operation)? {
                // Fits: a history has fewer events.
                let kind = u32::try_from(into.kinds.len()).unwrap_or(FOREVER);
                into.calls.push(call(&place.operation, kind, at));
                into.kinds.push(op);
            }
            Ok::<_, Unfit>(())
        });
        debug_assert!(each.is_ok(), "all of them were parsed before");
    }

    /// Bytes that it holds.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.operations.capacity() * size_of::<u32>()
    }
}

impl<Op> Default for Partition<Op> {
    fn default() -> Self {
        Self { key: None, kinds: Vec::new(), calls: Vec::new() }
    }
}

fn call(operation: &Operation, kind: u32, at: u32) -> Call {
    let unknown = operation.outcome == Outcome::Info;
    let returned = match operation.completed {
        Some(mark) if on(Mutant::InfoEnds) => mark.position,
        Some(mark) if !unknown && on(Mutant::LateReturn) => mark.position + 2,
        Some(mark) if !unknown => mark.position,
        _ => FOREVER,
    };
    Call { kind, invoked: operation.invoked.position, returned, optional: unknown, operation: at }
}

/// Cuts a history by [`Specification::part`]. Operations that say nothing (failed, reads of unknown outcome) are left out.
pub(crate) fn parts<S: Specification>(spec: &S, history: &History) -> Result<Vec<Part>, Unfit> {
    let mut parts: Vec<Part> = Vec::new();
    let mut by_key: FxHashMap<Value, usize> = FxHashMap::default();
    // The same for keys as they are packed: most parts are the operation's key.
    let mut by_packed: FxHashMap<Packed, usize> = FxHashMap::default();
    let all = history.operations.len();
    let indices = 0..u32::try_from(all).unwrap_or(FOREVER);
    history.operations.each(indices, |at, place| {
        mutate(&mut place.operation);
        let operation = &place.operation;
        // Who complains has to know the place.
        let known = || history.operations.get(at as usize).unwrap_or_else(|| operation.clone());
        let op = match spec.parse(operation) {
            Ok(Some(op)) => op,
            Ok(None) => return Ok(()),
            Err(unfit) => return Err(spec.parse(&mutated(known())).err().unwrap_or(unfit)),
        };
        if operation.outcome == Outcome::Info && spec.is_pure(&op) {
            // Legal never to happen, and nothing changes if it does.
            return Ok(());
        }
        let key = spec.part(operation, &op);
        let first = parts.first().map(|first| &first.key);
        keyed_alike(first, &key, operation).or_else(|_| keyed_alike(first, &key, &known()))?;
        let which = match &key {
            None => 0,
            Some(Cow::Borrowed(key)) if operation.key.as_ref().is_some_and(|own| std::ptr::eq(own, *key)) => {
                *by_packed.entry(place.key).or_insert_with(|| number_of(key, &mut by_key, parts.len()))
            }
            Some(key) => number_of(key, &mut by_key, parts.len()),
        };
        let which = if on(Mutant::MixedKeys) { which & !1 } else { which };
        if which == parts.len() {
            let key = key.map(Cow::into_owned);
            parts.push(Part { key, says_something: false, operations: Vec::new() });
        }
        if let Some(part) = parts.get_mut(which) {
            room(&mut part.operations, at as usize, all);
            part.operations.push(at);
            part.says_something |= operation.outcome != Outcome::Info;
        }
        Ok(())
    })?;
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

/// The number of a key; the next one for a new key.
fn number_of(key: &Value, numbers: &mut FxHashMap<Value, usize>, next: usize) -> usize {
    match numbers.get(key) {
        Some(number) => *number,
        None => *numbers.entry(key.clone()).or_insert(next),
    }
}

/// All partitions of a history, as [`parts`] cuts it.
#[cfg(test)]
pub(crate) fn split<S: Specification>(spec: &S, history: &History) -> Result<Vec<Partition<S::Op>>, Unfit> {
    Ok(gathered(spec, history, &parts(spec, history)?))
}

/// All the partitions.
pub(crate) fn gathered<S: Specification>(
    spec: &S,
    history: &History,
    parts: &[Part],
) -> Vec<Partition<S::Op>> {
    let gathered = |part: &Part| {
        let mut partition = Partition::default();
        part.gather(spec, history, &mut partition);
        partition
    };
    parts.iter().map(gathered).collect()
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

/// Makes the operation another, if a seeded bug does.
fn mutate(operation: &mut Operation) {
    match operation.outcome {
        Outcome::Info if on(Mutant::InfoFailed) => operation.outcome = Outcome::Fail,
        Outcome::Fail if on(Mutant::FailOk) => operation.outcome = Outcome::Ok,
        _ => {}
    }
}

fn mutated(mut operation: Operation) -> Operation {
    mutate(&mut operation);
    operation
}
