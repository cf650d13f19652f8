//! The Raft protocol as a deterministic value: no clock, socket, file, thread, randomness or async.
//!
//! [`Raft`] is one server's part in the protocol of Ongaro and Ousterhout ("In Search of an Understandable Consensus
//! Algorithm", cited here as §5.3; Ongaro's dissertation as diss. 6.4). It is driven one [`Input`] at a time and answers
//! with [`Effects`]. The same compiled code is explored exhaustively by a model checker, driven through random schedules,
//! and run by a real server on real disks and sockets.
//!
//! ```text
//!                  ┌──────────────────────────────── Raft<P> ────────────────────────────────┐
//!   Receive ──────▶│ gate         what is impossible, whose word counts, terms (Figure 2)    │──▶ send       now, to peers
//!   Timer   ──────▶│ election     votes, pre-votes, stickiness (§5.2, §5.4.1, diss. 9.6)     │──▶ timers     to arm
//!   Propose ──────▶│ replication  AppendEntries on both sides, commitment (§5.3, §5.4.2)     │──▶ writes     in order, to disk
//!   Read    ──────▶│ reads        read-index rounds, forwarded reads, leases (§8, diss. 6.4) │──▶ reads      decided
//!   Change  ──────▶│ membership   joint consensus, learners (§6)                             │──▶ apply      to the state machine
//!   Compact ──────▶│ snapshots    compaction, transfer in chunks, installation (§7)          │──▶ snapshots  chunks to read
//!   Transfer ─────▶│ transfer     handing over the office (diss. 3.10)                       │──▶ forwarded  proposals, answered
//!   Durable ──────▶│ promises     what must be durable before it is said ◀── durability      │──▶ events     to whom it may concern
//!                  │ log          entries since the last compaction, and the memberships     │
//!                  └─────────────────────────────────────────────────────────────────────────┘
//!   time ─▶ clocked: deadlines for Timer inputs and leases, still without a clock of its own
//!   at start: recovery (every prefix of the writes is legal; lost tails) · forced (a quorum is lost for good)
//! ```
//!
//! # A complete host
//!
//! Three servers in one thread, their disks and network being what a server would have real ones for. The third comes when the
//! others have compacted their logs, so it is sent a snapshot:
//!
//! ```
//! use raft_core::*;
//! use std::{collections::VecDeque, time::Duration};
//!
//! #[derive(Default)]
//! struct Disk { hard_state: HardState, snapshot: Option<(SnapshotMeta, String)>, chunks: Vec<u8>, log: Vec<Entry<String>> }
//!
//! impl Disk { // a real one stores a batch as a whole or not at all, with checksums: see kv-server
//!     fn store(&mut self, batch: Batch<String>) {
//!         self.hard_state = batch.hard_state.unwrap_or(self.hard_state);
//!         if let Some(chunk) = batch.chunk {
//!             self.chunks.truncate(chunk.offset as usize);
//!             self.chunks.extend(chunk.data);
//!         }
//!         if let Some(Install { snapshot, keeps_log }) = batch.install {
//!             self.log.retain(|entry| keeps_log && entry.index > snapshot.last.index);
//!             self.snapshot = Some(((*snapshot).clone(), String::from_utf8_lossy(&self.chunks).into()));
//!         }
//!         if let Some(first) = batch.entries.first() {
//!             self.log.retain(|entry| entry.index < first.index);
//!             self.log.extend(batch.entries.iter().cloned());
//!         }
//!     }
//! }
//!
//! struct Host { node: Clocked<String>, disk: Disk, state: String }
//!
//! impl Host {
//!     fn start(id: u64, now: Moment) -> Result<Host, StartError> {
//!         let timing = Timing { election: Duration::from_millis(300), heartbeat: Duration::from_millis(50) };
//!         let config = Config::new(NodeId(id), [NodeId(1), NodeId(2), NodeId(3)]);
//!         let mut effects = Effects::default(); // nothing to do yet: Clocked has taken the timers
//!         let node = Clocked::start(config, Recovered::nothing(), timing, id, now, &mut effects)?;
//!         Ok(Host { node, disk: Disk::default(), state: String::new() })
//!     }
//!
//!     /// Handles one input and everything that follows from it here; returns what is to be sent.
//!     fn handle(&mut self, now: Moment, input: Option<Input<String>>) -> Result<Vec<Outbound<String>>, Refused> {
//!         let mut effects = Effects::default();
//!         self.node.step(now, input, &mut effects)?;
//!         while !(effects.writes.is_empty() && effects.apply.is_empty() && effects.snapshots.is_empty()) {
//!             let mut inputs = Vec::new();
//!             for write in effects.writes.drain(..) {
//!                 let (batch, ack) = write.split();
//!                 self.disk.store(batch); // ... and fsync; only then:
//!                 inputs.push(Input::Durable(ack));
//!             }
//!             for apply in effects.apply.drain(..) {
//!                 inputs.push(Input::Applied(apply.index()));
//!                 match apply {
//!                     Apply::Entry(Entry { payload: Payload::Command(command), .. }) => self.state += &command,
//!                     Apply::Entry(_) => {}
//!                     Apply::Snapshot(_) => self.disk.snapshot.iter().for_each(|(_, text)| self.state.clone_from(text)),
//!                 }
//!             }
//!             for ReadChunk { to, last, offset } in effects.snapshots.drain(..) {
//!                 let data = self.state.clone().into_bytes(); // all in one piece; a real one reads the stored snapshot
//!                 inputs.push(Input::SnapshotChunk { to, last, offset, data, done: true });
//!             }
//!             for input in inputs {
//!                 self.node.step(now, Some(input), &mut effects)?;
//!             }
//!         }
//!         Ok(effects.send)
//!     }
//! }
//! # impl Host { fn compact(&mut self, now: Moment) -> Result<(), Refused> {
//! #     let meta = self.node.raft().snapshot_meta(self.node.raft().applied()).map_err(Refused::Compact)?;
//! #     let through = meta.last.index;
//! #     self.disk.snapshot = Some((meta.clone(), self.state.clone()));
//! #     self.disk.log.retain(|entry| entry.index > through);
//! #     self.node.step(now, Some(Input::Compact { snapshot: meta, through }), &mut Effects::default())
//! # } }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut hosts = vec![Host::start(1, Moment(0))?, Host::start(2, Moment(0))?];
//! let mut network = VecDeque::new();
//! for millisecond in 0..3000u64 {
//!     let now = Moment(0) + Duration::from_millis(millisecond);
//!     for host in &mut hosts {
//!         let from = host.node.raft().id();
//!         network.extend(host.handle(now, None)?.into_iter().map(|out| (from, out)));
//!         if host.node.raft().role() == RoleKind::Leader && millisecond == 1000 {
//!             let input = Input::Propose(vec!["hello".into(), ", ".into(), "world".into()]);
//!             network.extend(host.handle(now, Some(input))?.into_iter().map(|out| (from, out)));
//!         }
//! #       if millisecond == 1500 { host.compact(now)?; }
//!     }
//!     if millisecond == 1600 {
//!         hosts.push(Host::start(3, now)?); // its log is empty, and the others' begin after "world"
//!     }
//!     while let Some((from, Outbound { to, message })) = network.pop_front() {
//!         let Some(host) = hosts.get_mut(to.0 as usize - 1) else { continue };
//!         let sent = host.handle(now, Some(Input::Receive { from, message }))?;
//!         network.extend(sent.into_iter().map(|out| (to, out)));
//!     }
//! }
//! assert!(hosts.iter().all(|host| host.state == "hello, world"));
//! # assert!(hosts[2].disk.snapshot.is_some());
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
//! * *In which order are term, vote, entries and snapshots written?* A [`Batch`] is stored whole or not at all, batches in the
//!   order in which they come. Every prefix of that stream is a legal start. A received snapshot's chunks are in the same
//!   stream, so that its installation cannot overtake them.
//! * *Acknowledgements late, repeatedly, out of order, from before a crash, for entries overwritten since?* A [`WriteAck`] can
//!   only be had from its [`Write`], vouches for that one and the earlier ones of the same boot, and for entries only as
//!   long as they still are what was written.
//! * *Applied ahead of commit at start?* [`Recovered::applied`] proves that so much was committed. A state machine that says
//!   more than the log holds is a typed error ([`StartError::AppliedBeyondLog`]).
//! * *Entries and snapshots for the state machine in the wrong order?* They come in one list, [`Effects::apply`].
//! * *A membership taken over when it is committed, or applied, or never?* The core does it, when the entry is appended (§6),
//!   rolls it back when the entry is cut off, keeps it in snapshots. There is nothing for the host to call.
//! * *Compacting what is not applied, or not in the snapshot, or with the wrong members?* [`Raft::snapshot_meta`] makes what is
//!   stored with a snapshot, and [`Input::Compact`] takes nothing else.
//! * *Leases without the things they rest on?* Refused at start, and given up by the core when one of them goes.
//! * *A log that lost its end?* [`Recovered::lost_tail`] says so, and the server takes part again without breaking a promise
//!   that it does not remember.
//! * *A message from a confused, old or hostile peer?* Never an error, never a panic: [`Event::Suspect`] if no correct peer
//!   could have sent it, [`Event::Halted`] if it proves that safety is broken already. A member that lies can stop a
//!   cluster or make it wrong, as with every Raft; it cannot crash a node.
//!
//! What remains is up to the host: storage that loses what was acknowledged and does not say so, two servers with the same id
//! (an id is never given to another server, nor to one that lost all it had: G20), a [`Recovered::boot`] that repeats,
//! [`Config::founders`] that differ, a term and vote that are not the latest ones stored, acknowledging what is not durable, and an `Input::Compact` before the snapshot is durable,
//! break the protocol and cannot be seen from here.
//!
//! # Where the rules of Figure 2 stand
//!
//! | Rule | Where |
//! |---|---|
//! | all servers: adopt a later term | `gate.rs`: `receive`, `adopt_term` |
//! | all servers: apply what is committed | `raft.rs`: `hand_out` |
//! | followers: election timeout | `election.rs`: `campaign` |
//! | candidates: term, own vote, requests, majority | `election.rs`: `stand_for_election`, `announce_candidacy`, `count_votes` |
//! | RequestVote, receiver | `election.rs`: `on_vote_request` |
//! | AppendEntries, receiver | `replication/following.rs`: `on_append`, `merge` |
//! | leaders: heartbeats, replication | `leading.rs`: `heartbeat`; `replication/sending.rs` |
//! | leaders: next and match index | `replication/acknowledged.rs`, `replication/progress.rs` |
//! | leaders: commit index, only in their own term | `replication/commitment.rs`: `advance_commit` |
//! | persistent state, before responding | `durability.rs`, `promises.rs` |
//! | InstallSnapshot, receiver (Figure 13) | `snapshots/receiving.rs`: `on_snapshot`, `install` |
//! | cluster membership changes (§6) | `membership/change.rs`, `membership/reconfigure.rs` |
//!
//! # What this does not do
//!
//! Vote traffic does not carry the commit index (optional in raft-rs). Snapshots travel one chunk at a time to each peer. The
//! log since the last compaction is in memory. A sole voter that lost the end of its log waits for ever ([`ForcedChange`] helps, at
//! a price), and so do two voters of which one did not find out how much it lost. Sessions, exactly-once and what a command means are the host's.
//!
//! # Which test shows which behaviour
//!
//! Made from the names of the tests, and kept true by one of them.
#![doc = include_str!("../BEHAVIOURS.md")]

mod asked;
mod clocked;
mod config;
mod durability;
mod election;
mod entries;
mod entry;
mod error;
mod event;
mod forced;
mod gate;
mod io;
mod leading;
mod log;
mod membership;
mod message;
mod mutant;
mod promises;
mod proposals;
mod raft;
mod reads;
mod recovery;
mod replication;
mod role;
mod snapshots;
mod status;
mod transfer;
mod types;
mod write;

pub use clocked::{Clocked, Moment, Timing};
pub use config::{Config, Lease, Limits};
pub use entries::Entries;
pub use entry::{Command, Entry, Payload};
pub use error::{Refused, StartError};
pub use event::{Breach, Event, Suspicion};
pub use forced::{ForceError, ForcedChange, ForcedReport};
pub use io::{
    Abandoned, Apply, Effects, ForwardOutcome, Forwarded, Input, Placed, Proposed, ReadOutcome, Timer,
};
pub use membership::{Change, ChangeError, Membership, Transition};
pub use message::{Append, AppendOutcome, AppendResponse, Body, Message, Outbound, SnapshotChunk};
pub use mutant::{Mutant, MutantSwitch, UnknownMutant};
pub use raft::Raft;
pub use recovery::{LostTail, Recovered};
pub use role::RoleKind;
pub use snapshots::{Chunk, CompactError, Install, ReadChunk, SnapshotMeta};
pub use status::{PeerStatus, Sending};
pub use types::{HardState, Index, NodeId, Position, ReadId, Round, Term, Ticket};
pub use write::{Batch, Write, WriteAck};
