//! Traces: of clusters that do as they should, of such with seeded bugs, and of such that somebody has altered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod altered;
mod cluster;
mod compacted;
mod host;
mod seeded;
