//! Waiting for a moment more exactly than the runtime's timers do, which go by whole milliseconds and round up: an answer
//! that takes one must not be told to have taken two.

use std::time::{Duration, Instant};

/// How long before the moment the runtime's timer is let go.
const EARLY: Duration = Duration::from_millis(3);

/// Waits for a moment; the rest after the runtime's timer on a thread that the kernel wakes.
pub(super) async fn wait_for(moment: Instant) {
    if let Some(early) = moment.checked_sub(EARLY) {
        tokio::time::sleep_until(early.into()).await;
    }
    if Instant::now() >= moment {
        return;
    }
    let rest = move || std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    // It fails only where the runtime ends, and with it whoever waits.
    let _ = tokio::task::spawn_blocking(rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_too_early_and_at_once_for_what_is_over() {
        let moment = Instant::now() + Duration::from_millis(7);
        wait_for(moment).await;
        assert!(Instant::now() >= moment);
        wait_for(moment).await;
    }
}
