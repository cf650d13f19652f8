//! The world in miniature: replicas, a network that can be cut, disks that keep what is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{
    Batch, Config, Entry, Event, HardState, Index, Moment, NodeId, Position, ReadChunk, Recovered,
    SnapshotMeta, Timing, WriteAck,
};

use crate::machine::{Command, Machine, Operation, Outcome};
use crate::protocol::{Answer, Failure, PeerMessage, RequestBody, Role};
use crate::replica::{Replica, ReplicaInput, ReplicaOptions, ReplicaOutput, RequestId, SnapshotPolicy};

pub(super) const TIMING: Timing =
    Timing { election: Duration::from_millis(300), heartbeat: Duration::from_millis(50) };
pub(super) const HOLD: Duration = Duration::from_millis(1200);
const PATIENT: Duration = Duration::from_secs(60);

pub(super) type Result = std::result::Result<Answer, Failure>;

struct Server {
    replica: Option<Replica>,
    boot: u64,
    hard_state: HardState,
    entries: Vec<Entry<Bytes>>,
    /// The one to start from, and its bytes; and the one that is coming in.
    snapshot: Option<(SnapshotMeta, Vec<u8>)>,
    receiving: Vec<u8>,
    /// Read from the disk, for the next turn.
    read: Vec<ReplicaInput>,
    /// Writes are durable at once, but reported only while this is off.
    disk_is_slow: bool,
    unreported: Vec<WriteAck>,
    deadline: Option<Moment>,
}

pub(super) struct Cluster {
    servers: BTreeMap<NodeId, Server>,
    pub(super) now: Moment,
    pub(super) cut: BTreeSet<NodeId>,
    network: VecDeque<(NodeId, NodeId, PeerMessage)>,
    /// Messages sent so far, and batches written.
    pub(super) sent: usize,
    pub(super) written: usize,
    /// Disks become slow when their servers become leader.
    pub(super) slow_for_leaders: bool,
    answers: BTreeMap<RequestId, Result>,
    last_request: u64,
    /// What every server starts with: empty, with or without a seeded bug.
    machine: Machine,
    /// What servers are told that start from now on.
    pub(super) policy: SnapshotPolicy,
    pub(super) unapplied_entries: usize,
}

impl Server {
    fn store(&mut self, batch: Batch<Bytes>) {
        if let Some(chunk) = batch.chunk {
            self.receiving.truncate(chunk.offset as usize);
            assert_eq!(self.receiving.len() as u64, chunk.offset, "parts come in order");
            self.receiving.extend(chunk.data);
        }
        if let Some(install) = batch.install {
            let meta = SnapshotMeta::clone(&install.snapshot);
            if self.snapshot.as_ref().is_none_or(|(latest, _)| *latest != meta) {
                self.snapshot = Some((meta, std::mem::take(&mut self.receiving)));
            }
            self.entries.retain(|entry| install.keeps_log && entry.index > install.snapshot.last.index);
        }
        if let Some(first) = batch.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend_from_slice(&batch.entries);
        }
    }

    fn restored(&self, last: Position) -> ReplicaInput {
        let (meta, bytes) = self.snapshot.as_ref().unwrap();
        assert_eq!(meta.last, last);
        ReplicaInput::Restored { last, machine: Box::new(postcard::from_bytes(bytes).unwrap()) }
    }

    /// Parts of seven bytes.
    fn part(&self, asked: ReadChunk) -> Option<(Vec<u8>, bool)> {
        let (_, bytes) = self.snapshot.as_ref().filter(|(meta, _)| meta.last == asked.last)?;
        let rest = bytes.get(asked.offset as usize..)?;
        Some((rest[..rest.len().min(7)].to_vec(), rest.len() <= 7))
    }
}

pub(super) fn address(id: NodeId) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8000 + id.0 as u16))
}

impl Cluster {
    /// All servers run; none leads yet.
    pub(super) fn new(count: u64) -> Self {
        Cluster::with_machine(count, Machine::new())
    }

    pub(super) fn with_machine(count: u64, machine: Machine) -> Self {
        let server = |_| Server {
            replica: None,
            boot: 0,
            hard_state: HardState::default(),
            entries: Vec::new(),
            snapshot: None,
            receiving: Vec::new(),
            read: Vec::new(),
            disk_is_slow: false,
            unreported: Vec::new(),
            deadline: None,
        };
        let mut cluster = Cluster {
            servers: (1..=count).map(NodeId).map(|id| (id, server(id))).collect(),
            now: Moment::default(),
            cut: BTreeSet::new(),
            network: VecDeque::new(),
            sent: 0,
            written: 0,
            slow_for_leaders: false,
            answers: BTreeMap::new(),
            last_request: 0,
            machine,
            policy: SnapshotPolicy::default(),
            unapplied_entries: 4,
        };
        cluster.ids().into_iter().for_each(|id| cluster.restart(id));
        cluster
    }

    /// A cluster with a leader that everybody knows.
    pub(super) fn with_leader(count: u64) -> (Self, NodeId) {
        let mut cluster = Cluster::new(count);
        let leader = cluster.elect();
        (cluster, leader)
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.servers.keys().copied().collect()
    }

    pub(super) fn others(&self, id: NodeId) -> Vec<NodeId> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    pub(super) fn replica(&self, id: NodeId) -> &Replica {
        self.servers[&id].replica.as_ref().expect("it runs")
    }

    /// Starts a server from its disk, whether it ran or not.
    pub(super) fn restart(&mut self, id: NodeId) {
        let voters = self.ids();
        let (now, machine, snapshots) = (self.now, self.machine.clone(), self.policy);
        let unapplied = self.unapplied_entries;
        let server = self.servers.get_mut(&id).unwrap();
        server.boot += 1;
        server.disk_is_slow = false;
        server.unreported.clear();
        server.deadline = None;
        let mut config = Config::new(id, voters);
        config.limits.unapplied_entries = unapplied;
        let seed = id.0 * 1000 + server.boot;
        let options = ReplicaOptions { config, timing: TIMING, seed, hold: HOLD, snapshots, recorder: None };
        let (hard_state, entries) = (server.hard_state, server.entries.clone());
        server.read.clear();
        let snapshot = server.snapshot.as_ref().map(|(meta, _)| meta.clone());
        let recovered =
            Recovered { boot: server.boot, hard_state, snapshot, entries, ..Recovered::nothing() };
        let mut out = ReplicaOutput::default();
        let mut replica = Replica::start(options, recovered, machine, now, &mut out).unwrap();
        for peer in self.others(id) {
            let input = ReplicaInput::PeerAddress { peer, address: Some(address(peer)) };
            replica.handle(now, [input], &mut out);
        }
        self.servers.get_mut(&id).unwrap().replica = Some(replica);
        self.carry_out(id, out);
    }

    pub(super) fn crash(&mut self, id: NodeId) {
        self.servers.get_mut(&id).unwrap().replica = None;
    }

    /// From now on, writes of this server are not reported durable.
    pub(super) fn slow_disk(&mut self, id: NodeId) {
        self.servers.get_mut(&id).unwrap().disk_is_slow = true;
    }

    /// And now they are again, and those that waited.
    pub(super) fn quick_disk(&mut self, id: NodeId) {
        self.servers.get_mut(&id).unwrap().disk_is_slow = false;
    }

    pub(super) fn turn(&mut self, id: NodeId, inputs: impl IntoIterator<Item = ReplicaInput>) {
        let mut out = ReplicaOutput::default();
        let Some(replica) = &mut self.servers.get_mut(&id).unwrap().replica else { return };
        replica.handle(self.now, inputs, &mut out);
        self.carry_out(id, out);
    }

    fn carry_out(&mut self, id: NodeId, out: ReplicaOutput) {
        let server = self.servers.get_mut(&id).unwrap();
        server.deadline = out.deadline;
        server.disk_is_slow |= self.slow_for_leaders
            && out.events.iter().any(|event| matches!(event, Event::Role { role: Role::Leader, .. }));
        for write in out.writes {
            let (batch, ack) = write.split();
            self.written += 1;
            server.hard_state = batch.hard_state.unwrap_or(server.hard_state);
            server.store(batch);
            server.unreported.push(ack);
        }
        let restored = out.restore.map(|last| server.restored(last));
        server.read.extend(restored);
        for asked in out.read {
            server.read.push(ReplicaInput::Chunk { asked, part: server.part(asked) });
        }
        if let Some((meta, machine)) = out.take {
            server.snapshot = Some((meta.clone(), postcard::to_stdvec(&machine).unwrap()));
            server.entries.retain(|entry| entry.index > meta.last.index);
            server.read.push(ReplicaInput::Taken { snapshot: Some(meta) });
        }
        self.sent += out.send.len();
        self.network.extend(out.send.into_iter().map(|outbound| (id, outbound.to, outbound.message)));
        for (connection, response) in out.answers {
            let id = RequestId { connection, request: response.id };
            assert!(self.answers.insert(id, response.result).is_none(), "{id:?} was answered twice");
        }
    }

    /// Delivers and reports until nothing is under way.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for id in self.ids() {
                let server = self.servers.get_mut(&id).unwrap();
                if server.replica.is_some() && server.deadline.is_some_and(|deadline| deadline <= self.now) {
                    quiet = false;
                    self.turn(id, []);
                }
                let server = self.servers.get_mut(&id).unwrap();
                if server.replica.is_some() && !server.read.is_empty() {
                    quiet = false;
                    let read = std::mem::take(&mut server.read);
                    self.turn(id, read);
                }
                let server = self.servers.get_mut(&id).unwrap();
                if !server.disk_is_slow && !server.unreported.is_empty() {
                    quiet = false;
                    let acks = std::mem::take(&mut server.unreported);
                    self.turn(id, acks.into_iter().map(ReplicaInput::Durable));
                }
            }
            while let Some((from, to, message)) = self.network.pop_front() {
                quiet = false;
                if !self.cut.contains(&from) && !self.cut.contains(&to) {
                    self.turn(to, [ReplicaInput::Message { from, message }]);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Time passes, in small steps, with nothing coming in but what the servers do among themselves.
    pub(super) fn pass(&mut self, duration: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let end = self.now + duration;
        while self.now < end {
            self.now = self.now + STEP;
            self.ids().into_iter().for_each(|id| self.turn(id, []));
            self.settle();
        }
    }

    /// Lets time pass until all servers that run and are connected follow one of them.
    pub(super) fn elect(&mut self) -> NodeId {
        for _ in 0..1000 {
            let up: Vec<_> = self
                .servers
                .iter()
                .filter(|(id, server)| server.replica.is_some() && !self.cut.contains(id))
                .map(|(id, _)| *id)
                .collect();
            let leader = up.iter().copied().find(|id| self.replica(*id).raft().role() == Role::Leader);
            if let Some(leader) = leader
                && up.iter().all(|id| self.replica(*id).raft().leader() == Some(leader))
            {
                return leader;
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("no leader");
    }

    /// As [`elect`](Self::elect), where only these servers are up.
    pub(super) fn elect_among(&mut self, ids: &[NodeId]) -> NodeId {
        let down: Vec<_> = self.ids().into_iter().filter(|id| !ids.contains(id)).collect();
        self.cut.extend(down);
        self.elect()
    }

    /// What a server's disk has read and not yet brought: held back.
    pub(super) fn take_reads(&mut self, id: NodeId) -> Vec<ReplicaInput> {
        std::mem::take(&mut self.servers.get_mut(&id).unwrap().read)
    }

    /// Takes a running server out of the world, as SIGSTOP would.
    pub(super) fn take(&mut self, id: NodeId) -> Replica {
        self.servers.get_mut(&id).unwrap().replica.take().expect("it runs")
    }

    pub(super) fn put_back(&mut self, id: NodeId, replica: Replica) {
        self.servers.get_mut(&id).unwrap().replica = Some(replica);
    }

    /// Puts requests to one server, all in one turn; each has a connection of its own.
    pub(super) fn ask_all(&mut self, id: NodeId, bodies: Vec<RequestBody>) -> Vec<RequestId> {
        let mut inputs = Vec::new();
        let mut ids = Vec::new();
        for body in bodies {
            self.last_request += 1;
            let request = RequestId { connection: self.last_request, request: 7 };
            inputs.push(ReplicaInput::Request { id: request, patience: PATIENT, body });
            ids.push(request);
        }
        self.turn(id, inputs);
        ids
    }

    pub(super) fn ask(&mut self, id: NodeId, body: RequestBody) -> RequestId {
        self.ask_all(id, vec![body])[0]
    }

    pub(super) fn answer(&self, id: RequestId) -> Option<&Result> {
        self.answers.get(&id)
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&mut self, id: NodeId, body: RequestBody) -> Result {
        let request = self.ask(id, body);
        self.settle();
        self.answer(request).expect("an answer").clone()
    }

    pub(super) fn open_session(&mut self, id: NodeId) -> u64 {
        let body = RequestBody::Execute { command: Command::OpenSession { nonce: 1 }.encode().unwrap() };
        match self.call(id, body) {
            Ok(Answer::Executed(Outcome::SessionOpened { session })) => session,
            other => panic!("no session: {other:?}"),
        }
    }

    pub(super) fn applied(&self, id: NodeId) -> Index {
        self.replica(id).raft().applied()
    }
}

pub(super) fn get(key: &'static str) -> RequestBody {
    RequestBody::Get { key: key.into() }
}

pub(super) fn put(session: u64, sequence: u64, key: &'static str, value: &'static str) -> RequestBody {
    let operation = Operation::Put { key: key.into(), value: value.into() };
    execute(session, sequence, operation)
}

/// Sets the key if it is absent: to apply it twice would show in the second answer.
pub(super) fn create(session: u64, sequence: u64, key: &'static str) -> RequestBody {
    let operation = Operation::Cas { key: key.into(), expected: None, new: "created".into() };
    execute(session, sequence, operation)
}

pub(super) fn execute(session: u64, sequence: u64, operation: Operation) -> RequestBody {
    let command = Command::Apply { session, sequence, operation }.encode().unwrap();
    RequestBody::Execute { command }
}
