//! Every configuration that was reached, once, and the question "is this one dominated?".

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use crate::limits::{Purse, Stopped};
use crate::mutant::{Mutant, on};

/// No configuration.
pub(crate) const NONE: u32 = u32::MAX;

/// One configuration; its bits are in [`Arena::words`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// The return it waits for, as a step of the timeline.
    pub(crate) at: u32,
    /// The state.
    pub(crate) state: u32,
    /// The configuration it came from.
    pub(crate) parent: u32,
    /// The call that was placed to come here.
    pub(crate) via: u32,
    /// The next configuration that differs in optional calls alone.
    next: u32,
    /// Whether reads were placed, or returns passed, after `via`.
    pub(crate) observed: bool,
    /// Whether another one that was reached later dominates it.
    pub(crate) dominated: bool,
}

pub(crate) struct Arena {
    pub(crate) nodes: Vec<Node>,
    words: Vec<u64>,
    stride: usize,
    required: usize,
    /// The head of each chain of configurations equal but for their optional calls.
    chains: Table,
    /// Every configuration, optional calls and all.
    all: Table,
    /// With how many configurations that are equal but for their optional calls a new one is compared.
    compared: usize,
}

impl Arena {
    pub(crate) fn new(required: usize, stride: usize, compared: usize) -> Self {
        let (chains, all) = (Table::default(), Table::default());
        Self { nodes: Vec::new(), words: Vec::new(), stride, required, chains, all, compared }
    }

    /// Forgets all configurations, and keeps the room they took.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.words.clear();
        self.chains.clear();
        self.all.clear();
    }

    pub(crate) fn bits(&self, id: u32) -> &[u64] {
        let start = id as usize * self.stride;
        &self.words[start..start + self.stride]
    }

    /// Keeps a configuration unless one that is as good is known; says its number.
    pub(crate) fn insert(
        &mut self,
        purse: &mut Purse<'_>,
        bits: &[u64],
        node: (u32, u32, u32, u32, bool),
    ) -> Result<Option<u32>, Stopped> {
        let (at, state, parent, via, observed) = node;
        let id = u32::try_from(self.nodes.len()).ok().filter(|id| *id != NONE).ok_or(Stopped::Memory)?;
        let Self { nodes, words, stride, required, .. } = self;
        let (stride, required) = (*stride, *required);
        let stored = |id: u32| (&nodes[id as usize], &words[id as usize * stride..][..stride]);
        // Compared in full: a hash alone would merge configurations that are different.
        let same = |id: u32, width: usize| {
            let (known, stored) = stored(id);
            known.at == at
                && (known.state == state || on(Mutant::StatelessCache))
                && (stored[..width] == bits[..width] || on(Mutant::LossyCache))
        };
        let rehash = |id: u32, width: usize| {
            let (known, stored) = stored(id);
            hash(known.at, known.state, &stored[..width])
        };
        self.chains.make_room(purse, |id| rehash(id, required))?;
        let chain = self.chains.find(hash(at, state, &bits[..required]), |id| same(id, required));
        let mut all = None;
        if stride > required {
            self.all.make_room(purse, |id| rehash(id, stride))?;
            let place = self.all.find(hash(at, state, bits), |id| same(id, stride));
            if self.all.places[place] != NONE {
                return Ok(None);
            }
            all = Some(place);
        }
        let head = self.chains.places[chain];
        let mut next = NONE;
        if head != NONE {
            match self.prune(head, bits) {
                Some(rest) => next = rest,
                None => return Ok(None),
            }
        }
        purse.room(&mut self.nodes, 1)?;
        purse.room(&mut self.words, self.stride)?;
        self.nodes.push(Node { at, state, parent, via, next, observed, dominated: false });
        self.words.extend_from_slice(bits);
        self.chains.set(chain, id);
        if let Some(all) = all {
            self.all.set(all, id);
        }
        Ok(Some(id))
    }

    /// Unlinks from the chain what `bits` dominates; `None` if `bits` is dominated itself. Of a long chain only the newest are
    /// compared, if so asked.
    fn prune(&mut self, head: u32, bits: &[u64]) -> Option<u32> {
        let (mut first, mut last, mut id) = (NONE, NONE, head);
        for _ in 0..self.compared {
            if id == NONE {
                break;
            }
            let next = self.nodes[id as usize].next;
            match self.compare(id, bits) {
                (true, _) => return None,
                (_, true) => self.nodes[id as usize].dominated = true,
                _ => {
                    if last == NONE {
                        first = id;
                    } else {
                        self.nodes[last as usize].next = id;
                    }
                    last = id;
                }
            }
            id = next;
        }
        // What was not looked at stays.
        if last == NONE {
            first = id;
        } else {
            self.nodes[last as usize].next = id;
        }
        Some(first)
    }

    /// Whether configuration `id` dominates one with these bits, and whether it is dominated by it.
    fn compare(&self, id: u32, bits: &[u64]) -> (bool, bool) {
        let (mut known_less, mut new_less) = (true, true);
        for (known, new) in self.bits(id)[self.required..].iter().zip(&bits[self.required..]) {
            known_less &= known & !new == 0;
            new_less &= new & !known == 0;
        }
        if on(Mutant::WrongDomination) { (new_less, known_less) } else { (known_less, new_less) }
    }
}

/// A hash table of configurations, by number: open addressing.
#[derive(Default)]
struct Table {
    places: Vec<u32>,
    used: usize,
}

impl Table {
    fn clear(&mut self) {
        if self.used > 0 {
            self.places.fill(NONE);
        }
        self.used = 0;
    }

    /// Where what is the same stands, or may be put.
    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> usize {
        let mask = self.places.len() - 1;
        let mut place = hash as usize & mask;
        while self.places[place] != NONE && !same(self.places[place]) {
            place = (place + 1) & mask;
        }
        place
    }

    fn set(&mut self, place: usize, id: u32) {
        self.used += usize::from(self.places[place] == NONE);
        self.places[place] = id;
    }

    /// Makes sure that one more fits.
    fn make_room(&mut self, purse: &mut Purse<'_>, hash: impl Fn(u32) -> u64) -> Result<(), Stopped> {
        if (self.used + 1) * 4 <= self.places.len() * 3 {
            return Ok(());
        }
        let size = (self.places.len() * 2).max(256);
        purse.take(size * size_of::<u32>())?;
        let old = std::mem::replace(&mut self.places, vec![NONE; size]);
        for id in old.iter().copied().filter(|id| *id != NONE) {
            let place = self.find(hash(id), |_| false);
            self.places[place] = id;
        }
        purse.give(old.len() * size_of::<u32>());
        Ok(())
    }
}

fn hash(at: u32, state: u32, bits: &[u64]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (u64::from(at) << 32 | u64::from(state)).wrapping_mul(ODD);
    for word in bits.iter().filter(|_| !on(Mutant::LossyCache)) {
        hash = (hash ^ hash >> 29 ^ word).wrapping_mul(ODD);
    }
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Budget, Limits};

    /// A lossy cache would merge some of these; so many that every kind of collision happens.
    #[test]
    fn configurations_that_differ_in_anything_are_kept_apart() {
        let budget = Budget::new(&Limits::default());
        let mut purse = budget.purse();
        let mut arena = Arena::new(1, 2, usize::MAX);
        for again in [false, true] {
            for at in 0..40 {
                for state in 0..40 {
                    for bits in 0..40 {
                        let kept = arena.insert(&mut purse, &[bits, 1], (at, state, NONE, NONE, true));
                        assert_eq!(kept.map(|id| id.is_none()), Ok(again), "{at} {state} {bits}");
                    }
                }
            }
        }
    }

    #[test]
    fn fewer_optional_calls_dominate_more() {
        let budget = Budget::new(&Limits::default());
        let mut purse = budget.purse();
        let mut arena = Arena::new(1, 2, usize::MAX);
        let mut insert =
            |optional| arena.insert(&mut purse, &[5, optional], (1, 2, NONE, NONE, true)).expect("room");
        assert_eq!(insert(0b110), Some(0));
        assert_eq!(insert(0b111), None, "a superset");
        assert_eq!(insert(0b011), Some(1), "neither");
        assert_eq!(insert(0b010), Some(2), "a subset of both");
        assert_eq!(insert(0b110), None);
        let dominated: Vec<bool> = arena.nodes.iter().map(|node| node.dominated).collect();
        assert_eq!(dominated, [true, true, false]);
    }
}
