//! A history cut by key: linearizability is local (Herlihy & Wing 1990, Theorem 1; "P-compositionality" in Horn & Kroening
//! 2015), so every key is judged alone, and the whole is linearizable exactly if all are.

use rustc_hash::FxHashMap;

use crate::{History, Outcome, Specification, Unfit, Value};

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
    /// The distinct operations: equal ones are interchangeable but for their times.
    pub(crate) kinds: Vec<Op>,
    /// The calls, by invocation.
    pub(crate) calls: Vec<Call>,
}

/// Cuts a history by key. Operations that say nothing (failed, reads of unknown outcome) are left out.
pub(crate) fn split<S: Specification>(spec: &S, history: &History) -> Result<Vec<Partition<S::Op>>, Unfit> {
    let mut partitions: Vec<Partition<S::Op>> = Vec::new();
    let mut by_key: FxHashMap<Option<&Value>, usize> = FxHashMap::default();
    let mut kinds: Vec<FxHashMap<S::Op, u32>> = Vec::new();
    for (at, operation) in history.operations.iter().enumerate() {
        let Some(op) = spec.parse(operation)? else { continue };
        let unknown = operation.outcome == Outcome::Info;
        if unknown && spec.is_pure(&op) {
            // Legal never to happen, and nothing changes if it does.
            continue;
        }
        // Without a key it would be a register of its own, and contradict nobody.
        if let Some(first) = partitions.first()
            && first.key.is_some() != operation.key.is_some()
        {
            let expected = if first.key.is_some() {
                "a key, like those before it"
            } else {
                "no key, like those before it"
            };
            return Err(Unfit::operation(operation, expected));
        }
        let which = *by_key.entry(operation.key.as_ref()).or_insert_with(|| {
            partitions.push(Partition { key: operation.key.clone(), kinds: Vec::new(), calls: Vec::new() });
            kinds.push(FxHashMap::default());
            partitions.len() - 1
        });
        let (Some(partition), Some(kinds)) = (partitions.get_mut(which), kinds.get_mut(which)) else {
            continue;
        };
        let fresh = u32::try_from(partition.kinds.len()).unwrap_or(FOREVER);
        let kind = match kinds.get(&op) {
            Some(kind) => *kind,
            None => {
                partition.kinds.push(op.clone());
                kinds.insert(op, fresh);
                fresh
            }
        };
        let returned = match operation.completed {
            Some(mark) if !unknown => mark.position,
            _ => FOREVER,
        };
        let operation_index = u32::try_from(at).unwrap_or(FOREVER);
        let invoked = operation.invoked.position;
        let optional = returned == FOREVER;
        partition.calls.push(Call { kind, invoked, returned, optional, operation: operation_index });
    }
    Ok(partitions)
}
