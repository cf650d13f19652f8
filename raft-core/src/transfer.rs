//! Leadership transfer (diss. 3.10): bring the target up to date, tell it to campaign at once, wait for its higher term.

use crate::entry::Command;
use crate::error::Refused;
use crate::event::Event;
use crate::io::Effects;
use crate::message::Body;
use crate::raft::Raft;
use crate::role::{Leadership, Role};
use crate::types::NodeId;

/// A transfer under way. No proposals are taken meanwhile, or the target might never catch up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Transfer {
    pub(crate) to: NodeId,
    /// It was told to campaign.
    told: bool,
    /// It was under way at the last look at the quorum already.
    is_old: bool,
}

impl<P: Command> Raft<P> {
    pub(crate) fn transfer_leadership(
        &mut self,
        to: Option<NodeId>,
        effects: &mut Effects<P>,
    ) -> Result<(), Refused> {
        if let (Role::Follower(_), Some(leader)) = (&self.role, self.leader()) {
            self.send(leader, Body::TransferRequest { to }, effects);
            return Ok(());
        }
        let leadership = self.as_leader()?;
        if let Some(transfer) = &leadership.transfer {
            return match to {
                Some(to) if to != transfer.to => Err(Refused::Transferring { to: transfer.to }),
                _ => Ok(()),
            };
        }
        let to = self.transfer_target(to)?;
        if let Some(leadership) = self.leadership_mut() {
            leadership.transfer = Some(Transfer { to, told: false, is_old: false });
        }
        // What it lacks is on its way, or goes now.
        self.replicate(to, effects);
        self.go_on_with_transfer(to, effects);
        Ok(())
    }

    /// A follower's host wishes a transfer. If it cannot be, nothing happens.
    pub(crate) fn on_transfer_request(&mut self, to: Option<NodeId>, effects: &mut Effects<P>) {
        if matches!(self.role, Role::Leader(_)) {
            // There is nobody to tell.
            let _ = self.transfer_leadership(to, effects);
        }
    }

    fn transfer_target(&self, to: Option<NodeId>) -> Result<NodeId, Refused> {
        let is_voter = |id: NodeId| self.log.membership().is_voter(id) && id != self.config.id;
        match to {
            Some(to) if is_voter(to) => Ok(to),
            Some(to) => Err(Refused::CannotTransferTo { to }),
            None => self.most_suitable_voter().ok_or(Refused::NobodyToTransferTo),
        }
    }

    /// The other voter that holds most of the log among those that were heard lately, or else among all (J08).
    fn most_suitable_voter(&self) -> Option<NodeId> {
        // In a joint membership, one that stays.
        let voters = self.log.membership().voters();
        let peers = self.leadership()?.peers.iter().filter(|(peer, _)| voters.binary_search(peer).is_ok());
        peers.rev().max_by_key(|(_, progress)| (progress.active, progress.matched)).map(|(peer, _)| *peer)
    }

    /// The target has acknowledged something: if it has everything, it is told.
    pub(crate) fn go_on_with_transfer(&mut self, from: NodeId, effects: &mut Effects<P>) {
        let last = self.log.last().index;
        let Some(leadership) = self.leadership_mut() else { return };
        let has_everything = leadership.peer(from).is_some_and(|progress| progress.matched == last);
        match &mut leadership.transfer {
            Some(transfer) if transfer.to == from && has_everything && !transfer.told => transfer.told = true,
            _ => return,
        }
        self.tell_to_campaign(from, effects);
    }

    /// From here on the target may campaign at any time, and nobody's stickiness hinders it: no lease can be relied on in this
    /// term any more (J07).
    fn tell_to_campaign(&mut self, to: NodeId, effects: &mut Effects<P>) {
        if let Some(leadership) = self.leadership_mut() {
            leadership.lease_forfeited = true;
        }
        self.send(to, Body::TimeoutNow, effects);
    }

    /// It may have been lost. Repeated, it does no harm: after the first one the target is in a later term.
    pub(crate) fn repeat_timeout_now(&mut self, effects: &mut Effects<P>) {
        let told = |leadership: &Leadership| leadership.transfer.as_ref().filter(|t| t.told).map(|t| t.to);
        if let Some(to) = self.leadership().and_then(told) {
            self.send(to, Body::TimeoutNow, effects);
        }
    }

    /// After one to two election timeouts without success the leader goes on as such (diss. 3.10).
    pub(crate) fn give_up_old_transfer(&mut self, effects: &mut Effects<P>) {
        let Some(leadership) = self.leadership_mut() else { return };
        let Some(transfer) = &mut leadership.transfer else { return };
        if std::mem::replace(&mut transfer.is_old, true) {
            effects.events.push(Event::TransferFailed { to: transfer.to });
            leadership.transfer = None;
        }
    }

    /// A leader that is no voter any more lays down its office, and lets the voter that is ready for it campaign at once.
    pub(crate) fn hand_over_and_leave(&mut self, effects: &mut Effects<P>) {
        let last = self.log.last().index;
        let heir = self.most_suitable_voter().filter(|&heir| {
            self.leadership().and_then(|l| l.peer(heir)).is_some_and(|progress| progress.matched == last)
        });
        if let Some(heir) = heir {
            self.tell_to_campaign(heir, effects);
        }
        self.become_follower(effects);
    }

    /// The leader wants this server to take over (J06): no pre-vote, and voters are not held back by stickiness. Anybody else
    /// is ignored, and so is whoever has no vote (J05, B16).
    pub(crate) fn on_timeout_now(&mut self, from: NodeId, effects: &mut Effects<P>) {
        let is_follower = matches!(self.role, Role::Follower(_));
        if is_follower && self.leader == Some(from) && self.is_promotable() {
            self.stand_for_election(true, effects);
        }
    }
}
