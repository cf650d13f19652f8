//! The node as such, or with its clock.

use std::time::Duration;

use raft_core::{Clocked, Config, Effects, Input, Moment, Raft, Recovered, Refused, StartError, Timing};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Node {
    Plain(Box<Raft<u8>>),
    Clocked(Box<Clocked<u8>>),
}

const TIMING: Timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };

impl Node {
    pub fn start(
        config: Config,
        recovered: Recovered<u8>,
        keeps_time: bool,
        now: Moment,
        effects: &mut Effects<u8>,
    ) -> Result<Self, StartError> {
        if keeps_time {
            let seed = recovered.boot;
            let clocked = Clocked::start(config, recovered, TIMING, seed, now, effects)?;
            return Ok(Node::Clocked(clocked.into()));
        }
        Ok(Node::Plain(Raft::start(config, recovered, effects)?.into()))
    }

    pub fn raft(&self) -> &Raft<u8> {
        match self {
            Node::Plain(raft) => raft,
            Node::Clocked(clocked) => clocked.raft(),
        }
    }

    /// `None` for an input: time has passed, for a node that keeps it.
    pub fn step(
        &mut self,
        now: Moment,
        input: Option<Input<u8>>,
        effects: &mut Effects<u8>,
    ) -> Result<(), Refused> {
        match (self, input) {
            (Node::Plain(raft), Some(input)) => raft.step(input, effects),
            (Node::Plain(_), None) => Ok(()),
            (Node::Clocked(clocked), input) => clocked.step(now, input, effects),
        }
    }

    pub fn keeps_time(&self) -> bool {
        matches!(self, Node::Clocked(_))
    }

    pub fn holds_lease(&self, now: Moment) -> bool {
        matches!(self, Node::Clocked(clocked) if clocked.holds_lease(now))
    }
}
