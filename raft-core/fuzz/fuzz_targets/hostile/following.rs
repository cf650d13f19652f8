//! Who the members are: those of the latest entry that says so.

use std::sync::Arc;

use raft_core::{CompactError, Effects, Entry, Index, Membership, Payload, Raft, RoleKind, SnapshotMeta};

use crate::judged::Judge;
use crate::members::ME;

impl Judge {
    pub fn notes_compaction(&mut self, before: &Raft<u8>, node: &Raft<u8>, effects: &Effects<u8>) {
        let install = effects.writes.iter().find_map(|write| write.batch().install.as_ref());
        if let Some(install) = install.filter(|install| !install.keeps_log) {
            self.at_base = Arc::clone(&install.snapshot.membership);
        } else {
            let gone = before.entries().filter(|entry| entry.index <= node.base().index);
            if let Some(members) = gone.filter_map(members_of).last() {
                self.at_base = Arc::clone(members);
            }
        }
    }

    /// The members are those of the latest entry that says so, committed or not (§6).
    pub fn follows_its_log(&self, node: &Raft<u8>) {
        let latest = node.entries().filter(|entry| members_of(entry).is_some()).last();
        let members = latest.and_then(members_of).unwrap_or(&self.at_base);
        assert_eq!(node.membership(), members);
        assert!(members.is_legal() || **members == Membership::default(), "{members:?}");
        assert!(latest.is_none_or(|entry| entry.index == node.membership_index()));
        if node.role() == RoleKind::Leader {
            let mut others: Vec<_> = members.members().filter(|&id| id != ME).collect();
            others.sort_unstable();
            assert!(node.peers().map(|peer| peer.id).eq(others), "who is sent the log");
        }
    }

    /// A snapshot's members are those as of its last entry.
    pub fn knows_the_members(
        &self,
        node: &Raft<u8>,
        index: Index,
        meta: &Result<SnapshotMeta, CompactError>,
    ) {
        let Ok(meta) = meta else { return };
        let until = node.entries().filter(|entry| entry.index <= index);
        let members = until.filter_map(members_of).last().unwrap_or(&self.at_base);
        assert!(meta.membership == *members && meta.last.index == index && index <= node.applied());
    }
}

fn members_of(entry: &Entry<u8>) -> Option<&Arc<Membership>> {
    match &entry.payload {
        Payload::Membership(membership) => Some(membership),
        _ => None,
    }
}
