//! The leader's part in a change of the members (§6): check, append, let the new membership be in force at once, and finish.

use std::sync::Arc;

use super::{Change, ChangeError, Membership, Transition};
use crate::entry::{Command, Payload};
use crate::error::Refused;
use crate::io::Effects;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::replication::Progress;

impl<P: Command> Raft<P> {
    pub(crate) fn change_membership(
        &mut self,
        changes: &[Change],
        transition: Transition,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        self.may_reconfigure()?;
        let next = self.log.membership().changed(changes, transition).map_err(Refused::Change)?;
        let lags =
            changes.iter().find(|change| matches!(change, Change::Promote(id) if !self.has_caught_up(*id)));
        if let Some(change) = lags {
            return Err(Refused::Change(ChangeError::NotCaughtUp(change.id())));
        }
        self.bring_into_force(next, effects);
        Ok(())
    }

    pub(crate) fn leave_joint(&mut self, effects: &mut Effects<P>) -> Result<(), Refused> {
        self.may_reconfigure()?;
        let next = self.log.membership().left().map_err(Refused::Change)?;
        self.bring_into_force(next, effects);
        Ok(())
    }

    /// One change at a time (G02): two that are not committed could have quorums without a common member. And none before the
    /// leader has committed an entry of its own: a change of an earlier leader might still be about to take effect that
    /// this one has never heard of (Ongaro, "bug in single-server membership changes", raft-dev 2015).
    fn may_reconfigure(&mut self) -> Result<(), Refused> {
        let commit = self.commit;
        let is_pending = self.log.membership_index() > commit && !self.has_mutant(Mutant::TwoPendingChanges);
        let is_hasty = self.has_mutant(Mutant::ReconfigureBeforeOwnCommit);
        let is_overloaded = self.is_overloaded();
        let leadership = self.as_leader()?;
        if let Some(transfer) = &leadership.transfer {
            return Err(Refused::Transferring { to: transfer.to });
        }
        if leadership.opening > commit && !is_hasty {
            return Err(Refused::NotCommittedInTerm);
        }
        match (is_pending, is_overloaded) {
            (true, _) => Err(Refused::ChangePending),
            (_, true) => Err(Refused::QuotaFull),
            _ => Ok(()),
        }
    }

    /// Whether a learner is so close that it would not hold up the voters it joins (diss. 4.2.1).
    fn has_caught_up(&self, id: crate::types::NodeId) -> bool {
        let last = self.log.last().index;
        let lag = self.config.limits.promotion_lag as u64;
        let progress = self.leadership().and_then(|leadership| leadership.peer(id));
        progress.is_some_and(|progress| last.distance_from(progress.matched) <= lag)
    }

    /// A membership is in force from the moment its entry is in the log (§6): quorums and peers change now.
    fn bring_into_force(&mut self, membership: Membership, effects: &mut Effects<P>) {
        self.append_own(std::iter::once(Payload::Membership(Arc::new(membership))));
        self.update_peers();
        self.replicate_to_all(effects);
        // With fewer voters less may be needed (R12).
        self.advance_commit(effects);
        self.confirm_reads(effects);
    }

    /// Those that are members now are sent the log. A new one counts as heard of, once (G13); one that stays keeps what is
    /// known of it (G14); one that is dropped waits for the change to be committed.
    fn update_peers(&mut self) {
        let (me, next) = (self.config.id, self.log.last().index);
        let membership = Arc::clone(self.log.membership());
        let Some(leadership) = self.leadership_mut() else { return };
        let (staying, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut leadership.peers)
            .into_iter()
            .partition(|(peer, _)| membership.contains(*peer));
        leadership.peers = staying;
        leadership.departing.extend(dropped);
        for member in membership.members().filter(|&member| member != me) {
            if let Err(place) = leadership.peers.binary_search_by_key(&member, |(peer, _)| *peer) {
                leadership.peers.insert(place, (member, Progress { active: true, ..Progress::new(next) }));
            }
        }
    }

    /// After the commit index has moved: a joint membership that is committed is left, and what a committed membership drops
    /// is let go (G16), the leader itself included, which has done its work then (§6).
    pub(crate) fn finish_change(&mut self, effects: &mut Effects<P>) {
        if self.log.membership_index() > self.commit {
            return;
        }
        let membership = Arc::clone(self.log.membership());
        if membership.is_joint() {
            if membership.leaves_by_itself()
                && let Ok(next) = membership.left()
            {
                self.bring_into_force(next, effects);
            }
            return;
        }
        let Some(leadership) = self.leadership_mut() else { return };
        for (peer, progress) in std::mem::take(&mut leadership.departing) {
            self.send_farewell(peer, &progress, effects);
        }
        if !membership.is_voter(self.config.id) {
            self.hand_over_and_leave(effects);
        }
    }

    /// Whether this server may lead. It is a voter; or it was one until an entry that is not known to be committed: it may
    /// still be needed for that one to be committed, or to be cut off again (diss. 4.2.2). Its own vote then does not count.
    pub(crate) fn is_promotable(&self) -> bool {
        let me = self.config.id;
        let latest = self.log.membership_index();
        let is_voter = self.log.membership().is_voter(me)
            || (latest > self.commit
                && latest > self.log.base().index
                && self.log.membership_at(latest.previous()).is_voter(me));
        is_voter && self.hard.lost_tail.is_none()
    }
}
