//! The same cluster of the published `raft` crate's nodes.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::prelude::{ConfState, Entry, EntryType, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

/// How the crate is used: see the package's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// As fast as it goes.
    Fast,
    /// As its documentation shows.
    Documented,
}

pub struct Cluster {
    usage: Usage,
    nodes: Vec<Node>,
    network: VecDeque<Message>,
}

/// One node, with a disk and a state machine that answer at once.
pub(crate) struct Node {
    pub(crate) raw: RawNode<MemStorage>,
    /// How many commands it has executed.
    applied: u64,
}

impl Cluster {
    pub(crate) fn start(voters: u64, usage: Usage) -> raft::Result<Self> {
        let nodes = (1..=voters).map(|id| Node::start(id, voters, usage)).collect::<raft::Result<_>>()?;
        Ok(Cluster { usage, nodes, network: VecDeque::new() })
    }

    pub(crate) fn elect(&mut self) -> raft::Result<()> {
        self.on_leader(|raw| raw.campaign())
    }

    pub(crate) fn propose(&mut self, command: &Bytes, count: usize) -> raft::Result<()> {
        if self.usage == Usage::Documented {
            return self
                .on_leader(|raw| (0..count).try_for_each(|_| raw.propose(Vec::new(), command.to_vec())));
        }
        let mut entry = Entry::default();
        entry.set_data(command.clone());
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.set_from(1);
        message.set_entries(vec![entry; count].into());
        self.on_leader(|raw| raw.step(message))
    }

    pub(crate) fn heartbeat(&mut self) -> raft::Result<()> {
        self.on_leader(|raw| {
            raw.ping();
            Ok(())
        })
    }

    pub(crate) fn is_led(&self) -> bool {
        self.nodes.first().is_some_and(|node| node.raw.raft.state == StateRole::Leader)
    }

    pub(crate) fn applied_everywhere(&self) -> u64 {
        self.nodes.iter().map(|node| node.applied).min().unwrap_or_default()
    }

    /// Does something on the first node, then whatever follows from it anywhere.
    fn on_leader(
        &mut self,
        ask: impl FnOnce(&mut RawNode<MemStorage>) -> raft::Result<()>,
    ) -> raft::Result<()> {
        ask(&mut self.nodes[0].raw)?;
        self.nodes[0].handle_ready(&mut self.network)?;
        while let Some(message) = self.network.pop_front() {
            let node = &mut self.nodes[message.to as usize - 1];
            node.raw.step(message)?;
            node.handle_ready(&mut self.network)?;
        }
        Ok(())
    }
}

impl Node {
    pub(crate) fn start(id: u64, voters: u64, usage: Usage) -> raft::Result<Self> {
        let voters = ConfState::from(((1..=voters).collect::<Vec<_>>(), Vec::new()));
        Node::restart(id, MemStorage::new_with_conf_state(voters), usage)
    }

    /// From what the disk holds.
    pub(crate) fn restart(id: u64, disk: MemStorage, usage: Usage) -> raft::Result<Self> {
        let config = Config {
            id,
            max_size_per_msg: 1 << 20,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            skip_bcast_commit: usage == Usage::Fast,
            ..Config::default()
        };
        let raw = RawNode::new(&config, disk, &slog::Logger::root(slog::Discard, slog::o!()))?;
        Ok(Node { raw, applied: 0 })
    }

    /// The loop that the crate's documentation prescribes.
    pub(crate) fn handle_ready(&mut self, network: &mut VecDeque<Message>) -> raft::Result<()> {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            network.extend(ready.take_messages());
            self.apply(ready.take_committed_entries());
            {
                let mut disk = self.raw.mut_store().wl();
                disk.append(ready.entries())?;
                if let Some(hard_state) = ready.hs() {
                    disk.set_hardstate(hard_state.clone());
                }
            }
            network.extend(ready.take_persisted_messages());
            let mut light = self.raw.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.raw.mut_store().wl().mut_hard_state().set_commit(commit);
            }
            network.extend(light.take_messages());
            self.apply(light.take_committed_entries());
            self.raw.advance_apply();
        }
        Ok(())
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        let is_command =
            |entry: &&Entry| entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty();
        self.applied += entries.iter().filter(is_command).count() as u64;
    }
}
