//! Requests that wait until a leader is known: bounded in number and in time.

use raft_core::Moment;

use super::io::{Answers, Ask, RequestId, answer};
use crate::limits::MAX_HELD_REQUESTS;
use crate::protocol::Failure;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    /// Until when it may be held.
    pub(super) expires: Moment,
    pub(super) ask: Ask,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    requests: Vec<Waiting>,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Keeps it, or gives it back where there is no room.
    pub(super) fn hold(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        if self.requests.len() >= MAX_HELD_REQUESTS {
            return Err(waiting);
        }
        self.requests.push(waiting);
        Ok(())
    }

    /// Moves all of them, in order of arrival, in front of what just arrived.
    pub(super) fn release(&mut self, arrived: &mut Vec<Waiting>) {
        if !self.requests.is_empty() {
            self.requests.append(arrived);
            std::mem::swap(&mut self.requests, arrived);
        }
    }

    /// Answers those whose time is over.
    pub(super) fn expire(&mut self, now: Moment, answers: &mut Answers) {
        self.requests.retain(|waiting| {
            let stays = waiting.expires > now;
            if !stays {
                answer(answers, waiting.id, Err(Failure::NoLeader));
            }
            stays
        });
    }

    /// Drops those of a connection that is gone.
    pub(super) fn forget(&mut self, connection: u64) {
        self.requests.retain(|waiting| waiting.id.connection != connection);
    }

    /// When the next one's time is over.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.requests.iter().map(|waiting| waiting.expires).min()
    }
}
