//! Linearizable reads without log entries: read-index in batches (§8, diss. 6.4), forwarded by followers, or from a lease.
//!
//! A read may be answered from a state that includes everything committed when the read arrived, by a leader that was
//! still leader after it arrived. Leadership is confirmed in `rounds`: every append carries the newest round, every reply
//! echoes it, and a quorum of echoes confirms the round and all reads that were waiting when it began. While one round is
//! under way, newly arriving reads wait together for the next. `forwarded` is how a follower's reads get there; `lease` is
//! how time takes the place of asking.

mod forwarded;
mod lease;
mod rounds;
mod serving;

pub(crate) use forwarded::RemoteRead;
pub(crate) use lease::LeaseClock;
pub(crate) use rounds::Reads;
