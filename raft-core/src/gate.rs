//! The gate for everything that comes over the network: what no correct peer could have sent, whose word counts, and what a
//! message's term means (Figure 2, "rules for servers").

use crate::entry::{Command, Entry};
use crate::event::{Event, Suspicion};
use crate::io::Effects;
use crate::message::{Append, AppendOutcome, Body, Message};
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::Role;
use crate::snapshots::SnapshotMeta;
use crate::types::{HardState, Index, NodeId, Position, Round, Term};

impl<P: Command> Raft<P> {
    pub(crate) fn receive(&mut self, from: NodeId, message: Message<P>, effects: &mut Effects<P>) {
        if let Some(reason) = self.suspicion(from, &message) {
            effects.events.push(Event::Suspect { from, reason });
            return;
        }
        let Message { term, body } = message;
        // The word of a server that is no member (any more) counts for nothing, not even its term: a removed server must not
        // disturb (§6). What a leader or a candidate says is another matter: it may be a member of a later membership.
        if body.is_from_member() && !self.log.membership().contains(from) {
            return effects.events.push(Event::Stranger { from });
        }
        // What needs no write may be just what the backlog waits for.
        let needs_no_write = !body.may_need_write() && term <= self.hard.term;
        if self.is_overloaded() && !needs_no_write {
            return effects.events.push(Event::Overloaded { from });
        }
        // Pre-votes live outside of terms: asking changes nobody's, and a grant may come from an older one (diss. 9.6).
        match body {
            Body::PreVoteRequest { next_term, last, priority } => {
                return self.on_pre_vote_request(from, term, next_term, last, priority, effects);
            }
            Body::PreVoteResponse { next_term, granted: true } => {
                return self.on_pre_vote_response(from, next_term, true, effects);
            }
            Body::PreVoteResponse { .. } if self.has_mutant(Mutant::PrevoteDeadlock) => return,
            // "Disregard RequestVote when you believe a current leader exists" (diss. 4.2.3): not even its term counts.
            // Unless that leader wanted it (diss. 3.10).
            Body::VoteRequest { by_transfer: false, .. } if self.defends_its_leader(from, term) => return,
            _ => {}
        }
        if term > self.hard.term {
            self.adopt_term(term, effects);
        } else if term < self.hard.term {
            return self.on_stale(from, &body, effects);
        }
        self.dispatch(from, body, effects);
    }

    /// A message of the current term.
    fn dispatch(&mut self, from: NodeId, body: Body<P>, effects: &mut Effects<P>) {
        match body {
            Body::PreVoteRequest { .. } => {}
            Body::PreVoteResponse { next_term, granted } => {
                self.on_pre_vote_response(from, next_term, granted, effects);
            }
            Body::VoteRequest { last, priority, by_transfer } => {
                // Whom the leader has chosen, priorities do not hold back.
                let priority = if by_transfer { u8::MAX } else { priority };
                self.on_vote_request(from, last, priority, effects);
            }
            Body::VoteResponse { granted } => self.on_vote_response(from, granted, effects),
            Body::Append(append) => self.on_append(from, append, effects),
            Body::AppendResponse(response) => self.on_append_response(from, response, effects),
            Body::Snapshot(chunk) => self.on_snapshot(from, chunk, effects),
            Body::SnapshotResponse { last, next, round } => {
                self.on_snapshot_response(from, last, next, round, effects);
            }
            Body::SnapshotRequest { at_least } => self.on_snapshot_request(from, at_least, effects),
            Body::TimeoutNow => self.on_timeout_now(from, effects),
            Body::TransferRequest { to } => self.on_transfer_request(to, effects),
            Body::ReadRequest { ticket } => self.on_read_request(from, ticket, effects),
            Body::ReadResponse { ticket, index } => self.on_read_response(from, ticket, index, effects),
            Body::Proposal { ticket, commands } => self.on_proposal(from, ticket, &commands, effects),
            Body::ProposalResponse { ticket, outcome } => {
                self.on_proposal_response(from, ticket, outcome, effects);
            }
        }
    }

    /// A message of an earlier term changes nothing (A02), but a request is answered, so that its sender learns of the
    /// newer term (§5.1; with pre-vote a stale leader would otherwise never be told, A03).
    fn on_stale(&mut self, from: NodeId, body: &Body<P>, effects: &mut Effects<P>) {
        match body {
            Body::VoteRequest { .. } => self.send(from, Body::VoteResponse { granted: false }, effects),
            // The round was counted in another term: echoed in this one, it could confirm a read of the same leader's that
            // came later.
            Body::Append(append) => {
                let echoes = self.has_mutant(Mutant::EchoStaleRound);
                let round = if echoes { append.round } else { Round::default() };
                self.refuse_append(from, append.prev, round, effects);
            }
            Body::Snapshot(chunk) => {
                let last = chunk.snapshot.last;
                self.send(from, Body::SnapshotResponse { last, next: 0, round: Round::default() }, effects);
            }
            Body::VoteResponse { granted } if self.has_mutant(Mutant::StaleVoteResponse) => {
                self.on_vote_response(from, *granted, effects);
            }
            _ => {}
        }
    }

    /// §5.1: a later term ends whatever was going on in this one.
    fn adopt_term(&mut self, term: Term, effects: &mut Effects<P>) {
        debug_assert!(term > self.hard.term, "terms never decrease");
        // A follower that has just echoed its leader's round owes that leader its silence, whoever speaks of a later term: the
        // leader's lease rests on it.
        let is_bound =
            self.config.lease.is_some() && self.in_contact && matches!(self.role, Role::Follower(_));
        self.hard = HardState { term, voted_for: None, ..self.hard };
        self.leader = None;
        self.become_follower(effects);
        self.in_contact = is_bound && !self.has_mutant(Mutant::LeaseForgottenWithTerm);
    }

    /// Whether a request for a vote, which the leader did not ask for, is passed over. With leases also one of the current
    /// term, in which this server may have no leader yet, and still be bound by the last one.
    fn defends_its_leader(&self, candidate: NodeId, term: Term) -> bool {
        let is_vote_open = term > self.hard.term
            || (self.config.lease.is_some()
                && term == self.hard.term
                && self.hard.voted_for != Some(candidate));
        self.is_sticky() && is_vote_open
    }

    /// What no correct peer could have sent, if it is that.
    fn suspicion(&self, from: NodeId, message: &Message<P>) -> Option<Suspicion> {
        if from == self.config.id {
            return Some(Suspicion::FromItself);
        }
        // Nobody ever led, voted or was voted for in term 0.
        let needs_term = !matches!(message.body, Body::PreVoteRequest { .. } | Body::PreVoteResponse { .. });
        let has_term = message.term <= Term::LIMIT && (message.term > Term::default() || !needs_term);
        if !has_term || !message.body.is_in_range() {
            return Some(Suspicion::OutOfRange);
        }
        match &message.body {
            Body::Append(append) if !is_well_formed(message.term, append) => Some(Suspicion::MalformedAppend),
            Body::Snapshot(chunk) if !stands_for_something(message.term, &chunk.snapshot) => {
                Some(Suspicion::MalformedSnapshot)
            }
            _ => None,
        }
    }
}

impl<P> Body<P> {
    /// Only a member has anything of this kind to say. The rest may come from members of a membership that this server has
    /// not heard of yet: leaders and candidates must be listened to (§6).
    fn is_from_member(&self) -> bool {
        match self {
            Body::PreVoteRequest { .. } | Body::VoteRequest { .. } => false,
            Body::Append(_) | Body::Snapshot(_) | Body::TimeoutNow => false,
            Body::ReadResponse { .. } | Body::ProposalResponse { .. } => false,
            Body::PreVoteResponse { .. } | Body::VoteResponse { .. } => true,
            Body::AppendResponse(_) | Body::SnapshotResponse { .. } | Body::SnapshotRequest { .. } => true,
            Body::TransferRequest { .. } | Body::ReadRequest { .. } | Body::Proposal { .. } => true,
        }
    }

    fn may_need_write(&self) -> bool {
        !matches!(
            self,
            Body::AppendResponse(_)
                | Body::SnapshotResponse { .. }
                | Body::SnapshotRequest { .. }
                | Body::ReadRequest { .. }
                | Body::ReadResponse { .. }
                | Body::ProposalResponse { .. }
                | Body::TransferRequest { .. }
                // Refused for want of room, which is an answer too.
                | Body::Proposal { .. }
        )
    }

    fn is_in_range(&self) -> bool {
        let within = |p: &Position| p.index <= Index::LIMIT && p.term <= Term::LIMIT;
        match self {
            Body::PreVoteRequest { next_term, last, .. } => *next_term <= Term::LIMIT && within(last),
            Body::PreVoteResponse { .. } | Body::VoteResponse { .. } => true,
            Body::VoteRequest { last, .. } => within(last),
            Body::Append(append) => within(&append.prev) && append.commit <= Index::LIMIT,
            Body::AppendResponse(response) => match &response.outcome {
                AppendOutcome::Accepted { matched } => *matched <= Index::LIMIT,
                AppendOutcome::Rejected { refused, hint } => *refused <= Index::LIMIT && within(hint),
            },
            Body::Snapshot(chunk) => within(&chunk.snapshot.last) && chunk.offset <= Index::LIMIT.0,
            Body::SnapshotResponse { last, next, .. } => within(last) && *next <= Index::LIMIT.0,
            Body::SnapshotRequest { at_least } => *at_least <= Index::LIMIT,
            Body::ReadResponse { index, .. } => *index <= Index::LIMIT,
            Body::ProposalResponse { outcome: Ok((first, last)), .. } => {
                first <= last && *last <= Index::LIMIT
            }
            Body::ProposalResponse { outcome: Err(_), .. } => true,
            Body::TimeoutNow | Body::TransferRequest { .. } => true,
            Body::ReadRequest { .. } | Body::Proposal { .. } => true,
        }
    }
}

/// Entries follow `prev` without a gap, and their terms never go backwards or beyond the leader's own (§5.3); before the
/// first entry there is nothing, of no term.
fn is_well_formed<P: Command>(term: Term, append: &Append<P>) -> bool {
    let mut last = append.prev;
    if (last.index == Index::ZERO) != (last.term == Term::default()) {
        return false;
    }
    let in_order = append.entries.iter().all(|entry| {
        let follows = entry.index == last.index.next() && entry.term >= last.term && entry.term.0 > 0;
        last = entry.position();
        follows && entry.membership().is_none_or(|membership| membership.is_legal())
    });
    in_order && last.term <= term && last.index <= Index::LIMIT
}

/// A snapshot contains at least one entry, of the leader's term at most, and says who the members are.
fn stands_for_something(term: Term, snapshot: &SnapshotMeta) -> bool {
    let Position { index, term: last } = snapshot.last;
    index > Index::ZERO && last.0 > 0 && last <= term && snapshot.membership.is_legal()
}

/// Whether recovered entries bring memberships that are some.
pub(crate) fn has_legal_membership<P: Command>(entry: &Entry<P>) -> bool {
    entry.membership().is_none_or(|membership| membership.is_legal())
}
