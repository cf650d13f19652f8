//! What can go wrong with a snapshot: every case says what, and in which file.

use std::io;
use std::path::{Path, PathBuf};

use raft_core::Position;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what was once written.
    #[error("snapshot {} is corrupt: {reason}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: SnapshotDamage,
    },
    /// It has no encoded form: nothing was stored.
    #[error("cannot encode a snapshot: {0}")]
    Unencodable(postcard::Error),
}

/// What is wrong with a snapshot's file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotDamage {
    /// The file does not start as a snapshot does.
    #[error("it is no snapshot (wrong magic number)")]
    Magic,
    /// Written by another release.
    #[error("it has format version {0}, which this server does not know")]
    Version(u32),
    /// Of another cluster.
    #[error("it is of cluster {0:#x}, not this one")]
    Cluster(u64),
    /// There is less of it than there should be.
    #[error("it has {0} bytes only")]
    Short(u64),
    /// Its bytes are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// Its checksum is right and its content makes no sense: another release, or a bug.
    #[error("it does not decode: {0}")]
    Undecodable(postcard::Error),
    /// It stands for another part of the log than it should.
    #[error("it ends with entry {} of term {}", .0.index, .0.term)]
    Another(Position),
}

impl SnapshotError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
        move |source| SnapshotError::Io { action, path: path.to_owned(), source }
    }

    pub(super) fn damaged(file: &Path, reason: SnapshotDamage) -> SnapshotError {
        SnapshotError::Corrupt { file: file.to_owned(), reason }
    }
}
