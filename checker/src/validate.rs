//! The judge of witnesses. It shares nothing with the algorithms but the specification: it looks at positions and replays.

use crate::partition::{Call, Partition};
use crate::{Specification, Value};

/// Why an order is no linearization.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWitness {
    /// An operation that happened is missing.
    #[error("operation {0} happened but is not in the order")]
    Missing(u32),
    /// An operation is named twice, or is none of this key's.
    #[error("operation {0} is twice in the order or does not belong there")]
    Foreign(u32),
    /// Real time was not respected.
    #[error(
        "operation {later} comes after operation {earlier}, but had returned before that one was invoked"
    )]
    RealTime {
        /// The operation that was put first.
        earlier: u32,
        /// The operation that was put later though it ended before.
        later: u32,
    },
    /// The specification does not allow it.
    #[error("operation {operation} is not legal in state {state}")]
    Illegal {
        /// The operation.
        operation: u32,
        /// The state it was put in.
        state: String,
    },
}

/// A linearization of one key: indices into the history's operations, in the order in which they took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linearization {
    /// The key, if the history was cut by key.
    pub key: Option<Value>,
    /// Indices into [`crate::History::operations`].
    pub order: Vec<u32>,
}

/// Checks an order (indices into the partition's calls) and returns the state at its end.
pub(crate) fn validate<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    order: &[u32],
) -> Result<S::State, InvalidWitness> {
    let mut seen = vec![false; partition.calls.len()];
    let mut state = spec.initial();
    // The latest invocation so far: who comes later in the order must not have returned before it.
    let mut latest: Option<Call> = None;
    for at in order {
        let (Some(call), Some(seen)) = (partition.calls.get(*at as usize), seen.get_mut(*at as usize)) else {
            return Err(InvalidWitness::Foreign(*at));
        };
        if std::mem::replace(seen, true) {
            return Err(InvalidWitness::Foreign(call.operation));
        }
        if let Some(before) = latest
            && call.returned < before.invoked
        {
            return Err(InvalidWitness::RealTime { earlier: before.operation, later: call.operation });
        }
        if latest.is_none_or(|before| before.invoked < call.invoked) {
            latest = Some(*call);
        }
        let op = partition.kinds.get(call.kind as usize);
        if !op.is_some_and(|op| spec.advance(&mut state, op)) {
            let state = spec.describe_state(&state);
            return Err(InvalidWitness::Illegal { operation: call.operation, state });
        }
    }
    let missing = partition.calls.iter().zip(&seen).find(|(call, seen)| call.required() && !**seen);
    match missing {
        Some((call, _)) => Err(InvalidWitness::Missing(call.operation)),
        None => Ok(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Plan, Workload, generate};
    use crate::partition::split;
    use crate::spec::{RegisterFamily, Vocabulary};

    const REGISTER: RegisterFamily = RegisterFamily {
        vocabulary: Vocabulary::CasRegister,
        initial: Value::Nil,
        nil_reads_any: false,
        failed_cas_observes: false,
    };

    fn sample() -> (Partition<crate::spec::RegisterOp>, Vec<u32>) {
        let generated = generate(&Plan { unknown: 100, ..Plan::new(Workload::CasRegister, 3) });
        let mut partitions = split(&REGISTER, &generated.history()).expect("known operations");
        let partition = partitions.pop().expect("one partition");
        let call = |operation: &u32| partition.calls.iter().position(|call| call.operation == *operation);
        let order =
            generated.points.iter().filter_map(call).map(|at| u32::try_from(at).expect("small")).collect();
        (partition, order)
    }

    #[test]
    fn the_order_of_the_linearization_points_is_valid() {
        let (partition, order) = sample();
        validate(&REGISTER, &partition, &order).expect("linearizable by construction");
    }

    #[test]
    fn every_kind_of_wrong_order_is_refused() {
        let (partition, order) = sample();
        let fault =
            |order: &[u32]| validate(&REGISTER, &partition, order).map(drop).expect_err("a wrong order");
        let required = |at: &u32| partition.calls[*at as usize].required();

        let last = order.iter().rposition(required).expect("some operation happened");
        let mut missing = order.clone();
        missing.remove(last);
        assert!(matches!(fault(&missing), InvalidWitness::Missing(_) | InvalidWitness::Illegal { .. }));

        let mut twice = order.clone();
        twice.push(order[last]);
        assert!(matches!(fault(&twice), InvalidWitness::Foreign(_)));
        assert!(matches!(fault(&[u32::MAX]), InvalidWitness::Foreign(_)));

        // The last operation first: all that returned before it was invoked are in its way.
        let mut hasty = order.clone();
        let moved = hasty.remove(last);
        hasty.insert(0, moved);
        assert!(matches!(fault(&hasty), InvalidWitness::RealTime { .. } | InvalidWitness::Illegal { .. }));

        // Writes need no state to be legal: only real time forbids this one.
        let write = |at: &u32| {
            matches!(
                partition.kinds[partition.calls[*at as usize].kind as usize],
                crate::spec::RegisterOp::Write(_)
            )
        };
        let writes: Vec<u32> = order.iter().copied().filter(write).filter(required).collect();
        let swapped = [writes[writes.len() - 1], writes[0]];
        assert!(matches!(fault(&swapped), InvalidWitness::RealTime { .. }));
    }
}
