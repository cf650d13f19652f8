//! The node: one value, one method that changes it.

use crate::config::Config;
use crate::durability::Durability;
use crate::entry::{Command, Entry};
use crate::error::{Refused, StartError};
use crate::io::{Breach, Effects, Event, Input, ReadOutcome, Suspicion, Timer};
use crate::log::Log;
use crate::message::{Append, AppendOutcome, Body, Message, Outbound};
use crate::mutant::Mutant;
use crate::role::{Following, Leadership, Role};
use crate::types::{HardState, Index, NodeId, Position, Round, Term};

/// What the host found on stable storage.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Recovered<P> {
    /// A number that no earlier run of this server had, so that acknowledgements from then mark nothing now.
    pub boot: u64,
    /// Term and vote.
    pub hard_state: HardState,
    /// The log from its first entry.
    pub entries: Vec<Entry<P>>,
}

impl<P> Recovered<P> {
    /// A server that starts for the first time.
    #[must_use]
    pub fn nothing() -> Self {
        Recovered { boot: 0, hard_state: HardState::default(), entries: Vec::new() }
    }
}

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
    pub(crate) durability: Durability,
    /// Figure 2, commitIndex.
    pub(crate) commit: Index,
    /// The last entry handed to the host for execution.
    pub(crate) handed: Index,
    /// Figure 2, lastApplied, as the host reports it.
    pub(crate) applied: Index,
    pub(crate) halted: bool,
}

impl<P: Command> Raft<P> {
    /// Starts a node, as a follower (A04), from what its stable storage holds. The commit index is not among that: it is
    /// learned again from the leader (A11).
    ///
    /// # Errors
    /// A configuration that makes no sense, or a recovered state that no prefix of the write stream leaves.
    pub fn start(
        config: Config,
        recovered: Recovered<P>,
        effects: &mut Effects<P>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let Recovered { boot, mut hard_state, entries } = recovered;
        if config.mutant.is(Mutant::ForgetTerm) {
            // Its disk was never told the term: the log's own is the best it has.
            hard_state.term = hard_state.term.max(entries.last().map(|entry| entry.term).unwrap_or_default());
        }
        let log = Log::recover(entries, hard_state.term)?;
        effects.timers.push(Timer::Election);
        Ok(Raft {
            config,
            hard: hard_state,
            leader: None,
            in_contact: false,
            role: Role::Follower(Following::default()),
            durability: Durability::recover(boot, hard_state, log.last().index),
            log,
            commit: Index::ZERO,
            handed: Index::ZERO,
            applied: Index::ZERO,
            halted: false,
        })
    }

    /// Handles one input completely and appends to `effects` what is to be done about it.
    ///
    /// # Errors
    /// [`Refused`] answers the host's own requests ([`Input::Propose`], [`Input::Read`], [`Input::Campaign`]) and means
    /// that nothing happened. Everything else always returns `Ok`; whatever a message contains, it neither fails nor
    /// panics.
    pub fn step(&mut self, input: Input<P>, effects: &mut Effects<P>) -> Result<(), Refused> {
        if self.halted {
            return match input {
                Input::Propose(_) | Input::Read(_) | Input::Campaign => Err(Refused::Halted),
                _ => Ok(()),
            };
        }
        let before = (self.role.kind(), self.hard.term, self.leader());
        let result = self.handle(input, effects);
        if !self.halted {
            self.settle(effects);
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
            Input::Applied(index) => self.applied = self.applied.max(index.min(self.handed)),
            Input::Unreachable(peer) => self.peer_unreachable(peer),
            Input::Campaign if matches!(self.role, Role::Leader(_)) || self.is_overloaded() => {
                return Err(Refused::CannotCampaign);
            }
            Input::Campaign => self.campaign(effects),
        }
        Ok(())
    }

    /// What every step ends with: changes become a write, promises whose writes are durable are spoken, and what is
    /// committed goes to the state machine.
    fn settle(&mut self, effects: &mut Effects<P>) {
        self.issue_write(effects);
        self.keep_promises(effects);
        // A single voter may just have become leader by its own durable vote.
        self.issue_write(effects);
        let limit = self.config.limits.unapplied_entries as u64;
        while self.handed < self.commit && self.handed.distance_from(self.applied) < limit {
            let Some(entry) = self.log.get(self.handed.next()) else { break };
            effects.apply.push(entry.clone());
            self.handed = self.handed.next();
        }
        debug_assert!(self.applied <= self.handed && self.handed <= self.commit);
        debug_assert!(self.commit <= self.log.last().index, "only what is in the log is committed");
    }

    fn issue_write(&mut self, effects: &mut Effects<P>) {
        effects.writes.extend(self.durability.issue(self.hard, &self.log, self.config.mutant));
    }

    /// Figure 2, "rules for servers", and the gate for everything that comes from outside.
    fn receive(&mut self, from: NodeId, message: Message<P>, effects: &mut Effects<P>) {
        if let Some(reason) = self.suspicion(from, &message) {
            effects.events.push(Event::Suspect { from, reason });
            return;
        }
        let Message { term, body } = message;
        // An acknowledgement needs no write, and may be what the backlog waits for.
        let needs_no_write = matches!(body, Body::AppendResponse(_)) && term <= self.hard.term;
        if self.is_overloaded() && !needs_no_write {
            return effects.events.push(Event::Overloaded { from });
        }
        // Pre-votes live outside of terms: asking changes nobody's, and a grant may come from an older one (diss. 9.6).
        match body {
            Body::PreVoteRequest { next_term, last } => {
                return self.on_pre_vote_request(from, term, next_term, last, effects);
            }
            Body::PreVoteResponse { next_term, granted: true } => {
                return self.on_pre_vote_response(from, next_term, true, effects);
            }
            // "Disregard RequestVote when you believe a current leader exists" (diss. 4.2.3): not even its term counts.
            Body::VoteRequest { .. } if term > self.hard.term && self.is_sticky() => return,
            _ => {}
        }
        if term > self.hard.term {
            self.adopt_term(term, effects);
        } else if term < self.hard.term {
            return self.on_stale(from, &body, effects);
        }
        match body {
            Body::PreVoteRequest { .. } => {}
            Body::PreVoteResponse { next_term, granted } => {
                self.on_pre_vote_response(from, next_term, granted, effects);
            }
            Body::VoteRequest { last } => self.on_vote_request(from, last, effects),
            Body::VoteResponse { granted } => self.on_vote_response(from, granted, effects),
            Body::Append(append) => self.on_append(from, append, effects),
            Body::AppendResponse(response) => self.on_append_response(from, response, effects),
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
            Body::VoteResponse { granted } if self.has_mutant(Mutant::StaleVoteResponse) => {
                self.on_vote_response(from, *granted, effects);
            }
            _ => {}
        }
    }

    /// §5.1: a later term ends whatever was going on in this one.
    fn adopt_term(&mut self, term: Term, effects: &mut Effects<P>) {
        debug_assert!(term > self.hard.term, "terms never decrease");
        self.hard = HardState { term, voted_for: None };
        self.leader = None;
        self.become_follower(effects);
    }

    /// Becomes a follower of the current term. The vote stays as it is: clearing it would allow a second one (A08).
    pub(crate) fn become_follower(&mut self, effects: &mut Effects<P>) {
        self.in_contact = false;
        if self.has_mutant(Mutant::ClearVoteOnStepDown) {
            self.hard.voted_for = None;
            self.leader = None;
        }
        if matches!(self.role, Role::Leader(_)) {
            self.abort_reads(effects);
            effects.timers.push(Timer::Election);
        }
        self.role = Role::Follower(Following::default());
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

    /// What no correct peer could have sent, if it is that.
    fn suspicion(&self, from: NodeId, message: &Message<P>) -> Option<Suspicion> {
        if from == self.config.id || !self.config.membership.contains(from) {
            return Some(Suspicion::NotAMember);
        }
        let within = |p: &Position| p.index <= Index::LIMIT && p.term <= Term::LIMIT;
        // Nobody ever led, voted or was voted for in term 0.
        let is_pre_vote = matches!(message.body, Body::PreVoteRequest { .. } | Body::PreVoteResponse { .. });
        let in_range = message.term <= Term::LIMIT
            && (message.term > Term::default() || is_pre_vote)
            && match &message.body {
                Body::PreVoteRequest { next_term, last } => *next_term <= Term::LIMIT && within(last),
                Body::PreVoteResponse { .. } | Body::VoteResponse { .. } => true,
                Body::VoteRequest { last } => within(last),
                Body::Append(append) => within(&append.prev) && append.commit <= Index::LIMIT,
                Body::AppendResponse(response) => match &response.outcome {
                    AppendOutcome::Accepted { matched } => *matched <= Index::LIMIT,
                    AppendOutcome::Rejected { refused, hint } => *refused <= Index::LIMIT && within(hint),
                },
            };
        if !in_range {
            return Some(Suspicion::OutOfRange);
        }
        match &message.body {
            Body::Append(append) if !is_well_formed(message.term, append) => Some(Suspicion::MalformedAppend),
            _ => None,
        }
    }

    /// Stops for good: continuing would spread the damage.
    pub(crate) fn halt(&mut self, breach: Breach, effects: &mut Effects<P>) {
        self.halted = true;
        self.in_contact = false;
        self.abort_reads(effects);
        self.role = Role::Follower(Following::default());
        effects.events.push(Event::Halted(breach));
    }

    fn abort_reads(&mut self, effects: &mut Effects<P>) {
        if let Role::Leader(leadership) = &mut self.role {
            effects.reads.extend(leadership.reads.abort().map(|id| ReadOutcome::Aborted { id }));
        }
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

    pub(crate) fn leadership_mut(&mut self) -> Option<&mut Leadership> {
        match &mut self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    /// How many voters make a quorum.
    pub(crate) fn quorum(&self) -> usize {
        let majority = self.config.membership.majority();
        if self.has_mutant(Mutant::QuorumHalf) {
            (self.config.membership.voters().len() / 2).max(1)
        } else {
            majority
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
        follows
    });
    in_order && last.term <= term && last.index <= Index::LIMIT
}
