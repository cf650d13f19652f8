//! One line of a history: something began, or something ended.

use std::fmt;

use crate::{Text, Value};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A logical, single-threaded client. After an `info` it is retired: its next life has another number.
    Client(i64),
    /// Not a client: `:nemesis`, the source of faults. Its lines are carried along as annotations.
    Named(Text),
}

impl Process {
    /// Jepsen's source of faults.
    #[must_use]
    pub fn nemesis() -> Self {
        Self::Named(Text::from("nemesis"))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "{number}"),
            Self::Named(name) => write!(f, ":{name}"),
        }
    }
}

/// Jepsen's four types of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The operation begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows: it may happen at any later time, or never.
    Info,
}

impl Kind {
    /// The kind's name, as every format writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "invoke" => Some(Self::Invoke),
            "ok" => Some(Self::Ok),
            "fail" => Some(Self::Fail),
            "info" => Some(Self::Info),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One event of a history, in the order in which it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position as recorded, where the format says it.
    pub index: Option<i64>,
    /// Nanoseconds since some start, where the format says it.
    pub time: Option<i64>,
    /// Who.
    pub process: Process,
    /// What happened to the operation.
    pub kind: Kind,
    /// Which operation: `read`, `write`, `cas`, …
    pub f: Text,
    /// The key, where the object is a map of independent ones.
    pub key: Option<Value>,
    /// Argument of an invocation, result of a completion.
    pub value: Value,
    /// Why it failed or is unknown, if the client said so.
    pub error: Option<Value>,
}

impl Event {
    /// An event without index, time, key and error.
    #[must_use]
    pub fn new(process: i64, kind: Kind, f: &str, value: Value) -> Self {
        Self {
            index: None,
            time: None,
            process: Process::Client(process),
            kind,
            f: Text::from(f),
            key: None,
            value,
            error: None,
        }
    }

    /// The same event on a key.
    #[must_use]
    pub fn on_key(mut self, key: Value) -> Self {
        self.key = Some(key);
        self
    }

    /// The same event at a time.
    #[must_use]
    pub fn at_time(mut self, nanoseconds: i64) -> Self {
        self.time = Some(nanoseconds);
        self
    }
}
