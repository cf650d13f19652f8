//! Membership (§6): which one is in force, which changes may be pending, and that successive quorums intersect.

use raft_core::{Entry, Index, Membership, NodeId, Payload, Raft, RoleKind};

use super::Ghost;
use crate::cluster::{Command, Disk};

impl Ghost {
    pub(super) fn members(&mut self, raft: &Raft<Command>) {
        let changes: Vec<(Index, &Membership)> = raft.entries().filter_map(membership).collect();
        let at_base = self.membership_at(raft.base().index);
        if let Some(at_base) = &at_base {
            self.in_force(raft, changes.last().map_or(at_base, |(_, latest)| latest));
            let all = std::iter::once(at_base).chain(changes.iter().map(|(_, membership)| *membership));
            let all: Vec<&Membership> = all.collect();
            for pair in all.windows(2) {
                self.quorums_intersect(raft.id(), pair[0], pair[1]);
            }
        }
        let committed = self.committed();
        let pending = changes.iter().filter(|(index, _)| *index > committed).count();
        if pending > 1 {
            self.violated(format!("{:?} has {pending} uncommitted memberships in its log", raft.id()));
        }
        if raft.role() == RoleKind::Leader {
            self.own_term_first(raft, &changes);
        }
    }

    /// The latest membership in a log is in force, committed or not; one that was cut off is not.
    fn in_force(&mut self, raft: &Raft<Command>, latest: &Membership) {
        // A server that joins later learns the founders' choice from the first change only, or from a snapshot.
        let is_ignorant = raft.membership().voters().is_empty() && raft.base().index == Index::ZERO;
        if !is_ignorant && **raft.membership() != *latest {
            self.violated(format!("{:?} goes by {:?}, its log by {latest:?}", raft.id(), raft.membership()));
        }
    }

    /// Ongaro, raft-dev 2015: no change before the leader has committed in its own term.
    fn own_term_first(&mut self, raft: &Raft<Command>, changes: &[(Index, &Membership)]) {
        if raft.base().term == raft.term() {
            return; // It has, and has compacted it away.
        }
        let opening = raft.entries().find(|entry| entry.term == raft.term()).map(|entry| entry.index);
        let own = changes.iter().filter(|(index, _)| opening.is_some_and(|opening| *index > opening));
        if own.count() > 0 && opening.is_some_and(|opening| raft.commit() < opening) {
            self.violated(format!("{:?} changes the members before it has committed anything", raft.id()));
        }
    }

    /// Every quorum of one membership has a server in common with every quorum of the next.
    fn quorums_intersect(&mut self, id: NodeId, a: &Membership, b: &Membership) {
        let key = format!("{a:?}{b:?}");
        if self.intersecting.contains(&key) {
            return;
        }
        let disjoint =
            (0..256u16).find(|&set| is_quorum(a, |id| bit(set, id)) && is_quorum(b, |id| !bit(set, id)));
        match disjoint {
            None => drop(self.intersecting.insert(key)),
            Some(_) => self.violated(format!("{id:?}: disjoint quorums of {a:?} and {b:?}")),
        }
    }

    /// How many changes of the members were committed.
    pub fn changes(&self) -> usize {
        self.committed.values().filter_map(|(entry, _)| membership(entry)).count()
    }

    /// How many of them were left after a joint membership.
    pub fn joint_changes(&self) -> usize {
        let memberships: Vec<_> =
            self.committed.values().filter_map(|(entry, _)| membership(entry)).collect();
        memberships.windows(2).filter(|pair| pair[0].1.is_joint() && !pair[1].1.is_joint()).count()
    }

    /// The members as of a committed entry; unknown for one that is not known to be committed.
    pub(super) fn membership_at(&self, index: Index) -> Option<Membership> {
        if index > self.committed() {
            return None;
        }
        let entries = self.committed.range(..=index).rev().map(|(_, (entry, _))| entry);
        let latest = entries.filter_map(membership).next().map(|(_, membership)| membership.clone());
        Some(latest.unwrap_or_else(|| self.founders.clone()))
    }
}

/// Whether a quorum of these members holds an entry on its platters, but for what rotted there since.
pub(super) fn is_on_a_quorum(membership: &Membership, disks: &[&Disk], entry: &Entry<Command>) -> bool {
    let holds = |id: NodeId| {
        let disk = usize::try_from(id.0 - 1).ok().and_then(|place| disks.get(place));
        disk.is_some_and(|disk| disk.has_vouched_for(entry))
    };
    is_quorum(membership, holds)
}

pub(super) fn is_quorum(membership: &Membership, is_in: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: &[NodeId]| voters.iter().filter(|&&id| is_in(id)).count() * 2 > voters.len();
    majority(membership.voters()) && (membership.outgoing().is_empty() || majority(membership.outgoing()))
}

fn bit(set: u16, id: NodeId) -> bool {
    set & (1 << (id.0 - 1)) != 0
}

fn membership(entry: &Entry<Command>) -> Option<(Index, &Membership)> {
    match &entry.payload {
        Payload::Membership(membership) => Some((entry.index, membership)),
        _ => None,
    }
}
