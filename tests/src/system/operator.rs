//! What an operator asks of a cluster of `kv-server`: to hand leadership over, to let go of its logs, to change its members.

use std::net::SocketAddr;
use std::time::Duration;

use kv_server::client::{ClientError, change_members, leader, take_snapshot, transfer_leadership};
use raft_core::{Change, NodeId as Member};
use tokio::time::{Instant, sleep};

use crate::schedule::NodeId;

/// How long one verb may take. Other faults wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a server may take that comes back: it catches up first.
const RETURN: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Has a server take a snapshot and let go of its whole log.
pub(super) async fn compact(server: SocketAddr) -> Result<u64, ClientError> {
    take_snapshot(server, 0, PATIENCE).await
}

/// Removes a server from the cluster.
pub(super) async fn remove(endpoints: &[SocketAddr], node: NodeId) -> Result<(), ClientError> {
    change(endpoints, Change::Remove(Member(node)), PATIENCE).await
}

/// Hands leadership over to this server, or from it to the most suitable other one.
pub(super) async fn hand_over(endpoints: &[SocketAddr], to: NodeId) -> Result<(), ClientError> {
    let before = leader(endpoints, PATIENCE).await?;
    // To the one that leads already it would change nothing: to the most suitable other one, then.
    let to = (before.id != to).then_some(Member(to));
    transfer_leadership(endpoints, to, PATIENCE).await.map(drop)
}

/// Takes a server in again: as a learner, and as a voter once it has caught up.
pub(super) async fn take_in(endpoints: &[SocketAddr], node: NodeId) -> Result<(), ClientError> {
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
