//! What can go wrong with the log: every case says what, in which file, and where.

use std::io;
use std::path::{Path, PathBuf};

use raft_core::{Index, NodeId, Term};

use crate::snapshots::SnapshotError;

/// Why the log could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The operating system refused. After this, a log that was open is poisoned.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process (or another `Wal` in this one) holds the directory.
    #[error("{} is in use by another server; stop that one first", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The log was whole once and no longer is. Nothing was changed: the operator decides (restore the disk, or remove
    /// this server from the cluster and add a fresh one).
    #[error("{} is corrupt at byte {offset}: {reason}", file.display())]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where in it the bad frame (or header) starts.
        offset: u64,
        /// What is wrong there.
        reason: Damage,
    },
    /// The segments are numbered without a gap, and this one is not there.
    #[error("log segment {} is missing", file.display())]
    MissingSegment {
        /// The file that should exist.
        file: PathBuf,
    },
    /// The snapshot that the log rests on cannot be read, or one cannot be stored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Written by another release.
    #[error("{} has log format version {found}; this server knows version {known}", file.display())]
    UnsupportedVersion {
        /// The segment.
        file: PathBuf,
        /// The version in its header.
        found: u32,
        /// The version this code reads and writes.
        known: u32,
    },
    /// The directory holds another server's log: starting on it would forget that server's votes, or ours.
    #[error("{} was written by node {node} of cluster {cluster:#x}; this is not that server's data directory", file.display())]
    WrongOwner {
        /// The segment.
        file: PathBuf,
        /// The cluster in its header.
        cluster: u64,
        /// The node in its header.
        node: NodeId,
    },
    /// The caller asked for a log that cannot be: nothing was written.
    #[error("refused to write a batch: {0}")]
    InvalidBatch(Misfit),
    /// The batch, encoded, would not fit one frame: nothing was written.
    #[error("refused to write a batch of {bytes} bytes: the limit is {limit}")]
    BatchTooLarge {
        /// Its encoded size.
        bytes: usize,
        /// [`MAX_FRAME_BYTES`](super::MAX_FRAME_BYTES).
        limit: usize,
    },
    /// The batch has no encoded form: nothing was written.
    #[error("cannot encode a record: {0}")]
    Unencodable(postcard::Error),
    /// An earlier write or sync failed, so nobody knows what the disk holds; retrying an fsync would only hide that
    /// ("fsyncgate"). The process must stop, and find out by recovery.
    #[error("the log failed earlier and accepts nothing any more; restart the server to recover")]
    Poisoned,
}

impl WalError {
    /// Wraps a system error with what was being done to what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
        move |source| WalError::Io { action, path: path.to_owned(), source }
    }

    /// Damage at a place.
    pub(super) fn corrupt(file: &Path, offset: usize, reason: Damage) -> WalError {
        WalError::Corrupt { file: file.to_owned(), offset: offset as u64, reason }
    }
}

/// What is wrong at the place that [`WalError::Corrupt`] names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// The file does not start as a segment does.
    #[error("not a log segment (wrong magic number)")]
    Magic,
    /// The segment's header is complete but wrong.
    #[error("the segment header's checksum is wrong")]
    SegmentHeader,
    /// The header says another number than the file's name: a renamed or misdirected file.
    #[error("the segment says that it is number {0}")]
    SegmentNumber(u64),
    /// A frame's header is wrong although the frame was once complete.
    #[error("the frame header's checksum is wrong, and {0}")]
    FrameHeader(Evidence),
    /// A frame is complete, and its content is not what was written.
    #[error("the frame's checksum is wrong, and {0}")]
    FrameContent(Evidence),
    /// A frame is cut short in a segment that was completed before the next one was begun.
    #[error("a frame is torn, and {0}")]
    Torn(Evidence),
    /// The checksum is right and the content makes no sense: another release, or a bug.
    #[error("a record does not decode: {0}")]
    Undecodable(postcard::Error),
    /// Records that cannot follow the ones before them: a frame is missing, or doubled.
    #[error("{0}")]
    Misfit(Misfit),
    /// The file is longer than this server ever makes one.
    #[error("the segment has {0} bytes, more than any segment may have")]
    TooLong(u64),
}

/// Why a bad frame cannot be the remains of an unfinished last write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Evidence {
    /// A frame is only written once the one before it is durable.
    #[error("a whole frame follows at byte {0}")]
    FrameFollows(u64),
    /// A segment is only begun once the one before it is durable.
    #[error("a later segment exists")]
    SegmentFollows,
    /// All of it is there, no sector is blank, yet it differs: an unfinished write leaves a short file or blank sectors.
    #[error("no part of it is missing, as it would be in an unfinished write")]
    NothingMissing,
}

/// Why records do not fit the log before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    /// Between the log's end and the batch's first entry something is missing.
    #[error("entry {found} would leave a gap: the log ends at {last}")]
    Gap {
        /// The first entry's index.
        found: Index,
        /// The last one in the log.
        last: Index,
    },
    /// Entries of one batch are not consecutive.
    #[error("entry {found} follows entry {previous}")]
    NotConsecutive {
        /// An entry's index.
        found: Index,
        /// The index just before it in the batch.
        previous: Index,
    },
    /// Terms never fall along a log.
    #[error("entry {index} of term {found} follows one of term {previous}")]
    TermFalls {
        /// The entry's index.
        index: Index,
        /// Its term.
        found: Term,
        /// The preceding entry's term.
        previous: Term,
    },
    /// The summary with which a segment starts is not what the segments before it add up to.
    #[error("the segment's opening summary does not agree with the segments before it")]
    Checkpoint,
    /// A snapshot that is older than the one to start from.
    #[error("a snapshot up to entry {found} is older than the one up to entry {latest}")]
    OldSnapshot {
        /// The snapshot's last entry.
        found: Index,
        /// The latest one's.
        latest: Index,
    },
    /// A segment starts with a summary, and has only that one.
    #[error("a segment's opening summary is missing or out of place")]
    CheckpointPlace,
    /// Boots are numbered without gaps.
    #[error("boot {found} follows boot {previous}")]
    Boot {
        /// The recorded boot.
        found: u64,
        /// The one before it.
        previous: u64,
    },
}
