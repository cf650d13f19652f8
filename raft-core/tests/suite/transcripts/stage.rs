//! A few servers whose every word is written down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raft_core::{
    Apply, Body, Config, Effects, Index, Input, Message, NodeId, Raft, ReadChunk, Recovered, Timer, Write,
};

use super::words;

/// What every server's snapshot consists of.
const SNAPSHOT: &[u8] = b"balances";
const CHUNK_BYTES: usize = 4;

#[derive(Default)]
struct Server {
    raft: Option<Raft<u64>>,
    writes: VecDeque<Write<u64>>,
}

pub struct Stage {
    servers: BTreeMap<u64, Server>,
    network: VecDeque<(u64, u64, Message<u64>)>,
    /// Whose disks answer only when they are told to.
    slow: BTreeSet<u64>,
    script: String,
    is_silent: bool,
}

impl Stage {
    /// So many voters; and the goal, in one line.
    pub fn new(goal: &str, voters: u64) -> Stage {
        let mut stage = Stage {
            servers: BTreeMap::new(),
            network: VecDeque::new(),
            slow: BTreeSet::new(),
            script: format!("{goal}\n"),
            is_silent: false,
        };
        (1..=voters).for_each(|id| stage.enter(Config::new(NodeId(id), (1..=voters).map(NodeId))));
        stage
    }

    pub fn enter(&mut self, config: Config) {
        let id = config.id.0;
        let recovered = Recovered { boot: 1, ..Recovered::nothing() };
        let raft = Raft::start(config, recovered, &mut Effects::default()).unwrap();
        self.servers.insert(id, Server { raft: Some(raft), ..Server::default() });
    }

    pub fn raft(&self, id: u64) -> &Raft<u64> {
        self.servers[&id].raft.as_ref().unwrap()
    }

    /// A remark between the lines.
    pub fn remark(&mut self, text: &str) {
        self.write(format!("\n# {text}\n"));
    }

    /// What goes before the story.
    pub fn meanwhile(&mut self, act: impl FnOnce(&mut Stage)) {
        self.is_silent = true;
        act(self);
        self.is_silent = false;
    }

    pub fn script(self) -> String {
        self.script
    }

    fn write(&mut self, text: String) {
        if !self.is_silent {
            self.script += &text;
        }
    }

    pub fn set_slow(&mut self, id: u64, is_slow: bool) {
        self.slow.retain(|&other| other != id);
        self.slow.extend(is_slow.then_some(id));
    }

    pub fn fire(&mut self, id: u64, timer: Timer) {
        let what = match timer {
            Timer::Election => "has waited long enough for a leader",
            Timer::Heartbeat => "has to be heard",
            Timer::Contact => "looks back",
        };
        self.act(id, what, Input::Timer(timer));
    }

    /// The host of a server asks for something.
    pub fn act(&mut self, id: u64, what: &str, input: Input<u64>) {
        self.write(format!("\nn{id} {what}\n"));
        self.step(id, input);
    }

    /// The oldest message is delivered. Returns whether there was one.
    pub fn deliver(&mut self) -> bool {
        let Some((from, to, message)) = self.network.pop_front() else { return false };
        let term = message.term;
        self.write(format!("\nn{from} -> n{to} (term {term})  {}\n", words::body(&message.body)));
        self.step(to, Input::Receive { from: NodeId(from), message });
        true
    }

    pub fn settle(&mut self) {
        while self.deliver() {}
    }

    /// Messages to or from these are lost.
    pub fn lose(&mut self, ids: &[u64]) {
        let (lost, kept) = std::mem::take(&mut self.network)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(from, to, _)| ids.contains(from) || ids.contains(to));
        self.network = kept;
        for (from, to, message) in lost {
            self.write(format!(
                "\nn{from} -> n{to} (term {})  LOST: {}\n",
                message.term,
                words::body(&message.body)
            ));
        }
    }

    pub fn is_under_way(&self, is_it: impl Fn(&Body<u64>) -> bool) -> bool {
        self.network.iter().any(|(_, _, message)| is_it(&message.body))
    }

    /// The first message that is picked is lost.
    pub fn lose_first(&mut self, is_it: impl Fn(&Body<u64>) -> bool) {
        let place = self.network.iter().position(|(_, _, message)| is_it(&message.body)).unwrap();
        let (from, to, message) = self.network.remove(place).unwrap();
        self.write(format!(
            "\nn{from} -> n{to} (term {})  LOST: {}\n",
            message.term,
            words::body(&message.body)
        ));
    }

    /// The disk of a slow server has caught up.
    pub fn sync(&mut self, id: u64) {
        self.write(format!("\nn{id}'s disk has caught up\n"));
        let last = self.servers.get_mut(&id).unwrap().writes.drain(..).next_back();
        if let Some(write) = last {
            self.step(id, Input::Durable(write.split().1));
        }
    }

    fn step(&mut self, id: u64, input: Input<u64>) {
        let mut effects = Effects::default();
        let raft = self.servers.get_mut(&id).unwrap().raft.as_mut().unwrap();
        let commit = raft.commit();
        if let Err(refused) = raft.step(input, &mut effects) {
            self.write(format!("    n{id} refuses: {refused}\n"));
        }
        let now = self.raft(id).commit();
        if now > commit {
            self.write(format!("    n{id} knows that everything up to {now} is committed\n"));
        }
        self.tell(id, effects);
    }

    fn tell(&mut self, id: u64, effects: Effects<u64>) {
        for event in &effects.events {
            self.write(format!("    n{id} {}\n", words::event(event)));
        }
        for abandoned in effects.abandoned {
            let raft_core::Abandoned { first, last, .. } = abandoned;
            self.write(format!("    n{id} gives up entries {first} to {last}\n"));
        }
        for outbound in effects.send {
            self.write(format!("    to n{}: {}\n", outbound.to, words::body(&outbound.message.body)));
            self.network.push_back((id, outbound.to.0, outbound.message));
        }
        let is_slow = self.slow.contains(&id);
        for write in effects.writes {
            let how = if is_slow { "on its way to disk" } else { "durable" };
            self.write(format!("    {how}: {}\n", words::batch(write.batch())));
            if is_slow {
                self.servers.get_mut(&id).unwrap().writes.push_back(write);
            } else {
                self.step(id, Input::Durable(write.split().1));
            }
        }
        for apply in &effects.apply {
            match apply {
                Apply::Entry(entry) => {
                    self.write(format!(
                        "    n{id} executes {}\n",
                        words::entries(std::slice::from_ref(entry))
                    ));
                }
                Apply::Snapshot(meta) => {
                    self.write(format!(
                        "    n{id} restores the snapshot up to {}\n",
                        words::position(meta.last)
                    ));
                }
            }
        }
        if let Some(last) = effects.apply.last().map(Apply::index) {
            self.step(id, Input::Applied(last));
        }
        for wanted in effects.snapshots {
            self.read_chunk(id, wanted);
        }
    }

    fn read_chunk(&mut self, id: u64, wanted: ReadChunk) {
        let ReadChunk { to, last, offset } = wanted;
        let rest = SNAPSHOT.get(usize::try_from(offset).unwrap()..).unwrap();
        let data = rest[..rest.len().min(CHUNK_BYTES)].to_vec();
        let done = data.len() == rest.len();
        self.write(format!("    n{id} reads its snapshot for n{to} from byte {offset}\n"));
        self.step(id, Input::SnapshotChunk { to, last, offset, data, done });
    }

    pub fn compact(&mut self, id: u64) {
        let raft = self.raft(id);
        let snapshot = raft.snapshot_meta(raft.applied()).unwrap();
        let last = snapshot.last;
        let through: Index = last.index;
        let what = format!("has taken a snapshot up to {} and lets go of the log", words::position(last));
        self.act(id, &what, Input::Compact { snapshot, through });
    }
}
