//! A cluster of `raft-core` nodes in memory, whose disks, network and state machines answer at once: what is left to be
//! measured is what the protocol itself costs.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_core::{
    Apply, Config, Effects, Entry, Index, Input, NodeId, Outbound, Payload, Raft, ReadId, ReadOutcome,
    Recovered, Refused, RoleKind, StartError, Timer,
};

/// The first node is the leader once [`elect`](Self::elect) has been called.
#[derive(Clone)]
pub struct Cluster {
    nodes: Vec<Raft<Bytes>>,
    /// How many commands each node has executed.
    applied: Vec<u64>,
    /// How many reads were confirmed.
    reads: u64,
    network: VecDeque<(NodeId, Outbound<Bytes>)>,
    effects: Effects<Bytes>,
}

impl Cluster {
    pub fn start(voters: u64) -> Result<Self, StartError> {
        let mut effects = Effects::default();
        let start = |id| {
            let config = Config::new(NodeId(id), (1..=voters).map(NodeId));
            Raft::start(config, Recovered::nothing(), &mut effects)
        };
        let nodes = (1..=voters).map(start).collect::<Result<Vec<_>, _>>()?;
        effects.clear();
        Ok(Cluster { applied: vec![0; nodes.len()], nodes, reads: 0, network: VecDeque::new(), effects })
    }

    /// Pre-votes, votes, and the entry that opens the term, committed.
    pub fn elect(&mut self) -> Result<(), Refused> {
        self.step(0, Input::Timer(Timer::Election))?;
        self.settle()
    }

    /// One proposal of `count` equal commands, to where every node has them and a majority is known to.
    pub fn propose(&mut self, command: &Bytes, count: usize) -> Result<(), Refused> {
        self.step(0, Input::Propose(vec![command.clone(); count]))?;
        self.settle()
    }

    /// `count` linearizable reads on the leader, to where all are confirmed.
    pub fn read(&mut self, count: u64) -> Result<(), Refused> {
        for id in 0..count {
            self.step(0, Input::Read(ReadId(id)))?;
        }
        self.settle()
    }

    /// Followers learn of the last commitment with the next append or heartbeat, whichever comes first.
    pub fn heartbeat(&mut self) -> Result<(), Refused> {
        self.step(0, Input::Timer(Timer::Heartbeat))?;
        self.settle()
    }

    pub fn is_led(&self) -> bool {
        self.nodes.first().is_some_and(|node| node.role() == RoleKind::Leader)
    }

    /// How many commands have been executed by every node.
    pub fn applied_everywhere(&self) -> u64 {
        self.applied.iter().copied().min().unwrap_or_default()
    }

    pub fn reads(&self) -> u64 {
        self.reads
    }

    pub fn nodes(&self) -> &[Raft<Bytes>] {
        &self.nodes
    }

    fn settle(&mut self) -> Result<(), Refused> {
        while let Some((from, Outbound { to, message })) = self.network.pop_front() {
            self.step(to.0 as usize - 1, Input::Receive { from, message })?;
        }
        Ok(())
    }

    /// Hands an input to a node and does at once whatever it asks for.
    fn step(&mut self, i: usize, input: Input<Bytes>) -> Result<(), Refused> {
        let Cluster { nodes, applied, reads, network, effects } = self;
        let node = &mut nodes[i];
        node.step(input, effects)?;
        loop {
            let ack = effects.writes.drain(..).next_back().map(|write| write.split().1);
            if let Some(ack) = ack {
                node.step(Input::Durable(ack), effects)?;
            }
            let mut last = Index::ZERO;
            for apply in effects.apply.drain(..) {
                last = apply.index();
                let is_command = matches!(apply, Apply::Entry(Entry { payload: Payload::Command(_), .. }));
                applied[i] += u64::from(is_command);
            }
            if last > Index::ZERO {
                node.step(Input::Applied(last), effects)?;
            } else if ack.is_none() {
                break;
            }
        }
        *reads +=
            effects.reads.iter().filter(|read| matches!(read, ReadOutcome::Ready { .. })).count() as u64;
        let id = node.id();
        network.extend(effects.send.drain(..).map(|outbound| (id, outbound)));
        effects.clear();
        Ok(())
    }
}
