//! A cluster of real nodes on a simulated network and simulated disks. Everything that happens is one call.

mod disk;
mod host;

use std::collections::{BTreeMap, VecDeque};

use raft_core::{
    Body, Change, Config, Effects, Event, Index, Input, Membership, Message, NodeId, Raft, ReadChunk, ReadId,
    Refused, RoleKind, Term, Timer, Transition,
};

pub use disk::{Disk, State};

use crate::invariants::Ghost;

/// A command: a number that no other proposal of the run has.
pub type Command = u64;

/// A server: its node while it is up, and its disk.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub raft: Option<Raft<Command>>,
    pub disk: Disk,
    pub boot: u64,
    /// Reads that were asked for and not answered, with what was committed when they were.
    pub reads: BTreeMap<ReadId, Index>,
    /// Reads that were answered: the index each was released at.
    pub served: Vec<(ReadId, Index)>,
    /// Entries executed since the last start, or since the last snapshot was restored.
    pub applied: Vec<raft_core::Entry<Command>>,
    pub state: State,
    /// Parts of the snapshot that the core has asked for.
    pub wanted: VecDeque<ReadChunk>,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub from: NodeId,
    pub to: NodeId,
    pub message: Message<Command>,
}

/// The whole cluster.
pub struct Cluster {
    pub servers: Vec<Server>,
    pub network: VecDeque<Packet>,
    pub ghost: Ghost,
    pub events: Vec<(NodeId, Event)>,
    pub timers: Vec<(NodeId, Timer)>,
    /// Servers whose disks do not keep up during an exchange.
    pub slow: Vec<NodeId>,
    /// So many bytes of a snapshot travel at once.
    pub chunk_bytes: usize,
    /// Who founded the cluster; the others wait to be added.
    founders: Membership,
    configure: Box<dyn Fn(&mut Config)>,
    next_command: Command,
    next_read: u64,
}

/// More messages than this are not kept under way; the oldest are lost.
const NETWORK_CAPACITY: usize = 256;

/// Small, so that a snapshot takes several.
const CHUNK_BYTES: usize = 6;

impl Cluster {
    /// `n` servers with ids 1 to `n`, all up for the first time, `configure` having had its say on each one's settings.
    pub fn new(n: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        Cluster::with_spares(n, 0, configure)
    }

    /// The same, and so many servers besides that are up and no members yet.
    pub fn with_spares(n: usize, spares: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        Cluster::founded_by(Membership::new((1..=n as u64).map(NodeId)), n + spares, configure)
    }

    /// So many servers, of which these are the members at first.
    pub fn founded_by(founders: Membership, n: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        let mut cluster = Cluster {
            servers: vec![Server::default(); n],
            network: VecDeque::new(),
            ghost: Ghost::new(founders.clone(), n),
            chunk_bytes: CHUNK_BYTES,
            founders,
            events: Vec::new(),
            timers: Vec::new(),
            slow: Vec::new(),
            configure: Box::new(configure),
            next_command: 0,
            next_read: 0,
        };
        for id in cluster.ids() {
            cluster.restart(id);
        }
        cluster
    }

    pub fn ids(&self) -> Vec<NodeId> {
        (1..=self.servers.len() as u64).map(NodeId).collect()
    }

    pub fn server(&self, id: NodeId) -> &Server {
        &self.servers[usize::try_from(id.0 - 1).unwrap()]
    }

    pub fn server_mut(&mut self, id: NodeId) -> &mut Server {
        &mut self.servers[usize::try_from(id.0 - 1).unwrap()]
    }

    pub fn raft(&self, id: u64) -> &Raft<Command> {
        self.server(NodeId(id)).raft.as_ref().unwrap_or_else(|| panic!("server {id} is down"))
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.server(id).raft.is_some()
    }

    /// The server that leads the latest term, if any does.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.servers.iter().filter_map(|s| s.raft.as_ref());
        leaders.filter(|r| r.role() == RoleKind::Leader).max_by_key(|r| r.term()).map(Raft::id)
    }

    /// Hands an input to a server that is up, and takes its effects; then looks at every invariant.
    pub fn step(&mut self, id: NodeId, input: Input<Command>) -> Result<(), Refused> {
        let mut effects = Effects::default();
        let Some(raft) = self.server_mut(id).raft.as_mut() else { return Ok(()) };
        let result = raft.step(input, &mut effects);
        self.take(id, effects);
        result
    }

    pub fn fire(&mut self, id: NodeId, timer: Timer) {
        if self.server(id).raft.as_ref().is_some_and(|raft| raft.listens_to(timer)) {
            self.step(id, Input::Timer(timer)).unwrap();
        }
    }

    /// Proposes a new command. Returns it where it was taken.
    pub fn propose(&mut self, id: NodeId) -> Result<Command, Refused> {
        self.next_command += 1;
        let command = self.next_command;
        self.step(id, Input::Propose(vec![command])).map(|()| command)
    }

    #[allow(dead_code, reason = "for the scenarios of membership")]
    pub fn change(&mut self, id: NodeId, changes: &[Change]) -> Result<(), Refused> {
        let changes = changes.to_vec();
        self.step(id, Input::ChangeMembership { changes, transition: Transition::Auto })
    }

    /// The host takes a snapshot of everything that is executed, and lets go of the log but for the last `kept` entries.
    pub fn compact(&mut self, id: NodeId, kept: u64) -> Result<(), Refused> {
        let Some(raft) = self.server(id).raft.as_ref() else { return Err(Refused::Halted) };
        let applied = raft.applied();
        let meta = raft.snapshot_meta(applied).map_err(Refused::Compact)?;
        let through = Index(applied.0.saturating_sub(kept));
        let state = self.server(id).state;
        assert_eq!(state.index, applied);
        self.server_mut(id).disk.take_snapshot(meta.clone(), state, through);
        self.step(id, Input::Compact { snapshot: meta, through })
    }

    pub fn read(&mut self, id: NodeId) -> Result<ReadId, Refused> {
        if !self.is_up(id) {
            return Err(Refused::Halted);
        }
        self.next_read += 1;
        let read = ReadId(self.next_read);
        let committed = self.ghost.committed();
        self.server_mut(id).reads.insert(read, committed);
        let result = self.step(id, Input::Read(read));
        if result.is_err() {
            self.server_mut(id).reads.remove(&read);
        }
        result.map(|()| read)
    }

    /// Delivers the `i`th message under way.
    pub fn deliver(&mut self, i: usize) {
        if let Some(packet) = self.network.remove(i) {
            self.receive(packet);
        }
    }

    pub fn receive(&mut self, packet: Packet) {
        let Packet { from, to, message } = packet;
        self.step(to, Input::Receive { from, message }).unwrap();
    }

    /// Syncs and reports everything.
    pub fn flush(&mut self, id: NodeId) {
        while self.sync(id) || self.report(id, false) || self.serve_chunk(id) {}
    }

    /// Lets up to `budget` messages through between the servers that `is_in` picks, oldest first, with disks that answer at
    /// once, but for the slow ones. Returns how many went through.
    ///
    /// A slow disk brings to its platter what was handed to it before, nothing that comes in meanwhile, and reports only at
    /// the end: so its reports may be about entries that were overwritten since.
    pub fn exchange(&mut self, budget: usize, is_in: impl Fn(NodeId) -> bool) -> usize {
        let slow = self.slow.clone();
        for &id in &slow {
            while self.sync(id) {}
        }
        let done = self.talk(budget, is_in);
        for &id in &slow {
            self.report(id, true);
        }
        done
    }

    fn talk(&mut self, budget: usize, is_in: impl Fn(NodeId) -> bool) -> usize {
        for done in 0..budget {
            for id in self.ids().into_iter().filter(|&id| is_in(id)) {
                if self.slow.contains(&id) {
                    continue;
                }
                self.flush(id);
            }
            let through = |p: &Packet| is_in(p.from) && is_in(p.to);
            let Some(i) = self.network.iter().position(through) else { return done };
            self.deliver(i);
        }
        budget
    }

    /// Everything that is under way arrives, and everything that follows from it.
    pub fn settle(&mut self) {
        self.exchange(10_000, |_| true);
    }

    /// Makes `id` campaign among the servers that `is_in` picks: they have not heard from a leader lately, and it timed out
    /// often enough for its next term to be new to all of them.
    pub fn elect(&mut self, id: NodeId, budget: usize, is_in: impl Fn(NodeId) -> bool) {
        let is_follower = |raft: &Raft<Command>| raft.role() != RoleKind::Leader;
        for peer in self.ids().into_iter().filter(|&peer| is_in(peer)) {
            if self.server(peer).raft.as_ref().is_some_and(is_follower) {
                self.fire(peer, Timer::Contact);
            }
        }
        let up = self.servers.iter().filter_map(|server| server.raft.as_ref());
        let latest = up.filter(|raft| is_in(raft.id())).map(Raft::term).max().unwrap_or_default();
        for _ in 0..4 {
            if self.server(id).raft.as_ref().is_some_and(|raft| raft.term() < latest) {
                self.fire(id, Timer::Election);
            }
        }
        self.fire(id, Timer::Election);
        self.exchange(budget, is_in);
    }

    /// The leaders that `is_in` picks find that they have not heard from anybody for two timeouts.
    pub fn depose(&mut self, is_in: impl Fn(NodeId) -> bool) {
        for id in self.ids().into_iter().filter(|&id| is_in(id)) {
            for _ in 0..2 {
                let is_leader = self.server(id).raft.as_ref().is_some_and(|r| r.role() == RoleKind::Leader);
                if is_leader {
                    self.fire(id, Timer::Contact);
                }
            }
        }
    }

    /// A heartbeat of `id`, and what follows from it.
    pub fn heartbeat(&mut self, id: NodeId) {
        self.fire(id, Timer::Heartbeat);
        self.settle();
    }

    /// Drops the messages that `is_lost` picks.
    pub fn lose(&mut self, is_lost: impl Fn(&Packet) -> bool) {
        self.network.retain(|packet| !is_lost(packet));
    }

    pub fn log(&self, id: u64) -> Vec<(u64, u64)> {
        self.raft(id).entries().map(|entry| (entry.index.0, entry.term.0)).collect()
    }

    pub fn terms(&self) -> Vec<Term> {
        self.servers.iter().filter_map(|s| s.raft.as_ref().map(Raft::term)).collect()
    }
}

impl Packet {
    pub fn is_append(&self) -> bool {
        matches!(self.message.body, Body::Append(_))
    }
}
