//! What queues and stacks have in common: values are handed over, each to at most one taker.

use super::{Handling, Unfit};
use crate::{Operation, Outcome, Value};

/// An operation on a queue or a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Put this value in.
    Put(Value),
    /// Took this value out.
    Take(Value),
    /// Found nothing to take.
    Nothing,
    /// Took whatever was there, if anything; the answer was lost. (For Knossos it took nil, which no queue holds, and so never
    /// happened: what it took is then missed.)
    Unknown,
}

impl Transfer {
    /// What a recorded operation means, with the names of the two operations of this collection. A `fail` says nothing, as
    /// everywhere; that the collection was empty is said by an `ok` with nil.
    pub(super) fn parse(
        operation: &Operation,
        put: &[&str],
        take: &[&str],
        expected: &'static str,
    ) -> Result<Option<Self>, Unfit> {
        let f = &*operation.f;
        let transfer = if put.contains(&f) {
            if let Some(refused) = Unfit::refused(operation) {
                return Err(refused);
            }
            Self::Put(operation.input.clone())
        } else if take.contains(&f) {
            match (operation.outcome, &operation.output) {
                (Outcome::Info, _) => Self::Unknown,
                (_, Value::Nil) => Self::Nothing,
                (_, value) => Self::Take(value.clone()),
            }
        } else {
            return Err(Unfit::operation(operation, expected));
        };
        Ok((operation.outcome != Outcome::Fail).then_some(transfer))
    }

    pub(super) fn handling(&self) -> Handling<'_> {
        match self {
            Self::Put(value) => Handling::Insert(value),
            Self::Take(value) => Handling::Remove(value),
            Self::Nothing => Handling::Empty,
            Self::Unknown => Handling::RemoveUnknown,
        }
    }

    pub(super) fn describe(&self, put: &str, take: &str) -> String {
        match self {
            Self::Put(value) => format!("{put} {value}"),
            Self::Take(value) => format!("{take} → {value}"),
            Self::Nothing => format!("{take} → nothing"),
            Self::Unknown => format!("{take} → ?"),
        }
    }
}

/// Values for people, in their order.
pub(super) fn list<'a>(open: &str, values: impl IntoIterator<Item = &'a Value>, close: &str) -> String {
    /// More than this is no help to anybody.
    const MOST: usize = 40;
    let mut shown: Vec<String> = Vec::new();
    let mut values = values.into_iter();
    shown.extend(values.by_ref().take(MOST).map(ToString::to_string));
    let more = values.count();
    if more > 0 {
        shown.push(format!("… and {more} more"));
    }
    format!("{open}{}{close}", shown.join(" "))
}
