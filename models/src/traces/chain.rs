//! A log by its entries' hashes. Each hash takes in the term of the entry before: so, if entries of one index and term always
//! have one hash, then those before them are of one term, too, and of one hash, and so on down: the logs are identical up to
//! there (§5.3, log matching, by induction). A log that begins after a snapshot can be compared like any other.

use std::hash::{DefaultHasher, Hash, Hasher};

use raft_core::{Entry, Index, Position, Term};

/// An entry in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) term: Term,
    /// Of this entry, its payload included, and the term of the one before. Within one process only: the hash is the library's.
    pub(super) hash: u64,
}

impl Link {
    pub(super) fn new<P: Hash>(before: Term, entry: &Entry<P>) -> Link {
        Link { term: entry.term, hash: hash_of(&(before, entry.term, &entry.payload)) }
    }
}

/// A log: the entries after its base. What was compacted away in memory stays here, as nothing is known against it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Chain {
    /// The last entry of the snapshot that stands for all up to there; 0 without one.
    base: Position,
    links: Vec<Link>,
}

/// The hash of any value.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Chain {
    /// A log with nothing in it but a snapshot.
    pub(super) fn after(base: Position) -> Chain {
        Chain { base, links: Vec::new() }
    }

    /// The log that a server takes up from its disk: what a snapshot stands for is not looked at, and a log that ends before it
    /// or contradicts it has been overtaken. `None` if the entries do not follow each other, or the snapshot.
    pub(super) fn recover<P: Hash>(base: Position, entries: &[Entry<P>]) -> Option<Chain> {
        let mut chain = Chain::after(base);
        let contradicts = |entry: &Entry<P>| entry.index == base.index && entry.term != base.term;
        if entries.iter().any(contradicts) {
            return Some(chain);
        }
        let mut later = entries.iter().filter(|entry| entry.index > base.index);
        later.all(|entry| entry.index == chain.last().next() && chain.put(entry)).then_some(chain)
    }

    /// Appends an entry, after cutting off what stands in its place. `false` if it does not follow.
    pub(super) fn put<P: Hash>(&mut self, entry: &Entry<P>) -> bool {
        let Some(before) = self.term_at(entry.index.previous()).filter(|_| entry.index > self.base.index)
        else {
            return false;
        };
        self.links.truncate(self.offset(entry.index).unwrap_or(0));
        self.links.push(Link::new(before, entry));
        true
    }

    /// Takes over a piece of another log, from `first` on.
    pub(super) fn replace(&mut self, first: Index, links: &[Link]) {
        self.links.truncate(self.offset(first).unwrap_or(0));
        self.links.extend(links);
    }

    fn offset(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.base.index.0)?.checked_sub(1)?).ok()
    }

    pub(super) fn at(&self, index: Index) -> Option<Link> {
        self.links.get(self.offset(index)?).copied()
    }

    /// The term of an entry, or of the last one that the snapshot stands for.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.at(index).map(|link| link.term) }
    }

    /// The piece from `first` on.
    pub(super) fn from(&self, first: Index) -> &[Link] {
        self.links.get(self.offset(first).unwrap_or(0)..).unwrap_or_default()
    }

    /// The piece after a snapshot, as a server would take it up that starts from both.
    pub(super) fn beyond(&self, snapshot: Position) -> &[Link] {
        match self.term_at(snapshot.index) == Some(snapshot.term) {
            true => self.from(snapshot.index.next()),
            false => &[],
        }
    }

    pub(super) fn base(&self) -> Position {
        self.base
    }

    pub(super) fn last(&self) -> Index {
        self.base.index.plus(self.links.len())
    }

    /// The entries with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Index, Link)> + '_ {
        (self.base.index.0 + 1..).map(Index).zip(self.links.iter().copied())
    }

    /// Where each term's entries end.
    pub(super) fn runs(&self) -> Vec<(Term, Index)> {
        let mut runs: Vec<(Term, Index)> = Vec::new();
        for (index, link) in self.iter() {
            match runs.last_mut() {
                Some((term, last)) if *term == link.term => *last = index,
                _ => runs.push((link.term, index)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::Payload;

    fn entry(index: u64, term: u64, command: u8) -> Entry<u8> {
        Entry { index: Index(index), term: Term(term), payload: Payload::Command(command) }
    }

    fn position(index: u64, term: u64) -> Position {
        Position { index: Index(index), term: Term(term) }
    }

    #[test]
    fn a_link_tells_its_entry_and_the_term_before() {
        let log = |entries: [(u64, u8); 3]| {
            let mut chain = Chain::default();
            assert!(
                (1..).zip(entries).all(|(index, (term, command))| chain.put(&entry(index, term, command)))
            );
            chain
        };
        let one = log([(1, 1), (1, 2), (2, 3)]);
        assert_eq!(one, log([(1, 1), (1, 2), (2, 3)]));
        assert_ne!(one.at(Index(1)), log([(1, 9), (1, 2), (2, 3)]).at(Index(1)));
        assert_ne!(one.at(Index(3)), log([(1, 1), (2, 2), (2, 3)]).at(Index(3)), "another term before it");
        assert!(!one.clone().put(&entry(5, 2, 5)), "a gap");
        assert!(!one.clone().put(&entry(0, 0, 5)), "there is no entry 0");
        let mut cut = one;
        assert!(cut.put(&entry(2, 2, 7)));
        assert_eq!((cut.last(), cut.runs()), (Index(2), vec![(Term(1), Index(1)), (Term(2), Index(2))]));
    }

    #[test]
    fn a_log_after_a_snapshot_is_like_one_from_the_beginning() {
        let entries = [entry(3, 1, 3), entry(4, 2, 4), entry(5, 2, 5)];
        let short = Chain::recover(position(3, 1), &entries).unwrap();
        let mut long = Chain::default();
        assert!(
            (1..3).all(|index| long.put(&entry(index, 1, 0))) && entries.iter().all(|entry| long.put(entry))
        );
        assert_eq!(short.at(Index(4)), long.at(Index(4)));
        assert_eq!(
            (short.at(Index(3)), short.term_at(Index(3)), short.last()),
            (None, Some(Term(1)), Index(5))
        );
        assert_eq!(short.beyond(position(4, 2)), long.beyond(position(4, 2)));
        assert!(!short.clone().put(&entry(3, 2, 9)), "what the snapshot stands for is not replaced");
        // Overtaken: the log ends before the snapshot, or has another entry there.
        for overtaking in [position(9, 2), position(4, 1)] {
            assert_eq!(Chain::recover(overtaking, &entries), Some(Chain::after(overtaking)));
            assert_eq!(long.beyond(overtaking), &[]);
        }
        assert_eq!(Chain::recover(position(1, 1), &entries), None, "a gap after the snapshot");
        assert_eq!(Chain::recover(Position::default(), &entries), None, "no beginning");
    }
}
