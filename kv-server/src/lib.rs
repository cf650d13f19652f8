//! A replicated key-value server over [`raft_core`]: storage, transport, state machine, client library, command lines.
//!
//! A cluster of servers keeps one map from keys to values. Writes (put, delete, compare-and-set, transactions) are replicated by Raft
//! and acknowledged once they are synced to the disks of a majority; reads are linearizable; a client's write is applied
//! exactly once however often it is retried. A server is a process with one directory and two addresses.
//!
//! ```text
//!   client::Client, kvctl                                  the other servers
//!         |  ^                                               |  ^
//!   ------|--|---- protocol: length-delimited frames --------|--|------
//!         v  |                                               v  |
//!   +--------------------------- shell (tokio) ---------------------------+
//!   |  clients            driver: one task            incoming, links     |
//!   |         +-----------------------------------------------+           |
//!   |         |  replica::Replica   (sans-IO: plain values)   |           |
//!   |         |    raft_core::Clocked <-> machine::Machine    |           |
//!   |         |    pending writes, reads, held requests       |           |
//!   |         +-----------------------------------------------+           |
//!   |  log_writer: one thread, wal::Wal, one fsync for all that waits     |
//!   +---------------------------------|-----------------------------------+
//!                                     v
//!                               data directory
//! ```
//!
//! # The way of a write
//!
//! 1. [`client::Client::put`] encodes a [`machine::Command`] with its session and sequence number and sends it to the
//!    server that it believes leads ([`protocol::Request`]).
//! 2. The shell hands it, with everything else that has come in, to [`replica::Replica::handle`]: one *turn*. All writes
//!    of a turn are one proposal. A server that does not lead answers who does, or holds the request until somebody does.
//! 3. Raft says what to send and what to store. Followers get one append for all writes of the turn; the log writer
//!    stores one batch with one fsync, while the append travels ([`wal`]).
//! 4. Once a majority has it on disk it is committed, executed by the [`machine::Machine`], and answered.
//! 5. Now and then the machine's state is written to a snapshot, which then stands for the log up to there ([`snapshots`]): that
//!    part is let go of, and a server that lacks it gets the snapshot instead.
//!
//! Who wants to be told what changes asks any server to, from a revision on ([`client::Watch`]): whole commands in the order of
//! the log, none twice, none left out; what is not known any more is refused.
//!
//! A read is not written anywhere: the leader makes sure that it still leads, once for all reads of a turn, and that its
//! state machine has caught up (read-index, diss. 6.4).
//!
//! # Who decides what
//!
//! Everything that could be got wrong is decided by values without IO: `raft_core` (the protocol), [`replica`] (requests)
//! and [`machine`] (the data). They know no clock, no socket, no file; tests and simulations run them as they are. The
//! [`shell`] only carries things to and fro.
//!
//! # When things go wrong
//!
//! - A client knows of every failed write whether it is *definite* (certainly not applied, ever) or not:
//!   [`client::ClientError::is_definite`].
//! - No queue is unbounded: see [`limits`]. What is too much is answered with an error, at once.
//! - A disk that fails to write ends the server, since nobody knows what it has stored. So does a breach of Raft's safety.
//! - A frame that makes no sense, or was damaged on the way, ends its connection, with a line in the log that says why.
//! - With `--trace FILE` everything that Raft was given is on record ([`trace`]), whoever kills the server when; without it
//!   nothing of that is done.
//! - A paused process finds out that it was paused before it does anything else.
//! - A torn write at the end of the log is cut off and reported at the next start; any other damage is refused.
//!
//! # What this does not do (yet)
//!
//! - Snapshots are whole: each one writes all of the state anew, in the background. Sessions (at most
//!   [`machine::MAX_SESSIONS`]) are copied within a turn; values are shared.
//! - A leader that ends does not hand over first: its cluster is without one for an election timeout.
//! - Watches tell what this server still remembers ([`limits::MAX_WATCHED_CHANGES`]): before that, and before a snapshot it started
//!   from, they are refused.
//! - Reads cost a round trip to a majority, unless `--lease-reads` rests them on clocks; followers do not serve reads.
//! - A network that drops packets is left to TCP: after an outage a link may stay silent until the next retransmission.
//! - No authentication and no encryption: a network where everybody may talk to the servers is assumed.
//! - All data is in memory; the disk has a snapshot and the log after it. No range reads, no time to live.

#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod limits;
pub mod machine;
pub mod protocol;
pub mod replica;
pub mod seeded;
pub mod shell;
pub mod snapshots;
pub mod wal;
