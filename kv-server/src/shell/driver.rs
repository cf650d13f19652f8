//! The task that owns the replica: waits for anything to come in, takes a turn, carries out what it says.

use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;

use raft_core::{Event, NodeId};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, sleep_until};

use super::ServerError;
use super::clients::ClientEvent;
use super::clock::Clock;
use super::links::Links;
use super::log_writer::{Durable, Job, Report};
use super::snapshot_files::{Done, SnapshotFiles};
use super::trace_file::TraceFile;
use crate::limits::MAX_INPUTS_PER_TURN;
use crate::protocol::Response;
use crate::replica::{Replica, ReplicaInput, ReplicaOutput};

/// Where everything comes in.
pub(super) struct Inbox {
    pub(super) from_log: mpsc::Receiver<Report>,
    pub(super) from_snapshots: mpsc::UnboundedReceiver<Done>,
    pub(super) from_peers: mpsc::Receiver<ReplicaInput>,
    pub(super) from_clients: mpsc::Receiver<ClientEvent>,
}

pub(super) struct Driver {
    replica: Replica,
    clock: Clock,
    links: Rc<Links>,
    jobs: mpsc::Sender<Job>,
    snapshots: SnapshotFiles,
    trace: Option<TraceFile>,
    /// Where the answers for each connection go.
    connections: HashMap<u64, mpsc::Sender<Response>>,
    /// Peers for whom a message was dropped in the last turn.
    unreachable: Vec<NodeId>,
    /// The inputs of the next turn; kept for its memory.
    inputs: Vec<ReplicaInput>,
}

impl Driver {
    pub(super) fn new(
        replica: Replica,
        clock: Clock,
        links: Rc<Links>,
        jobs: mpsc::Sender<Job>,
        snapshots: SnapshotFiles,
        trace: Option<TraceFile>,
    ) -> Self {
        let (connections, unreachable, inputs) = (HashMap::new(), Vec::new(), Vec::new());
        Driver { replica, clock, links, jobs, snapshots, trace, connections, unreachable, inputs }
    }

    /// Runs until `stop` is ready, and then to a graceful end.
    pub(super) async fn run(
        mut self,
        mut out: ReplicaOutput,
        mut inbox: Inbox,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let mut stop = pin!(stop);
        let mut alarm = pin!(sleep_until(Instant::now()));
        self.carry_out(&mut out)?;
        loop {
            if let Some(deadline) = out.deadline.map(|moment| self.clock.at(moment))
                && alarm.deadline() != deadline
            {
                alarm.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                () = &mut stop => return self.stop(out, inbox).await,
                () = &mut alarm, if out.deadline.is_some() => {}
                report = inbox.from_log.recv() => self.take_report(report)?,
                Some(done) = inbox.from_snapshots.recv() => self.take_done(done)?,
                Some(input) = inbox.from_peers.recv() => self.inputs.push(input),
                Some(event) = inbox.from_clients.recv() => self.take_event(event),
            }
            self.take_all(&mut inbox)?;
            self.turn(&mut out)?;
            // While a long log is executed the alarm is always due: without this nobody else would get to run, heartbeats
            // would stay in their queues, and a leader that just came back would be deposed.
            tokio::task::yield_now().await;
        }
    }

    /// One turn. The time is read after waking up: however long that took, it counts.
    fn turn(&mut self, out: &mut ReplicaOutput) -> Result<(), ServerError> {
        let now = self.clock.now();
        let lost = self.unreachable.drain(..).map(ReplicaInput::Unreachable);
        self.replica.handle(now, lost.chain(self.inputs.drain(..)), out);
        self.carry_out(out)
    }

    /// What else has come in already. Reports and messages of servers come before requests: the more there is to do, the
    /// more it matters that what is under way gets done.
    fn take_all(&mut self, inbox: &mut Inbox) -> Result<(), ServerError> {
        while let Ok(report) = inbox.from_log.try_recv() {
            self.take_report(Some(report))?;
        }
        while let Ok(done) = inbox.from_snapshots.try_recv() {
            self.take_done(done)?;
        }
        for _ in 0..MAX_INPUTS_PER_TURN {
            let Ok(input) = inbox.from_peers.try_recv() else { break };
            self.inputs.push(input);
        }
        for _ in 0..MAX_INPUTS_PER_TURN {
            let Ok(event) = inbox.from_clients.try_recv() else { break };
            self.take_event(event);
        }
        Ok(())
    }

    fn take_report(&mut self, report: Option<Report>) -> Result<(), ServerError> {
        self.inputs.push(match report.ok_or(ServerError::LogWriterGone)?? {
            Durable::Writes(ack) => ReplicaInput::Durable(ack),
            Durable::Snapshot(snapshot) => ReplicaInput::Taken { snapshot },
        });
        Ok(())
    }

    fn take_done(&mut self, done: Done) -> Result<(), ServerError> {
        match done {
            Done::Taken(Ok(meta)) => {
                tracing::info!(index = meta.last.index.0, "took a snapshot");
                return self.write(Job::Snapshot(meta));
            }
            Done::Taken(Err(error)) => {
                tracing::error!(%error, "cannot take a snapshot");
                self.inputs.push(ReplicaInput::Taken { snapshot: None });
            }
            // Without its state a server is nothing: whoever restarts it, or replaces it, is told why.
            Done::Restored(last, machine) => {
                tracing::info!(index = last.index.0, "read the state from a snapshot");
                self.inputs.push(ReplicaInput::Restored { last, machine: machine? });
            }
            Done::Chunk(asked, part) => {
                if let Err(error) = &part {
                    tracing::warn!(%error, to = asked.to.0, "cannot read a part of a snapshot");
                }
                self.inputs.push(ReplicaInput::Chunk { asked, part: part.ok() });
            }
        }
        Ok(())
    }

    fn write(&self, job: Job) -> Result<(), ServerError> {
        // Full cannot be, and closed comes with a report that says why, or with none, which says enough.
        match self.jobs.try_send(job) {
            Err(TrySendError::Full(_)) => Err(ServerError::LogWriterGone),
            _ => Ok(()),
        }
    }

    fn take_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Opened { connection, answers } => {
                self.connections.insert(connection, answers);
            }
            ClientEvent::Asked { id, request } => self.inputs.push(ClientEvent::asked(id, request)),
            ClientEvent::Closed { connection } => {
                self.connections.remove(&connection);
                self.inputs.push(ReplicaInput::Disconnected { connection });
            }
        }
    }

    fn carry_out(&mut self, out: &mut ReplicaOutput) -> Result<(), ServerError> {
        // First: whatever anybody has seen of a step is in the trace then, even if this process is killed meanwhile.
        if let Some(trace) = &mut self.trace {
            trace.append(&mut out.trace)?;
        }
        for write in out.writes.drain(..) {
            self.write(Job::Write(write))?;
        }
        if let Some((meta, machine)) = out.take.take() {
            self.snapshots.take(meta, machine);
        }
        if let Some(last) = out.restore.take() {
            self.snapshots.restore(last);
        }
        for asked in out.read.drain(..) {
            self.snapshots.read(asked);
        }
        for outbound in out.send.drain(..) {
            let is_sent = self.links.send(outbound.to, outbound.message);
            if !is_sent && !self.unreachable.contains(&outbound.to) {
                self.unreachable.push(outbound.to);
            }
        }
        for (connection, response) in out.answers.drain(..) {
            // One that is gone hears nothing; one that has no room for an answer it is owed is broken.
            let undeliverable =
                self.connections.get(&connection).is_some_and(|answers| answers.try_send(response).is_err());
            if undeliverable {
                self.connections.remove(&connection);
            }
        }
        out.events.drain(..).try_for_each(|event| report(&event))
    }

    /// Answers everything, lets go of the connections, and waits until the log is synced.
    async fn stop(mut self, mut out: ReplicaOutput, mut inbox: Inbox) -> Result<(), ServerError> {
        tracing::info!("stopping");
        inbox.from_clients.close();
        while let Some(event) = inbox.from_clients.recv().await {
            self.take_event(event);
        }
        self.inputs.push(ReplicaInput::Stop);
        self.turn(&mut out)?;
        self.connections.clear();
        drop(self.jobs);
        while let Some(report) = inbox.from_log.recv().await {
            report?;
        }
        Ok(())
    }
}

fn report(event: &Event) -> Result<(), ServerError> {
    match event {
        Event::Role { role, term, leader } => {
            let leader = leader.map(|leader| leader.0);
            tracing::info!(role = role.name(), term = term.0, leader, "role");
        }
        Event::Suspect { from, reason } => tracing::warn!(from = from.0, ?reason, "ignored a message"),
        Event::Overloaded { from } => {
            tracing::debug!(from = from.0, "ignored a message: too much is under way already");
        }
        Event::Membership(membership) => tracing::info!(?membership, "members"),
        Event::Stranger { from } => {
            tracing::warn!(from = from.0, "ignored a message of a server that is no member")
        }
        Event::SnapshotWanted { by, .. } => {
            tracing::warn!(by = by.0, "a server wants a later snapshot than there is")
        }
        Event::TransferFailed { to } => tracing::warn!(to = to.0, "gave up a transfer of leadership"),
        Event::Repaired { lost } => {
            tracing::info!(index = lost.index.0, "the lost end of the log is repaired")
        }
        Event::Halted(breach) => return Err(ServerError::Halted(*breach)),
    }
    Ok(())
}
