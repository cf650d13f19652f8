//! What a harness asks of a fault disk, and what it answers: one JSON value a line.

use serde::{Deserialize, Serialize};

use super::faults::{DiskCounts, DiskFaults, Loss};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// These are the faults from now on.
    Set(DiskFaults),
    /// Nothing changes and nothing becomes durable any more; whoever wants that, waits.
    Freeze,
    /// The same, taken back.
    Thaw,
    /// The power is cut, and is back.
    Crash(Loss),
    /// What has been done so far?
    Counts,
}

/// What is answered. The first answer comes unasked, when the disk is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done; what has been done so far.
    Done(DiskCounts),
    /// It is not, and why.
    Failed(String),
}
