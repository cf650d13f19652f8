//! How an operation can fail.

use std::net::SocketAddr;

use raft_core::NodeId;

use crate::machine::CommandError;
use crate::protocol::{Failure, FrameError, Rejection};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It breaks a limit; it was not sent.
    #[error("invalid operation: {0}")]
    Invalid(#[from] CommandError),
    /// It was not served, and certainly had no effect and never will have.
    #[error("not done: {last}")]
    Failed {
        /// What happened to the last attempt.
        last: Trouble,
    },
    /// It may have been applied, or may yet be.
    #[error("done or not, nobody knows: {last}")]
    InDoubt {
        /// What happened to the last attempt.
        last: Trouble,
    },
}

impl ClientError {
    /// Whether the operation certainly was not applied and never will be.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        !matches!(self, ClientError::InDoubt { .. })
    }
}

/// What happened to an attempt.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is nobody to ask.
    #[error("no endpoints were given")]
    NoEndpoints,
    /// Time was over before anybody could be asked.
    #[error("there was no time to ask")]
    NoTime,
    /// No connection.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// The server's address.
        address: SocketAddr,
        /// Why not.
        error: FrameError,
    },
    /// The server does not want to talk to this client.
    #[error("{address} refuses the connection: {rejection}")]
    Rejected {
        /// The server's address.
        address: SocketAddr,
        /// Why.
        rejection: Rejection,
    },
    /// No answer in time.
    #[error("no answer from {address} in time")]
    Timeout {
        /// The server's address.
        address: SocketAddr,
    },
    /// The connection broke before the answer came.
    #[error("the connection to {address} broke: {error}")]
    Broken {
        /// The server's address.
        address: SocketAddr,
        /// How.
        error: FrameError,
    },
    /// The server said no.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The session of an operation that is in doubt has expired.
    #[error("the session expired while the operation was in doubt")]
    SessionExpired,
    /// Leadership has not changed hands in time.
    #[error("server {leader} still leads")]
    StillLeads {
        /// Who leads.
        leader: NodeId,
    },
    /// The server answered something else than what was asked.
    #[error("the answer does not fit the request")]
    WrongAnswer,
}

impl Trouble {
    /// Whether the server's answer itself leaves open what became of the operation.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(self, Trouble::Failure(Failure::OutcomeUnknown))
    }
}
