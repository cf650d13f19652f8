//! Who the members are: voters, in the middle of a change two sets of them (joint consensus, §6), and learners.
//!
//! `quorum` counts, `change` says what a change leads to, `reconfigure` is the leader's part in carrying one out.

mod change;
mod quorum;
mod reconfigure;

pub use change::{Change, ChangeError, Transition};
pub(crate) use quorum::Tally;

use crate::types::NodeId;

/// The members of a cluster. Lists are in ascending order of id.
///
/// In the middle of a change to other voters the membership is *joint* (§6): elections and commitment need a majority of the
/// `voters` and a majority of the `outgoing` ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Membership {
    voters: Vec<NodeId>,
    /// The voters before a change that is not finished; empty unless joint.
    outgoing: Vec<NodeId>,
    /// Receive the log, and neither vote nor count (diss. 4.2.1).
    learners: Vec<NodeId>,
    /// Outgoing voters that become learners when the change is finished.
    demoted: Vec<NodeId>,
    /// The leader finishes the change by itself as soon as it can; otherwise the host says when.
    leaves_by_itself: bool,
}

impl Membership {
    /// The most members there may be, voters and learners together: quorums are counted on every acknowledgement.
    pub const MAX_MEMBERS: usize = 64;

    /// A membership of these voters; repetitions count once.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Membership { voters: sorted(voters), ..Membership::default() }
    }

    /// The same, and these learners besides; those that are voters stay voters.
    #[must_use]
    pub fn with_learners(mut self, learners: impl IntoIterator<Item = NodeId>) -> Self {
        self.learners = sorted(learners);
        self.learners.retain(|id| self.voters.binary_search(id).is_err());
        self
    }

    /// The voters; of a joint membership, those it leads to.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// The voters that a joint membership comes from.
    #[must_use]
    pub fn outgoing(&self) -> &[NodeId] {
        &self.outgoing
    }

    /// The learners.
    #[must_use]
    pub fn learners(&self) -> &[NodeId] {
        &self.learners
    }

    /// The outgoing voters that will be learners.
    #[must_use]
    pub fn demoted(&self) -> &[NodeId] {
        &self.demoted
    }

    /// Whether a change of voters is not finished.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the leader finishes a joint membership by itself.
    #[must_use]
    pub fn leaves_by_itself(&self) -> bool {
        self.leaves_by_itself
    }

    /// Whether `id` has a vote.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.binary_search(&id).is_ok() || self.outgoing.binary_search(&id).is_ok()
    }

    /// Whether `id` is a member of any kind.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.learners.binary_search(&id).is_ok()
    }

    /// All members, in no particular order; an old and new voter comes once.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        let leaving = self.outgoing.iter().filter(|id| self.voters.binary_search(id).is_err());
        self.voters.iter().chain(leaving).chain(&self.learners).copied()
    }

    /// Whether this is a membership at all; one that a message brings may not be.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        let lists = [&self.voters, &self.outgoing, &self.learners, &self.demoted];
        let ascending = |list: &&Vec<NodeId>| list.is_sorted_by(|a, b| a < b);
        let learners_apart = self.learners.iter().all(|&id| !self.is_voter(id));
        let demoted_leave = self
            .demoted
            .iter()
            .all(|id| self.outgoing.binary_search(id).is_ok() && self.voters.binary_search(id).is_err());
        !self.voters.is_empty()
            && lists.iter().all(ascending)
            && learners_apart
            && demoted_leave
            && (self.is_joint() || !self.leaves_by_itself)
            && self.members().count() <= Self::MAX_MEMBERS
    }

    /// Bytes on the wire, roughly.
    pub(crate) fn size(&self) -> usize {
        8 * (self.voters.len() + self.outgoing.len() + self.learners.len() + self.demoted.len())
    }
}

fn sorted(ids: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
