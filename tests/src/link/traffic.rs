//! What a link has done, counted: so that a fault without effect can be told from one with.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

macro_rules! traffic {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What a link has done since it was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Traffic { $($(#[$doc])* pub $field: u64,)* }

        impl Traffic {
            /// What happened between `earlier` and now.
            #[must_use]
            pub fn since(&self, earlier: &Traffic) -> Traffic {
                Traffic { $($field: self.$field.saturating_sub(earlier.$field),)* }
            }

            /// Both together.
            #[must_use]
            pub fn plus(&self, other: &Traffic) -> Traffic {
                Traffic { $($field: self.$field + other.$field,)* }
            }
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $field: AtomicU64,)* }

        impl Counters {
            pub(super) fn read(&self) -> Traffic {
                Traffic { $($field: self.$field.load(Ordering::Relaxed),)* }
            }
        }
    };
}

traffic! {
    /// Connections accepted.
    connections,
    /// Bytes delivered, both ways.
    forwarded_bytes,
    /// Frames that a server has sent, its greetings not counted: messages between servers, where frames are known.
    frames,
    /// Bytes that met a cut and had to wait.
    held_bytes,
    /// Connection attempts and ends of stream that met a cut and had to wait.
    held_connections,
    /// Bytes that were delayed by added latency.
    delayed_bytes,
    /// Bytes that had to wait because more would have been above the bandwidth.
    throttled_bytes,
    /// Connections that were taken in late.
    late_connections,
    /// Connections that were reset.
    reset_connections,
    /// Frames that were not delivered.
    lost_frames,
    /// Frames that were delivered twice.
    duplicated_frames,
    /// Frames that were delivered after a later one.
    reordered_frames,
    /// Frames that were delivered with bits flipped.
    corrupted_frames,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }
}
