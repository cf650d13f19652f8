//! The node: one value, one method that changes it.

use std::sync::Arc;

use crate::config::Config;
use crate::durability::Durability;
use crate::entry::Command;
use crate::error::Refused;
use crate::event::{Breach, Event};
use crate::io::{Abandoned, Apply, Effects, Input, ReadOutcome, Timer};
use crate::log::Log;
use crate::membership::Membership;
use crate::message::{Body, Message, Outbound};
use crate::mutant::Mutant;
use crate::role::{Following, Leadership, Role};
use crate::snapshots::SnapshotMeta;
use crate::types::{HardState, Index, NodeId, Ticket};

/// One server's part in the protocol. See the [crate's documentation](crate) for how to drive it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Raft<P> {
    pub(crate) config: Config,
    /// Figure 2, currentTerm and votedFor.
    pub(crate) hard: HardState,
    /// The leader of the current term, once it has been heard of; of one term there is only ever one.
    pub(crate) leader: Option<NodeId>,
    /// A leader was heard since the election timer was last armed by itself: this server sees no need for another one.
    pub(crate) in_contact: bool,
    pub(crate) role: Role,
    pub(crate) log: Log<P>,
    pub(crate) durability: Durability<P>,
    /// The latest snapshot that the host has on stable storage.
    pub(crate) snapshot: Option<Arc<SnapshotMeta>>,
    /// The snapshot is to take the place of the state machine's state.
    pub(crate) restores: bool,
    /// Figure 2, commitIndex.
    pub(crate) commit: Index,
    /// The last entry handed to the host for execution.
    pub(crate) handed: Index,
    /// Figure 2, lastApplied, as the host reports it.
    pub(crate) applied: Index,
    /// Bytes of the entries in `(applied, handed]`.
    pub(crate) unapplied_bytes: usize,
    /// The number of the latest request that was forwarded.
    pub(crate) forwards: u64,
    pub(crate) halted: bool,
}

impl<P: Command> Raft<P> {
    /// Handles one input completely and appends to `effects` what is to be done about it.
    ///
    /// # Errors
    /// [`Refused`] answers the host's own requests (proposals, reads, campaigns, transfers, changes, compaction) and means
    /// that nothing happened. Everything else always returns `Ok`; whatever a message contains, it neither fails nor
    /// panics.
    pub fn step(&mut self, input: Input<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        if self.halted {
            return match input {
                Input::Receive { .. } | Input::Timer(_) | Input::Durable(_) | Input::StorageFailed => Ok(()),
                Input::Applied(_) | Input::Unreachable(_) => Ok(()),
                Input::SnapshotChunk { .. } | Input::SnapshotUnavailable { .. } => Ok(()),
                _ => Err(Refused::Halted),
            };
        }
        let before = (self.role.kind(), self.hard.term, self.leader());
        let membership = Arc::clone(self.log.membership());
        let result = self.handle(input, effects);
        if !self.halted {
            self.settle(effects);
        }
        let latest = self.log.membership();
        if !Arc::ptr_eq(latest, &membership) && *latest != membership {
            effects.events.push(Event::Membership(Arc::clone(self.log.membership())));
        }
        let after = (self.role.kind(), self.hard.term, self.leader());
        if before != after {
            let (role, term, leader) = after;
            effects.events.push(Event::Role { role, term, leader });
        }
        result
    }

    fn handle(&mut self, input: Input<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        match input {
            Input::Receive { from, message } => self.receive(from, message, effects),
            Input::Timer(timer) if self.listens_to(timer) => self.timeout(timer, effects),
            Input::Timer(_) => {}
            Input::Propose(commands) => return self.propose(commands, effects),
            Input::Read(id) => return self.read(id, effects),
            Input::Durable(ack) => self.durability.acknowledge(ack),
            Input::StorageFailed => self.halt(Breach::StorageFailed, effects),
            Input::Applied(index) => self.note_applied(index),
            Input::Unreachable(peer) => self.peer_unreachable(peer),
            Input::Campaign => return self.campaign_as_told(effects),
            Input::StepDown => return self.step_down(effects),
            Input::TransferLeadership(to) => return self.transfer_leadership(to, effects),
            Input::ForgetLeader => return self.forget_leader(effects),
            Input::SetCheckQuorum(on) => return self.set_check_quorum(on),
            Input::ChangeMembership { changes, transition } => {
                return self.change_membership(&changes, transition, effects);
            }
            Input::LeaveJoint => return self.leave_joint(effects),
            Input::Compact { snapshot, through } => return self.compact(snapshot, through, effects),
            Input::SnapshotChunk { to, last, offset, data, done } => {
                self.send_chunk(to, last, offset, data, done, effects);
            }
            Input::SnapshotUnavailable { to } => self.snapshot_unavailable(to),
            Input::RequestSnapshot => return self.request_snapshot(effects),
        }
        Ok(())
    }

    /// What every step ends with: changes become a write, promises whose writes are durable are spoken, and what is
    /// committed goes to the state machine.
    pub(crate) fn settle(&mut self, effects: &mut Effects<P>) {
        self.note_repair(effects);
        self.issue_write(effects);
        self.keep_promises(effects);
        // A single voter may just have become leader by its own durable vote.
        self.issue_write(effects);
        self.hand_out(effects);
        debug_assert!(self.applied <= self.handed && self.handed <= self.commit);
        debug_assert!(self.commit <= self.log.last().index, "only what is in the log is committed");
    }

    fn issue_write(&mut self, effects: &mut Effects<P>) {
        effects.writes.extend(self.durability.issue(self.hard, &self.log, self.config.mutant));
    }

    /// Figure 2, "if commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\]", in bounded portions (E12).
    fn hand_out(&mut self, effects: &mut Effects<P>) {
        if self.restores {
            // A snapshot stands where the next entries were. It can be read once it is on stable storage (F18).
            let Some(snapshot) = self.snapshot.clone().filter(|_| self.durability.holds_snapshot()) else {
                return;
            };
            self.restores = false;
            self.handed = snapshot.last.index;
            self.unapplied_bytes = 0;
            effects.apply.push(Apply::Snapshot(snapshot));
        }
        let limits = self.config.limits;
        let last = match self.config.apply_durable {
            true => self.commit.min(self.durability.log_end()),
            false => self.commit,
        };
        while self.handed < last && self.handed.distance_from(self.applied) < limits.unapplied_entries as u64
        {
            let Some(entry) = self.log.get(self.handed.next()) else { break };
            let size = entry.size();
            if self.unapplied_bytes > 0 && self.unapplied_bytes.saturating_add(size) > limits.unapplied_bytes
            {
                break;
            }
            effects.apply.push(Apply::Entry(entry.clone()));
            self.unapplied_bytes += size;
            self.handed = self.handed.next();
        }
    }

    fn note_applied(&mut self, index: Index) {
        let index = index.min(self.handed);
        if index > self.applied {
            let done = self.log.bytes_between(self.applied.max(self.log.base().index), index);
            self.unapplied_bytes = self.unapplied_bytes.saturating_sub(done);
            self.applied = index;
        }
    }

    /// Becomes a follower of the current term. The vote stays as it is: clearing it would allow a second one (A08).
    pub(crate) fn become_follower(&mut self, effects: &mut Effects<P>) {
        self.in_contact = false;
        if self.has_mutant(Mutant::ClearVoteOnStepDown) {
            self.hard.voted_for = None;
            self.leader = None;
        }
        if matches!(self.role, Role::Leader(_)) {
            effects.timers.push(Timer::Election);
        }
        self.change_role(Role::Follower(Following::default()), effects);
    }

    /// Takes another role, and answers everything that was pending in the old one: it cannot be decided there any more.
    pub(crate) fn change_role(&mut self, role: Role, effects: &mut Effects<P>) {
        match std::mem::replace(&mut self.role, role) {
            Role::Leader(mut leadership) => {
                effects.reads.extend(leadership.reads.abort().map(|id| ReadOutcome::Aborted { id }));
                let first = leadership.opening.max(self.commit.next());
                if first <= self.log.last().index {
                    let (term, last) = (leadership.term, self.log.last().index);
                    effects.abandoned.push(Abandoned { term, first, last });
                }
            }
            Role::Follower(mut following) => following.asked.abandon(effects),
            Role::Candidate(_) => {}
        }
    }

    fn timeout(&mut self, timer: Timer, effects: &mut Effects<P>) {
        match timer {
            Timer::Election => self.campaign(effects),
            Timer::Heartbeat => self.heartbeat(effects),
            Timer::Contact => self.check_contact(effects),
        }
    }

    /// Whether a timer means anything to this server now; one that does not may run out without effect.
    #[must_use]
    pub fn listens_to(&self, timer: Timer) -> bool {
        match timer {
            _ if self.halted => false,
            Timer::Election => !matches!(self.role, Role::Leader(_)),
            Timer::Heartbeat => matches!(self.role, Role::Leader(_)),
            Timer::Contact => self.in_contact,
        }
    }

    /// Stops for good: continuing would spread the damage.
    pub(crate) fn halt(&mut self, breach: Breach, effects: &mut Effects<P>) {
        self.halted = true;
        self.in_contact = false;
        self.change_role(Role::Follower(Following::default()), effects);
        effects.events.push(Event::Halted(breach));
    }

    pub(crate) fn send(&self, to: NodeId, body: Body<P>, effects: &mut Effects<P>) {
        effects.send.push(Outbound { to, message: Message { term: self.hard.term, body } });
    }

    pub(crate) fn has_mutant(&self, mutant: Mutant) -> bool {
        self.config.mutant.is(mutant)
    }

    /// So much is unwritten already that nothing that might need a write is taken on.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.durability.outstanding() >= self.config.limits.outstanding_writes
    }

    pub(crate) fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    pub(crate) fn leadership_mut(&mut self) -> Option<&mut Leadership> {
        match &mut self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    /// The leader's memory, or why a request only a leader can serve is refused.
    pub(crate) fn as_leader(&mut self) -> Result<&mut Leadership, Refused> {
        let leader = self.leader();
        self.leadership_mut().ok_or(Refused::NotLeader { leader })
    }

    /// A number for the next request that is forwarded.
    pub(crate) fn next_ticket(&mut self) -> Ticket {
        self.forwards += 1;
        Ticket { boot: self.durability.boot(), number: self.forwards }
    }

    /// The members now in force: those of the latest membership in the log (§6).
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        self.log.membership()
    }
}
