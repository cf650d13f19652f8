//! Letting go of the log (§7): when is the host's decision; here it is checked that nothing needed is lost.

use std::sync::Arc;

use super::SnapshotMeta;
use crate::entry::Command;
use crate::error::Refused;
use crate::io::Effects;
use crate::raft::Raft;
use crate::types::Index;

/// Why a log cannot be compacted so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CompactError {
    /// The state machine has not executed that much.
    #[error("entry {index} is not applied; {applied} is the last one that is")]
    NotApplied {
        /// Which entry.
        index: Index,
        /// The last one that is.
        applied: Index,
    },
    /// The entry is compacted away.
    #[error("entry {index} is compacted away; {base} was the last one to go")]
    Compacted {
        /// Which entry.
        index: Index,
        /// The last one that is gone.
        base: Index,
    },
    /// This server joined the cluster later and has not yet come to the entry that says who the members are.
    #[error("who the members were at entry {index} is not known")]
    MembersUnknown {
        /// At which entry.
        index: Index,
    },
    /// What the snapshot stands for is not what stands in the log.
    #[error("the snapshot up to entry {index} does not stand for what is in the log")]
    Mismatch {
        /// The snapshot's last entry.
        index: Index,
    },
    /// There is a later snapshot already, which must stay: it was reported, or installed meanwhile.
    #[error("the snapshot up to entry {index} is older than the one up to entry {latest}")]
    Older {
        /// The snapshot's last entry.
        index: Index,
        /// The latest one's.
        latest: Index,
    },
    /// More is to go than the snapshot contains.
    #[error("entry {through} is not in the snapshot, which ends with {snapshot}")]
    BeyondSnapshot {
        /// The last entry that was to go.
        through: Index,
        /// The snapshot's last entry.
        snapshot: Index,
    },
}

impl<P: Command> Raft<P> {
    /// What a snapshot of the state machine stands for that was taken when `index` was the last entry executed. The host
    /// stores it with the snapshot, and reports both with [`Input::Compact`](crate::Input::Compact) once they are on stable
    /// storage.
    ///
    /// # Errors
    /// Nothing is known of an entry that is not applied, or is compacted away (F16).
    pub fn snapshot_meta(&self, index: Index) -> Result<SnapshotMeta, CompactError> {
        if index > self.applied {
            return Err(CompactError::NotApplied { index, applied: self.applied });
        }
        let base = self.log.base().index;
        let last = self.log.position_at(index).ok_or(CompactError::Compacted { index, base })?;
        let membership = Arc::clone(self.log.membership_at(index));
        if membership.voters().is_empty() || index == Index::ZERO {
            return Err(CompactError::MembersUnknown { index });
        }
        Ok(SnapshotMeta { last, membership })
    }

    /// The latest snapshot that was reported, or that this server started from.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Arc<SnapshotMeta>> {
        self.snapshot.as_ref()
    }

    pub(crate) fn compact(
        &mut self,
        snapshot: SnapshotMeta,
        through: Index,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        let last = snapshot.last.index;
        let known = self.snapshot_meta(last).map_err(Refused::Compact)?;
        if known != snapshot {
            return Err(Refused::Compact(CompactError::Mismatch { index: last }));
        }
        let latest = self.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.last.index);
        if latest > last {
            return Err(Refused::Compact(CompactError::Older { index: last, latest }));
        }
        if through > last {
            return Err(Refused::Compact(CompactError::BeyondSnapshot { through, snapshot: last }));
        }
        if latest < last {
            self.snapshot = Some(Arc::new(snapshot));
            self.durability.snapshot_stored(last);
        }
        if through > self.log.base().index {
            self.log.compact(through);
        }
        self.ship_what_was_wanted(effects);
        Ok(())
    }
}
