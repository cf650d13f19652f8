//! What a cluster is asked for in the middle of everything else: to hand leadership over, to let go of its logs, to change its
//! members. A healthy one does all of it; under faults it may refuse, which is told and is no finding.

use std::net::SocketAddr;
use std::time::Duration;

use kv_server::client::{ClientError, change_members, leader, take_snapshot, transfer_leadership};
use raft_core::{Change, NodeId as Member};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::schedule::{Kind, NodeId};

/// How long one verb may take. Other faults wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a server may take that comes back: it catches up first.
const RETURN: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// How many of the servers did, or had done to them, what was asked.
    pub(crate) count: usize,
    /// Why the others did not.
    pub(crate) errors: Vec<String>,
}

impl Done {
    fn note<T>(&mut self, node: NodeId, result: Result<T, ClientError>) {
        match result {
            Ok(_) => self.count += 1,
            Err(error) => self.errors.push(format!("n{node}: {error}")),
        }
    }
}

/// Asks for what a fault of this family means to these servers.
pub(crate) async fn ask(cluster: &Cluster, kind: Kind, nodes: &[NodeId]) -> Done {
    let endpoints = cluster.endpoints();
    let mut done = Done::default();
    match kind {
        Kind::Transfer => {
            for &node in nodes {
                done.note(node, hand_over(&endpoints, node).await);
            }
        }
        Kind::Compact => {
            let victims = nodes.iter().filter_map(|id| cluster.node(*id));
            let asked = victims
                .map(async |node| (node.id(), take_snapshot(node.client_address(), 0, PATIENCE).await));
            for (node, result) in futures::future::join_all(asked).await {
                done.note(node, result);
            }
        }
        Kind::Members => {
            for &node in nodes {
                let removed = change(&endpoints, Change::Remove(Member(node)), PATIENCE).await;
                done.note(node, removed);
            }
        }
        Kind::Kill | Kind::Pause | Kind::Partition | Kind::Latency => {}
    }
    done
}

/// Takes servers in again: as learners, and as voters once they have caught up.
pub(crate) async fn take_in(cluster: &Cluster, nodes: &[NodeId]) -> Done {
    let endpoints = cluster.endpoints();
    let mut done = Done::default();
    for &node in nodes {
        done.note(node, return_to(&endpoints, node).await);
    }
    done
}

async fn hand_over(endpoints: &[SocketAddr], to: NodeId) -> Result<(), ClientError> {
    let before = leader(endpoints, PATIENCE).await?;
    // To the one that leads already it would change nothing: to the most suitable other one, then.
    let to = (before.id != to).then_some(Member(to));
    transfer_leadership(endpoints, to, PATIENCE).await.map(drop)
}

async fn return_to(endpoints: &[SocketAddr], node: NodeId) -> Result<(), ClientError> {
    let status = leader(endpoints, RETURN).await?;
    if status.voters.contains(&node) {
        return Ok(());
    }
    let member = Member(node);
    if !status.learners.contains(&node) {
        change(endpoints, Change::Learner(member), RETURN).await?;
    }
    change(endpoints, Change::Promote(member), RETURN).await
}

/// One change. An earlier one may be under way, the leader new, or the learner not there yet: then it is refused, and asked for
/// again. Where the answer is lost, the members say whether it was done.
async fn change(endpoints: &[SocketAddr], change: Change, patience: Duration) -> Result<(), ClientError> {
    let end = Instant::now() + patience;
    loop {
        let error = match change_members(endpoints, vec![change], patience).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let Ok(status) = leader(endpoints, PATIENCE).await {
            let id = change.id().0;
            let is_done = status.outgoing.is_empty()
                && match change {
                    Change::Remove(_) => !status.voters.contains(&id) && !status.learners.contains(&id),
                    Change::Learner(_) => status.learners.contains(&id),
                    Change::Promote(_) | Change::Voter(_) => status.voters.contains(&id),
                };
            if is_done {
                return Ok(());
            }
        }
        if Instant::now() >= end {
            return Err(error);
        }
        sleep(PAUSE).await;
    }
}
