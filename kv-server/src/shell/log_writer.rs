//! The thread that owns the log. It takes all writes that wait, appends them, syncs once, and reports the last one durable:
//! group commit, so that however many requests wait for the disk, the disk is waited for once.

use std::thread;

use raft_core::WriteAck;
use tokio::sync::mpsc;

use super::ServerError;
use crate::seeded::Seeded;
use crate::wal::{Wal, WalError};

pub(super) type Write = raft_core::Write<bytes::Bytes>;

/// Up to here everything is durable; or why nothing will be any more, which is the last report.
pub(super) type Report = Result<WriteAck, WalError>;

/// The ends of the channels to and from the thread. When `jobs` is dropped, the thread finishes what waits and drops its
/// end of `reports`.
pub(super) struct LogWriter {
    pub(super) jobs: mpsc::Sender<Write>,
    pub(super) reports: mpsc::Receiver<Report>,
}

/// Starts the thread. `outstanding` is where Raft stops to take in what would need another write; the last step may have
/// made more than one.
pub(super) fn start(wal: Wal, outstanding: usize, seeded: Option<Seeded>) -> Result<LogWriter, ServerError> {
    let (jobs, queue) = mpsc::channel(2 * outstanding);
    let (reporter, reports) = mpsc::channel(outstanding);
    let work = move || match seeded {
        #[cfg(feature = "mutants")]
        Some(Seeded::AckBeforeFsync) => forgetful(wal, queue, &reporter, outstanding),
        _ => write(wal, queue, &reporter, outstanding),
    };
    thread::Builder::new().name("log-writer".to_owned()).spawn(work).map_err(ServerError::Thread)?;
    Ok(LogWriter { jobs, reports })
}

fn write(mut wal: Wal, mut queue: mpsc::Receiver<Write>, reporter: &mpsc::Sender<Report>, most: usize) {
    let mut group = Vec::new();
    while queue.blocking_recv_many(&mut group, most) > 0 {
        let Some(report) = write_group(&mut wal, &mut group).transpose() else { continue };
        let failed = report.is_err();
        if reporter.blocking_send(report).is_err() || failed {
            return;
        }
    }
}

/// Makes a group durable; returns the acknowledgement of its last write, which stands for all.
fn write_group(wal: &mut Wal, group: &mut Vec<Write>) -> Result<Option<WriteAck>, WalError> {
    let mut last = None;
    for write in group.drain(..) {
        let (batch, ack) = write.split();
        wal.append(&batch)?;
        last = Some(ack);
    }
    wal.sync()?;
    Ok(last)
}

/// The seeded bug: reports at once, and writes only now and then. What is held back is lost when the process is killed.
#[cfg(feature = "mutants")]
fn forgetful(mut wal: Wal, mut queue: mpsc::Receiver<Write>, reporter: &mpsc::Sender<Report>, most: usize) {
    const INTERVAL: std::time::Duration = std::time::Duration::from_millis(400);
    let mut held: Vec<Write> = Vec::new();
    let mut group = Vec::new();
    let mut written = std::time::Instant::now();
    while queue.blocking_recv_many(&mut group, most) > 0 {
        let last = group.last().map(|write| write.clone().split().1);
        held.append(&mut group);
        if last.is_some_and(|ack| reporter.blocking_send(Ok(ack)).is_err()) {
            break;
        }
        if written.elapsed() > INTERVAL {
            if write_group(&mut wal, &mut held).is_err() {
                return;
            }
            written = std::time::Instant::now();
        }
    }
    // A graceful end loses nothing.
    let _ = write_group(&mut wal, &mut held);
}
