//! The suite of `raft-core`: behaviours by name, scenarios, and whole clusters under random schedules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod cluster;
mod invariants;
mod schedule;
mod timed;

mod elections;
mod hostile;
mod leases;
mod liveness;
mod mutants;
mod node;
mod persistence;
mod properties;
mod reads;
mod replication;
mod terms;
