//! What the core refuses: requests of its own host, and recovered states that no crash can leave.

use crate::membership::ChangeError;
use crate::snapshots::CompactError;
use crate::types::{Index, NodeId, Term};

/// Why a request of the host's was refused. It had no effect: nothing was appended, nothing will happen later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refused {
    /// Only the leader does this.
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
    /// This server has no vote to campaign with, leads already, or has lost entries it had vouched for.
    #[error("cannot campaign")]
    CannotCampaign,
    /// Leadership is on its way to another server.
    #[error("leadership is being transferred to node {to}")]
    Transferring {
        /// Which one.
        to: NodeId,
    },
    /// Leadership cannot be given to this server: it is no other voter.
    #[error("leadership cannot go to node {to}")]
    CannotTransferTo {
        /// Which one.
        to: NodeId,
    },
    /// There is no other voter to give leadership to.
    #[error("no other voter is there to lead")]
    NobodyToTransferTo,
    /// A new leader has to commit an entry of its own before the members may change (Ongaro, raft-dev 2015).
    #[error("the leader has not committed anything in its term yet")]
    NotCommittedInTerm,
    /// The last change of the members is not committed yet.
    #[error("an earlier change of the members is not committed yet")]
    ChangePending,
    /// A change that makes no sense.
    #[error("the members cannot be changed so: {0}")]
    Change(ChangeError),
    /// A snapshot that does not fit.
    #[error("the log cannot be compacted so: {0}")]
    Compact(CompactError),
    /// This server leads: there is nobody to send it a snapshot.
    #[error("this node leads, and gets no snapshot from anybody")]
    Leads,
    /// Leases rest on it.
    #[error("leases forbid it")]
    LeasesForbid,
}

/// Why a node cannot start from what was recovered. Every prefix of the write stream is a legal start, so this means lost
/// or corrupted storage, or a wrong configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// No voter at all.
    #[error("the configuration has no voters")]
    NoVoters,
    /// Founders that are no membership.
    #[error("the founding members are no membership")]
    IllegalFounders,
    /// The node itself is not a founder.
    #[error(
        "node {id} is not among the founding members; a server that joins later has none in its configuration"
    )]
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
    /// A lease holds because servers that hear their leader elect no other, which is what check-quorum switches.
    #[error("leases need check_quorum")]
    LeaseWithoutCheckQuorum,
    /// No lease survives such clocks.
    #[error("a clock drift of {drift_ppm} millionths is more than {}", crate::Lease::MAX_DRIFT_PPM)]
    Drift {
        /// The drift that was asked for.
        drift_ppm: u32,
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
    /// A term or an index that no log gets near.
    #[error("recovered entry {index}, term {term}: beyond the largest there may be")]
    OutOfRange {
        /// The entry, or 0 for the term by itself.
        index: Index,
        /// The term.
        term: Term,
    },
    /// A snapshot or an entry has a membership that is none.
    #[error("recovered log: entry {index} brings a membership that is none")]
    IllegalMembership {
        /// The entry, or the snapshot's last one.
        index: Index,
    },
    /// The state machine is ahead of everything that was recovered: the end of the log was lost, or it is another server's.
    /// If it was lost, start the state machine from the latest snapshot, with [`Recovered::lost_tail`](crate::Recovered).
    #[error(
        "the state machine has executed entry {applied}, but the recovered log ends at {last}; \
         if the log lost its end, start the state machine from the latest snapshot and say so"
    )]
    AppliedBeyondLog {
        /// What the state machine says.
        applied: Index,
        /// Where the log ends.
        last: Index,
    },
}
