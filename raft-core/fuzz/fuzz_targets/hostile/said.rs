//! From bytes to messages: every kind, from members and strangers, with right and wrong numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, ChangeError, Entry, Index, Message, Outbound, Payload,
    Position, Raft, Refused, Round, SnapshotChunk, SnapshotMeta, Term, Ticket,
};

use crate::generator::{Number, Peer};
use crate::members::Members;

#[derive(Arbitrary, Debug)]
pub enum Said {
    PreVoteRequest {
        odd: Option<Number>,
        last: Spot,
        priority: u8,
    },
    PreVoteResponse {
        next_term: Number,
        granted: bool,
    },
    VoteRequest {
        last: Spot,
        priority: u8,
        by_transfer: bool,
    },
    VoteResponse {
        granted: bool,
    },
    Append {
        prev: Spot,
        entries: Vec<Sent>,
        commit: Number,
        round: Number,
    },
    Heartbeat {
        prev: Spot,
        commit: Number,
        round: Number,
    },
    Accepted {
        matched: Number,
        round: Number,
    },
    Rejected {
        refused: Number,
        hint: Spot,
        round: Number,
    },
    /// Without members of its own it has the node's.
    Snapshot {
        last: Ahead,
        members: Option<Members>,
        offset: Number,
        bytes: u8,
        done: bool,
        round: Number,
    },
    SnapshotGoesOn {
        other: u8,
        members: Option<Members>,
        offset: Number,
        bytes: u8,
        done: bool,
        round: Number,
    },
    SnapshotResponse {
        odd: Option<Spot>,
        next: Number,
        round: Number,
    },
    SnapshotRequest {
        at_least: Number,
    },
    TimeoutNow,
    TransferRequest {
        to: Option<Peer>,
    },
    ReadRequest {
        ticket: Numbered,
    },
    ReadResponse {
        ticket: Numbered,
        index: Number,
    },
    Proposal {
        ticket: Numbered,
        commands: Vec<u8>,
    },
    ProposalTaken {
        ticket: Numbered,
        first: Number,
        count: u8,
    },
    ProposalRefused {
        ticket: Numbered,
        why: u8,
    },
}

/// A place in a log.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Spot {
    /// A place that the node's own log has, counted from its end.
    Own(u8),
    /// Any.
    Any { index: Number, term: Number },
}

/// Where a snapshot ends, counted from the commit index.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Ahead {
    by: u8,
    /// Unless that is what the node's own log has there.
    term: Option<Number>,
    odd: Option<Number>,
}

/// The number of a request.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Numbered {
    /// One that the node itself has made.
    Made(u8),
    /// One that a peer may have made.
    Small(u8),
    Any {
        boot: u64,
        number: u64,
    },
}

#[derive(Arbitrary, Debug)]
pub struct Sent {
    /// By how much its term is later than its predecessor's.
    term: u8,
    /// The index that follows its predecessor's, unless another one is given.
    index: Option<Number>,
    command: u8,
    members: Option<Members>,
}

/// What a peer that knows the node would know of it, from what that has said.
#[derive(Default)]
pub struct Known {
    /// Requests that it has made, the latest first.
    tickets: VecDeque<Ticket>,
    round: Round,
    /// The snapshot it is receiving, and where it is.
    incoming: Option<(Position, u64)>,
    /// Up to where it has sent a snapshot.
    outgoing: Option<(Position, u64)>,
}

impl Known {
    pub fn note(&mut self, sent: &[Outbound<u8>]) {
        for Outbound { message, .. } in sent {
            match &message.body {
                Body::Append(append) => self.round = append.round,
                Body::SnapshotResponse { last, next, .. } => self.incoming = Some((*last, *next)),
                Body::Snapshot(chunk) => {
                    let end = chunk.offset + chunk.data.len() as u64;
                    self.outgoing = Some((chunk.snapshot.last, end));
                }
                Body::ReadRequest { ticket } | Body::Proposal { ticket, .. } => {
                    self.tickets.push_front(*ticket);
                    self.tickets.truncate(4);
                }
                _ => {}
            }
        }
    }
}

impl Spot {
    fn position(self, node: &Raft<u8>) -> Position {
        match self {
            Spot::Own(back) => position_at(node, node.last().index.0.saturating_sub(u64::from(back % 8))),
            Spot::Any { index, term } => Position {
                index: Index(index.from(node.last().index.0)),
                term: Term(term.from(node.term().0)),
            },
        }
    }
}

/// What the node's own log has there.
fn position_at(node: &Raft<u8>, index: u64) -> Position {
    let index = Index(index);
    if index == node.base().index {
        return node.base();
    }
    Position { index, term: node.entry(index).map(|entry| entry.term).unwrap_or_default() }
}

impl Ahead {
    fn position(self, node: &Raft<u8>) -> Position {
        let index = node.commit().0.saturating_add(u64::from(self.by % 4));
        let index = self.odd.map_or(index, |odd| odd.from(index));
        let own = position_at(node, index).term;
        let own = if own == Term(0) { node.term() } else { own };
        Position { index: Index(index), term: self.term.map_or(own, |term| Term(term.from(node.term().0))) }
    }
}

impl Numbered {
    fn ticket(self, known: &Known) -> Ticket {
        let small = |number: u8| Ticket { boot: 1, number: u64::from(number % 8) };
        match self {
            Numbered::Made(back) => {
                known.tickets.get(usize::from(back % 4)).copied().unwrap_or_else(|| small(back))
            }
            Numbered::Small(number) => small(number),
            Numbered::Any { boot, number } => Ticket { boot, number },
        }
    }
}

impl Said {
    /// As a message to `node`.
    pub fn message(&self, term: Number, node: &Raft<u8>, known: &Known) -> Message<u8> {
        let term = Term(term.from(node.term().0));
        Message { term, body: self.body(term, node, known) }
    }

    fn body(&self, term: Term, node: &Raft<u8>, known: &Known) -> Body<u8> {
        let near_term = |number: &Number| Term(number.from(node.term().0));
        let index = |number: &Number| Index(number.from(node.last().index.0));
        let round = |number: &Number| Round(number.from(known.round.0));
        let response =
            |number: &Number, outcome| Body::AppendResponse(AppendResponse { round: round(number), outcome });
        match self {
            Said::PreVoteRequest { odd, last, priority } => Body::PreVoteRequest {
                next_term: odd.as_ref().map_or(term.next(), near_term),
                last: last.position(node),
                priority: priority % 4,
            },
            Said::PreVoteResponse { next_term, granted } => Body::PreVoteResponse {
                next_term: Term(next_term.from(node.term().next().0)),
                granted: *granted,
            },
            Said::VoteRequest { last, priority, by_transfer } => Body::VoteRequest {
                last: last.position(node),
                priority: priority % 4,
                by_transfer: *by_transfer,
            },
            Said::VoteResponse { granted } => Body::VoteResponse { granted: *granted },
            Said::Append { prev, entries, commit, round: number } => {
                let prev = prev.position(node);
                let entries = sent(prev, entries).into();
                Body::Append(Append { prev, entries, commit: index(commit), round: round(number) })
            }
            Said::Heartbeat { prev, commit, round: number } => Body::Append(Append {
                prev: prev.position(node),
                entries: Vec::new().into(),
                commit: index(commit),
                round: round(number),
            }),
            Said::Accepted { matched, round } => {
                response(round, AppendOutcome::Accepted { matched: index(matched) })
            }
            Said::Rejected { refused, hint, round } => {
                let (refused, hint) = (index(refused), hint.position(node));
                response(round, AppendOutcome::Rejected { refused, hint })
            }
            Said::SnapshotRequest { at_least } => {
                Body::SnapshotRequest { at_least: Index(at_least.from(node.commit().0)) }
            }
            Said::TimeoutNow => Body::TimeoutNow,
            Said::TransferRequest { to } => Body::TransferRequest { to: to.map(|peer| peer.0) },
            _ => self.chunk_or_forwarded(node, known),
        }
    }

    fn chunk_or_forwarded(&self, node: &Raft<u8>, known: &Known) -> Body<u8> {
        let round = |number: &Number| Round(number.from(known.round.0));
        let chunk = |last, members: &Option<Members>, offset, bytes: u8, done, number| {
            let own = || Arc::clone(node.membership());
            let membership = members.map_or_else(own, |members| members.membership().into());
            let snapshot = SnapshotMeta { last, membership }.into();
            let data = vec![bytes; usize::from(bytes % 4)];
            Body::Snapshot(SnapshotChunk { snapshot, offset, data, done, round: round(number) })
        };
        match self {
            Said::Snapshot { last, members, offset, bytes, done, round } => {
                chunk(last.position(node), members, offset.from(0), *bytes, *done, round)
            }
            Said::SnapshotGoesOn { other, members, offset, bytes, done, round } => {
                let (mut last, next) = known.incoming.unwrap_or((node.last(), 0));
                last.index.0 += u64::from(other % 4 == 3);
                chunk(last, members, offset.from(next), *bytes, *done, round)
            }
            Said::SnapshotResponse { odd, next, round: number } => {
                let (last, end) = known.outgoing.unwrap_or_default();
                let last = odd.map_or(last, |spot| spot.position(node));
                Body::SnapshotResponse { last, next: next.from(end), round: round(number) }
            }
            Said::ReadRequest { ticket } => Body::ReadRequest { ticket: ticket.ticket(known) },
            Said::ReadResponse { ticket, index } => Body::ReadResponse {
                ticket: ticket.ticket(known),
                index: Index(index.from(node.last().index.0)),
            },
            Said::Proposal { ticket, commands } => {
                Body::Proposal { ticket: ticket.ticket(known), commands: commands.as_slice().into() }
            }
            Said::ProposalTaken { ticket, first, count } => {
                let first = first.from(node.last().index.0);
                let last = Index(first.saturating_add(u64::from(count % 4)));
                Body::ProposalResponse { ticket: ticket.ticket(known), outcome: Ok((Index(first), last)) }
            }
            Said::ProposalRefused { ticket, why } => {
                let leader = Some(node.id());
                let reasons = [
                    Refused::QuotaFull,
                    Refused::NotLeader { leader },
                    Refused::Transferring { to: node.id() },
                    Refused::Change(ChangeError::NoVoters),
                    Refused::Halted,
                ];
                let refused = reasons[usize::from(*why) % reasons.len()];
                Body::ProposalResponse { ticket: ticket.ticket(known), outcome: Err(refused) }
            }
            _ => unreachable!("the others are made in `body`"),
        }
    }
}

fn sent(prev: Position, entries: &[Sent]) -> Vec<Entry<u8>> {
    let mut last = prev;
    let follow = |sent: &Sent| {
        let index = sent.index.map_or(last.index.next(), |number| Index(number.from(last.index.0)));
        last = Position { index, term: Term(last.term.0.saturating_add(u64::from(sent.term % 4))) };
        let payload = match sent.members {
            Some(members) => Payload::Membership(members.membership().into()),
            None => Payload::Command(sent.command),
        };
        Entry { index, term: last.term, payload }
    };
    entries.iter().map(follow).collect()
}
