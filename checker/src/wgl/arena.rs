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
    /// Open addressing: the head of each chain of configurations equal but for their optional calls.
    heads: Vec<u32>,
    chains: usize,
}

impl Arena {
    pub(crate) fn new(required: usize, stride: usize) -> Self {
        Self { nodes: Vec::new(), words: Vec::new(), stride, required, heads: Vec::new(), chains: 0 }
    }

    /// Forgets all configurations, and keeps the room they took.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.words.clear();
        if self.chains > 0 {
            self.heads.fill(NONE);
        }
        self.chains = 0;
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
        if (self.chains + 1) * 4 > self.heads.len() * 3 {
            self.grow(purse)?;
        }
        let place = self.find(at, state, bits);
        let head = self.heads[place];
        let mut next = NONE;
        if head != NONE {
            match self.prune(head, bits) {
                Some(rest) => next = rest,
                None => return Ok(None),
            }
        } else {
            self.chains += 1;
        }
        purse.room(&mut self.nodes, 1)?;
        purse.room(&mut self.words, self.stride)?;
        let id = u32::try_from(self.nodes.len()).ok().filter(|id| *id != NONE).ok_or(Stopped::Memory)?;
        self.nodes.push(Node { at, state, parent, via, next, observed, dominated: false });
        self.words.extend_from_slice(bits);
        self.heads[place] = id;
        Ok(Some(id))
    }

    /// Unlinks from the chain what `bits` dominates; `None` if `bits` is dominated itself.
    fn prune(&mut self, head: u32, bits: &[u64]) -> Option<u32> {
        let required = self.required;
        let mut id = head;
        while id != NONE {
            let known = &self.bits(id)[required..];
            let wrong = on(Mutant::WrongDomination)
                && known.iter().zip(&bits[required..]).all(|(known, new)| new & !known == 0);
            if wrong || known.iter().zip(&bits[required..]).all(|(known, new)| known & !new == 0) {
                return None;
            }
            id = self.nodes[id as usize].next;
        }
        let (mut first, mut last, mut id) = (NONE, NONE, head);
        while id != NONE {
            let next = self.nodes[id as usize].next;
            let known = &self.bits(id)[required..];
            if bits[required..].iter().zip(known).all(|(new, known)| new & !known == 0) {
                self.nodes[id as usize].dominated = true;
            } else {
                if last == NONE {
                    first = id;
                } else {
                    self.nodes[last as usize].next = id;
                }
                last = id;
            }
            id = next;
        }
        if last != NONE {
            self.nodes[last as usize].next = NONE;
        }
        Some(first)
    }

    /// Where the chain of that configuration starts, or may start.
    fn find(&self, at: u32, state: u32, bits: &[u64]) -> usize {
        let mask = self.heads.len() - 1;
        let bits = &bits[..self.required];
        let mut place = hash(at, state, bits) as usize & mask;
        loop {
            let head = self.heads[place];
            if head == NONE {
                return place;
            }
            let node = &self.nodes[head as usize];
            // Compared in full: a hash alone would merge configurations that are different.
            let same = node.at == at
                && (node.state == state || on(Mutant::StatelessCache))
                && (&self.bits(head)[..self.required] == bits || on(Mutant::LossyCache));
            if same {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self, purse: &mut Purse<'_>) -> Result<(), Stopped> {
        let size = (self.heads.len() * 2).max(256);
        purse.take(size * size_of::<u32>())?;
        let old = std::mem::replace(&mut self.heads, vec![NONE; size]);
        let mask = size - 1;
        for head in old.iter().copied().filter(|head| *head != NONE) {
            let node = &self.nodes[head as usize];
            let mut place = hash(node.at, node.state, &self.bits(head)[..self.required]) as usize & mask;
            while self.heads[place] != NONE {
                place = (place + 1) & mask;
            }
            self.heads[place] = head;
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
        let mut arena = Arena::new(1, 2);
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
        let mut arena = Arena::new(1, 2);
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
