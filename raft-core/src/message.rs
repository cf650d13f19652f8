//! What servers say to each other. Every message carries its sender's current term (§5.1).

use crate::entry::Entry;
use crate::types::{Index, NodeId, Position, Round, Term};

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
}

/// Figure 2, the arguments of AppendEntries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Append<P> {
    /// The entry that immediately precedes `entries`.
    pub prev: Position,
    /// New entries, contiguous, the first at `prev.index + 1`.
    pub entries: Vec<Entry<P>>,
    /// The leader's commit index.
    pub commit: Index,
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
