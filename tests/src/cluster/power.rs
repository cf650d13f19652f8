//! A power failure: the process and what its disk had not made durable go at the same moment.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Disks, Node};
use crate::disk::{DiskCounts, DiskOptions, Loss};
use crate::schedule::NodeId;

/// How long to wait for a write or sync that the failure can catch in the middle. An idle server has none.
const CATCH_PATIENCE: Duration = Duration::from_millis(250);
const CATCH_TICK: Duration = Duration::from_millis(2);

/// What a power failure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Whether there was a process to kill.
    pub killed: bool,
    /// What the disk lost by it.
    pub lost: DiskCounts,
}

impl Disks {
    /// The disk of this server, whose folder that is.
    pub(super) fn options(&self, id: NodeId, folder: &Path) -> DiskOptions {
        DiskOptions {
            program: self.program.clone(),
            backing: folder.join("disk"),
            mountpoint: folder.join("data"),
            seed: self.seed ^ id.rotate_right(8),
        }
    }
}

impl Node {
    /// Cuts the power of a server that is on a fault disk, in the middle of a write if there is one. The server is down
    /// afterwards, its disk is as it will be found at the next start.
    ///
    /// # Errors
    /// When the server has no fault disk, or that does not answer, or the process cannot be killed.
    pub async fn cut_power(&self, loss: Loss) -> anyhow::Result<PowerCut> {
        let disk = self.disk().with_context(|| format!("n{} is not on a fault disk", self.id()))?;
        let before = disk.freeze().await?;
        let deadline = Instant::now() + CATCH_PATIENCE;
        while disk.counts().await?.held == before.held && Instant::now() < deadline {
            tokio::time::sleep(CATCH_TICK).await;
        }
        let mut after = None;
        // What is held is let go only when the process can no longer see that it failed.
        let crash = async { after = Some(disk.crash(loss).await) };
        let killed = self.process.lock().await.kill_and(crash).await;
        if killed.is_err() {
            disk.thaw().await?;
        }
        let after = after.with_context(|| format!("the disk of n{} was not crashed", self.id()));
        Ok(PowerCut { killed: killed?, lost: after??.since(&before) })
    }
}
