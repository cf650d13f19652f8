//! Choices from a seed.

use raft_core::{Index, NodeId, Term};

/// SplitMix64: every choice of a sequence comes from a seed that proptest can print and shrink.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub fn count(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn flip(&mut self) -> bool {
        self.one_in(2)
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.count(of.len())).cloned()
    }

    /// The members 1 to 4 and itself, and strangers.
    pub fn server(&mut self) -> NodeId {
        let any = [1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 9, u64::MAX];
        NodeId(self.pick(&any).unwrap())
    }

    /// A number nobody expects.
    pub fn absurd(&mut self) -> u64 {
        let limit = Term::LIMIT.0;
        let any = [0, 1, limit - 1, limit, limit + 1, u64::MAX - 1, u64::MAX, self.below(1 << 40)];
        self.pick(&any).unwrap()
    }

    /// Near `number`, mostly.
    pub fn near(&mut self, number: u64) -> u64 {
        match self.below(24) {
            0 => self.absurd(),
            1 => number.saturating_add(2),
            2..5 => number.saturating_add(1),
            5..8 => number.saturating_sub(1),
            8 => self.below(number.max(1)),
            _ => number,
        }
    }

    pub fn near_index(&mut self, index: Index) -> Index {
        Index(self.near(index.0))
    }

    pub fn between(&mut self, from: Index, to: Index) -> Index {
        Index(from.0.saturating_add(self.below(to.distance_from(from).saturating_add(1))))
    }
}
