//! From bytes to steps. A new kind of message or input is a variant here and an arm in [`Said::body`] or
//! [`Watched::take`](crate::watched::Watched::take).
//!
//! Numbers are relative to the node that hears them: only near to its own term, log and commit index does anything
//! interesting happen, and the fuzzer would seldom guess them once they have grown.

use arbitrary::{Arbitrary, Unstructured};
use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, Entry, Index, Message, NodeId, Payload, Position, Raft,
    Round, Term,
};

#[derive(Arbitrary, Debug)]
pub struct Sequence {
    pub start: Start,
    pub steps: Vec<Step>,
}

/// What the node is and has when it starts.
#[derive(Arbitrary, Debug)]
pub struct Start {
    pub voters: u8,
    pub pre_vote: bool,
    pub narrow_limits: bool,
    /// It is elected first, in the regular way: by chance that is rare, and much can only go wrong then.
    pub leads: bool,
    /// By how much the term grows from entry to entry.
    pub terms: [u8; 4],
    /// By how much the node's own is later than that.
    pub term: u8,
}

#[derive(Arbitrary, Debug)]
pub enum Step {
    Receive {
        from: Peer,
        term: Number,
        said: Said,
    },
    Timer(u8),
    Propose(Vec<u8>),
    Read(u8),
    Campaign,
    Unreachable(Peer),
    /// The state machine reports an index, which need not be true.
    Applied(Number),
    /// So many writes become durable; the node is told about the last, or not yet.
    Persist {
        writes: u8,
        told: bool,
    },
    /// An acknowledgement is repeated, perhaps from before a crash.
    AcknowledgeAgain(u8),
    /// The process dies; so many of the outstanding writes were on the disk.
    Crash {
        survived: u8,
    },
    /// From here on a second node, read back from the first one's serialised form, hears the same.
    Resume,
}

#[derive(Arbitrary, Debug)]
pub enum Said {
    PreVoteRequest { next_term: Number, last: Spot },
    PreVoteResponse { next_term: Number, granted: bool },
    VoteRequest { last: Spot },
    VoteResponse { granted: bool },
    Append { prev: Spot, entries: Vec<Sent>, commit: Number, round: u8 },
    Accepted { matched: Number, round: u8 },
    Rejected { refused: Number, hint: Spot, round: u8 },
}

/// A server: most often a member other than the node itself.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub NodeId);

/// A term or an index: most often the node's own.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// So far from the node's own.
    Near(i8),
    /// Exactly this.
    Exactly(u64),
}

/// A place in a log.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Spot {
    /// A place that the node's own log has, counted from its end.
    Own(u8),
    /// Any.
    Any { index: Number, term: Number },
}

#[derive(Arbitrary, Debug)]
pub struct Sent {
    /// By how much its term is later than its predecessor's.
    pub term: u8,
    /// The index that follows its predecessor's, unless another one is given.
    pub index: Option<Number>,
    pub command: u8,
}

impl Arbitrary<'_> for Peer {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let peer = match bytes.arbitrary::<u8>()? {
            0..=127 => 2,
            128..=223 => 3,
            other => other % 8,
        };
        Ok(Peer(NodeId(u64::from(peer))))
    }
}

impl Arbitrary<'_> for Number {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? {
            0..=127 => Number::Near(0),
            128..=175 => Number::Near(1),
            176..=207 => Number::Near(-1),
            208..=247 => Number::Near(bytes.arbitrary::<i8>()? % 8),
            _ => Number::Exactly(bytes.arbitrary()?),
        })
    }
}

impl Number {
    pub fn from(self, own: u64) -> u64 {
        match self {
            Number::Near(distance) => own.saturating_add_signed(i64::from(distance)),
            Number::Exactly(number) => number,
        }
    }
}

impl Spot {
    fn position(self, node: &Raft<u8>) -> Position {
        match self {
            Spot::Own(back) => {
                let index = Index(node.last().index.0.saturating_sub(u64::from(back % 8)));
                Position { index, term: node.entry(index).map(|entry| entry.term).unwrap_or_default() }
            }
            Spot::Any { index, term } => Position {
                index: Index(index.from(node.last().index.0)),
                term: Term(term.from(node.term().0)),
            },
        }
    }
}

impl Said {
    /// As a message to `node`.
    pub fn message(&self, term: Number, node: &Raft<u8>) -> Message<u8> {
        Message { term: Term(term.from(node.term().0)), body: self.body(node) }
    }

    fn body(&self, node: &Raft<u8>) -> Body<u8> {
        let term = |number: &Number| Term(number.from(node.term().0));
        let index = |number: &Number| Index(number.from(node.last().index.0));
        let response = |round: &u8, outcome| {
            Body::AppendResponse(AppendResponse { round: Round(u64::from(*round)), outcome })
        };
        match self {
            Said::PreVoteRequest { next_term, last } => {
                Body::PreVoteRequest { next_term: term(next_term), last: last.position(node) }
            }
            Said::PreVoteResponse { next_term, granted } => {
                Body::PreVoteResponse { next_term: term(next_term), granted: *granted }
            }
            Said::VoteRequest { last } => Body::VoteRequest { last: last.position(node) },
            Said::VoteResponse { granted } => Body::VoteResponse { granted: *granted },
            Said::Append { prev, entries, commit, round } => {
                let prev = prev.position(node);
                let (entries, round) = (sent(prev, entries), Round(u64::from(*round)));
                Body::Append(Append { prev, entries, commit: index(commit), round })
            }
            Said::Accepted { matched, round } => {
                response(round, AppendOutcome::Accepted { matched: index(matched) })
            }
            Said::Rejected { refused, hint, round } => {
                let (refused, hint) = (index(refused), hint.position(node));
                response(round, AppendOutcome::Rejected { refused, hint })
            }
        }
    }
}

fn sent(prev: Position, entries: &[Sent]) -> Vec<Entry<u8>> {
    let mut last = prev;
    let follow = |sent: &Sent| {
        let index = sent.index.map_or(last.index.next(), |number| Index(number.from(last.index.0)));
        last = Position { index, term: Term(last.term.0.saturating_add(u64::from(sent.term % 4))) };
        Entry { index, term: last.term, payload: Payload::Command(sent.command) }
    };
    entries.iter().map(follow).collect()
}
