//! What a change of the membership leads to, and which changes make no sense (§6, diss. 4.1 and 4.3).

use super::{Membership, sorted};
use crate::types::NodeId;

/// What becomes of one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Change {
    /// A voter, at once. A new server that is far behind counts in quorums while it cannot help them: better add it as a
    /// learner and [`Promote`](Change::Promote) it.
    Voter(NodeId),
    /// A voter, if it is a learner that has caught up with the leader (see [`Limits::promotion_lag`](crate::Limits)).
    Promote(NodeId),
    /// A learner; of a voter, from when the change is finished.
    Learner(NodeId),
    /// No member.
    Remove(NodeId),
}

impl Change {
    /// Whom it concerns.
    #[must_use]
    pub fn id(self) -> NodeId {
        match self {
            Change::Voter(id) | Change::Promote(id) | Change::Learner(id) | Change::Remove(id) => id,
        }
    }
}

/// How a change is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Transition {
    /// In one step where at most one vote comes or goes (diss. 4.1: then old and new majorities overlap); else through a joint
    /// membership that the leader leaves by itself.
    #[default]
    Auto,
    /// Through a joint membership that lasts until the host says [`Input::LeaveJoint`](crate::Input::LeaveJoint).
    Explicit,
}

/// Why a change of the membership makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ChangeError {
    /// Nothing is to change.
    #[error("no change was asked for")]
    Nothing,
    /// One server is named twice.
    #[error("node {0} is named more than once")]
    Repeated(NodeId),
    /// It is a voter already.
    #[error("node {0} is a voter already")]
    AlreadyVoter(NodeId),
    /// It is a learner already.
    #[error("node {0} is a learner already")]
    AlreadyLearner(NodeId),
    /// It is no member.
    #[error("node {0} is not a member")]
    NotAMember(NodeId),
    /// Only a learner is promoted.
    #[error("node {0} is not a learner")]
    NotALearner(NodeId),
    /// A learner that lags too far behind cannot be promoted.
    #[error("node {0} has not caught up yet")]
    NotCaughtUp(NodeId),
    /// Nobody would be left to vote.
    #[error("no voter would be left")]
    NoVoters,
    /// More members than there may be.
    #[error("there would be more than {} members", Membership::MAX_MEMBERS)]
    TooManyMembers,
    /// A joint membership is left before the next change.
    #[error("an earlier change is not finished")]
    IsJoint,
    /// There is no joint membership to leave.
    #[error("no change is under way")]
    NotJoint,
}

impl Membership {
    /// The membership with which `changes` begin: the new one, or a joint one that leads to it.
    ///
    /// # Errors
    /// A change that makes no sense, is no change, or leaves no voter.
    pub fn changed(&self, changes: &[Change], transition: Transition) -> Result<Membership, ChangeError> {
        if self.is_joint() {
            return Err(ChangeError::IsJoint);
        }
        if changes.is_empty() {
            return Err(ChangeError::Nothing);
        }
        let mut next = self.clone();
        for (i, change) in changes.iter().enumerate() {
            if changes.iter().take(i).any(|earlier| earlier.id() == change.id()) {
                return Err(ChangeError::Repeated(change.id()));
            }
            next.alter(*change)?;
        }
        if next.voters.is_empty() {
            return Err(ChangeError::NoVoters);
        }
        let leaving = self.voters.iter().filter(|id| next.voters.binary_search(id).is_err()).count();
        let joining = next.voters.iter().filter(|id| self.voters.binary_search(id).is_err()).count();
        if transition == Transition::Explicit || leaving + joining > 1 {
            next.outgoing.clone_from(&self.voters);
            let (demoted, learners) =
                next.learners.iter().partition(|id| self.voters.binary_search(id).is_ok());
            (next.demoted, next.learners) = (demoted, learners);
            next.leaves_by_itself = transition == Transition::Auto;
        }
        if next.members().count() > Self::MAX_MEMBERS {
            return Err(ChangeError::TooManyMembers);
        }
        Ok(next)
    }

    /// The membership that a joint one leads to.
    ///
    /// # Errors
    /// [`ChangeError::NotJoint`].
    pub fn left(&self) -> Result<Membership, ChangeError> {
        if !self.is_joint() {
            return Err(ChangeError::NotJoint);
        }
        let learners = sorted(self.learners.iter().chain(&self.demoted).copied());
        Ok(Membership { voters: self.voters.clone(), learners, ..Membership::default() })
    }

    fn alter(&mut self, change: Change) -> Result<(), ChangeError> {
        let id = change.id();
        let as_voter = self.voters.binary_search(&id);
        let as_learner = self.learners.binary_search(&id);
        match (change, as_voter, as_learner) {
            (Change::Voter(_), Ok(_), _) => return Err(ChangeError::AlreadyVoter(id)),
            (Change::Promote(_), _, Err(_)) => return Err(ChangeError::NotALearner(id)),
            (Change::Learner(_), _, Ok(_)) => return Err(ChangeError::AlreadyLearner(id)),
            (Change::Remove(_), Err(_), Err(_)) => return Err(ChangeError::NotAMember(id)),
            _ => {}
        }
        if let Ok(place) = as_voter {
            self.voters.remove(place);
        }
        if let Ok(place) = as_learner {
            self.learners.remove(place);
        }
        match change {
            Change::Voter(_) | Change::Promote(_) => {
                let place = self.voters.partition_point(|&voter| voter < id);
                self.voters.insert(place, id);
            }
            Change::Learner(_) => {
                let place = self.learners.partition_point(|&learner| learner < id);
                self.learners.insert(place, id);
            }
            Change::Remove(_) => {}
        }
        Ok(())
    }
}
