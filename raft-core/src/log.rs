//! The replicated log in memory: everything since the last compaction.

use std::collections::VecDeque;

use crate::entry::{Command, Entry};
use crate::error::StartError;
use crate::types::{Index, Position, Term};

/// Entries `base.index + 1 ..= last().index`, contiguous, their terms never decreasing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Log<P> {
    /// The last entry that was compacted away; nothing yet, until there are snapshots.
    base: Position,
    entries: VecDeque<Entry<P>>,
}

impl<P: Command> Log<P> {
    /// The log as it was recovered, by a server that recovered `term`.
    pub(crate) fn recover(entries: Vec<Entry<P>>, term: Term) -> Result<Self, StartError> {
        let mut last = Position::default();
        for entry in &entries {
            let expected = last.index.next();
            if entry.index != expected {
                return Err(StartError::Gap { expected, found: entry.index });
            }
            if entry.term < last.term || entry.term > term {
                return Err(StartError::TermOutOfOrder { index: entry.index, term: entry.term });
            }
            last = entry.position();
        }
        Ok(Log { base: Position::default(), entries: entries.into() })
    }

    /// Where the log ends.
    pub(crate) fn last(&self) -> Position {
        self.entries.back().map_or(self.base, Entry::position)
    }

    /// The term of the entry at `index`, if it is known.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// The position at `index`, which must not lie beyond the log or before its base.
    pub(crate) fn position_at(&self, index: Index) -> Option<Position> {
        self.term_at(index).map(|term| Position { index, term })
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Entry<P>> {
        self.entries.get(self.offset(index)?)
    }

    /// The entries from `from` on: at most `count` of them and `bytes` in all, but at least one if there is one (a single
    /// oversized entry still goes, alone: E08).
    pub(crate) fn slice(&self, from: Index, count: usize, bytes: usize) -> Vec<Entry<P>> {
        let Some(start) = self.offset(from).filter(|&start| start < self.entries.len()) else {
            return Vec::new();
        };
        let end = self.entries.len().min(start.saturating_add(count));
        let mut room = bytes;
        let mut fits = |entry: &&Entry<P>| match room.checked_sub(entry.size()) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        let taken = self.entries.range(start..end).take_while(&mut fits).count().max(1);
        self.entries.range(start..start + taken).cloned().collect()
    }

    /// Bytes of the entries in `(after, up_to]`.
    pub(crate) fn bytes_between(&self, after: Index, up_to: Index) -> usize {
        let mut index = after;
        let mut sum = 0;
        while index < up_to {
            index = index.next();
            sum += self.get(index).map_or(0, Entry::size);
        }
        sum
    }

    /// The last entry at or before `index` whose term is at most `term`. Of two logs that differ at `index`, neither can
    /// agree with the other beyond this entry of it: so each rejection skips a whole conflicting term, on both sides.
    pub(crate) fn last_at_most(&self, index: Index, term: Term) -> Position {
        let length = self.offset(index).map_or(0, |offset| (offset + 1).min(self.entries.len()));
        // Terms never decrease along the log (§5.3), so those entries are a prefix.
        let (mut low, mut high) = (0, length);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entries.get(middle).is_some_and(|entry| entry.term <= term) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1).and_then(|offset| self.entries.get(offset)).map_or(self.base, Entry::position)
    }

    /// Cuts off the entry at `from` and everything after it.
    pub(crate) fn truncate(&mut self, from: Index) {
        self.entries.truncate(self.offset(from).unwrap_or(0));
    }

    /// Appends an entry, whose index must follow the last one.
    pub(crate) fn push(&mut self, entry: Entry<P>) {
        debug_assert_eq!(entry.index, self.last().index.next(), "an entry follows the last one");
        debug_assert!(entry.term >= self.last().term, "terms never decrease along the log");
        self.entries.push_back(entry);
    }

    /// All entries in memory.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<P>> {
        self.entries.iter()
    }

    fn offset(&self, index: Index) -> Option<usize> {
        let distance = index.0.checked_sub(self.base.index.0)?.checked_sub(1)?;
        usize::try_from(distance).ok()
    }
}
