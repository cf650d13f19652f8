//! Sequential specifications: what an object may do when one operation happens after the other.
//!
//! A specification of one's own is small. A counter, whole:
//!
//! ```
//! use checker::{Operation, Outcome, Specification, Unfit, Value};
//!
//! struct Counter;
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Op { Add(i64), Read(i64) }
//!
//! impl Specification for Counter {
//!     type State = i64;
//!     type Op = Op;
//!
//!     fn name(&self) -> &'static str { "counter" }
//!     fn initial(&self) -> i64 { 0 }
//!     fn parse(&self, operation: &Operation) -> Result<Option<Op>, Unfit> {
//!         match (&*operation.f, &operation.input, &operation.output, operation.outcome) {
//!             (_, _, _, Outcome::Fail) => Ok(None),
//!             ("add", Value::Int(amount), _, _) => Ok(Some(Op::Add(*amount))),
//!             ("read", _, Value::Int(seen), Outcome::Ok) => Ok(Some(Op::Read(*seen))),
//!             ("read", _, _, Outcome::Info) => Ok(None),
//!             _ => Err(Unfit::operation(operation, "add with a number, or read")),
//!         }
//!     }
//!     fn step(&self, state: &i64, op: &Op) -> Option<i64> {
//!         match op {
//!             Op::Add(amount) => Some(state + amount),
//!             Op::Read(seen) => (seen == state).then_some(*state),
//!         }
//!     }
//!     fn is_pure(&self, op: &Op) -> bool { matches!(op, Op::Read(_)) }
//! }
//!
//! let history = checker::History::read(
//!     "{:process 0 :type :invoke :f :add :value 2} {:process 0 :type :ok :f :add :value 2}
//!      {:process 1 :type :invoke :f :read :value nil} {:process 1 :type :ok :f :read :value 3}".as_bytes(),
//!     "example", &checker::ReadOptions::default())?;
//! let report = checker::check(&Counter, &history, &checker::CheckOptions::default())?;
//! assert!(matches!(report.verdict, checker::Verdict::NotLinearizable { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod counter;
mod list;
mod model;
mod multi_register;
mod mutex;
mod priority_queue;
mod queue;
mod reentrant_mutex;
mod register;
mod set;
mod stack;
mod transfer;

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;

pub use chain::Chain;
pub use counter::{Counter, CounterOp};
pub use list::{AppendList, ListOp};
pub(crate) use model::with_specification;
pub use model::{FailedCas, Model, ModelName, ModelOptions, NilReads};
pub use multi_register::{MultiRegister, Transaction};
pub use mutex::{Mutex, MutexOp};
pub use priority_queue::PriorityQueue;
pub use queue::{Bag, FifoQueue, Mark, UnorderedQueue};
pub use reentrant_mutex::{ReentrantMutex, ReentrantOp};
pub use register::{RegisterFamily, RegisterOp, Vocabulary};
pub use set::{Set, SetOp};
pub use stack::Stack;
pub use transfer::Transfer;

use crate::{Operation, Value};

/// A sequential specification: an initial state, and which operation leads from which state to which.
pub trait Specification: Sync {
    /// The state of the object.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// An operation together with what it answered.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;

    /// Its name.
    fn name(&self) -> &'static str;

    /// The state at the start.
    fn initial(&self) -> Self::State;

    /// What a recorded operation means; `None` if it says nothing about the object (it failed, or it is a read of unknown
    /// outcome).
    ///
    /// # Errors
    /// [`Unfit`] if it means nothing here.
    fn parse(&self, operation: &Operation) -> Result<Option<Self::Op>, Unfit>;

    /// The state after `op`, or `None` if `op` could not have answered so in `state`.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Changes `state` to what [`Specification::step`] says comes after `op`; `false`, and no change, if nothing does. Worth
    /// writing where states are large: to replay an order one state is enough.
    fn advance(&self, state: &mut Self::State, op: &Self::Op) -> bool {
        self.step(state, op).map(|next| *state = next).is_some()
    }

    /// Whether `op` leaves *every* state in which it is legal as it is (a read). The search takes such operations as soon
    /// as they are legal, so a wrong `true` gives wrong verdicts; `false` is always right, only slower.
    fn is_pure(&self, _op: &Self::Op) -> bool {
        false
    }

    /// `op` as an access to one register, if the whole object is one: opens the short cuts for registers. The same care as
    /// for [`Specification::is_pure`] holds, and the initial state must be known as a value
    /// ([`Specification::initial_value`]).
    fn access<'a>(&self, _op: &'a Self::Op) -> Option<Access<'a>> {
        None
    }

    /// The initial state as a value, where [`Specification::access`] is given.
    fn initial_value(&self) -> Option<&Value> {
        None
    }

    /// The part of the object that `op` is about. Parts share nothing: each is judged alone, from the initial state. Default:
    /// the operation's key. Either all operations name a part or none does.
    fn part<'a>(&self, operation: &'a Operation, _op: &'a Self::Op) -> Option<Cow<'a, Value>> {
        operation.key.as_ref().map(Cow::Borrowed)
    }

    /// Which collection the object is, if it is one and empty at the start: opens the polynomial algorithms for collections
    /// whose values are unique. The same care as for [`Specification::is_pure`] holds.
    fn discipline(&self) -> Option<Discipline> {
        None
    }

    /// What `op` does to the collection, where [`Specification::discipline`] is given; `None` for anything else.
    fn handling<'a>(&self, _op: &'a Self::Op) -> Option<Handling<'a>> {
        None
    }

    /// Bytes that `state` holds beyond its own size, for the memory limit.
    fn weight(&self, _state: &Self::State) -> usize {
        0
    }

    /// `op` for people.
    fn describe_op(&self, op: &Self::Op) -> String {
        format!("{op:?}")
    }

    /// `state` for people.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// An operation on one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// Sets the value, whatever it was.
    Write(&'a Value),
    /// Saw the value.
    Read(&'a Value),
    /// Saw the first value and set the second.
    Cas(&'a Value, &'a Value),
    /// Saw that the value was another than this.
    Differs(&'a Value),
}

/// What a collection does with the values put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// First in, first out: a queue.
    Fifo,
    /// Last in, first out: a stack.
    Lifo,
    /// The least first: a priority queue of whole numbers.
    Priority,
    /// In any order: an unordered queue, a bag.
    Unordered,
    /// Nothing leaves, the order is kept: an append-list.
    List,
    /// Nothing leaves, there is no order: a set that only grows.
    Set,
}

/// What an operation does to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling<'a> {
    /// Puts this value in.
    Insert(&'a Value),
    /// Takes this value out.
    Remove(&'a Value),
    /// Takes a value out, or nothing, and nobody knows which.
    RemoveUnknown,
    /// Saw that there was nothing in it.
    Empty,
    /// Saw all that was in it (of a set: sorted, each value once).
    Contents(&'a [Value]),
}

/// An operation that the specification does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{f}` of process {process}: expected {expected}, found {found}")]
pub struct Unfit {
    /// Line of the invocation or, where the answer is at fault, of the completion.
    pub line: u32,
    /// The process.
    pub process: i64,
    /// The operation's name.
    pub f: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Unfit {
    /// The operation's name or argument is at fault.
    #[must_use]
    pub fn operation(operation: &Operation, expected: impl Into<String>) -> Self {
        Self::new(operation, operation.invoked.line, expected, format!("{} {}", operation.f, operation.input))
    }

    /// The operation's answer is at fault.
    #[must_use]
    pub fn answer(operation: &Operation, expected: impl Into<String>) -> Self {
        let line = operation.completed.map_or(operation.invoked.line, |mark| mark.line);
        Self::new(operation, line, expected, operation.output.to_string())
    }

    /// An `ok` that answers false: an operation that was refused and says that it happened.
    fn refused(operation: &Operation) -> Option<Self> {
        let refused = operation.outcome == crate::Outcome::Ok
            && operation.output == Value::Bool(false)
            && operation.input != Value::Bool(false);
        refused.then(|| Self::answer(operation, "no such answer: what was refused ends as fail"))
    }

    fn new(operation: &Operation, line: u32, expected: impl Into<String>, found: String) -> Self {
        let found: String = found.chars().take(80).collect();
        let (process, f) = (operation.process, operation.f.to_string());
        Self { line, process, f, expected: expected.into(), found }
    }
}
