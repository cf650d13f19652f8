//! The leader's side of reads: which index a read needs, and when leadership is confirmed.

use crate::entry::Command;
use crate::error::Refused;
use crate::io::{Effects, ReadOutcome};
use crate::message::Body;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::Role;
use crate::types::{Index, NodeId, ReadId, Round};

impl<P: Command> Raft<P> {
    /// A linearizable read: its index is what is committed now, or will be once this term has committed its opening; it is
    /// released when a quorum confirms that this server still led after the read arrived. A follower asks its leader.
    pub(crate) fn read(&mut self, id: ReadId, effects: &mut Effects<P>) -> Result<(), Refused> {
        if let Role::Follower(_) = &self.role
            && self.config.forward
            && let Some(leader) = self.leader()
        {
            return self.forward_read(leader, id, effects);
        }
        let (commit, limit) = (self.commit, self.config.limits.pending_reads);
        let index = self.read_index();
        let is_careless = self.has_mutant(Mutant::ReadWithoutQuorum);
        let leadership = self.as_leader()?;
        if leadership.reads.len() >= limit {
            return Err(Refused::QuotaFull);
        }
        if is_careless {
            effects.reads.push(ReadOutcome::Ready { id, index: commit });
            return Ok(());
        }
        if leadership.reads.add(id, index) {
            self.broadcast_heartbeats(effects);
            self.confirm_reads(effects);
        }
        Ok(())
    }

    /// What a read that arrives now must see. A new leader holds every committed entry but does not know up to where they
    /// are committed, before one of its own is (§8, etcd #7331).
    pub(crate) fn read_index(&self) -> Index {
        match &self.role {
            Role::Leader(leadership) if !self.has_mutant(Mutant::ReadBeforeOwnCommit) => {
                self.commit.max(leadership.opening)
            }
            _ => self.commit,
        }
    }

    /// A read under a lease that [`Clocked`](crate::Clocked) knows to be valid. Returns whether it was served.
    pub(crate) fn read_on_lease(&mut self, id: ReadId, effects: &mut Effects<P>) -> bool {
        let index = self.commit;
        let serves = matches!(&self.role, Role::Leader(leadership) if leadership.opening <= index);
        if serves {
            effects.reads.push(ReadOutcome::Ready { id, index });
        }
        serves
    }

    /// A peer has echoed a round: it followed this leader after every read that the round is for had arrived.
    pub(crate) fn note_round(&mut self, from: NodeId, round: Round, effects: &mut Effects<P>) {
        let Some(leadership) = self.leadership_mut() else { return };
        let newest = leadership.reads.round();
        if let Some(progress) = leadership.peer_mut(from) {
            progress.round = progress.round.max(round.min(newest));
        }
        self.confirm_reads(effects);
    }

    /// Releases the reads whose rounds a quorum has echoed; begins the next round where some wait for it.
    pub(crate) fn confirm_reads(&mut self, effects: &mut Effects<P>) {
        loop {
            let (me, commit, mutant) = (self.config.id, self.commit, self.config.mutant);
            let Role::Leader(leadership) = &mut self.role else { return };
            let newest = leadership.reads.round();
            if leadership.reads.confirmed() < newest {
                let echoed = |voter| match voter == me {
                    true => newest,
                    false => leadership.peer(voter).map_or(Round::default(), |progress| progress.round),
                };
                let confirmed = self.log.membership().reached_by(mutant, echoed);
                leadership.reads.confirm(confirmed);
            }
            while let Some((id, index)) = leadership.reads.pop_confirmed(commit) {
                effects.reads.push(ReadOutcome::Ready { id, index });
            }
            let confirmed = leadership.reads.confirmed();
            let begins = leadership.reads.begin_if_wanted();
            self.answer_remote_reads(confirmed, effects);
            if !begins {
                return;
            }
            self.broadcast_heartbeats(effects);
        }
    }

    fn answer_remote_reads(&mut self, confirmed: Round, effects: &mut Effects<P>) {
        let (commit, term) = (self.commit, self.hard.term);
        let Role::Leader(leadership) = &mut self.role else { return };
        for (peer, progress) in &mut leadership.peers {
            let is_ready = |read: &mut super::RemoteRead| read.round <= confirmed && read.index <= commit;
            if let Some(read) = progress.read.take_if(is_ready) {
                let body = Body::ReadResponse { ticket: read.ticket, index: read.index };
                let message = crate::message::Message { term, body };
                effects.send.push(crate::message::Outbound { to: *peer, message });
            }
        }
    }
}
