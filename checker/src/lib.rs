//! Histories, sequential specifications, and the linearizability algorithms that judge them.
//!
//! A *history* is what clients of a shared object saw: each operation has an invocation, perhaps a completion, and a
//! result. It is *linearizable* (Herlihy & Wing 1990) if every operation can be given one point in time between its two ends
//! so that, taken in the order of these points, the operations are what a *sequential specification* allows.
//!
//! ```text
//!   file ──► history ──► partition ──► decide ──────────────► validate ──► Verdict
//!            edn,        one per       unique: n log n,        replays      Linearizable { witness }
//!            json lines, part          registers, collections  the witness  NotLinearizable { explanation }
//!            log lines     ▲           wgl, linear: searches       shrink   Unknown { reason }
//!              ▲           │                ▲                  makes a "no" small; confirm is its judge
//!            generate     spec: register, cas-register, write-once, kv, multi-register, append-list, set,
//!            (with              counter, fifo-queue, unordered-queue, stack, mutex, reentrant-mutex,
//!             points)           your own ([`Specification`], 30 lines)
//! ```
//!
//! # Which algorithm
//!
//! | [`Algorithm`] | What it is | When |
//! |---|---|---|
//! | `unique` | polynomial: blocks of a register (Gibbons & Korach), cuts of a queue or stack, priorities, stages of a list or set | every value that somebody saw was written once |
//! | `wgl` | Wing & Gong's search with Lowe's memoisation; first with more lost writes than there are, then in earnest | always |
//! | `linear` | just-in-time linearization, breadth first, narrow before wide; memory does not grow with the length | always |
//! | `competition` | `unique`, else `wgl` against `linear`, the loser stops | two cores to spare |
//! | `auto` | `unique`, else `wgl` | default |
//!
//! All give the same kinds of answer. Keys (and elements of a set that nobody reads whole) are judged alone, on all cores, easy ones
//! first. Time and memory are looked at inside the searches; the answer is then *unknown* and says how far each key got.
//!
//! # What is shown, and by what
//!
//! - `src/unique/tests/`: on *all* histories of three calls, of four that completed, and of four on queues, stacks and
//!   registers without compare-and-set even if some never return; on all ways to pass three values through a
//!   queue or a stack, and on random ones (`PLUMBLINE_ORACLE_CASES=1000000`), the polynomial algorithms, `wgl` and `linear`
//!   agree with the definition, and each witness is valid.
//! - `tests/linearizability.rs`: for every specification, histories that are linearizable by construction are accepted, one change
//!   that cannot be is refused, and small ones are judged as by trying every order, by every algorithm.
//! - `tests/online.rs`: a history that grows is judged at every moment as it would be from its beginning.
//! - `tests/mutants.rs` (feature `mutants`): twenty seeded bugs (a skipped real-time edge, an `info` taken as failed, a lossy cache,
//!   mixed keys, …) are each found by the same comparison, and without them nothing is.
//! - `tests/corpora.rs`: recorded histories of other checkers, by every algorithm, as those checkers decided.
//!
//! ```
//! use checker::{CheckOptions, History, Model, ModelName, ModelOptions, ReadOptions, Verdict};
//!
//! let text = r#"
//!     {"process":0,"type":"invoke","f":"write","value":1}
//!     {"process":0,"type":"ok","f":"write","value":1}
//!     {"process":1,"type":"invoke","f":"read","value":null}
//!     {"process":1,"type":"ok","f":"read","value":null}
//! "#;
//! let history = History::read(text.as_bytes(), "example", &ReadOptions::default())?;
//! let model = Model::new(ModelName::Register, &ModelOptions::default(), &history)?;
//! let report = model.check(&history, &CheckOptions::default())?;
//! let Verdict::NotLinearizable { explanation } = report.verdict else { panic!("a stale read") };
//! assert_eq!(explanation.conflict, [0, 1]); // a completed write of 1, then a read of nil
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What counts as having happened
//!
//! Jepsen's words: `ok` happened, `fail` did not, `info` and a missing completion may happen at any later time, or never. The
//! order of events in the file is real time; clocks are only checked for running backwards. A process has one open
//! operation at a time, and after an `info` it never comes back.
//!
//! # What a "no" says
//!
//! An [`Explanation`] names the operation that could not be placed, one of the longest orders of what came before it
//! (replayed by the validator), the states that were possible, and where each way to go on leads. Then the *conflict*: a
//! minimal set of operations that contradict each other even if any of the others had never happened. It is found by delta
//! debugging and confirmed by an independent judge; a judge who disagrees is an error, not a verdict. For registers it says
//! what is wrong with the read: a value nobody wrote, or how stale it is, by how many writes and how much time
//! ([`ReadFault`]). Last, what the whole history still is: sequentially consistent, or not even that ([`Sequential`]). All
//! this takes at most [`CheckOptions::explanation`] (two seconds unless something else is asked for); what is not found by then is
//! said to be unknown, the verdict stands. A [`picture::Picture`] shows it all: a page for a browser, a drawing for a report.
//!
//! # What this does not do
//!
//! - Beyond `unique`, deciding is exponential in the worst case, as the problem is (NP-complete). The limits hold.
//! - `unique` is silent where some value that was seen has two writers (a `delete` writes absence again and again), and for
//!   collections with takes of unknown outcome where they could matter; `auto` then searches.
//! - Transactions (multi-register, append-list `txn`) are searched, not inferred from versions as Elle does.
//! - A history that is still being written ([`history::Stream`], [`Online`], `plumbline check --follow`) is kept whole: a "no" is
//!   explained, and pictures drawn, from all of it. A take from a queue or a stack whose answer is still out may leave a look
//!   without an answer ([`Standing::Open`]); the next looks make up for it.
//! - The explanation shows one conflict of one key, not all. How stale a read is, is a lower bound for that read, not the Δ or
//!   *k* of the whole history. Sequential consistency is often left unknown where values have several writers.

mod check;
mod collections;
mod confirm;
mod decide;
mod decision;
mod ends;
mod equality;
mod explain;
pub mod generate;
pub mod history;
mod limits;
mod linear;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
mod online;
mod partition;
pub mod picture;
mod registers;
mod render;
mod sequential;
mod shared;
mod shrink;
pub mod spec;
mod staleness;
mod unique;
mod validate;
mod value;
mod verdict;
mod wgl;

pub use check::{CheckOptions, check};
pub use decide::Algorithm;
pub use decision::Progress;
pub use history::{
    Counts, Event, Format, History, Keys, Kind, Mark, Operation, Outcome, Problem, Process, ReadError,
    ReadOptions, Writer,
};
pub use limits::Limits;
pub use online::{Online, Standing};
pub use sequential::Sequential;
pub use shared::{Shared, Text};
pub use spec::{
    Access, Discipline, FailedCas, Handling, Model, ModelName, ModelOptions, NilReads, Specification, Unfit,
};
pub use staleness::{ReadFault, Staleness};
pub use validate::{InvalidWitness, Linearization};
pub use value::Value;
pub use verdict::{CheckError, End, Explanation, Report, Undecided, Unknown, Verdict};
