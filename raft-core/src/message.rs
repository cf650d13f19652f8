//! What servers say to each other. Every message carries its sender's current term (§5.1).

use std::sync::Arc;

use crate::entries::Entries;
use crate::error::Refused;
use crate::snapshots::SnapshotMeta;
use crate::types::{Index, NodeId, Position, Round, Term, Ticket};

/// A message as it travels.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message<P> {
    /// The sender's current term when it sent this.
    pub term: Term,
    /// What it says.
    pub body: Body<P>,
}

/// The kinds of message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body<P> {
    /// "Would you vote for me in `next_term`?" Asked before an election so that a server that cannot win does not
    /// disturb one that works (diss. 9.6).
    PreVoteRequest {
        /// The term the sender would campaign in.
        next_term: Term,
        /// Where the sender's log ends.
        last: Position,
        /// The sender's [`Config::priority`](crate::Config).
        priority: u8,
    },
    /// The answer to a pre-vote request. It promises nothing.
    PreVoteResponse {
        /// The term that was asked about.
        next_term: Term,
        /// Whether the responder would vote so.
        granted: bool,
    },
    /// Figure 2, RequestVote. Sent only once the candidate's own term and vote are durable.
    VoteRequest {
        /// Where the candidate's log ends.
        last: Position,
        /// The candidate's [`Config::priority`](crate::Config).
        priority: u8,
        /// The leader itself asked the candidate to campaign (diss. 3.10): nobody defends that leader any more.
        by_transfer: bool,
    },
    /// Figure 2, the result of RequestVote. A grant is sent only once the vote is durable.
    VoteResponse {
        /// Whether the vote was given.
        granted: bool,
    },
    /// Figure 2, AppendEntries; without entries it is a heartbeat.
    Append(Append<P>),
    /// Figure 2, the result of AppendEntries.
    AppendResponse(AppendResponse),
    /// §7, InstallSnapshot: one chunk.
    Snapshot(SnapshotChunk),
    /// How far a snapshot has been received. That it is installed is said by an [`AppendResponse`].
    SnapshotResponse {
        /// Which snapshot.
        last: Position,
        /// The offset the follower waits for.
        next: u64,
        /// The newest round heard.
        round: Round,
    },
    /// "Send me a snapshot": the follower's host asked for one ([`Input::RequestSnapshot`](crate::Input::RequestSnapshot)).
    SnapshotRequest {
        /// Of at least this index.
        at_least: Index,
    },
    /// "Campaign now" (diss. 3.10, TimeoutNow). Only a leader says so, to a voter that holds its whole log.
    TimeoutNow,
    /// "Make me, or another, the leader": a follower's host asked for a transfer.
    TransferRequest {
        /// To whom; to the most suitable voter, if nobody is named.
        to: Option<NodeId>,
    },
    /// "Up to where would you serve a read now?" (diss. 6.4).
    ReadRequest {
        /// To tell the answers apart.
        ticket: Ticket,
    },
    /// The answer, once leadership is confirmed. Everything up to `index` is committed.
    ReadResponse {
        /// Of the request.
        ticket: Ticket,
        /// The read index.
        index: Index,
    },
    /// Commands for the leader of this very term to append.
    Proposal {
        /// To tell the answers apart, and repetitions.
        ticket: Ticket,
        /// The commands.
        commands: Arc<[P]>,
    },
    /// What became of a proposal: where it stands in the leader's log, which is not yet to say committed.
    ProposalResponse {
        /// Of the proposal.
        ticket: Ticket,
        /// The first and the last entry, or why there is none.
        outcome: Result<(Index, Index), Refused>,
    },
}

/// Figure 2, the arguments of AppendEntries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Append<P> {
    /// The entry that immediately precedes `entries`.
    pub prev: Position,
    /// New entries, contiguous, the first at `prev.index + 1`.
    pub entries: Entries<P>,
    /// The leader's commit index.
    pub commit: Index,
    /// The leader's newest confirmation round.
    pub round: Round,
}

/// §7, the arguments of InstallSnapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotChunk {
    /// Which snapshot.
    pub snapshot: Arc<SnapshotMeta>,
    /// Where the chunk belongs, in bytes from the beginning.
    pub offset: u64,
    /// The bytes.
    #[cfg_attr(feature = "serde", serde(with = "serde_bytes"))]
    pub data: Vec<u8>,
    /// It is the last one.
    pub done: bool,
    /// The leader's newest confirmation round.
    pub round: Round,
}

/// Figure 2, the result of AppendEntries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendResponse {
    /// The newest round this follower has heard from the leader of this term.
    pub round: Round,
    /// Whether the logs matched.
    pub outcome: AppendOutcome,
}

/// Whether an append fitted the follower's log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppendOutcome {
    /// It did, and everything up to `matched` is on this follower's stable storage.
    Accepted {
        /// Up to where the follower's durable log is the leader's.
        matched: Index,
    },
    /// The log holds no entry `(prev.index, prev.term)`.
    Rejected {
        /// The `prev.index` that was refused.
        refused: Index,
        /// The last entry at or before `refused` whose term is at most the refused one's: nothing after it can match.
        hint: Position,
    },
}

/// A message with its addressee. It rests on nothing that is not yet durable: send it at once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outbound<P> {
    /// To whom.
    pub to: NodeId,
    /// What.
    pub message: Message<P>,
}
