//! Who the members are, by the log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::{Entry, Index, Membership, Payload};

/// The memberships in a log, and the one from before it.
#[derive(Debug, Default)]
pub(super) struct Members {
    before: Arc<Membership>,
    since: BTreeMap<Index, Arc<Membership>>,
}

impl Members {
    /// Those of a log that begins with the founders, or after a snapshot.
    pub(super) fn begin(before: Arc<Membership>) -> Members {
        Members { before, since: BTreeMap::new() }
    }

    /// An entry was appended, after what stood in its place was cut off.
    pub(super) fn put<P>(&mut self, entry: &Entry<P>) {
        let _ = self.since.split_off(&entry.index);
        if let Payload::Membership(membership) = &entry.payload {
            self.since.insert(entry.index, Arc::clone(membership));
        }
    }

    /// Those of the latest membership, committed or not (§6).
    pub(super) fn in_force(&self) -> &Arc<Membership> {
        self.since.last_key_value().map_or(&self.before, |(_, latest)| latest)
    }
}
