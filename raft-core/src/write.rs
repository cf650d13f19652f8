//! What the host stores, and the acknowledgement it gives back.

use crate::entries::Entries;
use crate::snapshots::{Chunk, Install};
use crate::types::HardState;

/// One write to stable storage. Writes are made durable in the order in which they leave the core.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Write<P> {
    pub(crate) batch: Batch<P>,
    pub(crate) ack: WriteAck,
}

impl<P> Write<P> {
    /// Splits into what to store and the token to give back (as [`Input::Durable`](crate::Input::Durable)) once it
    /// would survive a crash.
    #[must_use]
    pub fn split(self) -> (Batch<P>, WriteAck) {
        (self.batch, self.ack)
    }

    /// What is to be stored.
    #[must_use]
    pub fn batch(&self) -> &Batch<P> {
        &self.batch
    }
}

/// What to store, in the order of the fields, and all of it or nothing: a crash in the middle must leave either the old
/// state or the new.
///
/// Only a chunk may be left out of that: of a snapshot that is not installed, nothing need survive a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Batch<P> {
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// A part of a snapshot that is being received.
    pub chunk: Option<Chunk>,
    /// All parts are there: make the snapshot the one to start from.
    pub install: Option<Install>,
    /// Contiguous entries. The stored log is first cut off before the first one's index, then these are appended.
    pub entries: Entries<P>,
}

impl<P> Batch<P> {
    /// A batch of nothing but a hard state and entries.
    #[must_use]
    pub fn new(hard_state: Option<HardState>, entries: Entries<P>) -> Self {
        Batch { hard_state, chunk: None, install: None, entries }
    }
}

/// Proof that a [`Write`] and every one before it are durable. Only the core makes these; one from an earlier boot marks
/// nothing, and neither does one for entries that were overwritten since (etcd-io/raft calls that the append ABA race).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WriteAck {
    pub(crate) boot: u64,
    pub(crate) sequence: u64,
}
