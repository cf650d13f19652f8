//! Servers that are ended and started again, in one way or another.

use std::ops::Range;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Exit, Node};
use crate::faults::Kind;
use crate::logs;

/// How long a server that was started has to take connections.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(5);

impl Node {
    /// Waits until the server takes clients' connections; says whether it did before the deadline, and before it ended.
    ///
    /// # Errors
    /// When the process could not be asked.
    pub async fn comes_up(&self, patience: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + patience;
        loop {
            let mut process = self.process.lock().await;
            process.fallen()?;
            let runs = process.pid().is_some();
            drop(process);
            // Whoever answers at the port is this server only while it runs.
            if runs && TcpStream::connect(self.client_address()).await.is_ok() {
                return Ok(true);
            }
            if !runs || Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same, also cut short by `stop`, which counts as not up.
    async fn comes_up_before(&self, stop: &CancellationToken) -> anyhow::Result<bool> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(false),
            up = self.comes_up(START_PATIENCE) => up,
        }
    }

    /// Kills the server as soon as it is up, and starts it again, so many times or until `stop`; then leaves it running.
    /// Counts the kills. One that fell by itself is left alone.
    ///
    /// To drop this half way may leave a killed server that seems to have fallen by itself: `stop` it.
    ///
    /// # Errors
    /// When the process could not be signalled or started.
    pub async fn loop_of_crashes(
        &self,
        times: u64,
        kills: &AtomicU64,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        for _ in 0..times {
            self.comes_up_before(stop).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            if self.kill().await? {
                kills.fetch_add(1, Ordering::Relaxed);
            }
            if self.fallen().await?.is_some() {
                return Ok(());
            }
            self.start().await?;
        }
        Ok(())
    }

    /// Asks the server to end, as part of a run: that it did not end in order is remembered.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn end(&self, patience: Duration) -> anyhow::Result<Exit> {
        let exit = self.stop(patience).await?;
        let how = match &exit {
            Exit::NotRunning | Exit::Clean => return Ok(exit),
            Exit::Failed(how) => how.clone(),
            Exit::Killed => format!("still there {} s after SIGTERM", patience.as_secs()),
        };
        self.unclean.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(how);
        Ok(exit)
    }

    /// How the server ended when it was asked to during the run, if ever it was not in order.
    #[must_use]
    pub fn unclean(&self) -> Option<String> {
        self.unclean.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the server to end, starts it again, and waits until it is up, or `stop`; says how it ended. One that fell by
    /// itself is left alone.
    ///
    /// # Errors
    /// When the process could not be signalled or started.
    pub async fn restart(&self, patience: Duration, stop: &CancellationToken) -> anyhow::Result<Exit> {
        if self.fallen().await?.is_some() {
            return Ok(Exit::NotRunning);
        }
        let exit = self.end(patience).await?;
        self.start().await?;
        self.comes_up_before(stop).await?;
        Ok(exit)
    }

    /// A fault of this family lets the server end by itself without that being a fall (see
    /// [`ServerProcess::let_fall`](super::ServerProcess::let_fall)), and complain of damage in its log.
    ///
    /// # Errors
    /// When the process could not be asked.
    pub async fn let_fall(&self, kind: Kind, may_fall: bool) -> anyhow::Result<()> {
        let may_fall = {
            let mut excuses = self.excuses.lock().unwrap_or_else(PoisonError::into_inner);
            if may_fall {
                excuses.insert(kind);
            } else {
                excuses.remove(&kind);
            }
            // As long as any fault is on that gives it the right to.
            !excuses.is_empty()
        };
        self.process.lock().await.let_fall(may_fall)?;
        let length = logs::length(&self.log);
        let mut excused = self.excused.lock().unwrap_or_else(PoisonError::into_inner);
        match excused.last_mut().filter(|range| range.end == u64::MAX) {
            Some(open) if !may_fall => open.end = length,
            None if may_fall => excused.push(length..u64::MAX),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// The parts of the log in which the server may well complain: a fault was on that made it right to.
    #[must_use]
    pub fn excused(&self) -> Vec<Range<u64>> {
        self.excused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
