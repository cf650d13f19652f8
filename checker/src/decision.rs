//! What an algorithm says about one partition, before anybody has looked at it.

use crate::limits::Stopped;

/// The answer of an algorithm; calls are indices into the calls it was given.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A linearization, to be validated.
    Legal(Vec<u32>),
    /// There is none.
    Illegal(Refutation),
    /// No answer.
    Undecided(Stopped, Progress),
}

/// How far a linearization could be taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refutation {
    /// The call that must have happened by its return, and could not.
    pub(crate) blocked: u32,
    /// One of the longest orders: everything that returned before `blocked` did is in it.
    pub(crate) order: Vec<u32>,
    /// The states in which such orders may end.
    pub(crate) states: Vec<String>,
    /// The search gave up early for what comes later, so all of this is only a lower bound.
    pub(crate) foreseen: bool,
}

impl Refutation {
    /// How many states are listed.
    pub(crate) const MOST_STATES: usize = 12;
}

/// How far a search without an answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Configurations met.
    pub configurations: u64,
    /// The furthest point of the history that some order reached, in invocations and returns.
    pub reached: u64,
    /// The number of those in all.
    pub steps: u64,
}
