//! The replicated log in memory: everything since the last compaction, and the memberships that stand in it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entries::Entries;
use crate::entry::{Command, Entry};
use crate::membership::Membership;
use crate::mutant::{Mutant, MutantSwitch};
use crate::types::{Index, Position, Term};

/// Entries `base.index + 1 ..= last().index`, contiguous, their terms never decreasing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Log<P> {
    /// The last entry that was compacted away: its term is still known (F16).
    base: Position,
    entries: VecDeque<Entry<P>>,
    memberships: Memberships,
}

/// Who the members were from which entry on, in ascending order. The first one is that of the base.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Memberships {
    at_base: (Index, Arc<Membership>),
    since: Vec<(Index, Arc<Membership>)>,
}

impl<P: Command> Log<P> {
    /// An empty log after `base`, whose members were `membership`, in force since `since`.
    pub(crate) fn after(base: Position, membership: Arc<Membership>) -> Self {
        let memberships = Memberships { at_base: (base.index, membership), since: Vec::new() };
        Log { base, entries: VecDeque::new(), memberships }
    }

    /// The last entry that was compacted away.
    pub(crate) fn base(&self) -> Position {
        self.base
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

    /// Whether the log holds, or is known to have held, this very entry.
    pub(crate) fn holds(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Entry<P>> {
        self.entries.get(self.offset(index)?)
    }

    /// The entries from `from` on: at most `count` of them and `bytes` in all, but at least one if there is one (a single
    /// oversized entry still goes, alone: E08).
    pub(crate) fn slice(&self, from: Index, count: usize, bytes: usize) -> Entries<P> {
        let Some(start) = self.offset(from).filter(|&start| start < self.entries.len()) else {
            return Entries::none();
        };
        let end = self.entries.len().min(start.saturating_add(count));
        let taken = fitting(self.entries.range(start..end), bytes);
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

    /// Cuts off the entry at `from` and everything after it, memberships included: those before are in force again (§6).
    pub(crate) fn truncate(&mut self, from: Index, mutant: MutantSwitch) {
        self.entries.truncate(self.offset(from).unwrap_or(0));
        if !mutant.is(Mutant::ConfigNotRolledBack) {
            self.memberships.since.retain(|(index, _)| *index < from);
        }
    }

    /// Appends an entry, whose index must follow the last one.
    pub(crate) fn push(&mut self, entry: Entry<P>) {
        debug_assert_eq!(entry.index, self.last().index.next(), "an entry follows the last one");
        debug_assert!(entry.term >= self.last().term, "terms never decrease along the log");
        if let Some(membership) = entry.membership() {
            self.memberships.since.push((entry.index, Arc::clone(membership)));
        }
        self.entries.push_back(entry);
    }

    /// Lets go of the entries up to `through`, which must be in the log or be its base.
    pub(crate) fn compact(&mut self, through: Index) {
        let Some(base) = self.position_at(through) else { return };
        let gone = usize::try_from(through.distance_from(self.base.index)).unwrap_or(usize::MAX);
        self.entries.drain(..gone.min(self.entries.len()));
        // The memory of a long log is given back, that of a short one kept.
        if self.entries.capacity() > 4 * self.entries.len().max(1024) {
            self.entries.shrink_to(2 * self.entries.len());
        }
        self.memberships.compact(through);
        self.base = base;
    }

    /// Who the members were at the base, as a snapshot says. A server that joins does not know it by its own log, which does
    /// not name the founders; to everybody else it is nothing new (log matching, §5.3).
    pub(crate) fn set_base_membership(&mut self, membership: &Arc<Membership>) {
        if self.memberships.at_base.1 != *membership {
            self.memberships.at_base = (self.base.index, Arc::clone(membership));
        }
    }

    /// The members now: those of the latest membership in the log, committed or not (§6).
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        self.memberships.since.last().map_or(&self.memberships.at_base.1, |(_, membership)| membership)
    }

    /// The entry that brought the present membership; at most the base, if it is gone.
    pub(crate) fn membership_index(&self) -> Index {
        self.memberships.since.last().map_or(self.memberships.at_base.0, |(index, _)| *index)
    }

    /// The members as of the entry at `index`, which must not lie before the base.
    pub(crate) fn membership_at(&self, index: Index) -> &Arc<Membership> {
        let latest = self.memberships.since.iter().rev().find(|(since, _)| *since <= index);
        latest.map_or(&self.memberships.at_base.1, |(_, membership)| membership)
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

/// How many of these entries fit into so many bytes; at least one.
pub(crate) fn fitting<'a, P: Command + 'a>(
    entries: impl Iterator<Item = &'a Entry<P>>,
    bytes: usize,
) -> usize {
    let mut room = bytes;
    let fits = |entry: &&Entry<P>| match room.checked_sub(entry.size()) {
        Some(rest) => {
            room = rest;
            true
        }
        None => false,
    };
    entries.take_while(fits).count().max(1)
}

impl Memberships {
    fn compact(&mut self, through: Index) {
        let gone = self.since.partition_point(|(index, _)| *index <= through);
        if let Some(latest) = self.since.drain(..gone).next_back() {
            self.at_base = latest;
        }
    }
}

#[cfg(test)]
mod tests;
