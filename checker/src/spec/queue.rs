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

/// One place of an unordered queue's state; equal values in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// A value that was put in and that nobody is known to have taken.
    Value(Value),
    /// Here somebody took one of the values before, or nothing.
    Taken,
}

impl Specification for UnorderedQueue {
    /// Between two [`Mark::Taken`] the values are sorted: their order there means nothing.
    type State = Vec<Mark>;
    type Op = Transfer;

    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn initial(&self) -> Self::State {
        let mut state: Vec<Mark> = self.initial.iter().cloned().map(Mark::Value).collect();
        state.sort();
        state
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
                let last = state.iter().rposition(|mark| *mark == Mark::Taken).map_or(0, |at| at + 1);
                let mark = Mark::Value(value.clone());
                let run = state.get(last..).unwrap_or_default();
                let place = last + run.partition_point(|other| *other < mark);
                state.insert(place, mark);
            }
            // The last of equal ones: those before it are easier to explain away.
            Transfer::Take(value) => {
                let here = |mark: &Mark| matches!(mark, Mark::Value(there) if there == value);
                let Some(at) = state.iter().rposition(here) else { return false };
                state.remove(at);
                if state.contains(&Mark::Taken) {
                    settle(state);
                }
            }
            Transfer::Nothing => {
                let mut takers = 0_usize;
                for mark in state.iter().rev() {
                    takers = match (mark, takers) {
                        (Mark::Taken, _) => takers + 1,
                        (Mark::Value(_), 0) => return false,
                        (Mark::Value(_), _) => takers - 1,
                    };
                }
                state.clear();
            }
            Transfer::Unknown => {
                state.push(Mark::Taken);
                settle(state);
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
        state.capacity() * size_of::<Mark>()
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
        let taken = state.iter().filter(|mark| **mark == Mark::Taken).count();
        let less = if taken > 0 { format!(" less at most {taken}") } else { String::new() };
        format!("{}{less}", list("{", state.iter().filter_map(value), "}"))
    }
}

/// Makes equal situations equal: a taker with nothing before it took nothing, and of the takers between two runs of values
/// no more count than there are values before them. Runs that met are sorted again.
fn settle(state: &mut Vec<Mark>) {
    let (mut values, mut takers) = (0_usize, 0_usize);
    state.retain(|mark| {
        match mark {
            Mark::Value(_) => values += 1,
            Mark::Taken if takers == values => return false,
            Mark::Taken => takers += 1,
        }
        true
    });
    for run in state.split_mut(|mark| *mark == Mark::Taken) {
        run.sort();
    }
}
