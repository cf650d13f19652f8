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
mod members;
mod rash;
mod reads;
mod requests;
mod snapshots;
#[cfg(test)]
mod tests;
mod watches;
mod writes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{
    Apply, Config, Effects, Entry, Index, Input, Moment, NodeId, Payload, ReadOutcome, Recovered, StartError,
    Timing,
};
use trace::Recorder;

pub use self::io::{ReplicaInput, ReplicaOutput, RequestId};
pub use self::snapshots::SnapshotPolicy;

use self::core::Core;
use self::held::{Held, Waiting};
use self::io::Ask;
use self::members::Changes;
use self::reads::Reads;
use self::snapshots::Snapshotting;
use self::watches::Watches;
use self::writes::Writes;
use crate::machine::{KeyChange, Machine};
use crate::protocol::{Answer, Failure, Role, Status};

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
    /// When to take snapshots, and how much of the log to keep.
    pub snapshots: SnapshotPolicy,
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
    snapshots: Snapshotting,
    changes: Changes,
    watches: Watches,
    /// What an entry changed; kept for its memory.
    told: Vec<KeyChange>,
    /// Where clients reach the other servers, as these said.
    addresses: BTreeMap<NodeId, SocketAddr>,
    hold: Duration,
    stopping: bool,
}

impl Replica {
    /// Starts a server from what its log says. `machine` is empty: it is read from the snapshot, if there is one, and the log's
    /// entries are executed again as soon as they are known to be committed.
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
        let ReplicaOptions { config, timing, seed, hold, snapshots, recorder } = options;
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
            snapshots: Snapshotting::new(snapshots),
            changes: Changes::default(),
            watches: Watches::default(),
            told: Vec::new(),
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
        self.watches.serve(now, self.applied, &mut out.answers);
        self.take_snapshot(now, out);
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
        let deadlines = [self.core.deadline(), self.held.deadline(), self.watches.deadline()];
        deadlines.into_iter().flatten().min()
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
            ReplicaInput::Disconnected { connection } => {
                self.held.forget(connection);
                self.watches.forget(connection);
            }
            ReplicaInput::Taken { snapshot } => self.snapshot_taken(now, snapshot, out),
            ReplicaInput::Restored { last, machine } => self.restored(now, last, *machine, out),
            ReplicaInput::Chunk { asked, part } => self.chunk_read(now, asked, part, out),
            ReplicaInput::Stop => self.stop(out),
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
            out.read.append(&mut self.effects.snapshots);
            let mut committed = std::mem::take(&mut self.effects.apply);
            let before = self.applied;
            committed.drain(..).for_each(|step| self.carry_out(step, out));
            self.effects.apply = committed;
            let count = (self.applied.0 - before.0) as usize;
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
        self.changes.abandon_unless(office, &mut out.answers);
        if office.is_none() {
            self.reads.abort_confirmed(&mut self.arrived);
        }
    }

    /// A step of the state machine: at once, or once the snapshot before it is read.
    fn carry_out(&mut self, step: Apply<Bytes>, out: &mut ReplicaOutput) {
        match step {
            Apply::Snapshot(snapshot) => {
                self.snapshots.begin_restoring(snapshot.last);
                out.restore = Some(snapshot.last);
            }
            Apply::Entry(entry) if self.snapshots.is_restoring() => self.snapshots.postpone(entry),
            Apply::Entry(entry) => self.apply(&entry, out),
        }
    }

    fn apply(&mut self, entry: &Entry<Bytes>, out: &mut ReplicaOutput) {
        let outcome = match &entry.payload {
            Payload::Noop | Payload::Membership(_) => None,
            Payload::Command(command) => {
                let outcome = self.machine.apply_telling(entry.index, command, &mut self.told);
                self.watches.note(entry.index, &mut self.told);
                Some(outcome)
            }
        };
        self.applied = entry.index;
        self.writes.applied(entry.position(), outcome, &mut out.answers);
        self.changes.applied(entry, &mut out.answers);
    }

    fn settle_reads(&mut self, out: &mut ReplicaOutput) {
        for outcome in self.effects.reads.drain(..) {
            match outcome {
                ReadOutcome::Ready { id, index } => self.reads.confirmed(id, index),
                ReadOutcome::Aborted { id } => self.reads.aborted(id, &mut self.arrived),
            }
        }
        for waiting in self.reads.served_by(self.applied) {
            let result = match &waiting.ask {
                Ask::Read { key } => Ok(Answer::Value(self.machine.get(key))),
                Ask::ReadAll { keys } => requests::read_all(&self.machine, keys),
                Ask::Write { .. } => continue,
            };
            out.answer(waiting.id, result);
        }
    }

    fn stop(&mut self, out: &mut ReplicaOutput) {
        self.stopping = true;
        self.core.stop();
        self.writes.abandon_unless(None, &mut out.answers);
        self.changes.abandon_unless(None, &mut out.answers);
        self.reads.abort_all(&mut self.arrived);
        self.held.release(&mut self.arrived);
        self.watches.stop(&mut out.answers);
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
            snapshot: raft.snapshot().map_or(0, |snapshot| snapshot.last.index.0),
            voters: numbers(raft.membership().voters()),
            outgoing: numbers(raft.membership().outgoing()),
            learners: numbers(raft.membership().learners()),
            keys: self.machine.len() as u64,
            pending: (self.writes.len() + self.reads.len() + self.held.len() + self.watches.len()) as u64,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn numbers(ids: &[NodeId]) -> Vec<u64> {
    ids.iter().map(|id| id.0).collect()
}
