//! A priority queue: `enqueue` a number, `dequeue` the least there is; an ok dequeue of nil found it empty.

use super::transfer::{Transfer, list};
use super::{Discipline, Handling, Specification, Unfit};
use crate::{Operation, Value};

const PUT: &[&str] = &["enqueue", "offer", "add", "insert", "push"];
const TAKE: &[&str] = &["dequeue", "poll", "pop"];
const EXPECTED: &str = "enqueue or dequeue (also offer, add, insert or push, and poll or pop)";

/// The least first. A value is a whole number, which is its priority, and may be in it more than once. (Where the greatest goes
/// first, negate them.) Values that share a priority and are different are not for this specification: which of them goes first
/// would be anybody's guess.
#[derive(Clone, Debug, Default)]
pub struct PriorityQueue {
    /// What is in it at the start, in any order.
    pub initial: Vec<i64>,
}

impl Specification for PriorityQueue {
    /// The least last.
    type State = Vec<i64>;
    type Op = Transfer;

    fn name(&self) -> &'static str {
        "priority-queue"
    }

    fn initial(&self) -> Self::State {
        let mut state = self.initial.clone();
        state.sort_unstable_by(|one, other| other.cmp(one));
        state
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transfer>, Unfit> {
        const NUMBER: &str = "a whole number, which is its priority";
        let transfer = Transfer::parse(operation, PUT, TAKE, EXPECTED)?;
        match &transfer {
            Some(Transfer::Put(value)) if number(value).is_none() => Err(Unfit::operation(operation, NUMBER)),
            Some(Transfer::Take(value)) if number(value).is_none() => Err(Unfit::answer(operation, NUMBER)),
            _ => Ok(transfer),
        }
    }

    fn step(&self, state: &Self::State, op: &Transfer) -> Option<Self::State> {
        let without_least = || state.split_last().map_or_else(Vec::new, |(_, rest)| rest.to_vec());
        match op {
            Transfer::Put(value) => {
                let value = number(value)?;
                let place = state.partition_point(|there| *there > value);
                let mut next = Vec::with_capacity(state.len() + 1);
                next.extend_from_slice(state.get(..place)?);
                next.push(value);
                next.extend_from_slice(state.get(place..)?);
                Some(next)
            }
            Transfer::Take(value) => (state.last() == Some(&number(value)?)).then(without_least),
            Transfer::Nothing => state.is_empty().then(Vec::new),
            Transfer::Unknown => Some(without_least()),
        }
    }

    fn is_pure(&self, op: &Transfer) -> bool {
        *op == Transfer::Nothing
    }

    fn discipline(&self) -> Option<Discipline> {
        self.initial.is_empty().then_some(Discipline::Priority)
    }

    fn handling<'a>(&self, op: &'a Transfer) -> Option<Handling<'a>> {
        Some(op.handling())
    }

    fn weight(&self, state: &Self::State) -> usize {
        state.capacity() * size_of::<i64>()
    }

    fn describe_op(&self, op: &Transfer) -> String {
        op.describe("enqueue", "dequeue")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let values: Vec<Value> = state.iter().rev().copied().map(Value::Int).collect();
        list("least → [", &values, "]")
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}
