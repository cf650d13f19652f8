//! Whom to ask next, and how long to wait before that.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::Trouble;
use crate::protocol::Failure;

/// The first wait; it doubles with every attempt that leads nowhere.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// For so long no redirect leads to a server that was just found silent: the others need about that time to elect another.
const SUSPICION: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Route {
    endpoints: Vec<SocketAddr>,
    /// The endpoint to ask while no leader is known.
    position: usize,
    leader: Option<SocketAddr>,
    /// A server that did not answer, and until when that is held against it.
    silent: Option<(SocketAddr, Instant)>,
    pause: Duration,
    /// A redirect is followed at once, but not several in a row: servers may disagree for a while.
    redirected: bool,
}

impl Route {
    pub(super) fn new(endpoints: Vec<SocketAddr>) -> Self {
        Route { endpoints, position: 0, leader: None, silent: None, pause: PAUSE_MIN, redirected: false }
    }

    /// A new request: what went wrong with the last one says little.
    pub(super) fn start_over(&mut self) {
        self.pause = PAUSE_MIN;
        self.redirected = false;
    }

    /// Whom to ask.
    pub(super) fn next(&self) -> Option<SocketAddr> {
        self.leader.or_else(|| self.endpoints.get(self.position).copied())
    }

    /// `address` was asked and that went wrong; returns how long to wait.
    pub(super) fn after(&mut self, address: SocketAddr, trouble: &Trouble) -> Duration {
        match trouble {
            Trouble::Failure(Failure::NotLeader { address: Some(leader), .. })
                if *leader != address && !self.is_silent(*leader) =>
            {
                self.leader = Some(*leader);
                if std::mem::replace(&mut self.redirected, true) { self.wait() } else { Duration::ZERO }
            }
            // It leads, and cannot take more: the others cannot help.
            Trouble::Failure(Failure::Overloaded) => self.wait(),
            Trouble::Failure(_) => self.ask_another(),
            _ => {
                self.silent = Some((address, Instant::now() + SUSPICION));
                self.ask_another()
            }
        }
    }

    fn ask_another(&mut self) -> Duration {
        self.leader = None;
        self.redirected = false;
        self.position = (self.position + 1) % self.endpoints.len().max(1);
        self.wait()
    }

    fn wait(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }

    fn is_silent(&self, address: SocketAddr) -> bool {
        self.silent.is_some_and(|(silent, until)| silent == address && Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use raft_core::NodeId;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn redirect(port: u16) -> Trouble {
        Trouble::Failure(Failure::NotLeader { leader: NodeId(1), address: Some(address(port)) })
    }

    fn route() -> Route {
        Route::new(vec![address(1), address(2), address(3)])
    }

    #[test]
    fn a_redirect_is_followed_at_once_but_not_in_circles() {
        let mut route = route();
        assert_eq!(route.after(address(1), &redirect(3)), Duration::ZERO);
        assert_eq!(route.next(), Some(address(3)));
        assert!(route.after(address(3), &redirect(1)) > Duration::ZERO);
        assert_eq!(route.next(), Some(address(1)));
    }

    #[test]
    fn after_a_failure_the_next_endpoint_is_asked_with_growing_pauses() {
        let mut route = route();
        let mut pauses = Vec::new();
        for port in [1, 2, 3, 1, 2, 3, 1] {
            assert_eq!(route.next(), Some(address(port)));
            pauses.push(route.after(address(port), &Trouble::Failure(Failure::NoLeader)));
        }
        assert!(pauses.is_sorted() && pauses[0] == PAUSE_MIN && pauses[6] == PAUSE_MAX, "{pauses:?}");
    }

    #[test]
    fn a_redirect_to_a_silent_server_is_not_followed() {
        let mut route = route();
        route.after(address(1), &Trouble::Timeout { address: address(1) });
        assert_eq!(route.next(), Some(address(2)));
        assert!(route.after(address(2), &redirect(1)) > Duration::ZERO);
        assert_eq!(route.next(), Some(address(3)));
    }

    #[test]
    fn without_endpoints_there_is_nobody_to_ask() {
        let mut route = Route::new(Vec::new());
        assert_eq!(route.next(), None);
        route.after(address(1), &Trouble::NoTime);
        assert_eq!(route.next(), None);
    }
}
