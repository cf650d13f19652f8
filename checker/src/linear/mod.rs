//! `linear`: just-in-time linearization (Lowe 2017; Knossos' `linear`).
//!
//! The history is read once, in real time, with the set of all configurations that are possible so far: a state, and which
//! of the open calls have taken effect. Nothing happens at an invocation. At the return of a call each configuration in which
//! that call has not taken effect yet is led on, call by call, until it has, and no further: just in time. Configurations that
//! come out equal are one. If none is left the history is not linearizable, and the configurations before that return are all
//! that was possible.
//!
//! Where `wgl` goes deep and remembers all it has met, this goes wide and keeps the present only, plus what it takes to tell how
//! each configuration came about ([`Lineage`], which forgets what led nowhere). It needs a second look at nothing, so its
//! memory does not grow with the length of a history, but with how many configurations are possible at one moment.
//!
//! # Where many calls of unknown outcome are open
//!
//! Then there are as many configurations as there are ways to have used them. Equal ones are used in the order of their invocations, so
//! that of each operation only how many were used counts; and of two configurations that differ in these calls alone the one that used
//! fewer of them dominates the other. What is left can still be exponential, so two cheaper walks go first:
//!
//! - a *narrow* one keeps only so many configurations at a time, those that used the fewest. What it finds is found; that it finds
//!   nothing says nothing, once it has let go of one;
//! - a *relaxed* one (registers only) does not use such calls up, so that all are alike in that. Whatever is possible is possible
//!   with more: if even that finds nothing, there is nothing.
//!
//! What it shares with `wgl`: numbered states, slots for open calls, domination, and what the values of a register tell about the
//! future (see there); what it does not: the search, its order, its memory.

mod lineage;
#[cfg(test)]
mod tests;
mod walk;

use crate::Specification;
use crate::decision::Decision;
use crate::limits::{Budget, Stopped};
use crate::mutant::{Mutant, on};
use crate::partition::Call;
use crate::wgl::somewhere;
use walk::walk;

/// How much of what is possible is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// All of it.
    Full,
    /// At most so many configurations at a time.
    Narrow(usize),
    /// Optional calls are not used up.
    Relaxed,
}

/// Narrow walks, the quick one first.
const NARROW: [usize; 2] = [16, 1 << 8];

/// Looks for a linearization of `calls`; gives up after `share` configurations.
pub(crate) fn linear<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
    foresight: bool,
    share: u64,
) -> Decision {
    let look = |width| walk(spec, kinds, calls, budget, foresight, width, share);
    let register = spec.initial_value().is_some() && kinds.iter().all(|op| spec.access(op).is_some());
    if foresight && calls.iter().any(|call| call.optional) {
        for (width, applies) in [
            // Small histories are decided here, and would never show that bug.
            (Width::Narrow(NARROW[0]), !on(Mutant::TwiceUsed)),
            (Width::Relaxed, register),
            (Width::Narrow(NARROW[1]), true),
        ] {
            if !applies {
                continue;
            }
            match look(width) {
                Decision::Undecided(Stopped::Share, _) => {}
                // Where it is lost with calls to spare is no measure of where it is without.
                Decision::Illegal(_) if width == Width::Relaxed => {
                    return Decision::Illegal(somewhere(calls));
                }
                decision => return decision,
            }
        }
    }
    look(Width::Full)
}
