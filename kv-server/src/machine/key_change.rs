//! What a command did to the map: what watchers are told.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A key that has another value now, or the same one again, or is gone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct KeyChange {
    /// The key.
    pub key: Bytes,
    /// Its new value; `None`: it was removed.
    pub value: Option<Bytes>,
}

impl KeyChange {
    /// Adds a change to those of one entry, of which only the last one of each key is seen by anybody.
    pub(super) fn note(told: &mut Vec<KeyChange>, key: Bytes, value: Option<Bytes>) {
        told.retain(|change| change.key != key);
        told.push(KeyChange { key, value });
    }
}
