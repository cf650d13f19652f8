//! Writes from their arrival to the answer.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_core::{Index, Placed, Position, Term};

use super::held::Waiting;
use super::io::{Answers, Ask, RequestId, answer};
use crate::limits::{MAX_PROPOSAL_BYTES, MAX_PROPOSAL_COMMANDS};
use crate::machine::Outcome;
use crate::protocol::{Answer, Failure};

#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Arrived in this turn, not yet proposed.
    gathered: VecDeque<Waiting>,
    /// Proposed in `term`, in ascending order of index. All are of one term: a lost leadership abandons them.
    pending: VecDeque<(Index, RequestId)>,
    term: Term,
}

impl Writes {
    pub(super) fn len(&self) -> usize {
        self.gathered.len() + self.pending.len()
    }

    pub(super) fn gather(&mut self, waiting: Waiting) {
        self.gathered.push_back(waiting);
    }

    /// The next commands to propose together, with their requests: as many as the limits allow, at least one.
    pub(super) fn next_proposal(&mut self) -> Option<(Vec<Bytes>, Vec<Waiting>)> {
        let most = self.gathered.len().min(MAX_PROPOSAL_COMMANDS);
        let mut commands = Vec::with_capacity(most);
        let mut batch = Vec::with_capacity(most);
        let mut bytes = 0;
        while let Some(waiting) = self.gathered.pop_front() {
            let Ask::Write { command } = &waiting.ask else { continue };
            let full = commands.len() >= most || bytes + command.len() > MAX_PROPOSAL_BYTES;
            if full && !commands.is_empty() {
                self.gathered.push_front(waiting);
                break;
            }
            bytes += command.len();
            commands.push(command.clone());
            batch.push(waiting);
        }
        (!commands.is_empty()).then_some((commands, batch))
    }

    /// Raft has taken a batch.
    pub(super) fn proposed(&mut self, placed: Placed, batch: Vec<Waiting>) {
        self.term = placed.term;
        let mut index = placed.first;
        for waiting in batch {
            self.pending.push_back((index, waiting.id));
            index = index.next();
        }
        debug_assert_eq!(index.previous(), placed.last, "one index for each command");
    }

    /// The entry at `position` was executed; `outcome` is `None` for a no-op.
    pub(super) fn applied(&mut self, position: Position, outcome: Option<Outcome>, answers: &mut Answers) {
        while let Some(&(index, id)) = self.pending.front() {
            if index > position.index {
                break;
            }
            self.pending.pop_front();
            // Another term's entry may stand where ours was put (§5.3); then ours may still come elsewhere, by a retry.
            let ours = index == position.index && self.term == position.term;
            let result = match &outcome {
                Some(outcome) if ours => Ok(Answer::Executed(outcome.clone())),
                _ => Err(Failure::OutcomeUnknown),
            };
            answer(answers, id, result);
        }
    }

    /// Gives up everything that was proposed under another leadership than that of term `office`.
    pub(super) fn abandon_unless(&mut self, office: Option<Term>, answers: &mut Answers) {
        if office == Some(self.term) {
            return;
        }
        for (_, id) in self.pending.drain(..) {
            answer(answers, id, Err(Failure::OutcomeUnknown));
        }
    }
}
