//! Every kind of message: most of them nearly right, so that they get past the gate, some absurd.

use std::sync::Arc;

use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, Entry, Index, Message, NodeId, Payload, Position, Raft,
    Refused, RoleKind, Round, SnapshotChunk, SnapshotMeta, Term, Ticket,
};

use super::draw::Draw;
use super::members::membership;
use super::seen::Seen;

type Kind = fn(&Raft<u8>, &mut Seen, Term, &mut Draw) -> Body<u8>;

/// Of each kind of message one, those more than once that matter more.
const KINDS: [Kind; 20] = [
    pre_vote_request,
    pre_vote_response,
    pre_vote_response,
    vote_request,
    vote_response,
    vote_response,
    append,
    append,
    append,
    append_response,
    append_response,
    snapshot,
    snapshot,
    snapshot_response,
    |raft, _, _, draw| Body::SnapshotRequest { at_least: draw.near_index(raft.commit()) },
    |_, _, _, _| Body::TimeoutNow,
    |_, _, _, draw| Body::TransferRequest { to: Some(draw.server()).filter(|_| draw.flip()) },
    |_, seen, _, draw| Body::ReadRequest { ticket: ticket(seen, draw) },
    |raft, seen, _, draw| Body::ReadResponse {
        ticket: ticket(seen, draw),
        index: draw.near_index(raft.commit()),
    },
    proposal_or_answer,
];

pub fn message(raft: &Raft<u8>, seen: &mut Seen, draw: &mut Draw) -> (NodeId, Message<u8>) {
    // Later terms depose it: that is not what it should spend its time on.
    let steady = if raft.role() == RoleKind::Leader { 60 } else { 12 };
    let term = Term(match draw.below(steady) {
        0 => draw.near(raft.term().0),
        1 => raft.term().0.saturating_add(1),
        2 => raft.term().0.saturating_sub(1),
        _ => raft.term().0,
    });
    // What a candidate waits for, more often than chance would have it.
    let kind = match (raft.role(), draw.below(3)) {
        (RoleKind::Candidate, 0) => [pre_vote_response, vote_response][draw.count(2)],
        (RoleKind::Leader, 0) => append_response,
        _ => draw.pick(&KINDS).unwrap(),
    };
    let body = kind(raft, seen, term, draw);
    (sender(seen, term, &body, draw), Message { term, body })
}

/// A second leader of one term stops the node: that is tried, but not so often that nothing else happens.
fn sender(seen: &Seen, term: Term, body: &Body<u8>, draw: &mut Draw) -> NodeId {
    let speaks_for_leader = matches!(
        body,
        Body::Append(_)
            | Body::Snapshot(_)
            | Body::TimeoutNow
            | Body::ReadResponse { .. }
            | Body::ProposalResponse { .. }
    );
    match seen.leader {
        Some((of, leader)) if of == term && speaks_for_leader && !draw.one_in(64) => leader,
        _ => draw.server(),
    }
}

/// A place in the log, or near it.
fn position(raft: &Raft<u8>, draw: &mut Draw) -> Position {
    let index = match draw.below(4) {
        0 => draw.between(raft.base().index, raft.last().index),
        1 => draw.between(raft.commit(), raft.last().index),
        _ => raft.last().index,
    };
    let term = raft.entry(index).map_or(raft.base().term, |entry| entry.term);
    match draw.below(8) {
        0 => Position { index: draw.near_index(index), term: Term(draw.near(term.0)) },
        _ => Position { index, term },
    }
}

fn entries(prev: Position, last_term: Term, draw: &mut Draw) -> Vec<Entry<u8>> {
    let (mut index, mut term) = (prev.index, prev.term);
    let count = draw.pick(&[0, 0, 1, 1, 2, 5]).unwrap();
    let entry = |_| {
        index = Index(if draw.one_in(128) { draw.absurd() } else { index.next().0 });
        term = Term(if draw.one_in(128) { draw.absurd() } else { term.0.max(1) });
        if term < last_term && draw.flip() {
            term = last_term;
        }
        let payload = match draw.below(8) {
            0 => Payload::Noop,
            1..3 => Payload::Membership(membership(draw)),
            _ => Payload::Command(u8::try_from(draw.below(256)).unwrap()),
        };
        Entry { index, term, payload }
    };
    (0..count).map(entry).collect()
}

fn append(raft: &Raft<u8>, _: &mut Seen, term: Term, draw: &mut Draw) -> Body<u8> {
    let prev = position(raft, draw);
    let mut entries = entries(prev, term, draw);
    // What is there already, mostly, where something is: a contradiction of what is committed stops the node.
    if !draw.one_in(16) {
        for entry in &mut entries {
            if let Some(own) = raft.entry(entry.index).filter(|own| own.index <= raft.commit()) {
                entry.clone_from(own);
            }
        }
    }
    let end = prev.index.plus(entries.len());
    let commit = if draw.flip() { draw.near_index(end) } else { raft.commit() };
    Body::Append(Append { prev, entries: entries.into(), commit, round: round(draw) })
}

fn append_response(raft: &Raft<u8>, _: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    let outcome = match draw.below(4) {
        0 => AppendOutcome::Rejected {
            refused: draw.near_index(raft.last().index),
            hint: position(raft, draw),
        },
        1 => AppendOutcome::Accepted { matched: draw.between(Index::ZERO, raft.last().index) },
        _ => AppendOutcome::Accepted { matched: draw.near_index(raft.last().index) },
    };
    Body::AppendResponse(AppendResponse { round: round(draw), outcome })
}

fn round(draw: &mut Draw) -> Round {
    Round(if draw.one_in(32) { draw.absurd() } else { draw.below(4) })
}

fn pre_vote_request(raft: &Raft<u8>, _: &mut Seen, term: Term, draw: &mut Draw) -> Body<u8> {
    let next_term = Term(if draw.one_in(8) { draw.near(term.0) } else { term.next().0 });
    Body::PreVoteRequest { next_term, last: position(raft, draw), priority: priority(draw) }
}

fn pre_vote_response(raft: &Raft<u8>, _: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    let next_term = Term(if draw.one_in(8) { draw.near(raft.term().0) } else { raft.term().next().0 });
    Body::PreVoteResponse { next_term, granted: !draw.one_in(4) }
}

fn vote_request(raft: &Raft<u8>, _: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    Body::VoteRequest { last: position(raft, draw), priority: priority(draw), by_transfer: draw.one_in(4) }
}

fn vote_response(_: &Raft<u8>, _: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    Body::VoteResponse { granted: !draw.one_in(4) }
}

fn priority(draw: &mut Draw) -> u8 {
    draw.pick(&[0, 0, 1, 255]).unwrap()
}

/// The next chunk of the snapshot that is coming in, or the first one of another.
fn snapshot(raft: &Raft<u8>, seen: &mut Seen, term: Term, draw: &mut Draw) -> Body<u8> {
    let snapshot = match &seen.offered {
        Some(offered) if !draw.one_in(4) => Arc::clone(offered),
        _ => {
            let index = match draw.below(3) {
                0 => draw.near_index(raft.commit()),
                1 => raft.last().index,
                _ => Index(raft.last().index.0.saturating_add(draw.below(4))),
            };
            let own = raft.entry(index).map(|entry| entry.term);
            let last_term = own.unwrap_or(Term(draw.near(raft.last().term.0.max(1).min(term.0))));
            let last = Position { index, term: last_term };
            seen.next = 0;
            Arc::new(SnapshotMeta { last, membership: membership(draw) })
        }
    };
    seen.offered = Some(Arc::clone(&snapshot));
    let offset = if draw.one_in(6) { draw.near(seen.next) } else { seen.next };
    let data = vec![7; draw.count(4)];
    Body::Snapshot(SnapshotChunk { snapshot, offset, data, done: draw.flip(), round: round(draw) })
}

fn snapshot_response(raft: &Raft<u8>, seen: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    let ours = raft.snapshot().map(|snapshot| snapshot.last).filter(|_| !draw.one_in(8));
    let last = ours.unwrap_or_else(|| position(raft, draw));
    Body::SnapshotResponse { last, next: draw.near(seen.sent_to), round: round(draw) }
}

pub fn ticket(seen: &Seen, draw: &mut Draw) -> Ticket {
    match seen.tickets.last().copied().filter(|_| !draw.one_in(3)) {
        Some(ticket) => ticket,
        None => Ticket { boot: draw.below(3), number: draw.near(2) },
    }
}

fn proposal_or_answer(raft: &Raft<u8>, seen: &mut Seen, _: Term, draw: &mut Draw) -> Body<u8> {
    let ticket = ticket(seen, draw);
    if draw.flip() {
        return Body::Proposal { ticket, commands: vec![5; draw.count(5)].into() };
    }
    let first = draw.near_index(raft.last().index);
    let outcome = match draw.below(3) {
        0 => Err(Refused::QuotaFull),
        _ => Ok((first, draw.near_index(first))),
    };
    Body::ProposalResponse { ticket, outcome }
}
