//! History: what happened once and may be visible in no server any more. The laws are about it, not only about the
//! present.

use raft_core::{Entry, Index, NodeId, SnapshotMeta, Term};

use crate::bounds::Bounds;
use crate::clients::Clients;
use crate::disk::Disk;
use crate::members::{brings_members, members_number, payload_number, renamed_payload};
use crate::property::{Flags, Law};
use crate::reaction::Elected;

/// What is remembered of a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Ghost {
    /// The first leader of each term, with the terms of the log it was elected with.
    pub(crate) leaders: [Option<Office>; Bounds::MAX_TERM as usize],
    /// What was ever applied anywhere, from index 1.
    pub(crate) committed: Vec<Committed>,
    /// What clients have seen, where that is remembered.
    pub(crate) clients: Clients,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Office {
    pub(crate) leader: NodeId,
    /// Four bits each, the first entry lowest.
    pub(crate) log: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Committed {
    pub(crate) term: Term,
    pub(crate) payload: u32,
    /// The term of the server that applied it first.
    pub(crate) in_term: Term,
}

impl Office {
    fn holds(&self, index: usize, term: Term) -> bool {
        u64::from((self.log >> (4 * index)) & 15) == term.0
    }
}

impl Ghost {
    pub(crate) fn new() -> Self {
        Ghost {
            leaders: [None; Bounds::MAX_TERM as usize],
            committed: Vec::new(),
            clients: Clients::default(),
        }
    }

    /// How much was ever committed.
    pub(crate) fn committed_to(&self) -> u64 {
        self.committed.len() as u64
    }

    pub(crate) fn committed_payloads(&self) -> Vec<u32> {
        self.committed.iter().map(|committed| committed.payload).collect()
    }

    /// Someone was elected. Returns whether it is a later term's leader than an earlier one.
    pub(crate) fn elect(&mut self, elected: &Elected, broken: &mut Flags) -> bool {
        // What its snapshot stands for was committed: if not, that is another law's business.
        let gone = self.committed.iter().take(elected.base.index.0 as usize).map(|entry| &entry.term);
        let terms: Vec<&Term> = gone.chain(&elected.log).collect();
        let log = terms.iter().rev().fold(0, |log, term| (log << 4) | (term.0 as u32 & 15));
        let office = Office { leader: elected.leader, log };
        let lacks_one = self
            .committed
            .iter()
            .enumerate()
            .any(|(index, entry)| entry.in_term < elected.term && !office.holds(index, entry.term));
        broken.add_if(lacks_one, Flags::law(Law::LeaderCompleteness));
        let is_later = self.offices().any(|(term, _)| term < elected.term);
        let place = usize::try_from(elected.term.0).ok().and_then(|term| term.checked_sub(1));
        match place.and_then(|place| self.leaders.get_mut(place)) {
            Some(Some(known)) => {
                broken.add_if(known.leader != elected.leader || known.log != log, election_safety());
            }
            Some(free) => *free = Some(office),
            // Beyond the bounds: the state is not looked at.
            None => {}
        }
        is_later
    }

    /// A server of term `in_term` applies an entry. Returns whether it is the first one to do so.
    pub(crate) fn apply(&mut self, entry: &Entry<u8>, in_term: Term, broken: &mut Flags) -> bool {
        let index = entry.index.previous().0 as usize;
        let news = Committed { term: entry.term, payload: payload_number(entry), in_term };
        match self.committed.get(index) {
            Some(old) => {
                let differs = (old.term, old.payload) != (news.term, news.payload);
                broken.add_if(differs, Flags::law(Law::StateMachineSafety));
                false
            }
            None => {
                let skips = index != self.committed.len();
                broken.add_if(skips, Flags::law(Law::StateMachineSafety));
                self.committed.push(news);
                let lacks = self.offices().any(|(t, office)| t > in_term && !office.holds(index, entry.term));
                broken.add_if(lacks, Flags::law(Law::LeaderCompleteness));
                true
            }
        }
    }

    /// Whether this very entry was committed.
    pub(crate) fn has_committed(&self, index: usize, (term, payload): (Term, u32)) -> bool {
        self.committed.get(index).is_some_and(|c| (c.term, c.payload) == (term, payload))
    }

    /// Whether a disk holds the entry committed at `index`.
    pub(crate) fn is_on(&self, index: Index, disk: &Disk) -> bool {
        let committed = self.committed.get(index.previous().0 as usize);
        committed.is_some_and(|c| disk.holds(index, c.term, c.payload))
    }

    /// The number of the members as of the committed entry at `index`, where those at the beginning were `founders`.
    pub(crate) fn members_at(&self, index: Index, founders: u32) -> u32 {
        let earlier = self.committed.iter().take(index.0 as usize).rev();
        earlier.map(|c| c.payload).find(|payload| brings_members(*payload)).unwrap_or(founders)
    }

    /// Whether a snapshot stands for committed entries, and names the members as of the last one.
    pub(crate) fn is_true(&self, snapshot: &SnapshotMeta, founders: u32) -> bool {
        let last = snapshot.last;
        let is_committed =
            self.committed.get(last.index.previous().0 as usize).is_some_and(|c| c.term == last.term);
        is_committed && members_number(&snapshot.membership) == self.members_at(last.index, founders)
    }

    fn offices(&self) -> impl Iterator<Item = (Term, &Office)> {
        let terms = (1..).map(Term);
        terms.zip(&self.leaders).filter_map(|(term, office)| office.as_ref().map(|office| (term, office)))
    }

    /// The same history with other names.
    pub(crate) fn renamed(&self, rename: impl Fn(NodeId) -> NodeId) -> Self {
        let mut ghost = self.clone();
        for office in ghost.leaders.iter_mut().flatten() {
            office.leader = rename(office.leader);
        }
        for committed in &mut ghost.committed {
            committed.payload = renamed_payload(committed.payload, &rename);
        }
        ghost.clients.rename(&rename);
        ghost
    }
}

fn election_safety() -> Flags {
    Flags::law(Law::ElectionSafety)
}

/// Whether two logs that have an entry of the same index and term are identical up to it (§5.3), as far as they go: this is
/// of the entries that neither has compacted away. `gone` are how many are, before those given.
pub(crate) fn logs_match((gone_a, a): (usize, &[(Term, u32)]), (gone_b, b): (usize, &[(Term, u32)])) -> bool {
    let gone = gone_a.max(gone_b);
    let (Some(a), Some(b)) = (a.get(gone - gone_a..), b.get(gone - gone_b..)) else { return true };
    let agreed = a.iter().zip(b).rposition(|(a, b)| a.0 == b.0).map_or(0, |last| last + 1);
    a.iter().zip(b).take(agreed).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raft_core::{Membership, Payload, Position};

    use super::*;

    #[test]
    fn a_snapshot_is_true_of_what_was_committed_and_of_its_members() {
        let members = |ids: &[u64]| Membership::new(ids.iter().copied().map(NodeId));
        let (founders, later) = (members(&[1, 2, 3]), members(&[1, 2]));
        let mut ghost = Ghost::new();
        let payloads = [Payload::Noop, Payload::Membership(Arc::new(later.clone()))];
        for (index, payload) in (1..).map(Index).zip(payloads) {
            let entry = Entry { index, term: Term(1), payload };
            assert!(ghost.apply(&entry, Term(1), &mut Flags::default()));
        }
        let is_true = |index, term, members: &Membership| {
            let last = Position { index: Index(index), term: Term(term) };
            let snapshot = SnapshotMeta { last, membership: Arc::new(members.clone()) };
            ghost.is_true(&snapshot, members_number(&founders))
        };
        assert!(is_true(1, 1, &founders) && is_true(2, 1, &later));
        assert!(!is_true(1, 1, &later) && !is_true(2, 1, &founders), "the members are others");
        assert!(!is_true(2, 2, &later) && !is_true(3, 1, &later), "it was never committed");
    }

    #[test]
    fn logs_are_compared_where_both_still_have_entries() {
        let log: Vec<_> = [1, 1, 2].iter().map(|&term| (Term(term), 256)).collect();
        assert!(logs_match((0, &log), (1, &log[1..])) && logs_match((3, &[]), (0, &log)));
        let other = [(Term(1), 7), (Term(2), 256)];
        assert!(!logs_match((0, &log), (1, &other)));
        assert!(logs_match((0, &log), (2, &other[1..])));
    }
}
