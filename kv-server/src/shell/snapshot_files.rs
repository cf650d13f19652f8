//! The files of snapshots, written and read on threads of their own, so that neither a turn nor an fsync waits for them.

use raft_core::{Position, ReadChunk, SnapshotMeta};
use tokio::sync::mpsc;

use crate::machine::Machine;
use crate::snapshots::{SnapshotError, Snapshots};

/// What has come of a task.
#[derive(Debug)]
pub(super) enum Done {
    /// The snapshot's file is whole and durable; the log is to be told.
    Taken(Result<SnapshotMeta, SnapshotError>),
    /// The machine, read from the snapshot that ends here.
    Restored(Position, Result<Box<Machine>, SnapshotError>),
    /// A part, and whether it is the last one; or it cannot be read, mostly because a later snapshot has taken its place.
    Chunk(ReadChunk, Result<(Vec<u8>, bool), SnapshotError>),
}

pub(super) struct SnapshotFiles {
    snapshots: Snapshots,
    done: mpsc::UnboundedSender<Done>,
}

impl SnapshotFiles {
    /// The tasks, and where their results come in. There are as many at a time as the core asks for: one snapshot to take, one to
    /// read, and one part for each peer.
    pub(super) fn new(snapshots: Snapshots) -> (Self, mpsc::UnboundedReceiver<Done>) {
        let (done, results) = mpsc::unbounded_channel();
        (SnapshotFiles { snapshots, done }, results)
    }

    pub(super) fn take(&self, meta: SnapshotMeta, machine: Machine) {
        self.run(move |snapshots| Done::Taken(snapshots.take(&meta, &machine).map(|()| meta)));
    }

    pub(super) fn restore(&self, last: Position) {
        self.run(move |snapshots| Done::Restored(last, snapshots.restore(last)));
    }

    pub(super) fn read(&self, asked: ReadChunk) {
        self.run(move |snapshots| Done::Chunk(asked, snapshots.chunk(asked.last, asked.offset)));
    }

    fn run(&self, task: impl FnOnce(&Snapshots) -> Done + Send + 'static) {
        let (snapshots, done) = (self.snapshots.clone(), self.done.clone());
        // Whoever does not wait any more needs no result.
        tokio::task::spawn_blocking(move || drop(done.send(task(&snapshots))));
    }
}
