//! One server's whole logic, as a value: Raft with its deadlines, the state machine, and the requests that wait.
//!
//! Sans-IO: no clock, socket, file, thread, async or randomness. The host calls [`Replica::handle`] with the time and
//! whatever came in since the last call (a *turn*), and carries out what the [`ReplicaOutput`] says. So the same code runs
//! in a server and in a simulator.
//!
//! ```text
//!     messages, requests,        +------------------------------+      messages to send
//!     durable writes,     -----> |  Clocked<Raft>  --apply-->   | ---> writes to make durable
//!     lost messages, now         |  pending writes   Machine    |      answers to clients
//!                                |  pending reads <--read--     |      when to call again, at the latest
//!                                |  held requests               |
//!                                +------------------------------+
//! ```
//!
//! A turn is the unit of batching: all writes that came in with it become one proposal, and so one append to each follower
//! and one fsync; all reads share one read-index round (diss. 6.4).
//!
//! A request takes one of these ways:
//!
//! - This server leads: a write is proposed, and answered when its entry is applied; a read waits until leadership is
//!   confirmed and the state machine has caught up. When leadership is lost, reads start over, and the writes' outcome is
//!   [`Failure::OutcomeUnknown`]: whoever leads next may commit them or may not.
//! - Another server is known to lead: [`Failure::NotLeader`], with its address.
//! - No leader is known: the request is held until one is, for a bounded time; then it takes one of the ways above.

mod core;
mod held;
mod io;
mod reads;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{
    Apply, Config, Effects, Entry, Index, Input, Moment, NodeId, Payload, Proposed, ReadOutcome, Recovered,
    Refused, StartError, Timing,
};
use trace::Recorder;

pub use self::io::{ReplicaInput, ReplicaOutput, RequestId};

use self::core::Core;
use self::held::{Held, Waiting};
use self::io::Ask;
use self::reads::Reads;
use self::writes::Writes;
use crate::limits::{MAX_PENDING_READS, MAX_PENDING_WRITES};
use crate::machine::{Command, MAX_KEY_BYTES, Machine};
use crate::protocol::{Answer, Failure, RequestBody, Role, Status};

/// What a [`Replica`] is told at its start, besides what it recovered.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// Identity, members and limits of the core.
    pub config: Config,
    /// Election timeout and heartbeat interval.
    pub timing: Timing,
    /// Decides the election timeouts; each server of a cluster needs another one.
    pub seed: u64,
    /// The longest time for which a request is held while no leader is known.
    pub hold: Duration,
    /// Records everything that the core is given, into [`ReplicaOutput::trace`].
    pub recorder: Option<Recorder<Bytes>>,
}

/// The logic of one server. See the [module's documentation](self).
#[derive(Debug)]
pub struct Replica {
    core: Core,
    machine: Machine,
    /// The last committed entry that was executed, a no-op included.
    applied: Index,
    /// Executed up to here, and the core is to hear of it in the next turn.
    unreported: Option<Index>,
    /// Emptied after every step; kept for its memory.
    effects: Effects<Bytes>,
    /// What came in during this turn.
    arrived: Vec<Waiting>,
    held: Held,
    writes: Writes,
    reads: Reads,
    /// Where clients reach the other servers, as these said.
    addresses: BTreeMap<NodeId, SocketAddr>,
    hold: Duration,
    stopping: bool,
}

impl Replica {
    /// Starts a server from what its log says. `machine` is empty: the log's entries are executed again as soon as they are
    /// known to be committed.
    ///
    /// # Errors
    /// As [`raft_core::Raft::start`].
    pub fn start(
        options: ReplicaOptions,
        recovered: Recovered<Bytes>,
        machine: Machine,
        now: Moment,
        out: &mut ReplicaOutput,
    ) -> Result<Self, StartError> {
        let ReplicaOptions { config, timing, seed, hold, recorder } = options;
        let mut effects = Effects::default();
        let core = Core::start(recorder, config, recovered, timing, seed, now, &mut effects)?;
        let mut replica = Replica {
            core,
            machine,
            applied: Index::ZERO,
            unreported: None,
            effects,
            arrived: Vec::new(),
            held: Held::default(),
            writes: Writes::default(),
            reads: Reads::default(),
            addresses: BTreeMap::new(),
            hold,
            stopping: false,
        };
        replica.settle(now, out);
        replica.core.flush(&mut out.trace);
        out.deadline = replica.deadline();
        Ok(replica)
    }

    /// One turn: fires the timers that are due at `now`, takes in `inputs` in their order, and adds what is to be done to
    /// `out`. Without inputs it is a tick.
    pub fn handle(
        &mut self,
        now: Moment,
        inputs: impl IntoIterator<Item = ReplicaInput>,
        out: &mut ReplicaOutput,
    ) {
        // Due timers come first: a leader that was paused must find out before it speaks or serves.
        let rest = self.unreported.take().map(Input::Applied);
        self.step(now, rest, out);
        for input in inputs {
            self.take(now, input, out);
        }
        self.dispatch(now, out);
        self.held.expire(now, &mut out.answers);
        self.core.flush(&mut out.trace);
        out.deadline = self.deadline();
    }

    /// The node, to look at.
    #[must_use]
    pub fn raft(&self) -> &raft_core::Raft<Bytes> {
        self.core.raft()
    }

    /// The state machine, to look at.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    fn deadline(&self) -> Option<Moment> {
        if self.unreported.is_some() {
            return Some(Moment::default());
        }
        [self.core.deadline(), self.held.deadline()].into_iter().flatten().min()
    }

    fn take(&mut self, now: Moment, input: ReplicaInput, out: &mut ReplicaOutput) {
        match input {
            ReplicaInput::Message { from, message } => {
                self.step(now, Some(Input::Receive { from, message }), out);
            }
            ReplicaInput::Durable(ack) => self.step(now, Some(Input::Durable(ack)), out),
            ReplicaInput::Unreachable(peer) => self.step(now, Some(Input::Unreachable(peer)), out),
            ReplicaInput::PeerAddress { peer, address } => match address {
                Some(address) => drop(self.addresses.insert(peer, address)),
                None => drop(self.addresses.remove(&peer)),
            },
            ReplicaInput::Request { id, patience, body } => self.admit(now, id, patience, body, out),
            ReplicaInput::Disconnected { connection } => self.held.forget(connection),
            ReplicaInput::Stop => self.stop(out),
        }
    }

    /// Checks a request once, at the gate, and keeps it until the end of the turn.
    fn admit(
        &mut self,
        now: Moment,
        id: RequestId,
        patience: Duration,
        body: RequestBody,
        out: &mut ReplicaOutput,
    ) {
        let ask = match body {
            RequestBody::Status => {
                return out.answer(id, Ok(Answer::Status(self.status())));
            }
            _ if self.stopping => return out.answer(id, Err(Failure::Stopping)),
            RequestBody::Get { key } if key.len() > MAX_KEY_BYTES => {
                let reason =
                    format!("a key of {} bytes, where at most {MAX_KEY_BYTES} are allowed", key.len());
                return out.answer(id, Err(Failure::Invalid { reason }));
            }
            RequestBody::Get { key } => Ask::Read { key },
            RequestBody::Execute { command } => match Command::decode(&command) {
                Ok(_) => Ask::Write { command },
                Err(error) => {
                    return out.answer(id, Err(Failure::Invalid { reason: error.to_string() }));
                }
            },
        };
        self.arrived.push(Waiting { id, expires: now + patience.min(self.hold), ask });
    }

    /// The end of a turn: what arrived, and what was held if a leader is known by now, goes its way.
    fn dispatch(&mut self, now: Moment, out: &mut ReplicaOutput) {
        // A refusal or an aborted read may send requests back to `arrived`; the second round holds or answers them.
        for _ in 0..2 {
            if self.core.raft().role() == Role::Leader || self.core.raft().leader().is_some() {
                self.held.release(&mut self.arrived);
            }
            if self.arrived.is_empty() {
                return;
            }
            let mut arrived = std::mem::take(&mut self.arrived);
            if self.core.raft().role() == Role::Leader {
                self.serve(now, &mut arrived, out);
            } else {
                let refused = Refused::NotLeader { leader: self.core.raft().leader() };
                arrived.drain(..).for_each(|waiting| self.refuse(waiting, refused, out));
            }
            if self.arrived.is_empty() {
                self.arrived = arrived;
            }
        }
        for waiting in std::mem::take(&mut self.arrived) {
            self.hold(waiting, out);
        }
    }

    /// What a leader does: one read-index round for all reads, and as few proposals as the limits allow for all writes.
    /// Reads go first, so that the round that the proposals' appends carry is already theirs.
    fn serve(&mut self, now: Moment, arrived: &mut Vec<Waiting>, out: &mut ReplicaOutput) {
        let mut reads = Vec::new();
        for waiting in arrived.drain(..) {
            let (pending, limit) = match waiting.ask {
                Ask::Read { .. } => (self.reads.len() + reads.len(), MAX_PENDING_READS),
                Ask::Write { .. } => (self.writes.len(), MAX_PENDING_WRITES),
            };
            if pending >= limit {
                out.answer(waiting.id, Err(Failure::Overloaded));
                continue;
            }
            match waiting.ask {
                Ask::Read { .. } => reads.push(waiting),
                Ask::Write { .. } => self.writes.gather(waiting),
            }
        }
        self.read(now, reads, out);
        while let Some((commands, batch)) = self.writes.next_proposal() {
            self.propose(now, commands, batch, out);
        }
    }

    fn read(&mut self, now: Moment, batch: Vec<Waiting>, out: &mut ReplicaOutput) {
        if batch.is_empty() {
            return;
        }
        let id = self.reads.next_id();
        match self.core.step(now, Some(Input::Read(id)), &mut self.effects) {
            Ok(()) => self.reads.begin(id, batch),
            Err(refused) => batch.into_iter().for_each(|waiting| self.refuse(waiting, refused, out)),
        }
        self.settle(now, out);
    }

    fn propose(&mut self, now: Moment, commands: Vec<Bytes>, batch: Vec<Waiting>, out: &mut ReplicaOutput) {
        let result = self.core.step(now, Some(Input::Propose(commands)), &mut self.effects);
        match (result, self.effects.proposed.take()) {
            (Ok(()), Some(Proposed::Appended(placed))) => self.writes.proposed(placed, batch),
            // Nothing is forwarded here, and an accepted proposal says where it went; should it not, nobody may be told that
            // nothing happened.
            (Ok(()), Some(Proposed::Forwarded(_)) | None) => {
                batch.into_iter().for_each(|waiting| out.answer(waiting.id, Err(Failure::OutcomeUnknown)));
            }
            (Err(refused), _) => batch.into_iter().for_each(|waiting| self.refuse(waiting, refused, out)),
        }
        self.settle(now, out);
    }

    /// Raft would not take it, and it had no effect.
    fn refuse(&mut self, waiting: Waiting, refused: Refused, out: &mut ReplicaOutput) {
        let me = self.core.raft().id();
        match refused {
            Refused::NotLeader { leader: Some(leader) } if leader != me => {
                let address = self.addresses.get(&leader).copied();
                out.answer(waiting.id, Err(Failure::NotLeader { leader, address }));
            }
            Refused::NotLeader { .. } | Refused::Transferring { .. } => self.hold(waiting, out),
            Refused::QuotaFull => out.answer(waiting.id, Err(Failure::Overloaded)),
            Refused::Halted => out.answer(waiting.id, Err(Failure::Stopping)),
            // What no client can ask for.
            Refused::Empty
            | Refused::CannotCampaign
            | Refused::CannotTransferTo { .. }
            | Refused::NobodyToTransferTo
            | Refused::NotCommittedInTerm
            | Refused::ChangePending
            | Refused::Change(_)
            | Refused::Compact(_)
            | Refused::LeasesForbid
            | Refused::Leads => {
                out.answer(waiting.id, Err(Failure::Invalid { reason: refused.to_string() }));
            }
        }
    }

    fn hold(&mut self, waiting: Waiting, out: &mut ReplicaOutput) {
        if let Err(waiting) = self.held.hold(waiting) {
            out.answer(waiting.id, Err(Failure::NoLeader));
        }
    }

    fn step(&mut self, now: Moment, input: Option<Input<Bytes>>, out: &mut ReplicaOutput) {
        // Only proposals and reads are refused, and these have steps of their own.
        let _ = self.core.step(now, input, &mut self.effects);
        self.settle(now, out);
    }

    /// Carries out the effects of a step, and those of executing what it committed.
    fn settle(&mut self, now: Moment, out: &mut ReplicaOutput) {
        loop {
            out.send.append(&mut self.effects.send);
            out.writes.append(&mut self.effects.writes);
            out.events.append(&mut self.effects.events);
            let mut committed = std::mem::take(&mut self.effects.apply);
            let count = committed.len();
            for step in committed.drain(..) {
                let Apply::Entry(entry) = step else {
                    // No log takes a snapshot in (see `wal`): whoever says that this one did is not to be relied on.
                    let _ = self.core.step(now, Some(Input::StorageFailed), &mut self.effects);
                    break;
                };
                self.apply(&entry, out);
            }
            self.effects.apply = committed;
            self.settle_reads(out);
            if count == 0 {
                break;
            }
            if count >= self.core.raft().config().limits.unapplied_entries {
                // As much as there may be at once: after a restart, a whole log is to be executed. Heartbeats must
                // go out meanwhile, so the rest waits until the next turn, which is due at once.
                self.unreported = Some(self.applied);
                break;
            }
            let _ = self.core.step(now, Some(Input::Applied(self.applied)), &mut self.effects);
        }
        // After the execution: what was committed under this leadership is answered, only the rest has become unknown.
        let raft = self.core.raft();
        let office = (raft.role() == Role::Leader).then(|| raft.term());
        for abandoned in self.effects.abandoned.drain(..) {
            debug_assert_ne!(Some(abandoned.term), office, "an office that was lost is not held");
        }
        self.writes.abandon_unless(office, &mut out.answers);
        if office.is_none() {
            self.reads.abort_confirmed(&mut self.arrived);
        }
    }

    fn apply(&mut self, entry: &Entry<Bytes>, out: &mut ReplicaOutput) {
        let outcome = match &entry.payload {
            Payload::Noop | Payload::Membership(_) => None,
            Payload::Command(command) => Some(self.machine.apply(entry.index, command)),
        };
        self.applied = entry.index;
        self.writes.applied(entry.position(), outcome, &mut out.answers);
    }

    fn settle_reads(&mut self, out: &mut ReplicaOutput) {
        for outcome in self.effects.reads.drain(..) {
            match outcome {
                ReadOutcome::Ready { id, index } => self.reads.confirmed(id, index),
                ReadOutcome::Aborted { id } => self.reads.aborted(id, &mut self.arrived),
            }
        }
        for waiting in self.reads.served_by(self.applied) {
            if let Ask::Read { key } = &waiting.ask {
                out.answer(waiting.id, Ok(Answer::Value(self.machine.get(key))));
            }
        }
    }

    fn stop(&mut self, out: &mut ReplicaOutput) {
        self.stopping = true;
        self.core.stop();
        self.writes.abandon_unless(None, &mut out.answers);
        self.reads.abort_all(&mut self.arrived);
        self.held.release(&mut self.arrived);
        for waiting in self.arrived.drain(..) {
            out.answer(waiting.id, Err(Failure::Stopping));
        }
    }

    fn status(&self) -> Status {
        let raft = self.core.raft();
        let leader = raft.leader();
        Status {
            id: raft.id().0,
            role: raft.role(),
            term: raft.term().0,
            leader: leader.map(|leader| leader.0),
            leader_address: leader.and_then(|leader| self.addresses.get(&leader).copied()),
            commit: raft.commit().0,
            applied: raft.applied().0,
            last_index: raft.last().index.0,
            keys: self.machine.len() as u64,
            pending: (self.writes.len() + self.reads.len() + self.held.len()) as u64,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
