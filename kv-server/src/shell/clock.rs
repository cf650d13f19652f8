//! The one clock of a server: monotonic, counted from its start.

use raft_core::Moment;
use tokio::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { start: Instant::now() }
    }

    pub(super) fn now(self) -> Moment {
        Moment::default() + self.start.elapsed()
    }

    /// When it will be `moment`.
    pub(super) fn at(self, moment: Moment) -> Instant {
        self.start + Duration::from_nanos(moment.0)
    }
}
