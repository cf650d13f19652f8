//! Reads at followers and learners: "up to where would you serve a read now?" (diss. 6.4).
//!
//! One request is under way at a time; reads that arrive meanwhile wait together for the next one, as they do at the leader.
//! So neither side holds more than one request per follower. Only the ticket travels: a late answer to another request, even
//! to one of an earlier life of the same server, releases nothing (compare etcd #20418).

use crate::entry::Command;
use crate::error::Refused;
use crate::io::{Effects, ReadOutcome};
use crate::message::Body;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::Role;
use crate::types::{Index, NodeId, ReadId, Round, Ticket};

/// What a peer has asked for, at its leader.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct RemoteRead {
    pub(crate) ticket: Ticket,
    pub(crate) index: Index,
    /// The first round that began after the request arrived.
    pub(crate) round: Round,
}

impl<P: Command> Raft<P> {
    pub(crate) fn forward_read(
        &mut self,
        leader: NodeId,
        id: ReadId,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        let limit = self.config.limits.pending_reads;
        let Role::Follower(following) = &mut self.role else {
            return Err(Refused::NotLeader { leader: None });
        };
        let asked = &mut following.asked;
        if asked.these.len() + asked.next.len() >= limit {
            return Err(Refused::QuotaFull);
        }
        asked.next.push(id);
        self.ask_for_read(leader, effects);
        Ok(())
    }

    /// Asks the leader on behalf of all reads that wait, unless a request is under way.
    fn ask_for_read(&mut self, leader: NodeId, effects: &mut Effects<P>) {
        let Role::Follower(following) = &self.role else { return };
        if following.asked.under_way.is_some() || following.asked.next.is_empty() {
            return;
        }
        let ticket = self.next_ticket();
        if let Role::Follower(following) = &mut self.role {
            let asked = &mut following.asked;
            std::mem::swap(&mut asked.these, &mut asked.next);
            (asked.under_way, asked.is_late) = (Some(ticket), false);
        }
        self.send(leader, Body::ReadRequest { ticket }, effects);
    }

    /// A heartbeat has come, and the answer has not: after two of them the request is taken for lost. An answer to its
    /// repetition is as good, since that was sent after the reads had arrived too.
    pub(crate) fn repeat_late_read(&mut self, leader: NodeId, effects: &mut Effects<P>) {
        let Role::Follower(following) = &mut self.role else { return };
        let asked = &mut following.asked;
        let Some(ticket) = asked.under_way else { return };
        if std::mem::replace(&mut asked.is_late, true) {
            self.send(leader, Body::ReadRequest { ticket }, effects);
        }
    }

    pub(crate) fn on_read_request(&mut self, from: NodeId, ticket: Ticket, effects: &mut Effects<P>) {
        let index = self.read_index();
        let Some(leadership) = self.leadership_mut() else { return };
        let Some(progress) = leadership.peer(from) else { return };
        if progress.read.as_ref().is_some_and(|read| read.ticket >= ticket) {
            return;
        }
        let (round, begins) = leadership.reads.join();
        if let Some(progress) = leadership.peer_mut(from) {
            progress.read = Some(RemoteRead { ticket, index, round });
        }
        if begins {
            self.broadcast_heartbeats(effects);
            self.confirm_reads(effects);
        }
    }

    pub(crate) fn on_read_response(
        &mut self,
        from: NodeId,
        ticket: Ticket,
        index: Index,
        effects: &mut Effects<P>,
    ) {
        let reuses = self.has_mutant(Mutant::ReadContextReuse);
        let is_leader = self.leader == Some(from);
        let Role::Follower(following) = &mut self.role else { return };
        let is_answer =
            following.asked.under_way == Some(ticket) || (reuses && !following.asked.these.is_empty());
        if !is_leader || !is_answer {
            return;
        }
        following.asked.under_way = None;
        let ready = following.asked.these.drain(..).map(|id| ReadOutcome::Ready { id, index });
        effects.reads.extend(ready);
        // The index is committed: what of it is known to be the leader's need not wait for the next heartbeat.
        self.raise_commit(index);
        self.ask_for_read(from, effects);
    }
}
