//! What must not be said before it is durable, was durable when it was said.

use raft_core::{AppendOutcome, Body, Command, Message, NodeId};

use super::facts::PROMISES;
use super::watch::Watch;

impl Watch {
    /// A vote that a crash could erase could be given twice (B05), and an entry that it could erase is not replicated.
    pub(super) fn promise<P: Command>(&mut self, record: u64, to: NodeId, message: &Message<P>) {
        let (hard, end) = (self.stored.hard(), self.stored.end());
        let has_vote = |vote| hard.term == message.term && hard.voted_for == Some(vote);
        let what = match &message.body {
            Body::VoteResponse { granted: true } if !has_vote(to) => format!("votes for server {to}"),
            Body::VoteRequest { .. } if !has_vote(self.me) => "asks for votes".to_owned(),
            Body::AppendResponse(response) => match response.outcome {
                AppendOutcome::Accepted { matched } if matched > end => {
                    format!("acknowledges entries up to {matched}")
                }
                _ => return,
            },
            _ => return,
        };
        let what = format!(
            "{what} in term {}, where durable are term {}, vote {:?} and the log up to {end}",
            message.term, hard.term, hard.voted_for
        );
        self.facts.breaks_rule(PROMISES, record, what);
    }
}
