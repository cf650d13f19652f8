//! The gate between the disk and the network: what must not be said before it is durable is said here, and nowhere else.
//!
//! Other Rafts hand out a message and a write together and document the order in which the host must perform them. Here a
//! message that rests on a write does not exist before the write is acknowledged: the core remembers what it owes, and
//! after every step (an acknowledgement is one) says what may be said. So a slow disk delays, coalesces or drops promises,
//! but never breaks one, and what is owed takes no memory: one vote, one acknowledgement, one candidacy.

use crate::entry::Command;
use crate::io::Effects;
use crate::message::Body;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::{Owed, Phase, Role};

impl<P: Command> Raft<P> {
    pub(crate) fn keep_promises(&mut self, effects: &mut Effects<P>) {
        let hard_state_is_durable = self.durability.holds_hard_state(self.hard);
        match &self.role {
            Role::Follower(_) if hard_state_is_durable => {
                self.give_owed_vote(effects);
                self.give_owed_ack(effects);
            }
            Role::Candidate(candidacy)
                if candidacy.phase == Phase::Unannounced
                    && (hard_state_is_durable || self.has_mutant(Mutant::ActBeforeTermDurable)) =>
            {
                self.announce_candidacy(effects);
            }
            // The leader's own log counts like any other: as far as it is durable (diss. 10.2.1).
            Role::Leader(_) => self.advance_commit(effects),
            _ => {}
        }
    }

    /// A vote (§5.2) that a crash would erase could be given twice (B05).
    fn give_owed_vote(&mut self, effects: &mut Effects<P>) {
        let Role::Follower(following) = &mut self.role else { return };
        if !std::mem::take(&mut following.owes_vote) {
            return;
        }
        if let Some(candidate) = self.hard.voted_for.filter(|&candidate| candidate != self.config.id) {
            self.send(candidate, Body::VoteResponse { granted: true }, effects);
        }
    }

    /// An entry counts as replicated when it would survive a crash here. One acknowledgement answers every append before
    /// it; while some of what was checked is not durable yet, only heartbeats are answered early.
    fn give_owed_ack(&mut self, effects: &mut Effects<P>) {
        let (Role::Follower(following), Some(leader)) = (&self.role, self.leader) else { return };
        let durable = if self.has_mutant(Mutant::AckBeforeFsync) {
            self.log.last().index
        } else {
            self.durability.log_end()
        };
        let matched = following.verified.min(durable);
        let is_due = match following.owed {
            Owed::Nothing => false,
            Owed::WhenDurable => matched == following.verified,
            Owed::Now => true,
        };
        if is_due || matched > following.reported {
            self.accept_append(leader, matched, effects);
        }
    }
}
