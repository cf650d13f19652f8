//! A seeded bug: a follower answers what it has only handed on.

use raft_core::{Input, Moment, Proposed};

use super::Replica;
use super::held::Waiting;
use super::io::{Ask, ReplicaOutput};
use crate::machine::{Command, Operation, Outcome, Response};
use crate::protocol::Answer;
use crate::wal::mutant::ServerMutant;

impl Replica {
    /// With the bug, hands puts on to the leader and answers them at once; leaves everything else.
    pub(super) fn answer_rashly(&mut self, now: Moment, arrived: &mut Vec<Waiting>, out: &mut ReplicaOutput) {
        if !self.machine.is_seeded(ServerMutant::RedirectLosesWrite) {
            return;
        }
        for waiting in std::mem::take(arrived) {
            let put = match &waiting.ask {
                Ask::Write { command } if is_put(command) => Some(command.clone()),
                _ => None,
            };
            let Some(put) = put else {
                arrived.push(waiting);
                continue;
            };
            let result = self.core.step(now, Some(Input::Propose(vec![put])), &mut self.effects);
            let is_handed_on = matches!(self.effects.proposed.take(), Some(Proposed::Forwarded(_)));
            if result.is_ok() && is_handed_on {
                out.answer(waiting.id, Ok(Answer::Executed(Outcome::Applied(Response::Put))));
            } else {
                arrived.push(waiting);
            }
            self.settle(now, out);
        }
    }
}

fn is_put(command: &[u8]) -> bool {
    matches!(Command::decode(command), Ok(Command::Apply { operation: Operation::Put { .. }, .. }))
}
