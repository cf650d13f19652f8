//! The two sides of a turn.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Event, Moment, NodeId, Outbound, Position, ReadChunk, SnapshotMeta, Write, WriteAck};

use crate::machine::Machine;

use crate::protocol::{Answer, Failure, PeerMessage, RequestBody, Response};

/// A request's name within one server: the host numbers its connections, the client its requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId {
    /// The connection, never used twice in one run.
    pub connection: u64,
    /// The client's number.
    pub request: u64,
}

/// Something that happened to this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplicaInput {
    /// A message of another server.
    Message {
        /// Who sent it, as the handshake established.
        from: NodeId,
        /// What it says.
        message: PeerMessage,
    },
    /// A server, this one included, said where clients reach it, or that they cannot.
    PeerAddress {
        /// Which server.
        peer: NodeId,
        /// Where.
        address: Option<SocketAddr>,
    },
    /// A client asks something.
    Request {
        /// By what name it is to be answered.
        id: RequestId,
        /// How long the client lets it be held while no leader is known.
        patience: Duration,
        /// What it asks.
        body: RequestBody,
    },
    /// A connection is gone; whoever asked there hears no answer.
    Disconnected {
        /// Which.
        connection: u64,
    },
    /// This write and every earlier one are on stable storage.
    Durable(WriteAck),
    /// A message to this server was dropped.
    Unreachable(NodeId),
    /// The snapshot that [`ReplicaOutput::take`] asked for is whole and durable, and the log says so; or it was not needed any
    /// more, or could not be written.
    Taken {
        /// What it stands for, if it is there.
        snapshot: Option<SnapshotMeta>,
    },
    /// The machine that [`ReplicaOutput::restore`] asked for.
    Restored {
        /// The last entry of the snapshot it was read from.
        last: Position,
        /// The state.
        machine: Box<Machine>,
    },
    /// What [`ReplicaOutput::read`] asked for; `None` if it cannot be read (any more).
    Chunk {
        /// As asked.
        asked: ReadChunk,
        /// The bytes from there on, and whether they are the last ones.
        part: Option<(Vec<u8>, bool)>,
    },
    /// Answer everything now; the end is near.
    Stop,
}

/// What the host is to do after a turn. Lists are appended to; the host empties them and keeps their memory.
#[derive(Debug, Default)]
pub struct ReplicaOutput {
    /// To be appended to the trace, if there is one, before anything else is done.
    pub trace: Vec<u8>,
    /// Messages to send, now.
    pub send: Vec<Outbound<Bytes>>,
    /// Writes to make durable, in this order.
    pub writes: Vec<Write<Bytes>>,
    /// A snapshot to write: what it stands for, and the state.
    pub take: Option<(SnapshotMeta, Machine)>,
    /// A snapshot to read the machine from: the last of these, if there are several.
    pub restore: Option<Position>,
    /// Parts of the snapshot to read for other servers.
    pub read: Vec<ReadChunk>,
    /// Answers to clients.
    pub answers: Vec<(u64, Response)>,
    /// News for the log file. `Event::Halted` means that the server must not go on.
    pub events: Vec<Event>,
    /// When to call again, at the latest.
    pub deadline: Option<Moment>,
}

impl ReplicaOutput {
    pub(super) fn answer(&mut self, id: RequestId, result: Result<Answer, Failure>) {
        answer(&mut self.answers, id, result);
    }
}

/// A list of answers: the connection, and what to say there.
pub(super) type Answers = Vec<(u64, Response)>;

pub(super) fn answer(answers: &mut Answers, id: RequestId, result: Result<Answer, Failure>) {
    answers.push((id.connection, Response { id: id.request, result }));
}

/// What a request that was let in asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Read { key: Bytes },
    ReadAll { keys: Vec<Bytes> },
    Write { command: Bytes },
}
