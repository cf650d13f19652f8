//! Snapshots (§7): what stands for the part of the log that is no more, and how it travels.
//!
//! The state machine's bytes are the host's business; the core knows where a snapshot stands in the log and who the members
//! were there. `compact` lets go of the log, `shipping` is the leader's side of a transfer, `receiving` the follower's.
//!
//! ```text
//!   leader's host      leader                     follower                        follower's host
//!      │◀── read chunk ──┤                           │                                  │
//!      ├── chunk ───────▶├── Snapshot(0..n) ────────▶├── Write { chunk } ──────────────▶│
//!      │                 │◀── SnapshotResponse(n) ───┤                                  │
//!      │       ...       │           ...             │            ...                   │
//!      ├── last chunk ──▶├── Snapshot(.., done) ────▶├── Write { chunk, install } ─────▶│
//!      │                 │                           │◀─────────────────── durable ─────┤
//!      │                 │◀── accepted up to there ──┼── apply: Snapshot, then entries ▶│
//! ```

mod compact;
mod receiving;
mod shipping;

pub use compact::CompactError;
pub(crate) use receiving::Receiving;
pub(crate) use shipping::{Outcome, Shipping};

use std::sync::Arc;

use crate::membership::Membership;
use crate::types::{NodeId, Position};

/// What a snapshot stands for. The host stores it with the snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotMeta {
    /// The last entry whose effect it contains (§7, lastIncludedIndex and lastIncludedTerm).
    pub last: Position,
    /// The members as of that entry.
    pub membership: Arc<Membership>,
}

/// A part of a snapshot, on its way to the disk of the server that receives it. The first one, at offset 0, begins anew:
/// whatever was received of another transfer is forgotten.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Chunk {
    /// Of which snapshot.
    pub last: Position,
    /// Where it belongs, in bytes from the beginning.
    pub offset: u64,
    /// What belongs there.
    #[cfg_attr(feature = "serde", serde(with = "serde_bytes"))]
    pub data: Vec<u8>,
}

/// The snapshot whose chunks are all stored is the one to start from now, and takes the place of the log up to its last entry.
/// If it is the one to start from already, only the log changes: at a start, a log that the snapshot has overtaken has to go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Install {
    /// Which snapshot.
    pub snapshot: Arc<SnapshotMeta>,
    /// The stored entries after the snapshot's last one stay. Otherwise the whole stored log goes.
    pub keeps_log: bool,
}

/// The host is to read a part of its latest snapshot for a peer, and to answer with [`Input::SnapshotChunk`] or
/// [`Input::SnapshotUnavailable`], whenever it can.
///
/// [`Input::SnapshotChunk`]: crate::Input::SnapshotChunk
/// [`Input::SnapshotUnavailable`]: crate::Input::SnapshotUnavailable
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReadChunk {
    /// For whom: part of the answer.
    pub to: NodeId,
    /// Which snapshot: one that the host has reported with [`Input::Compact`](crate::Input::Compact), or started from.
    pub last: Position,
    /// From where on, in bytes from the beginning. A peer that lies may make this lie beyond the end: then it is unavailable.
    pub offset: u64,
}
