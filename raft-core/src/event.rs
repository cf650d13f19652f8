//! News that asks for no action: for operators, logs and tests.

use std::sync::Arc;

use crate::membership::Membership;
use crate::role::RoleKind;
use crate::types::{Index, NodeId, Position, Term};

/// What an operator or a test wants to know.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// The role, the term or the known leader changed. Whoever was leader and is not any more has lost its pending
    /// proposals: their outcome is unknown to it.
    Role {
        /// What the server is now.
        role: RoleKind,
        /// In which term.
        term: Term,
        /// The leader, if one is known.
        leader: Option<NodeId>,
    },
    /// Another membership is in force. It may be rolled back until its entry is committed.
    Membership(Arc<Membership>),
    /// A message was ignored that no correct peer could have sent.
    Suspect {
        /// Who sent it.
        from: NodeId,
        /// What is wrong with it.
        reason: Suspicion,
    },
    /// A message was ignored, as if lost, for want of room: see [`Limits::outstanding_writes`](crate::Limits).
    Overloaded {
        /// Who sent it.
        from: NodeId,
    },
    /// An answer or a request was ignored, since it came from a server that is no member (any more).
    Stranger {
        /// Who sent it.
        from: NodeId,
    },
    /// A follower wants a snapshot, and the latest one is too old: take a new one.
    SnapshotWanted {
        /// Who wants it.
        by: NodeId,
        /// Of at least this index.
        at_least: Index,
    },
    /// A transfer of leadership was given up: the target did not take over in time. This server leads on.
    TransferFailed {
        /// Who was to lead.
        to: NodeId,
    },
    /// The lost tail of the log is repaired: this server may campaign again.
    Repaired {
        /// Up to where the log had reached.
        lost: Position,
    },
    /// Raft's safety is broken, or the disk is. The node has stopped and ignores everything from here on.
    Halted(Breach),
}

/// Why a message was ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Suspicion {
    /// The sender claims to be this very server.
    FromItself,
    /// A term or an index beyond [`Term::LIMIT`] or [`Index::LIMIT`], or none where there must be one.
    OutOfRange,
    /// An append whose entries are not contiguous, whose terms go backwards or exceed the message's own, or that brings a
    /// membership that is none.
    MalformedAppend,
    /// A snapshot that stands for nothing, or whose membership is none.
    MalformedSnapshot,
    /// An acknowledgement of entries that this leader never had.
    AcknowledgedBeyondLog,
    /// A pre-vote for a term that was not asked about, or a vote for an election that was not announced.
    UnaskedVote,
}

/// Why the node has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Breach {
    /// Two servers lead the same term (election safety, §5.2).
    TwoLeaders {
        /// The term.
        term: Term,
        /// The leader already known.
        known: NodeId,
        /// The other one.
        other: NodeId,
    },
    /// A leader contradicts an entry that is committed here (leader completeness, §5.4).
    CommittedEntryContradicted {
        /// The entry.
        index: Index,
    },
    /// The host reported that its storage failed (K09).
    StorageFailed,
}
