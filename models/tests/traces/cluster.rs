//! Three servers in one thread that record their traces, under a random schedule: messages are lost, repeated and overtaken,
//! and servers are killed, whatever they had not written being gone. If asked to, they take snapshots, let go of their logs, and
//! change who of them is a voter.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use models::{Validated, validate};
use raft_core::{
    Clocked, Config, Effects, Entry, HardState, Input, Message, Moment, MutantSwitch, NodeId, ReadChunk,
    Recovered, RoleKind, SnapshotMeta, Timing, Write,
};
use trace::Recorder;

const TIMING: Timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };
const SERVERS: u64 = 3;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(crate) struct Server {
    id: NodeId,
    pub(crate) running: Option<(Clocked<Bytes>, Recorder<Bytes>)>,
    boot: u64,
    hard: HardState,
    pub(crate) snapshot: Option<SnapshotMeta>,
    /// A snapshot that is being written.
    pub(crate) taking: Option<SnapshotMeta>,
    /// Parts of its snapshot that other servers wait for.
    pub(crate) reading: Vec<ReadChunk>,
    pub(crate) log: Vec<Entry<Bytes>>,
    outstanding: VecDeque<Write<Bytes>>,
    trace: Vec<u8>,
}

impl Server {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    fn store(&mut self, count: usize) -> Option<raft_core::WriteAck> {
        let mut last = None;
        for write in self.outstanding.drain(..count.min(self.outstanding.len())).collect::<Vec<_>>() {
            let (batch, ack) = write.split();
            self.hard = batch.hard_state.unwrap_or(self.hard);
            if let Some(install) = &batch.install {
                let last = install.snapshot.last;
                self.snapshot = Some((*install.snapshot).clone());
                self.log.retain(|entry| install.keeps_log && entry.index > last.index);
            }
            if let Some(first) = batch.entries.first() {
                self.log.retain(|entry| entry.index < first.index);
                self.log.extend(batch.entries.iter().cloned());
            }
            last = Some(ack);
        }
        last
    }
}

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    network: Vec<(NodeId, NodeId, Message<Bytes>)>,
    now: Moment,
    pub(crate) random: Random,
    mutant: MutantSwitch,
    disks_lie: bool,
    has_snapshots: bool,
}

impl Cluster {
    pub(crate) fn new(seed: u64, mutant: MutantSwitch) -> Cluster {
        let server = |id| Server {
            id: NodeId(id),
            running: None,
            boot: 0,
            hard: HardState::default(),
            snapshot: None,
            taking: None,
            reading: Vec::new(),
            log: Vec::new(),
            outstanding: VecDeque::new(),
            trace: Vec::new(),
        };
        let servers = (1..=SERVERS).map(server).collect();
        let (network, now) = (Vec::new(), Moment::default());
        let random = Random(seed);
        let (disks_lie, has_snapshots) = (false, false);
        let mut cluster = Cluster { servers, network, now, random, mutant, disks_lie, has_snapshots };
        (0..SERVERS as usize).for_each(|at| cluster.start(at));
        cluster
    }

    /// Disks acknowledge everything that is on its way to them, and have stored the oldest of it.
    pub(crate) fn with_lying_disks(mut self) -> Cluster {
        self.disks_lie = true;
        self
    }

    /// Servers take snapshots, and voters become learners and voters again.
    pub(crate) fn with_snapshots(mut self) -> Cluster {
        self.has_snapshots = true;
        self
    }

    /// Lives for so many steps, then everybody is asked to stop.
    pub(crate) fn live(mut self, steps: usize) -> Vec<Vec<u8>> {
        for _ in 0..steps {
            self.step();
        }
        for server in &mut self.servers {
            if let Some((_, recorder)) = &mut server.running {
                recorder.stop();
                recorder.flush(&mut server.trace);
            }
        }
        self.servers.into_iter().map(|server| server.trace).collect()
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_micros(self.random.below(4000) as u64);
        let at = self.random.below(self.servers.len());
        if self.has_snapshots && self.random.one_in(4) {
            return self.deal_with_snapshots(at);
        }
        match self.random.below(40) {
            0 if self.random.one_in(6) => self.kill(at),
            1..4 if self.servers[at].running.is_none() => self.start(at),
            1..6 => self.propose(at),
            6..16 => {
                let count = 1 + self.random.below(3);
                if self.servers[at].running.is_some()
                    && let Some(mut ack) = self.servers[at].store(count)
                {
                    if let Some(latest) = self.servers[at].outstanding.back().filter(|_| self.disks_lie) {
                        ack = latest.clone().split().1;
                    }
                    self.handle(at, Some(Input::Durable(ack)));
                }
            }
            16..20 => self.handle(at, None),
            _ => self.deliver(),
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let at = self.random.below(self.network.len().min(4));
        let (from, to, message) =
            if self.random.one_in(20) { self.network[at].clone() } else { self.network.remove(at) };
        if !self.random.one_in(20) {
            self.handle(to.0 as usize - 1, Some(Input::Receive { from, message }));
        }
    }

    fn propose(&mut self, at: usize) {
        let is_leader = |(clocked, _): &(Clocked<Bytes>, _)| clocked.raft().role() == RoleKind::Leader;
        if self.servers[at].running.as_ref().is_some_and(is_leader) {
            let command = Bytes::from(self.now.0.to_string());
            self.handle(at, Some(Input::Propose(vec![command])));
        }
    }

    /// A crash: of what was not acknowledged, any prefix is on the disk.
    fn kill(&mut self, at: usize) {
        let kept = self.random.below(self.servers[at].outstanding.len() + 1);
        let server = &mut self.servers[at];
        if server.running.take().is_some() {
            server.store(kept);
            server.outstanding.clear();
            server.crash();
        }
    }

    fn start(&mut self, at: usize) {
        let (mutant, now) = (self.mutant, self.now);
        let server = &mut self.servers[at];
        server.boot += 1;
        let mut config = Config::new(server.id, (1..=SERVERS).map(NodeId));
        config.mutant = mutant;
        // With pre-vote most of the seeded bugs take far longer to show.
        config.pre_vote = false;
        let recovered = Recovered {
            boot: server.boot,
            hard_state: server.hard,
            snapshot: server.snapshot.clone(),
            entries: server.log.clone(),
            ..Recovered::nothing()
        };
        let mut recorder = Recorder::new(server.trace.len() as u64);
        let mut effects = Effects::default();
        let seed = server.id.0 * 1000 + server.boot;
        let clocked = recorder.start(config, recovered, TIMING, seed, now, &mut effects);
        recorder.flush(&mut server.trace);
        // A seeded bug may leave a disk from which no server can start: then it stays down.
        server.running = clocked.ok().map(|clocked| (clocked, recorder));
        self.carry_out(at, effects);
    }

    pub(crate) fn handle(&mut self, at: usize, input: Option<Input<Bytes>>) {
        let server = &mut self.servers[at];
        let Some((clocked, recorder)) = &mut server.running else { return };
        let mut effects = Effects::default();
        let _ = recorder.step(clocked, self.now, input, &mut effects);
        // The trace first: every step is a turn of its own.
        recorder.flush(&mut server.trace);
        self.carry_out(at, effects);
    }

    fn carry_out(&mut self, at: usize, effects: Effects<Bytes>) {
        let server = &mut self.servers[at];
        server.outstanding.extend(effects.writes);
        server.reading.extend(effects.snapshots);
        self.network.extend(effects.send.into_iter().map(|out| (server.id, out.to, out.message)));
        let excess = self.network.len().saturating_sub(60);
        self.network.drain(..excess);
        if let Some(last) = effects.apply.last() {
            self.handle(at, Some(Input::Applied(last.index())));
        }
    }
}

/// Writes traces into a folder, as `n1.trace` and so on.
pub(crate) fn write(folder: &Path, traces: &[Vec<u8>]) {
    for (trace, id) in traces.iter().zip(1..) {
        std::fs::write(folder.join(format!("n{id}.trace")), trace).unwrap();
    }
}

/// What is said about traces.
pub(crate) fn judged(traces: &[Vec<u8>]) -> Validated {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), traces);
    validate(folder.path()).unwrap()
}
