//! A log as a chain of hashes: one number for an entry says what it is and everything that stands before it.

use std::hash::{DefaultHasher, Hash, Hasher};

use raft_core::{Entry, Index, Term};

/// An entry in a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) term: Term,
    /// Of this entry, its payload included, and all before it. Within one process only: the hash is the library's.
    pub(super) hash: u64,
}

/// A log from index 1 on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Chain(Vec<Link>);

/// The hash of any value.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Chain {
    /// Appends an entry, after cutting off what stands in its place. `false` if it does not follow.
    pub(super) fn put<P: Hash>(&mut self, entry: &Entry<P>) -> bool {
        let Ok(at) = usize::try_from(entry.index.previous().0) else { return false };
        if at > self.0.len() || entry.index == Index::ZERO {
            return false;
        }
        self.0.truncate(at);
        let before = self.0.last().map_or(0, |link| link.hash);
        let hash = hash_of(&(before, entry.term, &entry.payload));
        self.0.push(Link { term: entry.term, hash });
        true
    }

    /// Takes over a piece of another log, from `first` on.
    pub(super) fn replace(&mut self, first: Index, links: &[Link]) {
        self.0.truncate(usize::try_from(first.previous().0).unwrap_or(usize::MAX));
        self.0.extend(links);
    }

    pub(super) fn at(&self, index: Index) -> Option<Link> {
        self.0.get(usize::try_from(index.0.checked_sub(1)?).ok()?).copied()
    }

    /// The piece from `first` on.
    pub(super) fn from(&self, first: Index) -> &[Link] {
        self.0.get(usize::try_from(first.previous().0).unwrap_or(usize::MAX)..).unwrap_or_default()
    }

    pub(super) fn last(&self) -> Index {
        Index(self.0.len() as u64)
    }

    /// Whether two logs are the same.
    pub(super) fn end(&self) -> (Index, Option<Link>) {
        (self.last(), self.0.last().copied())
    }

    /// Where each term's entries end.
    pub(super) fn runs(&self) -> Vec<(Term, Index)> {
        let mut runs: Vec<(Term, Index)> = Vec::new();
        for (link, index) in self.0.iter().zip((1..).map(Index)) {
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

    #[test]
    fn a_link_tells_everything_before_it() {
        let log = |commands: [u8; 3]| {
            let mut chain = Chain::default();
            assert!((1..).zip(commands).all(|(index, command)| chain.put(&entry(index, 1, command))));
            chain
        };
        assert_eq!(log([1, 2, 3]), log([1, 2, 3]));
        assert_ne!(log([1, 2, 3]).at(Index(3)), log([9, 2, 3]).at(Index(3)));
        assert!(!log([1, 2, 3]).put(&entry(5, 1, 5)), "a gap");
        let mut cut = log([1, 2, 3]);
        assert!(cut.put(&entry(2, 2, 7)));
        assert_eq!((cut.last(), cut.runs()), (Index(2), vec![(Term(1), Index(1)), (Term(2), Index(2))]));
    }
}
