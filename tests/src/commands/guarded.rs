//! Work with real servers: stopped in order by a signal, ended if it hangs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::{Watchdog, stop_on_signals};

/// Does this work to its end. The first SIGINT or SIGTERM cancels `stop`, a second one ends everything.
pub(super) fn guarded<T>(
    budget: Duration,
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listening = tokio::spawn(stop_on_signals(stop.clone())?);
        let _watchdog = Watchdog::start(budget);
        let done = work.await;
        listening.abort();
        done
    })
}
