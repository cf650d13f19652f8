//! What a client has done, counted.

use super::Trouble;
use crate::protocol::Failure;

/// Counts of one client since it was made. Opening a session is a request like any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that were to be served.
    pub requests: u64,
    /// How often one was put to a server: above [`Self::requests`] by the repetitions.
    pub attempts: u64,
    /// Answers that named another server as the leader.
    pub redirects: u64,
    /// Answers that said no for another reason: no leader is known, too much is pending, the server stops.
    pub refusals: u64,
    /// Attempts without an answer: no connection, a connection that broke, or no time.
    pub silences: u64,
    /// Answers that nobody waited for any more.
    pub strays: u64,
}

impl Counters {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Counters) -> Counters {
        Counters {
            requests: self.requests + other.requests,
            attempts: self.attempts + other.attempts,
            redirects: self.redirects + other.redirects,
            refusals: self.refusals + other.refusals,
            silences: self.silences + other.silences,
            strays: self.strays + other.strays,
        }
    }

    /// An attempt that did not serve its request.
    pub(super) fn note(&mut self, trouble: &Trouble) {
        match trouble {
            Trouble::Failure(Failure::NotLeader { address: Some(_), .. }) => self.redirects += 1,
            Trouble::Failure(_) => self.refusals += 1,
            _ => self.silences += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use raft_core::NodeId;

    use super::*;

    #[test]
    fn a_redirect_is_an_answer_that_names_somebody() {
        let mut counters = Counters::default();
        let address = "127.0.0.1:1".parse().unwrap();
        counters.note(&Trouble::Failure(Failure::NotLeader { leader: NodeId(2), address: Some(address) }));
        counters.note(&Trouble::Failure(Failure::NotLeader { leader: NodeId(2), address: None }));
        counters.note(&Trouble::Failure(Failure::NoLeader));
        counters.note(&Trouble::Timeout { address });
        assert_eq!((counters.redirects, counters.refusals, counters.silences), (1, 2, 1));
        assert_eq!(counters.plus(counters).redirects, 2);
    }
}
