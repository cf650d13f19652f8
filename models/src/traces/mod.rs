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
//! | the disk keeps | what a life begins with is what some prefix of the writes before it leaves, one that contains all that was acknowledged as durable |
//! | monotonicity | a server's term never goes back, over restarts too; nor does its commit index within a life; its boots are counted upwards; it votes for one server in a term, ever |
//! | election safety | one leader in a term |
//! | leader append-only | a leader replaces nothing in its log |
//! | log matching | entries of the same index and term, on whichever disks they ever were, are the same, and so is everything before them, commands included |
//! | state machine safety | what is applied at an index is the same everywhere and in every life |
//! | leader completeness | who is elected has everything that was committed in earlier terms |
//! | durability at commit | what a leader commits is on the disks of a quorum of the members it knows. (That it was there *before* cannot be seen: there is no common clock. That it was acknowledged before, the replay shows) |
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
//! # What is not checked here
//!
//! Linearizability (the history says that), liveness, timing (the recorded time is taken as it is), and servers that
//! compact their logs or install snapshots: none does yet, and a trace that says so is *unknown*. Comparisons rest on 64-bit hashes. Memory grows with
//! the entries (about 50 bytes each and server) and messages (about 40 bytes), not with the commands.

mod across;
mod chain;
mod facts;
mod files;
mod members;
mod messages;
mod replay;
mod snapshots;
mod stored;
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
