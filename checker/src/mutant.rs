//! Seeded bugs: each is a mistake that a checker of linearizability easily makes. A check of this checker counts only if it has
//! been seen to go red on them (`tests/mutants.rs`).
//!
//! Without the feature `mutants` there is no way to switch one on, and every question about one is the constant `false`.

#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicUsize, Ordering};

/// A seeded bug.
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "public where it can be switched on"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// An operation counts as returned two events after it did: real-time edges are skipped.
    LateReturn,
    /// An operation of unknown outcome counts as failed.
    InfoFailed,
    /// An operation of unknown outcome must have happened by its completion, or never does.
    InfoEnds,
    /// A failed operation counts as ok.
    FailOk,
    /// Every second key is judged together with the one before it.
    MixedKeys,
    /// The cache compares everything but which of the open calls have been placed.
    LossyCache,
    /// The cache compares everything but the state.
    StatelessCache,
    /// Of two configurations that differ in optional calls, the one that used more is kept.
    WrongDomination,
    /// Of open calls with equal operations the one that returns last is tried.
    LastOfEquals,
    /// An optional write is dropped as useless though somebody later sees what it wrote.
    EarlyExpiry,
    /// A write counts as dead though somebody may still see it.
    EarlyDeath,
    /// Of several writers of a value the last one is taken to be the only one.
    LastWriter,
    /// Blocks of a register are not compared with the blocks before them.
    BlocksOverlap,
    /// A queue looks at the order of puts, not of takes.
    TakesUnordered,
    /// A priority queue gives out any value it has.
    AnyPriority,
    /// A stack is cut where a value is still in it.
    LooseCut,
    /// Whoever finds a collection empty is believed.
    EmptyBelieved,
    /// Lists and sets that were read need not grow.
    Shrinking,
    /// An order that uses an optional call twice counts as one.
    TwiceUsed,
    /// `linear` does not let go of configurations in which the call that returns has not happened.
    NotInTime,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::LateReturn,
        Self::InfoFailed,
        Self::InfoEnds,
        Self::FailOk,
        Self::MixedKeys,
        Self::LossyCache,
        Self::StatelessCache,
        Self::WrongDomination,
        Self::LastOfEquals,
        Self::EarlyExpiry,
        Self::EarlyDeath,
        Self::LastWriter,
        Self::BlocksOverlap,
        Self::TakesUnordered,
        Self::AnyPriority,
        Self::LooseCut,
        Self::EmptyBelieved,
        Self::Shrinking,
        Self::TwiceUsed,
        Self::NotInTime,
    ];
}

#[cfg(feature = "mutants")]
static ON: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Switches a bug on, for all threads of the process, or all of them off.
#[cfg(feature = "mutants")]
pub fn seed(mutant: Option<Mutant>) {
    ON.store(mutant.map_or(usize::MAX, |mutant| mutant as usize), Ordering::SeqCst);
}

/// Whether that bug is on.
#[cfg(feature = "mutants")]
pub(crate) fn on(mutant: Mutant) -> bool {
    ON.load(Ordering::Relaxed) == mutant as usize
}

/// Whether that bug is on: never.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn on(_mutant: Mutant) -> bool {
    false
}
