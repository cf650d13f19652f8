//! A leader's office: taking it, being heard, noticing that nobody listens, laying it down (§5.2, diss. 6.2).

use crate::entry::{Command, Entry, Payload};
use crate::error::Refused;
use crate::io::{Effects, Timer};
use crate::raft::Raft;
use crate::reads::Reads;
use crate::replication::{Mode, Progress};
use crate::role::{Leadership, Role};

impl<P: Command> Raft<P> {
    /// Won the election. Opens the term with a no-op, so that there is an entry whose commitment commits everything before
    /// it (§5.4.2, §8).
    pub(crate) fn become_leader(&mut self, effects: &mut Effects<P>) {
        let opening = self.log.last().index.next();
        let mut others: Vec<_> = self.log.membership().members().filter(|&id| id != self.config.id).collect();
        others.sort_unstable();
        let leadership = Leadership {
            term: self.hard.term,
            peers: others.into_iter().map(|peer| (peer, Progress::new(opening))).collect(),
            departing: Vec::new(),
            opening,
            uncommitted_bytes: 0,
            reads: Reads::default(),
            forwarded: Vec::new(),
            transfer: None,
            lease_forfeited: false,
        };
        self.change_role(Role::Leader(leadership), effects);
        self.leader = Some(self.config.id);
        self.in_contact = true;
        effects.timers.extend([Timer::Heartbeat, Timer::Contact]);
        self.append_own(std::iter::once(Payload::Noop));
        self.replicate_to_all(effects);
    }

    /// Appends entries of this leader's term to its log.
    pub(crate) fn append_own(&mut self, payloads: impl Iterator<Item = Payload<P>>) {
        let first = self.log.last().index.next();
        let term = self.hard.term;
        let mut index = first;
        let entries = payloads.map(|payload| {
            let entry = Entry { index, term, payload };
            index = index.next();
            entry
        });
        let run: crate::entries::Entries<P> = entries.collect();
        let mut bytes = 0;
        for entry in &run {
            bytes += entry.size();
            self.log.push(entry.clone());
        }
        if let Some(leadership) = self.leadership_mut() {
            leadership.uncommitted_bytes = leadership.uncommitted_bytes.saturating_add(bytes);
        }
        self.durability.log_changed(first, run, self.config.mutant);
    }

    /// Time to be heard again. A probe that got no answer is repeated without its entries: those follow when it is answered,
    /// and a peer that is down costs next to nothing.
    pub(crate) fn heartbeat(&mut self, effects: &mut Effects<P>) {
        effects.timers.push(Timer::Heartbeat);
        if self.config.lease.is_some()
            && let Some(leadership) = self.leadership_mut()
        {
            // What renews the lease is a round that a quorum echoes.
            leadership.reads.begin();
        }
        self.broadcast_heartbeats(effects);
        self.for_each_peer(|raft, peer| raft.resume_shipping(peer, effects));
        self.repeat_timeout_now(effects);
        self.confirm_reads(effects);
    }

    /// Check-quorum (diss. 6.2): a leader that has not heard from a quorum for a whole timeout steps down, in the same term,
    /// so that its clients look elsewhere; a follower that has not heard from its leader will not defend it any longer.
    pub(crate) fn check_contact(&mut self, effects: &mut Effects<P>) {
        let (me, mutant) = (self.config.id, self.config.mutant);
        if let Role::Follower(following) = &mut self.role {
            following.asked.abandon(effects);
        }
        let Role::Leader(leadership) = &mut self.role else {
            self.in_contact = false;
            return;
        };
        let is_heard = |voter| voter == me || leadership.peer(voter).is_some_and(|peer| peer.active);
        let is_followed = self.log.membership().is_quorum(mutant, is_heard);
        for (_, progress) in &mut leadership.peers {
            progress.active = false;
            if let Mode::Snapshot(shipping) = &mut progress.mode {
                shipping.note_timeout();
            }
        }
        if self.config.check_quorum && !is_followed {
            return self.become_follower(effects);
        }
        effects.timers.push(Timer::Contact);
        self.give_up_old_transfer(effects);
    }

    /// Lays down the office, in the same term. Everything that was pending is answered as if the leader had been deposed.
    pub(crate) fn step_down(&mut self, effects: &mut Effects<P>) -> Result<(), Refused> {
        self.as_leader()?;
        self.become_follower(effects);
        Ok(())
    }

    /// Switches check-quorum at run time (C16). Whoever was heard of late stays so: nobody is deposed by the switch itself.
    pub(crate) fn set_check_quorum(&mut self, on: bool) -> Result<(), Refused> {
        if !on && self.config.lease.is_some() {
            return Err(Refused::LeasesForbid);
        }
        if on
            && !self.config.check_quorum
            && let Some(leadership) = self.leadership_mut()
        {
            leadership.peers.iter_mut().for_each(|(_, progress)| progress.active = true);
        }
        self.config.check_quorum = on;
        Ok(())
    }
}
