//! A run of consecutive entries that a write and several messages share.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::entry::Entry;

/// Consecutive entries, immutable and shared: a leader's write and its appends to all peers hold the same memory, and so do a
/// follower's append and the write it leads to. Reads as a slice.
pub struct Entries<P> {
    /// Nothing stands for no entries, so that a heartbeat takes no memory.
    shared: Option<Arc<[Entry<P>]>>,
    start: usize,
    end: usize,
}

impl<P> Entries<P> {
    /// No entries.
    #[must_use]
    pub const fn none() -> Self {
        Entries { shared: None, start: 0, end: 0 }
    }

    /// The same entries but the first `count`, in the same memory.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        let start = self.start.saturating_add(count).min(self.end);
        if start == self.end {
            return Entries::none();
        }
        Entries { shared: self.shared.clone(), start, end: self.end }
    }

    /// The first `count` entries, in the same memory.
    #[must_use]
    pub fn take(&self, count: usize) -> Self {
        let end = self.start.saturating_add(count).min(self.end);
        if end == self.start {
            return Entries::none();
        }
        Entries { shared: self.shared.clone(), start: self.start, end }
    }
}

impl<P> Deref for Entries<P> {
    type Target = [Entry<P>];

    fn deref(&self) -> &[Entry<P>] {
        self.shared.as_deref().and_then(|entries| entries.get(self.start..self.end)).unwrap_or(&[])
    }
}

impl<P> FromIterator<Entry<P>> for Entries<P> {
    fn from_iter<I: IntoIterator<Item = Entry<P>>>(entries: I) -> Self {
        let shared: Arc<[Entry<P>]> = entries.into_iter().collect();
        let end = shared.len();
        Entries { shared: Some(shared).filter(|_| end > 0), start: 0, end }
    }
}

impl<P> From<Vec<Entry<P>>> for Entries<P> {
    fn from(entries: Vec<Entry<P>>) -> Self {
        entries.into_iter().collect()
    }
}

impl<'a, P> IntoIterator for &'a Entries<P> {
    type Item = &'a Entry<P>;
    type IntoIter = std::slice::Iter<'a, Entry<P>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<P> Default for Entries<P> {
    fn default() -> Self {
        Entries::none()
    }
}

impl<P> Clone for Entries<P> {
    fn clone(&self) -> Self {
        Entries { shared: self.shared.clone(), start: self.start, end: self.end }
    }
}

impl<P: PartialEq> PartialEq for Entries<P> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<P: Eq> Eq for Entries<P> {}

impl<P: Hash> Hash for Entries<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<P: fmt::Debug> fmt::Debug for Entries<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(feature = "serde")]
impl<P: serde::Serialize> serde::Serialize for Entries<P> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

#[cfg(feature = "serde")]
impl<'de, P: serde::Deserialize<'de>> serde::Deserialize<'de> for Entries<P> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Entries::from)
    }
}
