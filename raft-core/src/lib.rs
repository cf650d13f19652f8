//! The Raft protocol as a deterministic value: no clock, socket, file, thread, randomness or async.
//!
//! [`Raft`] is one server's part in the protocol of Ongaro and Ousterhout ("In Search of an Understandable Consensus
//! Algorithm", cited here as §5.3; Ongaro's dissertation as diss. 6.4). It is driven one [`Input`] at a time and answers
//! with [`Effects`]. The same compiled code is explored exhaustively by a model checker, driven through random schedules,
//! and run by a real server on real disks and sockets.
//!
//! ```text
//!                  ┌──────────────────────────── Raft<P> ─────────────────────────────┐
//!   Receive ──────▶│ raft       terms, the gate for messages (Figure 2, all servers)  │
//!   Timer   ──────▶│ election   votes, pre-votes, stickiness (§5.2, §5.4.1, diss. 9.6) │──▶ send     now, to peers
//!   Propose ──────▶│ following  AppendEntries as follower (§5.3)                      │──▶ writes   in order, to disk
//!   Read    ──────▶│ leading    replication, commitment, reads (§5.3, §5.4.2, §8)     │──▶ timers   to arm
//!                  │    progress  one peer · reads  read-index rounds (diss. 6.4)     │──▶ apply    to the state machine
//!   Durable ──────▶│ promises   what must be durable before it is said  ◀─ durability │──▶ reads    decided
//!   Applied ──────▶│ log        entries since the last compaction                     │──▶ events   to whom it may concern
//!                  └──────────────────────────────────────────────────────────────────┘
//!   time ─▶ clocked: deadlines for Timer inputs, still without a clock of its own
//! ```
//!
//! # A complete host
//!
//! Three servers in one thread, their disks and network being what a server would have real ones for:
//!
//! ```
//! use raft_core::*;
//! use std::{collections::VecDeque, time::Duration};
//!
//! struct Host {
//!     node: Clocked<String>,
//!     disk: Vec<Batch<String>>,       // a real one is checksummed, see kv-server
//!     state: Vec<String>,             // the state machine: remembers what it was told
//! }
//!
//! impl Host {
//!     fn start(id: u64) -> Result<Host, StartError> {
//!         let timing = Timing { election: Duration::from_millis(300), heartbeat: Duration::from_millis(50) };
//!         let config = Config::new(NodeId(id), [NodeId(1), NodeId(2), NodeId(3)]);
//!         let mut effects = Effects::default(); // nothing to do yet: Clocked has taken the timers
//!         let node = Clocked::start(config, Recovered::nothing(), timing, id, Moment(0), &mut effects)?;
//!         Ok(Host { node, disk: Vec::new(), state: Vec::new() })
//!     }
//!
//!     /// Handles one input and everything that follows from it here; returns what is to be sent.
//!     fn handle(&mut self, now: Moment, input: Option<Input<String>>) -> Result<Vec<Outbound<String>>, Refused> {
//!         let mut effects = Effects::default();
//!         self.node.step(now, input, &mut effects)?;
//!         while !effects.writes.is_empty() || !effects.apply.is_empty() {
//!             for write in std::mem::take(&mut effects.writes) {
//!                 let (batch, ack) = write.split();
//!                 self.disk.push(batch); // ... and fsync; only then:
//!                 self.node.step(now, Some(Input::Durable(ack)), &mut effects)?;
//!             }
//!             for entry in std::mem::take(&mut effects.apply) {
//!                 if let Payload::Command(command) = entry.payload {
//!                     self.state.push(command);
//!                 }
//!                 self.node.step(now, Some(Input::Applied(entry.index)), &mut effects)?;
//!             }
//!         }
//!         Ok(effects.send)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut hosts = [Host::start(1)?, Host::start(2)?, Host::start(3)?];
//! let mut network = VecDeque::new();
//! let mut proposed = false;
//! for millisecond in 0..2000u64 {
//!     let now = Moment(0) + Duration::from_millis(millisecond);
//!     for host in &mut hosts {
//!         let from = host.node.raft().id();
//!         network.extend(host.handle(now, None)?.into_iter().map(|out| (from, out)));
//!         if host.node.raft().role() == RoleKind::Leader && !proposed {
//!             let input = Input::Propose(vec!["hello".to_owned()]);
//!             network.extend(host.handle(now, Some(input))?.into_iter().map(|out| (from, out)));
//!             proposed = true;
//!         }
//!     }
//!     while let Some((from, Outbound { to, message })) = network.pop_front() {
//!         let host = &mut hosts[to.0 as usize - 1];
//!         let sent = host.handle(now, Some(Input::Receive { from, message }))?;
//!         network.extend(sent.into_iter().map(|out| (to, out)));
//!     }
//! }
//! assert!(hosts.iter().all(|host| host.state == ["hello"]));
//! # Ok(())
//! # }
//! ```
//!
//! # What a host cannot do wrong
//!
//! Traps of other libraries, and why they are none here:
//!
//! * *Which messages may be sent before which fsync?* All that are handed out, at once. What rests on a write (a vote, an
//!   acknowledgement, a request for votes, whatever a leader says) does not exist before the write is acknowledged:
//!   `promises.rs` is the one place where it comes into being. Refusals promise nothing and do not wait.
//! * *In which order are term, vote and entries written?* A [`Batch`] is stored whole or not at all, batches in the order in
//!   which they come. Every prefix of that stream is a legal start.
//! * *Acknowledgements late, repeated, out of order, from before a crash, for entries overwritten since?* A [`WriteAck`] can
//!   only be had from its [`Write`], vouches for that one and the earlier ones of the same boot, and for entries only as
//!   long as they still are what was written.
//! * *Applied ahead of commit at start?* There is nothing to say about applied at start: entries are handed out again, from
//!   the first one, as they are committed again.
//! * *A message from a confused, old or hostile peer?* Never an error, never a panic: [`Event::Suspect`] if no correct peer
//!   could have sent it, [`Event::Halted`] if it proves that safety is broken already. A member that lies can stop a
//!   cluster or make it wrong, as with every Raft; it cannot crash a node.
//!
//! What remains is up to the host: storage that loses or changes what was acknowledged, two servers with the same id, a
//! [`Recovered::boot`] that repeats, and acknowledging what is not durable, break the protocol and cannot be seen from here.
//!
//! # Where the rules of Figure 2 stand
//!
//! | Rule | Where |
//! |---|---|
//! | all servers: adopt a later term; apply what is committed | `raft.rs`: `receive`, `adopt_term`, `settle` |
//! | followers: election timeout | `election.rs`: `campaign` |
//! | candidates: term, own vote, requests, majority | `election.rs`: `stand_for_election`, `announce_candidacy`, `count_votes` |
//! | RequestVote, receiver | `election.rs`: `on_vote_request` |
//! | AppendEntries, receiver | `following.rs`: `on_append`, `merge` |
//! | leaders: heartbeats, replication, next and match index | `leading.rs`: `heartbeat`, `replicate`, `on_append_response`; `progress.rs` |
//! | leaders: commit index, only in their own term | `leading.rs`: `advance_commit` |
//! | persistent state, before responding | `durability.rs`, `promises.rs` |
//!
//! # What this does not do (yet)
//!
//! Snapshots and compaction (the log grows), membership changes, leases, leader transfer, reads forwarded by followers.

mod clocked;
mod config;
mod durability;
mod election;
mod entry;
mod error;
mod following;
mod io;
mod leading;
mod log;
mod membership;
mod message;
mod mutant;
mod progress;
mod promises;
mod raft;
mod reads;
mod role;
mod status;
mod types;
mod write;

pub use clocked::{Clocked, Moment, Timing};
pub use config::{Config, Limits};
pub use entry::{Command, Entry, Payload};
pub use error::{Refused, StartError};
pub use io::{Breach, Effects, Event, Input, Proposed, ReadOutcome, Suspicion, Timer};
pub use membership::Membership;
pub use message::{Append, AppendOutcome, AppendResponse, Body, Message, Outbound};
pub use mutant::{Mutant, MutantSwitch, UnknownMutant};
pub use raft::{Raft, Recovered};
pub use role::RoleKind;
pub use types::{HardState, Index, NodeId, Position, ReadId, Round, Term};
pub use write::{Batch, Write, WriteAck};
