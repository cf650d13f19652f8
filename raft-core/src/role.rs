//! The three states of a server (§5.1, Figure 4) and what each one remembers.

use crate::asked::Asked;
use crate::reads::Reads;
use crate::replication::Progress;
use crate::snapshots::Receiving;
use crate::transfer::Transfer;
use crate::types::{Index, NodeId, Round, Term, Ticket};

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
    /// The snapshot that is coming in.
    pub(crate) receiving: Option<Receiving>,
    /// The host wants a snapshot, whatever the log holds.
    pub(crate) wants_snapshot: bool,
    pub(crate) asked: Asked,
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
    /// The leader asked for it (diss. 3.10).
    pub(crate) by_transfer: bool,
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
    /// The term it is for.
    pub(crate) term: Term,
    /// The other members, in ascending order of id.
    pub(crate) peers: Vec<(NodeId, Progress)>,
    /// Members that the latest membership dropped: they are told when that is committed, once.
    pub(crate) departing: Vec<(NodeId, Progress)>,
    /// The no-op that opened the term: nothing before it is committed by counting, no read is served below it.
    pub(crate) opening: Index,
    /// Bytes of the entries proposed in this term that are not committed yet.
    pub(crate) uncommitted_bytes: usize,
    pub(crate) reads: Reads,
    /// The latest proposal that each other server has forwarded in this term, in ascending order of id: an earlier or the same
    /// one is a repetition (M04). Kept when it is removed, since it may come back.
    pub(crate) forwarded: Vec<(NodeId, Ticket)>,
    /// Leadership is being handed over.
    pub(crate) transfer: Option<Transfer>,
    /// A peer was told to campaign in this term, whether it has done so or not: it may at any time, and no lease holds.
    pub(crate) lease_forfeited: bool,
}

impl Leadership {
    pub(crate) fn peer(&self, id: NodeId) -> Option<&Progress> {
        let place = self.peers.binary_search_by_key(&id, |(peer, _)| *peer).ok()?;
        self.peers.get(place).map(|(_, progress)| progress)
    }

    /// Notes a proposal that a server forwards. Returns whether it is the first time, and none after it has come.
    pub(crate) fn is_news(&mut self, from: NodeId, ticket: Ticket) -> bool {
        match self.forwarded.binary_search_by_key(&from, |(id, _)| *id) {
            Ok(place) => match self.forwarded.get_mut(place) {
                Some((_, latest)) if *latest < ticket => {
                    *latest = ticket;
                    true
                }
                _ => false,
            },
            Err(place) => {
                self.forwarded.insert(place, (from, ticket));
                true
            }
        }
    }

    pub(crate) fn peer_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        let place = self.peers.binary_search_by_key(&id, |(peer, _)| *peer).ok()?;
        self.peers.get_mut(place).map(|(_, progress)| progress)
    }
}
