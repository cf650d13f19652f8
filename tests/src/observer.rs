//! Watches the servers from outside while a run lasts: who leads, who answers, who fell.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cluster::Cluster;
use crate::schedule::NodeId;
use crate::units::millis;

/// The pause between two rounds of questions.
const ROUND: Duration = Duration::from_millis(200);
/// How long a server has to answer; a paused one does not.
const PATIENCE: Duration = Duration::from_millis(300);

/// What one server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The server's number.
    pub id: NodeId,
    /// Its term.
    pub term: u64,
    /// Whether it says that it leads.
    pub leads: bool,
    /// The last index that its latest snapshot contains; 0 without one.
    pub snapshot: u64,
}

/// A leader's reign as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reign {
    /// When it was first seen, in milliseconds since the start.
    pub at_ms: u64,
    /// The term.
    pub term: u64,
    /// The leader.
    pub node: NodeId,
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct Seen {
    reigns: BTreeMap<u64, Reign>,
    latest: Option<(u64, NodeId)>,
    violations: Vec<String>,
    fallen: BTreeMap<NodeId, String>,
}

/// The watcher of one cluster.
#[derive(Clone, Debug)]
pub struct Observer {
    cluster: Arc<Cluster>,
    origin: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Observer {
    /// A watcher that has seen nothing yet. Times count from `origin`.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, origin: Instant) -> Observer {
        Observer { cluster, origin, seen: Arc::default() }
    }

    /// Asks every server once, all at the same time, and remembers what they say.
    pub async fn look(&self) -> Vec<NodeStatus> {
        let questions =
            self.cluster.nodes().iter().map(|node| status(&self.cluster, node.id(), node.client_address()));
        let answers: Vec<NodeStatus> =
            futures::future::join_all(questions).await.into_iter().flatten().collect();
        let mut fallen = Vec::new();
        for node in self.cluster.nodes() {
            if let Ok(Some(how)) = node.fallen().await {
                fallen.push((node.id(), how));
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.fallen.extend(fallen);
        for leader in answers.iter().filter(|answer| answer.leads) {
            seen.note_leader(leader.id, leader.term, millis(self.origin.elapsed()));
        }
        answers
    }

    /// Looks again and again, for ever; to be aborted.
    pub async fn watch(&self) {
        loop {
            self.look().await;
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Who leads at this moment: among those who say so, the one of the highest term.
    pub async fn leader(&self) -> Option<NodeId> {
        leader_of(&self.look().await)
    }

    /// Waits until somebody leads and every server in `everyone` answers; says whether that came before the deadline.
    pub async fn recovered(&self, deadline: Instant) -> bool {
        loop {
            let answers = self.look().await;
            if leader_of(&answers).is_some() && answers.len() == self.cluster.nodes().len() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The latest leader seen: term and number.
    #[must_use]
    pub fn latest(&self) -> Option<(u64, NodeId)> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).latest
    }

    /// Every leader seen, in order of terms.
    #[must_use]
    pub fn reigns(&self) -> Vec<Reign> {
        let seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.reigns.values().cloned().collect()
    }

    /// Two leaders in one term: what Raft's election safety (Figure 3) forbids.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        if !self.cluster.system().has_exact_terms() {
            return Vec::new();
        }
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).violations.clone()
    }

    /// Servers that ended without being told to, and how.
    #[must_use]
    pub fn fallen(&self) -> BTreeMap<NodeId, String> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fallen.clone()
    }
}

impl Seen {
    fn note_leader(&mut self, node: NodeId, term: u64, at_ms: u64) {
        let reign = self.reigns.entry(term).or_insert(Reign { at_ms, term, node });
        if reign.node != node {
            let complaint = format!("two leaders in term {term}: n{} and n{node}", reign.node);
            if !self.violations.contains(&complaint) {
                self.violations.push(complaint);
            }
        }
        if self.latest.is_none_or(|(latest, _)| latest <= term) {
            self.latest = Some((term, node));
        }
    }
}

fn leader_of(answers: &[NodeStatus]) -> Option<NodeId> {
    answers.iter().filter(|answer| answer.leads).max_by_key(|answer| answer.term).map(|answer| answer.id)
}

/// Asks one server; one that is down, paused or overloaded says nothing.
async fn status(cluster: &Cluster, id: NodeId, endpoint: SocketAddr) -> Option<NodeStatus> {
    let status = cluster.system().status(id, endpoint, PATIENCE).await?;
    Some(NodeStatus { id, term: status.term, leads: status.leads, snapshot: status.snapshot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaders_in_one_term_are_a_violation_and_two_terms_are_not() {
        let mut seen = Seen::default();
        seen.note_leader(1, 3, 10);
        seen.note_leader(2, 4, 20);
        seen.note_leader(1, 3, 30);
        assert!(seen.violations.is_empty());
        assert_eq!(seen.latest, Some((4, 2)));
        seen.note_leader(3, 4, 40);
        assert_eq!(seen.violations, ["two leaders in term 4: n2 and n3"]);
    }
}
