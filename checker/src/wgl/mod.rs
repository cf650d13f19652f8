//! `wgl`: Wing & Gong's search (1993) with Lowe's memoisation (2017), over a compact representation.
//!
//! # A configuration
//!
//! The search looks for an order of the calls, one at a time. Let *r* be the first return, in real time, of a call that must
//! happen and has no place in the order yet. All calls that returned before *r* are placed, and none invoked after
//! *r* may be. So what matters is *r*, the state, and which of the calls open at *r* are placed:
//!
//! ```text
//!            ┌─ at: r ──────────┐
//!   a ──────┤                   │         placed (returned before r): implied by r
//!        b ────────●────────────┼───┤     open at r, placed:     bit 1 of its slot
//!            c ─────────────────┤         r is c's return: not placed, so its bit is 0
//!                 d ────────────┼─────┤   open at r, not placed: bit 0
//!      e ──────●────────────────┼───────▶ never returns, placed: bit 1 of its slot among the optional ones
//! ```
//!
//! Calls get *slots* as they open and free them as they return, so the bits are as many as calls are open at once, not as
//! many as there are calls. States are numbers, transitions are remembered. A configuration is a few words, in one arena.
//!
//! # Why the short cuts are sound
//!
//! **Reads at once.** A legal call that never changes the state (`is_pure`) is placed as soon as it may be. In any
//! completion of the order it comes later; taking it out there and putting it here changes no state, so all others stay
//! legal, and no real-time edge breaks: what must precede it has returned before *r* and is placed already.
//!
//! **Equal calls.** Of open required calls with the same operation only the one that returns first is tried. If an order has
//! the later one here and the earlier one further on, exchange them: the states are the same, both are already invoked
//! here, and the one moved back has the later return. Likewise among optional calls (the earlier one may also be nowhere
//! else in the order; then it just takes the place), and an optional call gives way to a required one that returns first.
//!
//! **Optional calls** (`info`) never have to be placed; the search ends when all others are. Of two configurations that
//! differ only in the optional calls they used, the one that used a subset can do whatever the other can: it *dominates*,
//! and the other is dropped. Domination is a simulation: each successor of the dominated is the dominating one itself or
//! dominated by a successor of it; so if every configuration that is reached is dominated by one that is explored, a
//! completion is found if there is one. It also pays for the next two.
//!
//! **Useless optional calls.** Right after an optional call *i* that no read followed and before which no dead write was
//! placed, a call *y* that would have led from the
//! state before *i* to the same state is not tried: that successor without *i* dominates.
//!
//! **Expired optional calls** (registers only, [`crate::Access`]). An optional write of *v* is only of use to someone who sees
//! *v*: a read, or a compare-and-set that is itself of use. After the last of those has returned, dropping it from
//! an order leaves everything legal, since the next to look must be preceded by another write. Its slot is freed
//! then, which also merges configurations that differ in nothing but history.
//!
//! **More than there is** (registers only). What makes a search long is which of the optional calls have been used. If they could be used
//! again and again, it would not matter, and there would be few configurations: a value, and the open required calls. Whatever
//! is possible is possible with more, so if even that finds nothing, there is nothing; and if it finds an order that uses each
//! call once, that is a linearization. Only what lies between is searched in earnest. (The short cuts hold here too: each of
//! them leads to a configuration that is the same but for the optional calls used.)
//!
//! **Last chances and dead writes** (registers only): see `values`.
//!
//! **Never a hash alone.** Configurations are compared in full; a lossy cache would give wrong verdicts.

mod agenda;
mod arena;
mod candidates;
mod machine;
mod search;
mod timeline;
mod values;

pub(crate) use agenda::Strategy;
pub(crate) use arena::{Arena, NONE, Node};
pub(crate) use machine::{ILLEGAL, Machine};
pub(crate) use search::{repeats, search, somewhere};
pub(crate) use timeline::{Cursor, Step, Timeline};
pub(crate) use values::Values;
