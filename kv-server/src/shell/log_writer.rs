//! The thread that owns the log. It takes all writes that wait, appends them, syncs once, and reports the last one durable:
//! group commit, so that however many requests wait for the disk, the disk is waited for once.

use std::thread;

use raft_core::{SnapshotMeta, WriteAck};
use tokio::sync::mpsc;

use super::ServerError;
use crate::seeded::Seeded;
use crate::wal::{Wal, WalError};

/// What is to become durable, in this order.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Write(raft_core::Write<bytes::Bytes>),
    /// That this snapshot, whose file is durable, is the one to start from.
    Snapshot(SnapshotMeta),
}

/// What has become durable.
#[derive(Debug)]
pub(super) enum Durable {
    /// Everything up to this write.
    Writes(WriteAck),
    /// That this snapshot is the one to start from; `None` if a later one had taken its place.
    Snapshot(Option<SnapshotMeta>),
}

/// What is durable; or why nothing will be any more, which is the last report.
pub(super) type Report = Result<Durable, WalError>;

/// The ends of the channels to and from the thread. When `jobs` is dropped, the thread finishes what waits and drops its
/// end of `reports`.
pub(super) struct LogWriter {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) reports: mpsc::Receiver<Report>,
}

/// Starts the thread. `outstanding` is where Raft stops to take in what would need another write; the last step may have
/// made more than one; and one snapshot may be taken at a time.
pub(super) fn start(wal: Wal, outstanding: usize, seeded: Option<Seeded>) -> Result<LogWriter, ServerError> {
    let (jobs, queue) = mpsc::channel(2 * outstanding + 1);
    let (reporter, reports) = mpsc::channel(outstanding);
    let work = move || match seeded {
        #[cfg(feature = "mutants")]
        Some(Seeded::AckBeforeFsync) => forgetful(wal, queue, &reporter, outstanding),
        _ => write(wal, queue, &reporter, outstanding),
    };
    thread::Builder::new().name("log-writer".to_owned()).spawn(work).map_err(ServerError::Thread)?;
    Ok(LogWriter { jobs, reports })
}

fn write(mut wal: Wal, mut queue: mpsc::Receiver<Job>, reporter: &mpsc::Sender<Report>, most: usize) {
    let mut group = Vec::new();
    let mut durable = Vec::new();
    while queue.blocking_recv_many(&mut group, most) > 0 {
        let result = write_group(&mut wal, &mut group, &mut durable);
        for report in durable.drain(..) {
            if reporter.blocking_send(Ok(report)).is_err() {
                return;
            }
        }
        if let Err(error) = result {
            let _ = reporter.blocking_send(Err(error));
            return;
        }
    }
}

/// Makes a group durable. The acknowledgement of its last write stands for all.
fn write_group(wal: &mut Wal, group: &mut Vec<Job>, durable: &mut Vec<Durable>) -> Result<(), WalError> {
    let mut last = None;
    let mut snapshots = Vec::new();
    for job in group.drain(..) {
        match job {
            Job::Write(write) => {
                let (batch, ack) = write.split();
                wal.append(&batch)?;
                last = Some(ack);
            }
            Job::Snapshot(snapshot) => {
                let is_latest = wal.append_snapshot(snapshot.last)?;
                snapshots.push(Durable::Snapshot(is_latest.then_some(snapshot)));
            }
        }
    }
    wal.sync()?;
    durable.extend(last.map(Durable::Writes));
    durable.append(&mut snapshots);
    Ok(())
}

/// The seeded bug: reports at once, and writes only now and then. What is held back is lost when the process is killed.
#[cfg(feature = "mutants")]
fn forgetful(mut wal: Wal, mut queue: mpsc::Receiver<Job>, reporter: &mpsc::Sender<Report>, most: usize) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_millis(400);
    let mut held: Vec<Job> = Vec::new();
    let mut group = Vec::new();
    let mut durable = Vec::new();
    let mut written = std::time::Instant::now();
    while queue.blocking_recv_many(&mut group, most) > 0 {
        let last = group.iter().rev().find_map(|job| match job {
            Job::Write(write) => Some(write.clone().split().1),
            Job::Snapshot(_) => None,
        });
        held.append(&mut group);
        if last.is_some_and(|ack| reporter.blocking_send(Ok(Durable::Writes(ack))).is_err()) {
            break;
        }
        if written.elapsed() > INTERVAL {
            if write_group(&mut wal, &mut held, &mut durable).is_err() {
                return;
            }
            for report in durable.drain(..).filter(|report| matches!(report, Durable::Snapshot(_))) {
                let _ = reporter.blocking_send(Ok(report));
            }
            written = std::time::Instant::now();
        }
    }
    // A graceful end loses nothing.
    let _ = write_group(&mut wal, &mut held, &mut durable);
}
