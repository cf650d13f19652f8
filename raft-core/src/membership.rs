//! Who the voters are, and what counts as a quorum of them.

use crate::types::NodeId;

/// The voting members of a cluster, fixed at start for now.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Membership {
    voters: Vec<NodeId>,
}

impl Membership {
    /// A membership of these voters; repetitions count once.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        Membership { voters }
    }

    /// The voters in ascending order.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// Whether `id` is one of them.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.voters.binary_search(&id).is_ok()
    }

    /// How many voters a majority takes.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// The highest value that at least `quorum` voters have reached, each voter having reached `reached(voter)`.
    ///
    /// With `quorum` = [`majority`](Self::majority) and match indexes that is the index a leader may commit (Figure 2).
    #[must_use]
    pub fn reached_by<T: Ord + Copy + Default>(&self, quorum: usize, reached: impl Fn(NodeId) -> T) -> T {
        // Counting is quadratic in the number of voters, but needs no memory and no sorting: there are at most nine.
        let enough = |value: &T| self.voters.iter().filter(|&&v| reached(v) >= *value).count() >= quorum;
        self.voters.iter().map(|&v| reached(v)).filter(enough).max().unwrap_or_default()
    }
}
