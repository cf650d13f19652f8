//! What can be wrong with a history: always a place, always what was expected there.

use std::io;

use super::{Kind, Process};

/// A history that cannot be read, or that cannot have happened: where, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ReadError {
    /// The name given to the history, normally its path.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// What is wrong there.
    #[source]
    pub problem: Problem,
}

/// What is wrong at one place of a history.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// The text is not what the format allows here.
    #[error("expected {expected}, found {found}")]
    Syntax {
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A named limit was exceeded.
    #[error("beyond the limit: {what} (at most {limit})")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// What the history holds up to here, and what comes next, is more than [`crate::ReadOptions::memory_bytes`].
    #[error("out of memory: the history up to here and this do not fit in the limit")]
    Memory,
    /// An operation ended that never began.
    #[error("completion without invocation: process {process} has no open operation to complete as `{kind}`")]
    CompletionWithoutInvocation {
        /// The process that completed.
        process: Process,
        /// How it says it completed.
        kind: Kind,
    },
    /// A process completed the same operation twice.
    #[error(
        "duplicate completion: process {process}'s operation invoked on line {invoked} was already completed on line {completed}"
    )]
    DuplicateCompletion {
        /// The process.
        process: Process,
        /// Line of the invocation.
        invoked: u32,
        /// Line of the first completion.
        completed: u32,
    },
    /// A process began an operation before its last one ended.
    #[error(
        "two open operations of one process: process {process} invoked `{f}` on line {invoked} and it is still open"
    )]
    TwoOpen {
        /// The process.
        process: Process,
        /// The operation that is still open.
        f: String,
        /// Line of its invocation.
        invoked: u32,
    },
    /// A process went on after an operation of unknown outcome; that operation is open for ever, so this would be a second.
    #[error(
        "two open operations of one process: process {process}'s operation of line {invoked} ended as `info` (outcome unknown, open for ever), so the process may not invoke again"
    )]
    Retired {
        /// The process.
        process: Process,
        /// Line of the invocation whose outcome is unknown.
        invoked: u32,
    },
    /// A completion names another operation than the one that is open.
    #[error("completion of `{found}` where process {process} has `{open}` open (line {invoked})")]
    WrongFunction {
        /// The process.
        process: Process,
        /// The function of the open operation.
        open: String,
        /// The function of the completion.
        found: String,
        /// Line of the invocation.
        invoked: u32,
    },
    /// A completion names another key than the open operation.
    #[error(
        "completion for key {found} where process {process} has an operation on key {open} open (line {invoked})"
    )]
    WrongKey {
        /// The process.
        process: Process,
        /// The key of the open operation.
        open: String,
        /// The key of the completion.
        found: String,
        /// Line of the invocation.
        invoked: u32,
    },
    /// Time ran backwards.
    #[error("time runs backwards: {now} ns after {before} ns on line {line}")]
    TimeBackwards {
        /// The time that is too early.
        now: i64,
        /// The time that came before it.
        before: i64,
        /// Line of the earlier event.
        line: u32,
    },
    /// Indices must grow.
    #[error("index {now} after index {before}: indices must ascend")]
    IndexBackwards {
        /// The index that is too small.
        now: i64,
        /// The one before it.
        before: i64,
    },
    /// There is no event in the file.
    #[error("no events: expected a history, found an empty file")]
    Empty,
}

impl Problem {
    pub(crate) fn syntax(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Syntax { expected: expected.into(), found: found.into() }
    }

    /// Attaches a place.
    pub(crate) fn at(self, line: u64, column: u64) -> Misread {
        Misread { line, column, problem: Box::new(self) }
    }
}

/// A problem and its place, before the name of the file is known.
#[derive(Debug)]
pub(crate) struct Misread {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) problem: Box<Problem>,
}

impl Misread {
    pub(crate) fn in_file(self, file: &str) -> ReadError {
        ReadError { file: file.to_owned(), line: self.line, column: self.column, problem: *self.problem }
    }
}
