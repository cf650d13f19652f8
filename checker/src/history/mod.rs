//! Histories: what the clients saw, with Jepsen's semantics, and its readers and writers.
//!
//! ```text
//!   bytes ──► edn / json_lines / log_lines ──► Event ──┐
//!     └─────► quick_lines (plain JSON lines) ──────────┴──► Builder (pairs, refuses the impossible) ──► History
//!                                                             operations  24 bytes each, values packed
//!   Writer ◄── Event (the harness, while it runs)             marks       four bytes for the time of each event
//!                                                             annotations
//! ```
//!
//! A history that is still being written comes as a [`Stream`] of events; [`Builder::so_far`] is the history up to the last.

mod build;
mod clients;
mod edn;
mod edn_atoms;
mod edn_strings;
mod error;
mod event;
mod format;
mod independent;
mod json_lines;
mod json_values;
mod loaded;
mod log_lines;
mod marks;
mod operations;
mod packed;
mod quick_edn;
mod quick_lines;
mod room;
mod stream;
mod text;
mod write;

pub use build::Builder;
pub use error::{Problem, ReadError};
pub use event::{Event, Kind, Process};
pub use format::{Format, ReadOptions};
pub use operations::{Iter, Operations};
pub(crate) use packed::Packed;
pub use stream::Stream;
pub use write::{Keys, Writer};

use crate::{Text, Value};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened, between its invocation and its completion.
    Ok,
    /// It did not happen.
    Fail,
    /// It may happen at any time after its invocation, or never (`info`, or no completion at all).
    Info,
}

/// A place in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which event of the history, from 0. The order of events is the order of real time: clocks are not needed.
    pub position: u32,
    /// Line of the file, from 1; for a history that was not read from a file, the position plus one.
    pub line: u32,
    /// Nanoseconds, where the history says them.
    pub time: Option<i64>,
}

/// One operation: its invocation and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The client.
    pub process: i64,
    /// Which operation.
    pub f: Text,
    /// The key, where the object is a map of independent ones.
    pub key: Option<Value>,
    /// What was asked.
    pub input: Value,
    /// What was answered; nil where nothing was.
    pub output: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it began.
    pub invoked: Mark,
    /// Where it ended; `None` if it is open at the end. The end of an `info` is no bound: it may take effect later.
    pub completed: Option<Mark>,
}

impl Operation {
    /// The argument after Knossos' "complete": an `ok` completion's value, if it has one, says what was really done.
    #[must_use]
    pub fn effective(&self) -> &Value {
        if self.outcome == Outcome::Ok && !self.output.is_nil() { &self.output } else { &self.input }
    }
}

/// Events by type, clients only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that began.
    pub invoke: u64,
    /// Operations that happened.
    pub ok: u64,
    /// Operations that did not happen.
    pub fail: u64,
    /// Operations of unknown outcome that say so.
    pub info: u64,
    /// Operations that never completed; they are treated as `info`.
    pub open: u64,
}

/// A history: its operations in the order of their invocations.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The name given to it, normally its path.
    pub name: String,
    /// How it was read, if it was.
    pub format: Option<Format>,
    /// The operations of the clients, in the order of their invocations.
    pub operations: Operations,
    /// Lines of the nemesis, each with its line number.
    pub annotations: Vec<(u32, Event)>,
    /// Events by type.
    pub counts: Counts,
}

impl History {
    /// About how many bytes it holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.annotations.capacity() * size_of::<(u32, Event)>() + self.operations.memory()
    }
}
