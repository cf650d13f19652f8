//! Every bound of the server, in one place. Beyond a bound the answer is an error or a closed connection, never a longer
//! queue.

use std::time::Duration;

use crate::machine::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// The largest frame in which client and server speak: a compare-and-set of two values of the largest size, and its envelope.
pub const MAX_CLIENT_FRAME_BYTES: usize = MAX_KEY_BYTES + 2 * MAX_VALUE_BYTES + 1024;

/// The most keys that are read together.
pub const MAX_KEYS_PER_READ: usize = 64;

/// The most bytes of values that are read together: they fit a frame.
pub const MAX_VALUES_BYTES: usize = 2 * MAX_VALUE_BYTES;

/// Bytes of the entries of one append to a follower; a larger entry travels alone.
pub const MAX_APPEND_BYTES: usize = 1 << 20;

/// Entries of one append to a follower.
pub const MAX_APPEND_ENTRIES: usize = 1024;

/// Bytes of one part of a snapshot on its way to another server. It fits a frame between servers.
pub const SNAPSHOT_CHUNK_BYTES: usize = 512 << 10;

/// A server takes a snapshot by itself once it has executed so many entries since the last one.
pub const SNAPSHOT_EVERY: u64 = 100_000;

/// So many entries before a snapshot's end are kept in the log, for servers that lag a little: these then need no snapshot.
pub const KEPT_ENTRIES: u64 = 10_000;

/// The largest frame between servers: one append, whatever is in it, with room for the entries' own headers.
pub const MAX_PEER_FRAME_BYTES: usize = MAX_CLIENT_FRAME_BYTES + MAX_APPEND_BYTES;

/// The largest first frame of a connection, before the other side is known.
pub const MAX_HELLO_FRAME_BYTES: usize = 1024;

/// The longest name of a cluster.
pub const MAX_CLUSTER_NAME_BYTES: usize = 64;

/// The most members a cluster may have.
pub const MAX_MEMBERS: usize = 9;

/// Other servers that a server knows how to reach, former members and those that may join included.
pub const MAX_KNOWN_SERVERS: usize = 4 * MAX_MEMBERS;

/// Client connections at a time; one more is told so and closed.
pub const MAX_CLIENT_CONNECTIONS: usize = 4096;

/// Incoming connections of other servers at a time. Each needs one; an old one may linger for a while after a failure.
pub const MAX_PEER_CONNECTIONS: usize = 2 * MAX_KNOWN_SERVERS;

/// Requests of one client connection that are not answered yet; one more is answered `Overloaded`.
pub const MAX_REQUESTS_PER_CONNECTION: usize = 256;

/// Writes proposed and not yet answered; one more is answered `Overloaded`.
pub const MAX_PENDING_WRITES: usize = 8192;

/// Bytes of the commands of one proposal: more are split into several, so that no write of the log gets too large.
pub const MAX_PROPOSAL_BYTES: usize = 1 << 20;

/// Commands of one proposal.
pub const MAX_PROPOSAL_COMMANDS: usize = 1024;

/// Reads not yet answered; one more is answered `Overloaded`.
pub const MAX_PENDING_READS: usize = 8192;

/// Watches that wait for something to tell; one more is answered `Overloaded`.
pub const MAX_WATCHES: usize = 4096;

/// How long a watch may wait for something to tell.
pub const WATCH_HOLD: Duration = Duration::from_secs(10);

/// Changes that a server remembers for watchers that come late; before them a watch is refused.
pub const MAX_WATCHED_CHANGES: usize = 100_000;

/// Bytes of keys and values of these.
pub const MAX_WATCHED_BYTES: usize = 64 << 20;

/// Changes in one answer to a watch; what belongs to one revision is not divided.
pub const MAX_ANSWERED_CHANGES: usize = 1024;

/// Requests held while no leader is known; one more is answered `NoLeader` at once.
pub const MAX_HELD_REQUESTS: usize = 1024;

/// Inputs of each kind that one turn of the replica takes in; the rest waits for the next.
pub const MAX_INPUTS_PER_TURN: usize = 1024;

/// Messages waiting for one peer's connection; one more is dropped, which Raft is told and can live with.
pub const PEER_QUEUE_MESSAGES: usize = 256;

/// Inputs waiting for the replica, by kind; a connection that brings more waits (and so, by TCP, does its other end).
pub const INPUT_QUEUE: usize = 1024;

/// Bytes of encoded messages put together into one write to a socket.
pub const WRITE_BUFFER_BYTES: usize = 256 << 10;

/// How long connecting to a peer may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The wait before the first attempt to connect to a peer again; it doubles up to [`RECONNECT_MAX`].
pub const RECONNECT_MIN: Duration = Duration::from_millis(10);

/// The longest wait before an attempt to connect to a peer again.
pub const RECONNECT_MAX: Duration = Duration::from_millis(200);

/// How long a new connection may take to introduce itself.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other side of a connection may take no byte that waits for it, before the connection is given up.
pub const STALLED_WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// For a graceful end: how long connections may take to carry off the last answers.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A request that waits for a leader to be known waits this many election timeouts.
pub const HOLD_ELECTION_TIMEOUTS: u32 = 4;

/// A connection on which nothing came in for so long is asked whether its other end still exists.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// How long to wait between two such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// After so many without an answer the connection is closed.
pub const KEEPALIVE_PROBES: u32 = 3;

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use raft_core::{Append, Body, Entry, Index, Message, Payload, Position, Round, Term};
    use tokio_util::codec::Encoder;

    use super::*;
    use crate::machine::MAX_COMMAND_BYTES;
    use crate::protocol::{Codec, PeerMessage};

    #[test]
    fn the_largest_appends_fit_a_frame() {
        for (count, bytes) in
            [(1, MAX_COMMAND_BYTES), (MAX_APPEND_ENTRIES, MAX_APPEND_BYTES / MAX_APPEND_ENTRIES)]
        {
            // Numbers of the largest encoding, though no log gets there.
            let entry = Entry {
                index: Index(u64::MAX),
                term: Term(u64::MAX),
                payload: Payload::Command(Bytes::from(vec![7; bytes])),
            };
            let prev = Position { index: Index(u64::MAX), term: Term(u64::MAX) };
            let (commit, round) = (Index(u64::MAX), Round(u64::MAX));
            let append = Append { prev, entries: vec![entry; count].into(), commit, round };
            let message: PeerMessage = Message { term: Term(u64::MAX), body: Body::Append(append) };
            let mut buffer = BytesMut::new();
            Codec::<(), PeerMessage>::new(MAX_PEER_FRAME_BYTES).encode(&message, &mut buffer).unwrap();
        }
    }
}
