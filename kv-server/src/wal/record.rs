//! What a frame says: records, one after the other, in postcard's stable wire format.

use bytes::Bytes;
use raft_core::{Batch, Position};
use serde::{Deserialize, Serialize};

use super::outline::Checkpoint;

/// One fact. New kinds go at the end; a changed one takes the next format version (see `segment`).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) enum Record {
    /// What the segments before this one add up to.
    Checkpoint(Checkpoint),
    /// The server started, for the n-th time.
    Boot(u64),
    /// A write of the core's, as a whole but for parts of snapshots, which have files of their own. If it installs a snapshot,
    /// that is whole and durable.
    Batch(Batch<Bytes>),
    /// This server has taken a snapshot up to this entry, which is whole and durable.
    Snapshot(Position),
}

/// [`Record`], borrowed, for writing without a copy: the same kinds in the same order.
#[derive(Serialize)]
pub(super) enum RecordRef<'a> {
    Checkpoint(&'a Checkpoint),
    Boot(u64),
    Batch(&'a Batch<Bytes>),
    Snapshot(Position),
}

impl RecordRef<'_> {
    /// Appends the record's bytes.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) -> postcard::Result<()> {
        postcard::to_io(self, buffer).map(|_| ())
    }
}

/// All the records of a frame. Memory stays in proportion to the frame, whatever lengths it claims.
pub(super) fn decode(mut payload: &[u8]) -> postcard::Result<Vec<Record>> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (record, rest) = postcard::take_from_bytes(payload)?;
        records.push(record);
        payload = rest;
    }
    Ok(records)
}
