//! What an operator asks of a server or a cluster: status, snapshots, members, leadership.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use raft_core::{Change, NodeId};
use tokio::time::{Instant, sleep, timeout};

use super::after;
use super::connection::Connection;
use super::error::{ClientError, Trouble};
use crate::protocol::{Answer, Failure, RequestBody, Role, Status};

/// The wait before the leader is looked for again.
const PAUSE: Duration = Duration::from_millis(20);
/// A server that does not say how it is within this is asked again, or another one.
const LONGEST_STATUS: Duration = Duration::from_secs(1);

/// What one server believes about itself and its cluster. Not linearizable.
///
/// # Errors
/// Always definite.
pub async fn status(endpoint: SocketAddr, limit: Duration) -> Result<Status, ClientError> {
    let result = match ask_one(endpoint, RequestBody::Status, limit).await {
        Ok(Answer::Status(status)) => Ok(status),
        Ok(_) => Err(Trouble::WrongAnswer),
        Err(trouble) => Err(trouble),
    };
    result.map_err(|last| ClientError::Failed { last })
}

/// Has one server take a snapshot of what it has executed, now, and let go of the log before its end but for `kept` entries.
/// Returns the last index that the snapshot contains, once that is on stable storage.
///
/// # Errors
/// Whether it was taken may be in doubt, which does no harm: the state is the same.
pub async fn take_snapshot(endpoint: SocketAddr, kept: u64, limit: Duration) -> Result<u64, ClientError> {
    let result = match ask_one(endpoint, RequestBody::TakeSnapshot { kept }, limit).await {
        Ok(Answer::Snapshot { last }) => Ok(last),
        Ok(_) => Err(Trouble::WrongAnswer),
        Err(trouble) => Err(trouble),
    };
    result.map_err(|last| ClientError::InDoubt { last })
}

/// The last entry that one server's state contains, and a digest of that state. It reads all of it.
///
/// # Errors
/// Always definite.
pub async fn state_hash(endpoint: SocketAddr, limit: Duration) -> Result<(u64, u64), ClientError> {
    let result = match ask_one(endpoint, RequestBody::StateHash, limit).await {
        Ok(Answer::StateHash { applied, hash }) => Ok((applied, hash)),
        Ok(_) => Err(Trouble::WrongAnswer),
        Err(trouble) => Err(trouble),
    };
    result.map_err(|last| ClientError::Failed { last })
}

/// Asks this very server, once.
async fn ask_one(endpoint: SocketAddr, body: RequestBody, limit: Duration) -> Result<Answer, Trouble> {
    let ask = async {
        let mut connection = Connection::open(endpoint).await?;
        match connection.call(&body, after(limit)).await {
            Ok(answer) => answer.map_err(Trouble::from),
            Err(error) => Err(Trouble::Broken { address: endpoint, error }),
        }
    };
    timeout(limit, ask).await.unwrap_or(Err(Trouble::Timeout { address: endpoint }))
}

/// Changes who the members are. Returns when the new members are in force and committed.
///
/// # Errors
/// Refused changes are definite, and say why. In doubt it is if the leader was lost meanwhile.
pub async fn change_members(
    endpoints: &[SocketAddr],
    changes: Vec<Change>,
    limit: Duration,
) -> Result<(), ClientError> {
    match ask_leader(endpoints, RequestBody::ChangeMembers { changes }, limit).await? {
        Answer::MembersChanged => Ok(()),
        _ => Err(ClientError::InDoubt { last: Trouble::WrongAnswer }),
    }
}

/// What the server that leads believes.
///
/// # Errors
/// Always definite: nobody that could be asked led within `limit`.
pub async fn leader(endpoints: &[SocketAddr], limit: Duration) -> Result<Status, ClientError> {
    find_leader(endpoints, after(limit)).await.map(|(_, status)| status)
}

/// Gives leadership to another voter, the one that is named or the most suitable one. Returns who leads then.
///
/// # Errors
/// In doubt if nobody else leads within `limit`.
pub async fn transfer_leadership(
    endpoints: &[SocketAddr],
    to: Option<NodeId>,
    limit: Duration,
) -> Result<u64, ClientError> {
    let end = after(limit);
    let (_, before) = find_leader(endpoints, end).await?;
    if to == Some(NodeId(before.id)) {
        return Ok(before.id);
    }
    ask_leader(endpoints, RequestBody::TransferLeadership { to }, limit).await?;
    loop {
        let (_, now) = find_leader(endpoints, end).await?;
        if now.term > before.term && to.is_none_or(|to| to.0 == now.id) {
            return Ok(now.id);
        }
        if Instant::now() >= end {
            return Err(ClientError::InDoubt { last: Trouble::StillLeads { leader: NodeId(now.id) } });
        }
        sleep(PAUSE).await;
    }
}

/// Asks the server that leads, whoever that is, until it answers something else than that another one does.
async fn ask_leader(
    endpoints: &[SocketAddr],
    body: RequestBody,
    limit: Duration,
) -> Result<Answer, ClientError> {
    let end = after(limit);
    loop {
        let (leader, _) = find_leader(endpoints, end).await?;
        let left = end.saturating_duration_since(Instant::now());
        let last = match ask_one(leader, body.clone(), left).await {
            Ok(answer) => return Ok(answer),
            Err(last) => last,
        };
        match last {
            // It had no effect, and another server may be the one to ask.
            Trouble::Failure(Failure::NotLeader { .. } | Failure::NoLeader | Failure::Stopping)
            | Trouble::Connect { .. }
                if Instant::now() < end =>
            {
                sleep(PAUSE).await;
            }
            Trouble::Timeout { .. } | Trouble::Broken { .. } | Trouble::Failure(Failure::OutcomeUnknown) => {
                return Err(ClientError::InDoubt { last });
            }
            last => return Err(ClientError::Failed { last }),
        }
    }
}

/// Where the server is that says that it leads, and what else it says.
async fn find_leader(endpoints: &[SocketAddr], end: Instant) -> Result<(SocketAddr, Status), ClientError> {
    let mut last =
        if endpoints.is_empty() { Trouble::NoEndpoints } else { Trouble::Failure(Failure::NoLeader) };
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(LONGEST_STATUS);
        let answers = join_all(endpoints.iter().map(|&endpoint| status(endpoint, left))).await;
        let said = endpoints.iter().zip(answers).filter_map(|(&endpoint, answer)| {
            let status = answer.ok()?;
            let leader = if status.role == Role::Leader { Some(endpoint) } else { status.leader_address };
            leader.map(|leader| (status.term, leader))
        });
        // Of several, the latest term's; and it is asked itself, since others may be mistaken.
        if let Some((_, leader)) = said.max_by_key(|(term, _)| *term) {
            match status(leader, left).await {
                Ok(status) if status.role == Role::Leader => return Ok((leader, status)),
                Ok(_) => {}
                Err(ClientError::Failed { last: trouble }) => last = trouble,
                Err(error) => return Err(error),
            }
        }
        if Instant::now() >= end || endpoints.is_empty() {
            return Err(ClientError::Failed { last });
        }
        sleep(PAUSE).await;
    }
}
