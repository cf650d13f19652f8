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

mod behaviours;
mod changes;
mod chunks;
mod contact;
mod corners;
mod duels;
mod elections;
mod findings;
mod forced;
mod forced_states;
mod forwarded_reads;
mod found_by_review;
mod hostile;
mod lease_rules;
mod leases;
mod liveness;
mod logs;
mod lost_tail;
mod members;
mod membership;
mod mutants;
mod node;
mod persistence;
mod prefixes;
mod progress;
mod properties;
mod proposals;
mod reads;
mod recovery;
mod replayed;
mod replication;
mod snapshots;
mod storage;
mod stuck;
mod terms;
mod transcripts;
mod transfers;
