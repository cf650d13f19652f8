//! Histories, sequential specifications, and the linearizability algorithms that judge them.
//!
//! A *history* is what clients of a shared object saw: each operation has an invocation, perhaps a completion, and a
//! result. It is *linearizable* (Herlihy & Wing 1990) if every operation can be given one point in time between its two ends
//! so that, taken in the order of these points, the operations are what a *sequential specification* allows.
//!
//! ```text
//!   file ──► history ──► partition ──► decide ──────────────► validate ──► Verdict
//!            edn,        one per key   registers: unique      replays      Linearizable { witness }
//!            json lines,               writers, in n log n    the witness  NotLinearizable { explanation }
//!            log lines                 wgl: the search        shrink       Unknown { reason }
//!              ▲                            ▲                 makes a "no" small, confirm
//!            generate                  spec: register, cas-register,   is its judge
//!            (with linearization       kv, multi-register, mutex,
//!             points)                  your own
//! ```
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
//! # What this does not do (yet)
//!
//! - The polynomial short cut covers registers with one writer per observed value; everything else is searched, and the
//!   search is exponential in the worst case, as the problem is (NP-complete). The limits hold, the answer is then *unknown*.
//! - No just-in-time algorithm of its own, no race of algorithms. A history that is still being written
//!   ([`history::Stream`]) is judged anew as it grows (`plumbline check --follow`); nothing is kept from one look to the next.
//! - Specifications for sets, queues, stacks, counters and lists are not included; the trait takes yours.
//! - The explanation shows one conflict of one key, not all. How stale a read is, is a lower bound for that read, not the Δ or
//!   *k* of the whole history. Sequential consistency is often left unknown where values have several writers.

mod check;
mod confirm;
mod decide;
mod decision;
mod ends;
mod explain;
pub mod generate;
pub mod history;
mod limits;
mod partition;
pub mod picture;
mod registers;
mod render;
mod sequential;
mod shrink;
pub mod spec;
mod staleness;
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
pub use sequential::Sequential;
pub use spec::{Access, FailedCas, Model, ModelName, ModelOptions, NilReads, Specification, Unfit};
pub use staleness::{ReadFault, Staleness};
pub use validate::{InvalidWitness, Linearization};
pub use value::Value;
pub use verdict::{CheckError, End, Explanation, Report, Undecided, Unknown, Verdict};
