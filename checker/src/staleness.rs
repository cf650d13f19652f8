//! What is wrong with a read: it saw what nobody had written, or what was overwritten long ago, and how long.
//!
//! A value *v* with one writer is there once: from its write, over everybody who saw it, to the next write. So whatever began
//! after *one* of those had ended, and ended before the read began, had overwritten it for good ([`Staleness`]). Of a value
//! with several writers the one that returned last counts. This is a lower bound that needs no search; the Δ and *k* of a
//! whole history (Golab et al. 2013) may be larger.

use std::time::Duration;

use crate::partition::{Call, FOREVER, Partition};
use crate::{Access, History, Specification, Value};

/// What is wrong with a read or a compare-and-set. Numbers are indices into [`crate::History::operations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// Nobody ever wrote the value.
    NeverWritten {
        /// Who saw it.
        read: u32,
    },
    /// Whoever wrote the value began only after the read had returned.
    NotYetWritten {
        /// Who saw it.
        read: u32,
        /// The first to write it.
        writer: u32,
    },
    /// The value had been overwritten before the read began.
    Stale(Staleness),
}

/// How stale a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staleness {
    /// Who saw the old value.
    pub read: u32,
    /// Who wrote it; `None` for the initial value.
    pub writer: Option<u32>,
    /// Writes that certainly came after it and before the read.
    pub overwrites: u32,
    /// The first of them to return: since then the value was gone.
    pub since: u32,
}

impl Staleness {
    /// For how long the value had been overwritten when the read began, at least; `None` if the history says no times.
    #[must_use]
    pub fn time(&self, history: &History) -> Option<Duration> {
        let gone = history.operations.get(self.since as usize)?.completed?.time?;
        let asked = history.operations.get(self.read as usize)?.invoked.time?;
        u64::try_from(asked.checked_sub(gone)?).ok().map(Duration::from_nanos)
    }
}

/// The worst fault among the reads of a conflict; `None` if the object is no register or none of them is provably wrong.
pub(crate) fn read_fault<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    conflict: &[Call],
) -> Option<ReadFault> {
    let accesses: Vec<Access<'_>> =
        partition.kinds.iter().map(|op| spec.access(op)).collect::<Option<_>>()?;
    let initial = spec.initial_value()?;
    let faults = conflict.iter().filter_map(|read| fault(&accesses, initial, &partition.calls, read));
    faults.max_by_key(|fault| match fault {
        ReadFault::Stale(stale) => u64::from(stale.overwrites),
        ReadFault::NotYetWritten { .. } => 1 << 32,
        ReadFault::NeverWritten { .. } => 2 << 32,
    })
}

fn fault(accesses: &[Access<'_>], initial: &Value, calls: &[Call], read: &Call) -> Option<ReadFault> {
    let access = |call: &Call| accesses.get(call.kind as usize).copied();
    let seen = match access(read)? {
        Access::Read(seen) | Access::Cas(seen, _) => seen,
        Access::Write(_) | Access::Differs(_) => return None,
    };
    let wrote = |call: &&Call| {
        let writes = |value: &Value| value == seen && call.operation != read.operation;
        matches!(access(call), Some(Access::Write(value) | Access::Cas(_, value)) if writes(value))
    };
    let writers: Vec<&Call> = calls.iter().filter(wrote).collect();
    let first = writers.first();
    let in_time: Vec<&Call> = writers.iter().copied().filter(|call| call.invoked < read.returned).collect();
    let (writer, gone_after) = match (first, in_time.as_slice()) {
        (None, _) if seen != initial => return Some(ReadFault::NeverWritten { read: read.operation }),
        (Some(writer), []) if seen != initial => {
            return Some(ReadFault::NotYetWritten { read: read.operation, writer: writer.operation });
        }
        (_, [writer]) if seen != initial => {
            // All who saw it saw the same write.
            let saw = |call: &&Call| {
                let sees = matches!(access(call), Some(Access::Read(value) | Access::Cas(value, _)) if value == seen);
                sees && call.required() && call.operation != read.operation
            };
            let first = calls.iter().filter(saw).map(|call| call.returned).min().unwrap_or(FOREVER);
            (Some(writer.operation), i64::from(first.min(writer.returned)))
        }
        (_, []) => (None, -1),
        (_, several) => {
            let last = several.iter().max_by_key(|call| call.returned)?;
            (Some(last.operation), i64::from(last.returned))
        }
    };
    let overwrites = |call: &&Call| {
        let other =
            matches!(access(call), Some(Access::Write(value) | Access::Cas(_, value)) if value != seen);
        other && call.required() && i64::from(call.invoked) > gone_after && call.returned < read.invoked
    };
    let since = calls.iter().filter(overwrites).min_by_key(|call| call.returned)?;
    let overwrites = u32::try_from(calls.iter().filter(overwrites).count()).unwrap_or(u32::MAX);
    Some(ReadFault::Stale(Staleness { read: read.operation, writer, overwrites, since: since.operation }))
}
