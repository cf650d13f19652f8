//! A process that runs only a part of the time: a slow machine, a noisy neighbour, a container above its quota.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Node;

/// How a slow process spends its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutyCycle {
    /// How long it runs at a time.
    pub runs: Duration,
    /// How long it stands still then.
    pub rests: Duration,
}

impl DutyCycle {
    /// One that runs this part of each `period`.
    #[must_use]
    pub fn per_cent(share: u8, period: Duration) -> DutyCycle {
        let runs = period * u32::from(share.min(100)) / 100;
        DutyCycle { runs, rests: period.saturating_sub(runs) }
    }

    /// Stops and continues the server again and again, for ever; to be dropped, and the server to be continued. Counts in
    /// `stops` how often it really stood still. While the server is down there is nothing to do.
    pub async fn keep(self, node: &Node, stops: &AtomicU64) {
        loop {
            // What cannot be signalled has ended: whoever ended it says so.
            if node.pause().await.unwrap_or(false) {
                stops.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(self.rests).await;
            let _ = node.resume().await;
            tokio::time::sleep(self.runs).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_share_of_the_period() {
        let period = Duration::from_millis(200);
        let cycle = DutyCycle::per_cent(10, period);
        assert_eq!(cycle.runs, Duration::from_millis(20));
        assert_eq!(cycle.rests, Duration::from_millis(180));
        assert_eq!(DutyCycle::per_cent(100, period).rests, Duration::ZERO);
    }
}
