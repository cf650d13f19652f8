//! What really happened: the traces of all servers of a cluster, replayed and judged.
//!
//! Every server that runs with `kv-server --trace FILE` records what its core is given (crate [`trace`]). Here each trace is
//! fed to this build's core, which must do what the server's did, and what comes of it is held against the laws, across
//! servers and across their restarts:
//!
//! ```text
//!   n1.trace ─▶ replay ─▶ what n1 said, wrote, applied, was elected with ─┐
//!   n2.trace ─▶ replay ─▶ what n2 …                                       ├─▶ laws across servers ─▶ verdict
//!   n3.trace ─▶ replay ─▶ what n3 …  (one thread each, streaming)        ─┘
//! ```
//!
//! # What is checked
//!
//! | Rule | Exactly |
//! |---|---|
//! | same effects | every step has the result and the effects that were recorded, down to the last byte of every message |
//! | messages were sent | what a server received, the server it names has sent to it. Lost, repeated and late ones are fine |
//! | the disk keeps | what a life begins with is what some prefix of the writes before it leaves, one that contains all that was acknowledged as durable. Its snapshot is the one those writes installed, or a later one of its own: one that it had reported, or had applied the last entry of |
//! | monotonicity | a server's term never goes back, over restarts too; nor does its commit index within a life; its boots are counted upwards; it votes for one server in a term, ever |
//! | election safety | one leader in a term |
//! | leader append-only | a leader replaces nothing in its log |
//! | log matching | entries of the same index and term, on whichever disks they ever were, are the same, commands and the term of the entry before included; so, by induction, everything before them is the same |
//! | state machine safety | what is applied at an index is the same everywhere and in every life |
//! | leader completeness | who is elected has everything that was committed in earlier terms, in its log or in its snapshot |
//! | durability at commit | what a leader commits is on the disks of a quorum of the members it knows, as entries or in a snapshot. (That it was there *before* cannot be seen: there is no common clock. That it was acknowledged before, the replay shows) |
//! | true snapshots | every snapshot, started from, taken or sent, ends with the entry that was committed there, and names the members that were in force there, as far as anybody knows |
//! | whole snapshots | what is installed came in without a hole, and what the state machine is given is durable |
//! | latest members in force | the members are those of the latest membership in the log, committed or not |
//! | no halt, no suspicion, no panic, legal restart | as in the models |
//!
//! # When a message that is in nobody's trace is tolerated
//!
//! A server writes to its trace before it sends, so SIGKILL loses nothing that anybody received, and none is. But a file can
//! be copied while it grows, or lose its end with its host, or have been begun when the server was not new. So the verdict is
//! *unknown* if the sender's last life does not end with a stop and the message is of the term in which its trace ends or a
//! later one; or if its first life begins with a term on its disk, and the message is of that term or an earlier one. In every other case
//! it is a violation.
//!
//! # Over snapshots
//!
//! A server's log is followed from its snapshot on. For what that stands for, the server's own entries before count, and
//! those of all others; where nobody applied anything, because every trace begins later, nothing is known, and nothing is said.
//!
//! # What is not checked here
//!
//! Linearizability (the history says that), liveness, timing (the recorded time is taken as it is), and whether a snapshot's
//! bytes are the state they should be: clients would see that. Comparisons rest on 64-bit hashes. Memory grows with the
//! entries (some 200 bytes each and server, by the sizes of what is kept) and messages (about 40 bytes), not with the commands.

mod across;
mod chain;
mod facts;
mod files;
mod members;
mod messages;
mod promises;
mod replay;
mod snapshots;
mod stored;
#[cfg(test)]
mod tests;
mod verdict;
mod watch;

pub use files::TraceError;
pub use verdict::{Place, TraceFinding, Validated};

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;

/// Replays and judges all traces (files `*.trace`) in a folder and the folders in it.
///
/// # Errors
/// When there is none, when two are of one server, and when one cannot be read: where, and why.
pub fn validate(folder: &Path) -> Result<Validated, TraceError> {
    let began = Instant::now();
    let files = files::find(folder)?;
    let facts = replay::all::<Bytes>(&files)?;
    let mut validated = across::judge(facts);
    validated.seconds = began.elapsed().as_secs_f64();
    Ok(validated)
}
