//! Log replication (§5.3): the leader's side and the follower's.
//!
//! `sending` and `acknowledged` are the leader's, with what it knows of each peer in `progress` and what is under way to it in
//! `inflight`; `commitment` is when entries are committed; `following` is AppendEntries as its receiver sees it.

mod acknowledged;
mod commitment;
mod following;
mod inflight;
mod progress;
mod sending;

pub(crate) use progress::{Mode, Progress};
