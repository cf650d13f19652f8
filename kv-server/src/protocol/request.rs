//! What clients ask and servers answer.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use raft_core::{Change, NodeId};
use serde::{Deserialize, Serialize};

use crate::machine::{KeyChange, Outcome};

/// A server's state in the protocol: follower, candidate or leader.
pub type Role = raft_core::RoleKind;

/// A client's request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The client's own number for it; comes back with the answer.
    pub id: u64,
    /// How long, in milliseconds, the server may hold the request while no leader is known.
    pub patience_ms: u32,
    /// What is asked.
    pub body: RequestBody,
}

/// The kinds of request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestBody {
    /// Read one key; linearizable.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Execute an encoded [`machine::Command`](crate::machine::Command). The client encodes it once; the server checks it
    /// and replicates these very bytes.
    Execute {
        /// The encoding.
        command: Bytes,
    },
    /// How is this very server? Not linearizable: what it believes itself.
    Status,
    /// Take a snapshot on this very server, now, and let go of the log that it stands for.
    TakeSnapshot {
        /// So many entries before its end stay, for servers that lag a little.
        kept: u64,
    },
    /// Change who the members are, all at once. Only a leader does that.
    ChangeMembers {
        /// What becomes of whom.
        changes: Vec<Change>,
    },
    /// Give leadership to another voter. Only a leader does that.
    TransferLeadership {
        /// To whom; if nobody is named, to the most suitable one.
        to: Option<NodeId>,
    },
    /// Read several keys, all at the same moment; linearizable.
    GetAll {
        /// The keys.
        keys: Vec<Bytes>,
    },
    /// Tell what this very server has executed: answered once there is something to tell, or when patience is over.
    Watch {
        /// Of which keys.
        scope: Scope,
        /// From this revision on, itself included; 0: from what is executed next.
        from: u64,
    },
    /// A digest of this very server's state.
    StateHash,
}

/// Which keys a watch is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Scope {
    /// This one.
    Key(Bytes),
    /// All that begin with this; with nothing, all.
    Prefix(Bytes),
}

impl Scope {
    /// Whether this key is among them.
    #[must_use]
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Scope::Key(one) => one == key,
            Scope::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}

/// What one command changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// The command's index in the log.
    pub revision: u64,
    /// Each key that it changed, once.
    pub changes: Vec<KeyChange>,
}

/// A server's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Response {
    /// The number of the request.
    pub id: u64,
    /// The answer.
    pub result: Result<Answer, Failure>,
}

/// What comes of a request that was served.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To `Get`.
    Value(Option<Bytes>),
    /// To `Execute`: the command is committed and was executed, with this outcome.
    Executed(Outcome),
    /// To `Status`.
    Status(Status),
    /// To `TakeSnapshot`: it is on stable storage.
    Snapshot {
        /// The last entry that it contains.
        last: u64,
    },
    /// To `ChangeMembers`: the new members are in force, and committed.
    MembersChanged,
    /// To `TransferLeadership`: it has begun. Whether it came to its end, the status of the servers says.
    TransferBegun,
    /// To `GetAll`: a value for each key, in the same order.
    Values(Vec<Option<Bytes>>),
    /// To `Watch`.
    Changes {
        /// What changed, in order; as much as an answer holds, whole revisions.
        revisions: Vec<Revision>,
        /// Where to go on: everything before it has been told.
        next: u64,
    },
    /// To `StateHash`.
    StateHash {
        /// The last entry that the state contains.
        applied: u64,
        /// The digest: the same on servers that have applied the same.
        hash: u64,
    },
}

/// Why a request was not served. All but [`Failure::OutcomeUnknown`] are definite: it had no effect and never will have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Another server leads.
    #[error("server {leader} leads")]
    NotLeader {
        /// Which.
        leader: NodeId,
        /// Where clients reach it, if this server has heard.
        address: Option<SocketAddr>,
    },
    /// No leader was known for as long as the request could be held.
    #[error("no leader is known")]
    NoLeader,
    /// Too much is pending already.
    #[error("the server is overloaded")]
    Overloaded,
    /// The server is about to end.
    #[error("the server is stopping")]
    Stopping,
    /// The request breaks a rule or a limit.
    #[error("the request is invalid: {reason}")]
    Invalid {
        /// Which.
        reason: String,
    },
    /// Leadership was lost, or the server stops, while the command was on its way: it may yet be executed. To know, send
    /// the same session and sequence number again.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// The server does not know any more what was changed from the revision on that a watch asked for.
    #[error("what was changed there is not known any more: the oldest revision to watch from is {oldest}")]
    Compacted {
        /// The oldest that it knows.
        oldest: u64,
    },
}

/// What a server believes about itself and its cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The server.
    pub id: u64,
    /// Follower, candidate or leader.
    pub role: Role,
    /// Its current term.
    pub term: u64,
    /// The leader of that term, if it knows one.
    pub leader: Option<u64>,
    /// Where clients reach that leader, if it has heard.
    pub leader_address: Option<SocketAddr>,
    /// The last index it knows to be committed.
    pub commit: u64,
    /// The last index its state machine has executed.
    pub applied: u64,
    /// The last index of its log.
    pub last_index: u64,
    /// The last index that its latest snapshot contains; 0 without one.
    pub snapshot: u64,
    /// Who votes, as far as it knows.
    pub voters: Vec<u64>,
    /// In the middle of a change: who voted before it.
    pub outgoing: Vec<u64>,
    /// Who receives the log and does not vote.
    pub learners: Vec<u64>,
    /// Keys in its state machine.
    pub keys: u64,
    /// Requests it has not answered yet.
    pub pending: u64,
    /// The version of the program.
    pub version: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { id, role, term, commit, applied, last_index, .. } = self;
        let role = role.name();
        write!(f, "server {id}: {role} in term {term}, commit {commit}, applied {applied}, last {last_index}")
    }
}
