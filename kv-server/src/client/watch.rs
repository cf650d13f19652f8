//! Being told what changes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::error::{ClientError, Trouble};
use super::operator::status;
use crate::protocol::{Answer, RequestBody, Revision, Scope};

/// How long a server lets one question wait for something to tell.
const POLL: Duration = Duration::from_secs(2);
/// A server that has not answered after so much more time is not there.
const GRACE: Duration = Duration::from_secs(2);

/// One server tells every change of some keys, in order of revision, each once, none left out; what it cannot tell any more
/// ends the watch with [`Failure::Compacted`](crate::protocol::Failure::Compacted). To go on elsewhere after an error, open
/// another one from [`Watch::next_revision`].
///
/// ```no_run
/// # async fn example() -> Result<(), kv_server::client::ClientError> {
/// use std::time::Duration;
///
/// use kv_server::client::{Scope, Watch};
///
/// let server = "127.0.0.1:8001".parse().expect("an address");
/// let mut watch = Watch::open(server, Scope::Prefix("user/".into()), None, Duration::from_secs(1)).await?;
/// loop {
///     for revision in watch.next().await? {
///         println!("{}: {:?}", revision.revision, revision.changes);
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    server: SocketAddr,
    connection: Connection,
    scope: Scope,
    next: u64,
}

impl Watch {
    /// Opens a watch at this very server: from a revision on, or, without one, from what it executes next.
    ///
    /// # Errors
    /// When there is no connection within `limit`. A revision that is gone is refused by the first [`Watch::next`].
    pub async fn open(
        server: SocketAddr,
        scope: Scope,
        from: Option<u64>,
        limit: Duration,
    ) -> Result<Watch, ClientError> {
        let next = match from {
            Some(from) => from.max(1),
            None => status(server, limit).await?.applied + 1,
        };
        let opening = timeout(limit, Connection::open(server)).await;
        let connection = opening.unwrap_or(Err(Trouble::Timeout { address: server }));
        let connection = connection.map_err(|last| ClientError::Failed { last })?;
        Ok(Watch { server, connection, scope, next })
    }

    /// The first revision that has not been told.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        self.next
    }

    /// What changed: whole revisions, in order. None at all means that nothing has for a while, up to
    /// [`Watch::next_revision`]. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// When the server refuses, is gone, or does not answer in a few seconds. The watch is of no more use then.
    pub async fn next(&mut self) -> Result<Vec<Revision>, ClientError> {
        let body = RequestBody::Watch { scope: self.scope.clone(), from: self.next };
        let address = self.server;
        let asking = self.connection.call(&body, Instant::now() + POLL);
        let result = match timeout(POLL + GRACE, asking).await {
            Err(_) => Err(Trouble::Timeout { address }),
            Ok(Err(error)) => Err(Trouble::Broken { address, error }),
            Ok(Ok(Err(failure))) => Err(failure.into()),
            Ok(Ok(Ok(Answer::Changes { revisions, next }))) => {
                self.next = next;
                Ok(revisions)
            }
            Ok(Ok(Ok(_))) => Err(Trouble::WrongAnswer),
        };
        result.map_err(|last| ClientError::Failed { last })
    }
}
