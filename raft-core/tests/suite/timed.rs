//! Whole clusters in virtual time: clocks that are wrong, pauses, one-way cuts, restarts and transfers, an operator without
//! patience. What `schedule` leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_core::{
    Clocked, Config, Effects, Entry, HardState, Index, Input, Message, Moment, NodeId, Placed, Proposed,
    ReadId, ReadOutcome, Recovered, Refused, RoleKind, Timing,
};

pub const TIMING: Timing =
    Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };
/// A fifth: far more than any clock is wrong, so that a short run shows what otherwise takes a year.
pub const DRIFT_PPM: u32 = 200_000;
/// Milliseconds.
const LENGTH: u64 = 1200;

/// SplitMix64: every choice of a run comes from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

pub struct Server {
    pub node: Clocked<u64>,
    hard_state: HardState,
    entries: Vec<Entry<u64>>,
    boot: u64,
    /// Its clock gains or loses so many millionths.
    drift: i64,
    /// It does nothing until then, and does not know.
    paused_until: u64,
    /// Reads that were asked for, with what was committed then.
    reads: BTreeMap<ReadId, Index>,
}

pub struct World {
    pub servers: Vec<Server>,
    /// Arrival, sender, addressee.
    network: Vec<(u64, NodeId, NodeId, Message<u64>)>,
    cut: BTreeSet<(u64, u64)>,
    random: Random,
    pub now: u64,
    config: fn(u64) -> Config,
    committed: Index,
    next_read: u64,
    /// Reads that were served at once under a lease.
    pub leased: usize,
    pub stale: Option<String>,
    /// What leaders have taken.
    placed: Vec<Placed>,
}

impl Server {
    /// What its clock shows. It stood still for a while in another century, so that no two servers' moments compare.
    fn clock(&self, now: u64) -> Moment {
        let nanos = i128::from(now) * (1_000_000 + i128::from(self.drift));
        Moment(u64::try_from(nanos).unwrap())
    }
}

impl World {
    fn new(seed: u64, servers: u64, config: fn(u64) -> Config) -> World {
        let mut random = Random(seed);
        let limit = i64::from(DRIFT_PPM);
        let servers = (1..=servers).map(|id| {
            let drift = [-limit, 0, limit][usize::try_from(random.below(3)).unwrap()];
            let recovered = Recovered { boot: 1, ..Recovered::nothing() };
            let effects = &mut Effects::default();
            let node =
                Clocked::start(config(id), recovered, TIMING, random.below(1 << 40), Moment(0), effects);
            Server {
                node: node.unwrap(),
                hard_state: HardState::default(),
                entries: Vec::new(),
                boot: 1,
                drift,
                paused_until: 0,
                reads: BTreeMap::new(),
            }
        });
        World {
            servers: servers.collect(),
            network: Vec::new(),
            cut: BTreeSet::new(),
            random,
            now: 0,
            config,
            committed: Index::ZERO,
            next_read: 0,
            leased: 0,
            stale: None,
            placed: Vec::new(),
        }
    }

    fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.servers.len() as u64
    }

    fn server(&mut self, id: u64) -> &mut Server {
        &mut self.servers[usize::try_from(id - 1).unwrap()]
    }

    fn step(&mut self, id: u64, input: Option<Input<u64>>) -> Result<(), Refused> {
        let now = self.now;
        let server = self.server(id);
        if server.paused_until > now {
            return Ok(());
        }
        let clock = server.clock(now);
        let mut effects = Effects::default();
        let result = server.node.step(clock, input, &mut effects);
        while !effects.writes.is_empty() || !effects.apply.is_empty() {
            for write in std::mem::take(&mut effects.writes) {
                let (batch, ack) = write.split();
                server.hard_state = batch.hard_state.unwrap_or(server.hard_state);
                if let Some(first) = batch.entries.first() {
                    server.entries.retain(|entry| entry.index < first.index);
                    server.entries.extend(batch.entries.iter().cloned());
                }
                server.node.step(clock, Some(Input::Durable(ack)), &mut effects).unwrap();
            }
            for apply in std::mem::take(&mut effects.apply) {
                server.node.step(clock, Some(Input::Applied(apply.index())), &mut effects).unwrap();
            }
        }
        let commit = server.node.raft().commit();
        let decided = effects.reads.iter().filter_map(|outcome| match outcome {
            ReadOutcome::Ready { id, index } => server.reads.remove(id).map(|floor| (floor, *index)),
            ReadOutcome::Aborted { .. } => None,
        });
        let decided: Vec<_> = decided.collect();
        let stale = decided.into_iter().find(|(floor, index)| index < floor);
        self.committed = self.committed.max(commit);
        if let Some((floor, index)) = stale {
            let what =
                format!("at {now} ms n{id} serves a read at {index:?}, {floor:?} was committed before");
            self.stale.get_or_insert(what);
        }
        if let Some(Proposed::Appended(placed)) = effects.proposed {
            self.placed.push(placed);
        }
        for sent in effects.send {
            // Most messages are fast; some are as slow as an election.
            let slow = if self.random.below(5) == 0 { self.random.below(70) } else { 0 };
            let arrival = now + 1 + self.random.below(4) + slow;
            self.network.push((arrival, NodeId(id), sent.to, sent.message));
        }
        result
    }

    fn deliver(&mut self) {
        let now = self.now;
        let asleep: Vec<bool> = self.servers.iter().map(|server| server.paused_until > now).collect();
        let is_asleep = |id: NodeId| asleep[usize::try_from(id.0 - 1).unwrap()];
        let (due, rest) = std::mem::take(&mut self.network)
            .into_iter()
            .partition(|(at, _, to, _)| *at <= now && !is_asleep(*to));
        self.network = rest;
        let due: Vec<(u64, NodeId, NodeId, Message<u64>)> = due;
        for (_, from, to, message) in due {
            if !self.cut.contains(&(from.0, to.0)) {
                self.step(to.0, Some(Input::Receive { from, message })).unwrap();
            }
        }
    }

    /// Something that a lease has to survive, or to end with.
    fn upset(&mut self) {
        let leader = self.servers.iter().find(|s| s.node.raft().role() == RoleKind::Leader);
        let Some(leader) = leader.map(|server| server.node.raft().id().0) else { return };
        let others: Vec<u64> = self.ids().filter(|&id| id != leader).collect();
        let other = others[usize::try_from(self.random.below(others.len() as u64)).unwrap()];
        match self.random.below(6) {
            0 => self.cut.extend(others.iter().flat_map(|&id| [(id, leader), (leader, id)])),
            // It speaks, and hears nothing.
            1 => self.cut.extend(others.iter().map(|&id| (id, leader))),
            2 => self.cut.extend([(leader, other), (other, leader)]),
            3 => {
                let _ = self.step(leader, Some(Input::TransferLeadership(Some(NodeId(other)))));
                self.cut.extend(others.iter().map(|&id| (id, leader)));
            }
            4 => self.server(leader).paused_until = self.now + 60 + self.random.below(200),
            _ => self.restart(other),
        }
    }

    fn restart(&mut self, id: u64) {
        let (now, config, seed) = (self.now, self.config, self.random.below(1 << 40));
        let server = self.server(id);
        server.boot += 1;
        server.reads.clear();
        let recovered = Recovered {
            boot: server.boot,
            hard_state: server.hard_state,
            entries: server.entries.clone(),
            ..Recovered::nothing()
        };
        let clock = server.clock(now);
        let mut effects = Effects::default();
        server.node = Clocked::start(config(id), recovered, TIMING, seed, clock, &mut effects).unwrap();
    }

    fn read(&mut self, id: u64) {
        let (now, committed) = (self.now, self.committed);
        self.next_read += 1;
        let read = ReadId(self.next_read);
        let server = self.server(id);
        if server.node.raft().role() != RoleKind::Leader || server.paused_until > now {
            return;
        }
        server.reads.insert(read, committed);
        let result = self.step(id, Some(Input::Read(read)));
        let server = self.server(id);
        let holds = server.node.holds_lease(server.clock(now));
        if result.is_ok() && holds && !server.reads.contains_key(&read) {
            self.leased += 1;
        }
    }

    /// A run with everything that can go wrong, until the first stale read.
    pub fn run(seed: u64, servers: u64, config: fn(u64) -> Config) -> World {
        let mut world = World::new(seed, servers, config);
        while world.now < LENGTH && world.stale.is_none() {
            world.tick();
            for id in world.ids() {
                // An operator without patience: whoever may campaign does.
                if world.random.below(8) == 0 && world.server(id).node.raft().leader().is_none() {
                    let _ = world.step(id, Some(Input::Campaign));
                }
                if world.random.below(20) == 0 {
                    world.propose(id);
                }
                world.read(id);
            }
            match world.random.below(60) {
                0 => world.upset(),
                1 => world.cut.clear(),
                _ => {}
            }
        }
        world
    }

    /// Everything is well from now on. Returns after how many milliseconds all servers know that everything any leader ever
    /// took is decided: committed, or replaced by what is.
    pub fn heal(&mut self, patience: u64) -> Option<u64> {
        self.cut.clear();
        self.servers.iter_mut().for_each(|server| server.paused_until = 0);
        let began = self.now;
        let last = self.placed.iter().map(|placed| placed.last).max().unwrap_or_default();
        while self.now < began + patience {
            self.tick();
            // Whoever leads is asked for one thing more, as clients do.
            if self.now.is_multiple_of(50) {
                self.ids().for_each(|id| self.propose(id));
            }
            let is_decided = |server: &Server| server.node.raft().commit() >= last;
            if self.servers.iter().all(is_decided)
                && self.servers.iter().any(|s| leads(s) && s.node.raft().commit() > last)
            {
                return Some(self.now - began);
            }
        }
        None
    }

    /// A millisecond.
    fn tick(&mut self) {
        self.now += 1;
        self.deliver();
        for id in self.ids() {
            self.step(id, None).unwrap();
        }
    }

    fn propose(&mut self, id: u64) {
        let command = self.now;
        let _ = self.step(id, Some(Input::Propose(vec![command])));
    }
}

fn leads(server: &Server) -> bool {
    server.node.raft().role() == RoleKind::Leader
}
