//! Queues: `enqueue` a value, `dequeue` one; an ok dequeue of nil found the queue empty.

use std::collections::VecDeque;

use super::transfer::{Transfer, list};
use super::{Discipline, Handling, Specification, Unfit};
use crate::{Operation, Value};

const PUT: &[&str] = &["enqueue", "offer", "send", "push"];
const TAKE: &[&str] = &["dequeue", "poll", "receive", "pop"];
const EXPECTED: &str = "enqueue or dequeue (also offer and poll, send and receive, push and pop)";

/// First in, first out.
#[derive(Clone, Debug, Default)]
pub struct FifoQueue {
    /// What is in it at the start, the next one first.
    pub initial: Vec<Value>,
}

impl Specification for FifoQueue {
    type State = VecDeque<Value>;
    type Op = Transfer;

    fn name(&self) -> &'static str {
        "fifo-queue"
    }

    fn initial(&self) -> Self::State {
        self.initial.iter().cloned().collect()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transfer>, Unfit> {
        Transfer::parse(operation, PUT, TAKE, EXPECTED)
    }

    fn step(&self, state: &Self::State, op: &Transfer) -> Option<Self::State> {
        let changed = |change: &dyn Fn(&mut Self::State)| {
            // No more than is needed: there are many states.
            let mut next = VecDeque::with_capacity(state.len() + 1);
            next.extend(state.iter().cloned());
            change(&mut next);
            Some(next)
        };
        match op {
            Transfer::Put(value) => changed(&|next| next.push_back(value.clone())),
            Transfer::Take(value) if state.front() == Some(value) => changed(&|next| drop(next.pop_front())),
            Transfer::Take(_) => None,
            Transfer::Nothing => state.is_empty().then(|| state.clone()),
            Transfer::Unknown => changed(&|next| drop(next.pop_front())),
        }
    }

    fn advance(&self, state: &mut Self::State, op: &Transfer) -> bool {
        match op {
            Transfer::Put(value) => state.push_back(value.clone()),
            Transfer::Take(value) if state.front() != Some(value) => return false,
            Transfer::Nothing => return state.is_empty(),
            Transfer::Take(_) | Transfer::Unknown => drop(state.pop_front()),
        }
        true
    }

    fn is_pure(&self, op: &Transfer) -> bool {
        *op == Transfer::Nothing
    }

    fn discipline(&self) -> Option<Discipline> {
        self.initial.is_empty().then_some(Discipline::Fifo)
    }

    fn handling<'a>(&self, op: &'a Transfer) -> Option<Handling<'a>> {
        Some(op.handling())
    }

    fn weight(&self, state: &Self::State) -> usize {
        state.capacity() * size_of::<Value>()
    }

    fn describe_op(&self, op: &Transfer) -> String {
        op.describe("enqueue", "dequeue")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        list("next → [", state, "]")
    }
}

/// A queue that gives out its values in any order; a bag. Equal values may be in it more than once.
///
/// Which value a dequeue of unknown outcome took is left open until somebody finds the queue empty: then each value that is
/// left must have been taken by a dequeue that came after it.
#[derive(Clone, Debug)]
pub struct UnorderedQueue {
    /// What is in it at the start.
    pub initial: Vec<Value>,
    /// Whether anybody ever finds the queue empty. If not, what a dequeue of unknown outcome took is nobody's loss, and it says
    /// nothing.
    pub found_empty: bool,
}

impl Default for UnorderedQueue {
    fn default() -> Self {
        Self { initial: Vec::new(), found_empty: true }
    }
}

/// The state of an unordered queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bag {
    /// What came up to the last dequeue of unknown outcome, and that as the last. Between two [`Mark::Taken`] the values are
    /// sorted: their order there means nothing.
    before: Vec<Mark>,
    /// What came after it, sorted.
    since: Vec<Value>,
}

/// One place of an unordered queue's state; equal values in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// A value that was put in and that nobody is known to have taken.
    Value(Value),
    /// Here somebody took one of the values before, or nothing.
    Taken,
}

impl Bag {
    /// Takes the last of equal values: those before it are easier to explain away.
    fn take(&mut self, value: &Value) -> bool {
        let after = self.since.partition_point(|other| other <= value);
        if let Some(at) = after.checked_sub(1).filter(|at| self.since.get(*at) == Some(value)) {
            // Nothing else changes: no taker came after it.
            self.since.remove(at);
            return true;
        }
        let here = |mark: &Mark| matches!(mark, Mark::Value(there) if there == value);
        let Some(at) = self.before.iter().rposition(here) else { return false };
        self.before.remove(at);
        self.settle();
        true
    }

    /// Whether it may be empty: each value must have been taken by somebody after it.
    fn may_be_empty(&self) -> bool {
        let mut takers = 0_usize;
        for mark in self.before.iter().rev() {
            takers = match (mark, takers) {
                (Mark::Taken, _) => takers + 1,
                (Mark::Value(_), 0) => return false,
                (Mark::Value(_), _) => takers - 1,
            };
        }
        self.since.is_empty()
    }

    /// Makes equal situations equal: a taker with nothing before it took nothing, and of the takers between two runs of values
    /// no more count than there are values before them. Runs that met are sorted again.
    fn settle(&mut self) {
        let (mut values, mut takers) = (0_usize, 0_usize);
        self.before.retain(|mark| {
            match mark {
                Mark::Value(_) => values += 1,
                Mark::Taken if takers == values => return false,
                Mark::Taken => takers += 1,
            }
            true
        });
        let last = self.before.iter().rposition(|mark| *mark == Mark::Taken).map_or(0, |at| at + 1);
        for mark in self.before.drain(last..) {
            self.since.extend(match mark {
                Mark::Value(value) => Some(value),
                Mark::Taken => None,
            });
        }
        self.since.sort();
        for run in self.before.split_mut(|mark| *mark == Mark::Taken) {
            run.sort();
        }
    }
}

impl Specification for UnorderedQueue {
    type State = Bag;
    type Op = Transfer;

    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn initial(&self) -> Self::State {
        let mut since = self.initial.clone();
        since.sort();
        Bag { before: Vec::new(), since }
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transfer>, Unfit> {
        let transfer = Transfer::parse(operation, PUT, TAKE, EXPECTED)?;
        Ok(transfer.filter(|transfer| self.found_empty || *transfer != Transfer::Unknown))
    }

    fn step(&self, state: &Self::State, op: &Transfer) -> Option<Self::State> {
        let mut next = state.clone();
        self.advance(&mut next, op).then_some(next)
    }

    fn advance(&self, state: &mut Self::State, op: &Transfer) -> bool {
        match op {
            Transfer::Put(value) => {
                let place = state.since.partition_point(|other| other < value);
                state.since.insert(place, value.clone());
            }
            Transfer::Take(value) => return state.take(value),
            Transfer::Nothing if !state.may_be_empty() => return false,
            Transfer::Nothing => *state = Bag::default(),
            Transfer::Unknown => {
                state.before.extend(state.since.drain(..).map(Mark::Value));
                state.before.push(Mark::Taken);
                state.settle();
            }
        }
        true
    }

    fn discipline(&self) -> Option<Discipline> {
        self.initial.is_empty().then_some(Discipline::Unordered)
    }

    fn handling<'a>(&self, op: &'a Transfer) -> Option<Handling<'a>> {
        Some(op.handling())
    }

    fn weight(&self, state: &Self::State) -> usize {
        state.before.capacity() * size_of::<Mark>() + state.since.capacity() * size_of::<Value>()
    }

    fn describe_op(&self, op: &Transfer) -> String {
        op.describe("enqueue", "dequeue")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        fn value(mark: &Mark) -> Option<&Value> {
            match mark {
                Mark::Value(value) => Some(value),
                Mark::Taken => None,
            }
        }
        let taken = state.before.iter().filter(|mark| **mark == Mark::Taken).count();
        let less = if taken > 0 { format!(" less at most {taken}") } else { String::new() };
        let values = state.before.iter().filter_map(value).chain(&state.since);
        format!("{}{less}", list("{", values, "}"))
    }
}
