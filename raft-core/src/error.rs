//! What the core refuses: requests of its own host, and recovered states that no crash can leave.

use crate::types::{Index, NodeId, Term};

/// Why a request of the host's was refused. It had no effect: nothing was appended, nothing will happen later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Refused {
    /// Only the leader takes proposals and reads.
    #[error("not the leader{}", .leader.map(|l| format!("; node {l} is")).unwrap_or_default())]
    NotLeader {
        /// The leader, if one is known.
        leader: Option<NodeId>,
    },
    /// A proposal without a command.
    #[error("nothing was proposed")]
    Empty,
    /// Too much is uncommitted, unwritten or waiting already; ask again later.
    #[error("too many requests are pending")]
    QuotaFull,
    /// Safety was seen broken; see [`Event::Halted`](crate::Event::Halted).
    #[error("the node has halted")]
    Halted,
    /// This server has no vote to campaign with, or leads already.
    #[error("cannot campaign")]
    CannotCampaign,
}

/// Why a node cannot start from what was recovered. Every prefix of the write stream is a legal start, so this means lost
/// or corrupted storage, or a wrong configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// No voter at all.
    #[error("the configuration has no voters")]
    NoVoters,
    /// The node itself is not a member.
    #[error("node {id} is not among the members")]
    NotAMember {
        /// The node's own id.
        id: NodeId,
    },
    /// A limit is zero.
    #[error("limit `{name}` must be at least 1")]
    ZeroLimit {
        /// Which one.
        name: &'static str,
    },
    /// Timers that cannot work.
    #[error("a heartbeat every {heartbeat:?} does not go with an election timeout of {election:?}")]
    Timing {
        /// The election timeout.
        election: std::time::Duration,
        /// The heartbeat interval.
        heartbeat: std::time::Duration,
    },
    /// An entry is missing, or stands in the wrong place.
    #[error("recovered log: expected entry {expected}, found entry {found}")]
    Gap {
        /// The index that was expected.
        expected: Index,
        /// The index that was found.
        found: Index,
    },
    /// Terms go backwards, or lie beyond the recovered term.
    #[error("recovered log: entry {index} has term {term}, which is out of order")]
    TermOutOfOrder {
        /// The entry.
        index: Index,
        /// Its term.
        term: Term,
    },
}
