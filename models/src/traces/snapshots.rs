//! What snapshots stand for: each says that its last entry was committed, and who the members were there.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use raft_core::{Chunk, Index, Membership, Position, SnapshotMeta, Term};

use super::across::{Committed, violation};
use super::facts::Facts;
use super::verdict::TraceFinding;
use crate::property::Law;

/// A snapshot that a server started from, took or was sent.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) last: Position,
    pub(super) membership: Arc<Membership>,
    /// The term of the leader that sent it.
    pub(super) in_term: Option<Term>,
    pub(super) record: u64,
}

impl Facts {
    /// How many snapshots it installed that leaders sent.
    pub(super) fn installs(&self) -> u64 {
        self.snapshots.iter().filter(|snapshot| snapshot.in_term.is_some()).count() as u64
    }

    /// The server has to do with this snapshot: once is enough.
    pub(super) fn stand(&mut self, meta: &SnapshotMeta, in_term: Option<Term>, record: u64) {
        let is_known = |known: &Snapshot| known.last == meta.last && known.membership == meta.membership;
        if in_term.is_some() || !self.snapshots.last().is_some_and(is_known) {
            let (last, membership) = (meta.last, Arc::clone(&meta.membership));
            self.snapshots.push(Snapshot { last, membership, in_term, record });
        }
    }
}

/// A snapshot that comes in, in parts: of which, and how many bytes of it there are.
#[derive(Debug, Default)]
pub(super) struct Incoming(Option<(Position, u64)>);

impl Incoming {
    /// A part is stored. `false` if it does not follow what there is: then it leaves a hole.
    pub(super) fn put(&mut self, chunk: &Chunk) -> bool {
        let before = self.0.filter(|(last, _)| chunk.offset > 0 && *last == chunk.last);
        let (_, bytes) = before.unwrap_or((chunk.last, 0));
        self.0 = Some((chunk.last, chunk.offset.saturating_add(chunk.data.len() as u64)));
        bytes == chunk.offset
    }

    /// It is to be installed. Whether it is this one that came in.
    pub(super) fn take(&mut self, last: Position) -> bool {
        self.0.take().is_some_and(|(of, _)| of == last)
    }
}

/// Every snapshot ends with an entry that was committed, and names the members that were in force there, as far as anybody
/// knows: from the founders on, or from another snapshot on, as long as there is no gap in what was applied.
pub(super) fn are_true(
    all: &[Facts],
    committed: &BTreeMap<Index, Committed>,
    findings: &mut Vec<TraceFinding>,
) {
    let mut snapshots: Vec<(&Facts, &Snapshot)> =
        all.iter().flat_map(|facts| facts.snapshots.iter().map(move |snapshot| (facts, snapshot))).collect();
    snapshots.sort_by_key(|(facts, snapshot)| (snapshot.last.index, facts.id, snapshot.record));
    let memberships: BTreeMap<Index, &Arc<Membership>> =
        all.iter().flat_map(|facts| &facts.memberships).map(|(index, members)| (*index, members)).collect();
    let founders = all.iter().find_map(|facts| facts.founders.clone()).map(Arc::new);
    let mut known = founders.map(|founders| (Position::default(), founders));
    for (facts, Snapshot { last, membership, record, .. }) in snapshots {
        let mut untrue = |what| findings.push(violation(Law::TrueSnapshots, what, facts.place(*record)));
        let (before, _) = known.clone().unwrap_or_default();
        let term = match committed.get(&last.index) {
            Some(entry) => Some(entry.term),
            None => (before.index == last.index).then_some(before.term),
        };
        if term.is_some_and(|term| term != last.term) {
            let term = term.unwrap_or_default();
            untrue(format!(
                "a snapshot up to entry {} of term {}, and the entry committed there is of term {term}",
                last.index, last.term
            ));
        }
        let since = || (before.index.next().0..=last.index.0).map(Index);
        let expected = known.take().filter(|_| since().all(|index| committed.contains_key(&index))).map(
            |(_, members)| {
                let latest = memberships.range((Excluded(before.index), Included(last.index))).next_back();
                latest.map_or(members, |(_, latest)| Arc::clone(latest))
            },
        );
        if let Some(expected) = expected.as_ref().filter(|expected| *expected != membership) {
            untrue(format!(
                "a snapshot up to entry {} names {membership:?}, where {expected:?} were in force",
                last.index
            ));
        }
        known = Some((*last, expected.unwrap_or_else(|| Arc::clone(membership))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other() {
        let last = |term| Position { index: Index(7), term: Term(term) };
        let part = |term, offset| Chunk { last: last(term), offset, data: vec![0; 5] };
        let mut incoming = Incoming::default();
        assert!(!incoming.take(last(1)), "nothing came in");
        assert!(incoming.put(&part(1, 0)) && incoming.put(&part(1, 5)) && incoming.take(last(1)));
        assert!(incoming.put(&part(1, 0)) && !incoming.put(&part(1, 10)), "a hole");
        assert!(incoming.put(&part(1, 0)) && !incoming.put(&part(2, 5)), "parts of two");
        assert!(incoming.put(&part(2, 0)) && !incoming.take(last(1)), "another one");
    }
}
