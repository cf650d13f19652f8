//! Transactions: several keys compared and written at once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::{CommandError, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use super::{KeyChange, Values, delete, put};

/// The most comparisons of one transaction, and the most writes of each of its two lists.
pub const MAX_TXN_PARTS: usize = 64;

/// A transaction, as in etcd: if all comparisons hold, `success` is carried out, else `otherwise`. All of it is one entry
/// of the log: nobody sees a part of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Transaction {
    /// What must hold; nothing at all always holds.
    pub compares: Vec<Compare>,
    /// Done in this order if all comparisons hold.
    pub success: Vec<Write>,
    /// Done in this order if one does not.
    pub otherwise: Vec<Write>,
}

/// What a transaction asks about one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// What must be so.
    pub test: Test,
}

/// A condition on the value of a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Test {
    /// It is this; `None`: the key is absent.
    Is(Option<Bytes>),
    /// It is anything else than this; `None`: the key is there.
    IsNot(Option<Bytes>),
}

/// What a transaction does to one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Write {
    /// Sets its value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes it.
    Delete {
        /// The key.
        key: Bytes,
    },
}

impl Transaction {
    /// Whether it keeps to the limits of its parts.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let parts = [self.compares.len(), self.success.len(), self.otherwise.len()];
        if let Some(count) = parts.into_iter().find(|count| *count > MAX_TXN_PARTS) {
            return Err(CommandError::TooManyParts(count));
        }
        for Compare { key, test } in &self.compares {
            let (Test::Is(value) | Test::IsNot(value)) = test;
            fits(key, value.as_ref())?;
        }
        self.success.iter().chain(&self.otherwise).try_for_each(|write| match write {
            Write::Put { key, value } => fits(key, Some(value)),
            Write::Delete { key } => fits(key, None),
        })
    }

    /// Carries it out; says whether the comparisons held.
    pub(super) fn execute(self, values: &mut Values, told: &mut Vec<KeyChange>) -> bool {
        let holds = self.compares.iter().all(|Compare { key, test }| match test {
            Test::Is(expected) => values.get(key) == expected.as_ref(),
            Test::IsNot(excluded) => values.get(key) != excluded.as_ref(),
        });
        for write in if holds { self.success } else { self.otherwise } {
            match write {
                Write::Put { key, value } => put(values, key, value, told),
                Write::Delete { key } => {
                    delete(values, key, told);
                }
            }
        }
        holds
    }
}

/// Whether a key and a value keep to their limits.
pub(super) fn fits(key: &Bytes, value: Option<&Bytes>) -> Result<(), CommandError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(CommandError::KeyTooLong(key.len()));
    }
    match value {
        Some(value) if value.len() > MAX_VALUE_BYTES => Err(CommandError::ValueTooLong(value.len())),
        _ => Ok(()),
    }
}
