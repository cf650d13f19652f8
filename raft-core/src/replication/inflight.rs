//! The window of appends that are under way to one peer.

use std::collections::VecDeque;

use crate::config::Limits;
use crate::types::Index;

/// The last index and the bytes of each append that was sent and not yet acknowledged, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Inflight {
    appends: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Inflight {
    /// Whether another append has to wait. One that is larger than all the bytes allowed still goes when it is alone (E07).
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        self.appends.len() >= limits.inflight_appends || self.bytes >= limits.inflight_bytes
    }

    /// An append of so many bytes, up to `last`, was sent.
    pub(crate) fn add(&mut self, last: Index, bytes: usize) {
        debug_assert!(self.appends.back().is_none_or(|(earlier, _)| *earlier < last), "appends go forward");
        self.appends.push_back((last, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Everything up to `matched` has arrived.
    pub(crate) fn free_to(&mut self, matched: Index) {
        while let Some((_, bytes)) = self.appends.pop_front_if(|(last, _)| *last <= matched) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(appends: usize, bytes: usize) -> Limits {
        Limits { inflight_appends: appends, inflight_bytes: bytes, ..Limits::default() }
    }

    #[test]
    fn e06_inflight_window_table() {
        let limits = limits(3, 1000);
        let mut window = Inflight::default();
        for last in [10, 20, 30] {
            assert!(!window.is_full(&limits));
            window.add(Index(last), 1);
        }
        assert!(window.is_full(&limits));
        // (acknowledged, left)
        for (matched, left) in [(5, 3), (10, 2), (10, 2), (25, 1), (29, 1), (30, 0), (99, 0)] {
            window.free_to(Index(matched));
            assert_eq!(window.appends.len(), left, "acknowledged up to {matched}");
            assert_eq!(window.bytes, left);
        }
        for last in 100..103 {
            assert!(!window.is_full(&limits));
            window.add(Index(last), 1);
        }
        assert!(window.is_full(&limits), "it fills up again");
        assert_eq!(
            Inflight::default(),
            {
                window.free_to(Index(102));
                window
            },
            "and empties completely"
        );
    }

    #[test]
    fn e07_inflight_bytes_allow_one_oversized_append() {
        let limits = limits(100, 50);
        let mut window = Inflight::default();
        assert!(!window.is_full(&limits), "whatever its size, the first one goes");
        window.add(Index(1), 1 << 30);
        assert!(window.is_full(&limits));
        window.free_to(Index(1));
        window.add(Index(2), 49);
        assert!(!window.is_full(&limits));
        window.add(Index(3), 1);
        assert!(window.is_full(&limits));
    }
}
