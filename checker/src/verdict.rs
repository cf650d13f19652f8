//! What a check answers.

use std::time::Duration;

use crate::decision::Progress;
use crate::history::Counts;
use crate::sequential::Sequential;
use crate::staleness::ReadFault;
use crate::validate::{InvalidWitness, Linearization};
use crate::{Algorithm, Unfit, Value};

/// The answer.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Every key has a linearization; each was replayed by the validator.
    Linearizable {
        /// One per key.
        witness: Vec<Linearization>,
    },
    /// Some key has none.
    NotLinearizable {
        /// Why not.
        explanation: Box<Explanation>,
    },
    /// Not decided.
    Unknown {
        /// Why not.
        reason: Unknown,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The history has no operation that is known to have happened and says anything.
    #[error("nothing to check: no operation that is known to have happened says anything about the object")]
    NothingToCheck,
    /// Out of time.
    #[error("out of time ({})", show(.0))]
    Time(Vec<Undecided>),
    /// Out of memory.
    #[error("out of memory ({})", show(.0))]
    Memory(Vec<Undecided>),
    /// The algorithm asked for does not apply: these keys have values that somebody saw and more than one wrote.
    #[error(
        "the polynomial algorithm does not apply ({}): some value that was seen has more than one writer, or none can be told; \
         let auto or wgl decide",
        keys(.0)
    )]
    Inapplicable(Vec<Undecided>),
    /// Told to stop.
    #[error("cancelled ({})", show(.0))]
    Cancelled(Vec<Undecided>),
}

/// A key without an answer, and how far it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The key.
    pub key: Option<Value>,
    /// How far.
    pub progress: Progress,
}

fn keys(undecided: &[Undecided]) -> String {
    match undecided {
        [Undecided { key: Some(key), .. }] => format!("key {key}"),
        [_] => "whole history".to_owned(),
        several => format!("{} keys", several.len()),
    }
}

fn show(undecided: &[Undecided]) -> String {
    let one = |undecided: &Undecided| {
        let Progress { configurations, reached, steps } = undecided.progress;
        let key = undecided.key.as_ref().map_or(String::new(), |key| format!("key {key}: "));
        format!("{key}{reached} of {steps} events reached, {configurations} configurations")
    };
    let mut text = undecided.iter().take(3).map(one).collect::<Vec<_>>().join("; ");
    if undecided.len() > 3 {
        text.push_str(&format!("; and {} more keys", undecided.len() - 3));
    }
    text
}

/// Why a history is not linearizable. Numbers are indices into [`crate::History::operations`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The key that has no linearization.
    pub key: Option<Value>,
    /// One of the longest orders: all that returned before `blocked` did is in it, if `prefix_complete`.
    pub prefix: Vec<u32>,
    /// Whether the validator found `prefix` to be a linearization of all that returned before `blocked`.
    pub prefix_complete: bool,
    /// The states that were possible when `blocked` had to happen (the first few, in the order of their names).
    pub states: Vec<String>,
    /// Whether these are all of them.
    pub states_complete: bool,
    /// How `prefix` may go on, and why each way fails: `blocked` is legal in none of these states. The first adds nothing.
    pub ends: Vec<End>,
    /// Whether each continuation ends in one of these states.
    pub ends_complete: bool,
    /// The operation that must have happened by its return, and cannot.
    pub blocked: u32,
    /// The operations that were open when `blocked` was.
    pub concurrent: Vec<u32>,
    /// Operations that contradict each other: even if any of the others had never happened, there would be no linearization.
    /// Empty if no explanation was asked for.
    pub conflict: Vec<u32>,
    /// Whether each of them is known to be needed for that.
    pub minimal: bool,
    /// Whether an independent judge, who knows nothing but the specification, has confirmed that they contradict each
    /// other. `false` if that was too much to look at; a judge who disagrees is an error ([`CheckError::InvalidConflict`]).
    pub confirmed: bool,
    /// Not needed for the contradiction, but good to see: who wrote the values that `conflict` saw.
    pub related: Vec<u32>,
    /// What is wrong with a read of the conflict, if the object is a register.
    pub read_fault: Option<ReadFault>,
    /// What the whole history still is, all keys together.
    pub sequential: Sequential,
}

/// A way to go on after [`Explanation::prefix`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The operations that take effect next.
    pub through: Vec<u32>,
    /// The state after them.
    pub state: String,
}

/// Everything a check says.
#[derive(Clone, Debug)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// The specification's name.
    pub model: &'static str,
    /// The algorithm asked for.
    pub algorithm: Algorithm,
    /// Events by type.
    pub counts: Counts,
    /// Operations that were looked at: those that say something.
    pub checked: u64,
    /// Keys.
    pub partitions: usize,
    /// How long the decision took.
    pub elapsed: Duration,
    /// How long explaining it took.
    pub explained: Duration,
}

/// A check that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// An operation that the specification does not know.
    #[error("{file}: {unfit}")]
    Unfit {
        /// The name of the history.
        file: String,
        /// What does not fit.
        #[source]
        unfit: Unfit,
    },
    /// The specification cannot be as the options want it.
    #[error("{file}: {message}")]
    Model {
        /// The name of the history.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// A fault of this program: an algorithm gave an order that is no linearization.
    #[error("internal error, please report: a witness of key {key} does not hold: {fault}")]
    InvalidWitness {
        /// The key.
        key: String,
        /// What is wrong with it.
        #[source]
        fault: InvalidWitness,
    },
    /// A fault of this program: operations that were said to contradict each other do not.
    #[error(
        "internal error, please report: operations {operations:?} of key {key} do not contradict each other"
    )]
    InvalidConflict {
        /// The key.
        key: String,
        /// Indices into the history's operations.
        operations: Vec<u32>,
    },
}
