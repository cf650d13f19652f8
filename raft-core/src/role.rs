//! The three states of a server (§5.1, Figure 4) and what each one remembers.

use crate::progress::Progress;
use crate::reads::Reads;
use crate::types::{Index, NodeId, Round};

/// The state a server is in, without its memory. There are exactly three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RoleKind {
    /// Answers leaders and candidates.
    Follower,
    /// Asks for votes (or first, in the same state, whether it would get them).
    Candidate,
    /// Handles all requests.
    Leader,
}

impl RoleKind {
    /// `follower`, `candidate` or `leader`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RoleKind::Follower => "follower",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Role {
    Follower(Following),
    Candidate(Candidacy),
    Leader(Leadership),
}

impl Role {
    pub(crate) fn kind(&self) -> RoleKind {
        match self {
            Role::Follower(_) => RoleKind::Follower,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }
}

/// A follower's memory. All of it is about the leader of the current term, and forgotten with it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Following {
    /// Up to where this log is known to be the leader's: the only part that its commit index says anything about.
    pub(crate) verified: Index,
    /// The highest match index told to the leader.
    pub(crate) reported: Index,
    /// The newest round heard from the leader.
    pub(crate) round: Round,
    /// What appends that were checked are still to be answered.
    pub(crate) owed: Owed,
    /// The vote of this term was promised and is told to its candidate as soon as it is durable.
    pub(crate) owes_vote: bool,
}

/// When an append that was checked is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Owed {
    /// It has been.
    #[default]
    Nothing,
    /// As soon as what it brought is durable.
    WhenDurable,
    /// At once, with what is durable so far: it brought nothing but the wish to be heard (a heartbeat, a new round). A leader
    /// must not be deposed because a disk is slow.
    Now,
}

/// A candidate's memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Candidacy {
    pub(crate) phase: Phase,
    /// Who answered, and what, in ascending order of id; one answer each.
    pub(crate) votes: Vec<(NodeId, bool)>,
    /// Repetitions that a seeded bug counts; otherwise 0.
    pub(crate) duplicates: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum Phase {
    /// Asking whether it would be elected; no term, no vote, nothing on disk (diss. 9.6).
    PreVote,
    /// Term and own vote are on their way to the disk; nobody was asked yet.
    Unannounced,
    /// Asking for votes.
    Vote,
}

/// A leader's memory (Figure 2, "volatile state on leaders").
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Leadership {
    /// The other members, in ascending order of id.
    pub(crate) peers: Vec<(NodeId, Progress)>,
    /// The no-op that opened the term: nothing before it is committed by counting, no read is served below it.
    pub(crate) opening: Index,
    /// Bytes of the entries proposed in this term that are not committed yet.
    pub(crate) uncommitted_bytes: usize,
    pub(crate) reads: Reads,
}

impl Leadership {
    pub(crate) fn peer(&self, id: NodeId) -> Option<&Progress> {
        self.peers.iter().find(|(peer, _)| *peer == id).map(|(_, progress)| progress)
    }

    pub(crate) fn peer_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        self.peers.iter_mut().find(|(peer, _)| *peer == id).map(|(_, progress)| progress)
    }
}
