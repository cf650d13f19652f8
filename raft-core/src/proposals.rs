//! Proposals: taken by the leader, refused or forwarded by others.

use std::sync::Arc;

use crate::entry::{Command, ENTRY_OVERHEAD, Payload};
use crate::error::Refused;
use crate::io::{Effects, ForwardOutcome, Forwarded, Placed, Proposed};
use crate::message::Body;
use crate::raft::Raft;
use crate::role::{Following, Role};
use crate::types::{Index, NodeId, Ticket};

impl<P: Command> Raft<P> {
    /// Takes commands, in order, with no others between them (M09).
    pub(crate) fn propose(&mut self, commands: Vec<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        effects.proposed = None;
        if let Role::Follower(_) = &self.role
            && self.config.forward
            && let Some(leader) = self.leader()
        {
            return self.forward(leader, commands, effects);
        }
        let bytes = commands.iter().map(|command| command.size() + ENTRY_OVERHEAD).sum();
        self.check_proposal(commands.len(), bytes)?;
        let (first, last) = self.take_proposal(commands.into_iter(), effects);
        effects.proposed = Some(Proposed::Appended(Placed { term: self.hard.term, first, last }));
        Ok(())
    }

    fn take_proposal(
        &mut self,
        commands: impl Iterator<Item = P>,
        effects: &mut Effects<P>,
    ) -> (Index, Index) {
        let first = self.log.last().index.next();
        self.append_own(commands.map(Payload::Command));
        self.replicate_to_all(effects);
        (first, self.log.last().index)
    }

    /// Why so many commands of so many bytes are refused, if they are.
    fn check_proposal(&mut self, count: usize, bytes: usize) -> Result<(), Refused> {
        let is_overloaded = self.is_overloaded();
        let limits = self.config.limits;
        let pending = self.log.last().index.distance_from(self.commit);
        let leadership = self.as_leader()?;
        if let Some(transfer) = &leadership.transfer {
            return Err(Refused::Transferring { to: transfer.to });
        }
        if count == 0 {
            return Err(Refused::Empty);
        }
        let too_many = pending.saturating_add(count as u64) > limits.uncommitted_entries as u64;
        let too_large = leadership.uncommitted_bytes.saturating_add(bytes) > limits.uncommitted_bytes
            && leadership.uncommitted_bytes > 0;
        if too_many || too_large || is_overloaded { Err(Refused::QuotaFull) } else { Ok(()) }
    }

    fn forward(&mut self, leader: NodeId, commands: Vec<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        let limit = self.config.limits.pending_forwards;
        if commands.is_empty() {
            return Err(Refused::Empty);
        }
        let is_full = |following: &Following| following.asked.proposals.len() >= limit;
        if matches!(&self.role, Role::Follower(following) if is_full(following)) {
            return Err(Refused::QuotaFull);
        }
        let ticket = self.next_ticket();
        if let Role::Follower(following) = &mut self.role {
            following.asked.proposals.push((ticket, 0));
        }
        effects.proposed = Some(Proposed::Forwarded(ticket));
        self.send(leader, Body::Proposal { ticket, commands: commands.into() }, effects);
        Ok(())
    }

    /// A follower of this very term has forwarded a proposal. One of an earlier term never gets here, and a repetition, or
    /// one that was overtaken by a later one of the same follower, is ignored: what may have been appended before is not
    /// appended again (M04, diss. 6.3).
    pub(crate) fn on_proposal(
        &mut self,
        from: NodeId,
        ticket: Ticket,
        commands: &Arc<[P]>,
        effects: &mut Effects<P>,
    ) {
        if self.leadership_mut().is_some_and(|leadership| !leadership.is_news(from, ticket)) {
            return;
        }
        let bytes = commands.iter().map(|command| command.size() + ENTRY_OVERHEAD).sum();
        let outcome = match self.check_proposal(commands.len(), bytes) {
            Ok(()) => Ok(self.take_proposal(commands.iter().cloned(), effects)),
            Err(refused) => Err(refused),
        };
        self.send(from, Body::ProposalResponse { ticket, outcome }, effects);
    }

    /// The leader has answered. That it has appended something says nothing about commitment: the host waits until it is
    /// applied (RedisRaft 2020 acknowledged too early).
    pub(crate) fn on_proposal_response(
        &mut self,
        from: NodeId,
        ticket: Ticket,
        outcome: Result<(Index, Index), Refused>,
        effects: &mut Effects<P>,
    ) {
        let term = self.hard.term;
        let is_leader = self.leader == Some(from);
        let Role::Follower(following) = &mut self.role else { return };
        let Some(place) = following.asked.proposals.iter().position(|(waiting, _)| *waiting == ticket) else {
            return;
        };
        if !is_leader {
            return;
        }
        following.asked.proposals.remove(place);
        let outcome = match outcome {
            Ok((first, last)) => ForwardOutcome::Appended(Placed { term, first, last }),
            Err(refused) => ForwardOutcome::Refused(refused),
        };
        effects.forwarded.push(Forwarded { ticket, outcome });
    }
}
