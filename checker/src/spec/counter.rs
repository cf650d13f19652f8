//! A counter: `add` a number (`inc` and `dec`: one, if none is given), `read` the sum.

use super::{Specification, Unfit};
use crate::{Operation, Outcome, Value};

/// The counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// The sum at the start.
    pub initial: i64,
}

/// What was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this.
    Add(i64),
    /// Saw this sum.
    Read(i64),
}

impl Specification for Counter {
    /// Wide enough for the sum of as many operations as a history can have.
    type State = i128;
    type Op = CounterOp;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn initial(&self) -> i128 {
        i128::from(self.initial)
    }

    fn parse(&self, operation: &Operation) -> Result<Option<CounterOp>, Unfit> {
        const EXPECTED: &str = "add with a whole number, inc, dec or read";
        let op = match (&*operation.f, &operation.input) {
            ("add" | "inc" | "increment", Value::Int(amount)) => CounterOp::Add(*amount),
            ("inc" | "increment", Value::Nil) => CounterOp::Add(1),
            ("dec" | "decrement", Value::Nil) => CounterOp::Add(-1),
            ("dec" | "decrement" | "sub", Value::Int(amount)) if *amount > i64::MIN => {
                CounterOp::Add(-*amount)
            }
            ("read" | "get", _) => match (operation.outcome, &operation.output) {
                (Outcome::Fail | Outcome::Info, _) => return Ok(None),
                (Outcome::Ok, Value::Int(seen)) => CounterOp::Read(*seen),
                (Outcome::Ok, _) => return Err(Unfit::answer(operation, "a whole number")),
            },
            _ => return Err(Unfit::operation(operation, EXPECTED)),
        };
        Ok((operation.outcome != Outcome::Fail).then_some(op))
    }

    fn step(&self, state: &i128, op: &CounterOp) -> Option<i128> {
        match op {
            CounterOp::Add(amount) => Some(state + i128::from(*amount)),
            CounterOp::Read(seen) => (i128::from(*seen) == *state).then_some(*state),
        }
    }

    fn is_pure(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_) | CounterOp::Add(0))
    }

    fn describe_op(&self, op: &CounterOp) -> String {
        match op {
            CounterOp::Add(amount) => format!("add {amount}"),
            CounterOp::Read(seen) => format!("read → {seen}"),
        }
    }

    fn describe_state(&self, state: &i128) -> String {
        state.to_string()
    }
}
