//! The bandwidth of a link: a token bucket, kept as the moment at which it will be empty of claims.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What may pass at once after a quiet time, as a stretch of time: the bucket's depth.
const DEPTH: Duration = Duration::from_millis(50);

/// The bucket that all connections of a link share.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When everything that was promised so far has passed.
    busy_until: Mutex<Option<Instant>>,
}

impl Bucket {
    /// How many bytes to ask for at once, so that nobody waits for much longer than the bucket is deep.
    pub(super) fn slice(rate: u64) -> usize {
        let bytes = u128::from(rate) * DEPTH.as_millis() / 1_000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Promises so many bytes at this rate, and says when they may pass.
    pub(super) fn claim(&self, now: Instant, bytes: usize, rate: u64) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = busy_until.map_or(now, |until| until.max(now.checked_sub(DEPTH).unwrap_or(now)));
        *busy_until = Some(begins + takes);
        begins + takes
    }

    /// Forgets what was promised: the limit has changed.
    pub(super) fn empty(&self) {
        *self.busy_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_the_rate_is_kept_whatever_the_pieces() {
        for piece in [1, 7, 1_000] {
            let (bucket, start) = (Bucket::default(), Instant::now());
            let mut now = start;
            for _ in 0..10_000 / piece {
                now = now.max(bucket.claim(now, piece, 1_000));
            }
            let took = (now - start).as_secs_f64();
            assert!((9.9..=10.1).contains(&took), "10000 bytes in pieces of {piece} took {took} s");
        }
    }

    #[test]
    fn after_a_quiet_time_no_more_than_the_depth_passes_at_once() {
        let (bucket, start) = (Bucket::default(), Instant::now());
        bucket.claim(start, 1, 1_000);
        let later = start + Duration::from_secs(60);
        assert!(bucket.claim(later, 50, 1_000) <= later);
        assert!(bucket.claim(later, 50, 1_000) >= later + Duration::from_millis(49));
        bucket.empty();
        assert_eq!(bucket.claim(later, 50, 1_000), later + Duration::from_millis(50));
    }
}
