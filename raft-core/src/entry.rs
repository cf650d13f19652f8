//! Log entries and the commands they carry.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use crate::membership::Membership;
use crate::types::{Index, Position, Term};

/// What the host's state machine executes; opaque to the protocol but for its size.
///
/// Implemented for the plain integers (models), `Vec<u8>`, `String`, and with the feature `bytes` for `bytes::Bytes`.
pub trait Command: Clone + Eq + Hash + Debug {
    /// How many bytes the command takes on the wire, roughly: what [`Limits::append_bytes`](crate::Limits) counts.
    fn size(&self) -> usize;
}

macro_rules! fixed_size_command {
    ($($t:ty),*) => { $(impl Command for $t {
        fn size(&self) -> usize { std::mem::size_of::<$t>() }
    })* };
}
fixed_size_command!(u8, u16, u32, u64);

impl Command for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Command for String {
    fn size(&self) -> usize {
        self.len()
    }
}

#[cfg(feature = "bytes")]
impl Command for bytes::Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

/// What an entry holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Payload<P> {
    /// Nothing: the entry with which a leader opens its term, so that it has one of its own to commit (§5.4.2, §8).
    Noop,
    /// A command of the host's.
    Command(P),
    /// The members of the cluster from here on, in force as soon as the entry is in a log (§6).
    Membership(Arc<Membership>),
}

/// Bytes that an entry takes on the wire besides its command, roughly.
pub(crate) const ENTRY_OVERHEAD: usize = 16;

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entry<P> {
    /// Its place in the log.
    pub index: Index,
    /// The term of the leader that made it.
    pub term: Term,
    /// What it holds.
    pub payload: Payload<P>,
}

impl<P: Command> Entry<P> {
    /// Index and term together.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { index: self.index, term: self.term }
    }

    /// Bytes on the wire, roughly.
    pub(crate) fn size(&self) -> usize {
        ENTRY_OVERHEAD
            + match &self.payload {
                Payload::Noop => 0,
                Payload::Command(command) => command.size(),
                Payload::Membership(membership) => membership.size(),
            }
    }

    /// The membership that this entry brings into force.
    pub(crate) fn membership(&self) -> Option<&Arc<Membership>> {
        match &self.payload {
            Payload::Membership(membership) => Some(membership),
            _ => None,
        }
    }
}
