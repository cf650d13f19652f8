//! What the host stores, and the acknowledgement it gives back.

use crate::entry::Entry;
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

/// What to store, as a whole or not at all: a crash in the middle must leave either the old state or the new.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Batch<P> {
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// Contiguous entries. The stored log is first cut off before the first one's index, then these are appended.
    pub entries: Vec<Entry<P>>,
}

/// Proof that a [`Write`] and every one before it are durable. Only the core makes these; one from an earlier boot marks
/// nothing, and neither does one for entries that were overwritten since (etcd-io/raft calls that the append ABA race).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WriteAck {
    pub(crate) boot: u64,
    pub(crate) sequence: u64,
}
