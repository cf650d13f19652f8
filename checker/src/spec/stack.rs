//! A stack: `push` a value, `pop` the one that was pushed last; an ok pop of nil found it empty.

use super::transfer::{Transfer, list};
use super::{Chain, Discipline, Handling, Specification, Unfit};
use crate::{Operation, Value};

/// Last in, first out.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// What is in it at the start, the top last.
    pub initial: Vec<Value>,
}

impl Specification for Stack {
    type State = Chain;
    type Op = Transfer;

    fn name(&self) -> &'static str {
        "stack"
    }

    fn initial(&self) -> Self::State {
        self.initial.iter().cloned().fold(Chain::default(), |chain, value| chain.then(value))
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transfer>, Unfit> {
        Transfer::parse(operation, &["push"], &["pop"], "push or pop")
    }

    fn step(&self, state: &Self::State, op: &Transfer) -> Option<Self::State> {
        match op {
            Transfer::Put(value) => Some(state.then(value.clone())),
            Transfer::Take(value) => match state.last() {
                Some((top, below)) if top == value => Some(below.clone()),
                _ => None,
            },
            Transfer::Nothing => state.is_empty().then(|| state.clone()),
            Transfer::Unknown => Some(state.last().map_or_else(Chain::default, |(_, below)| below.clone())),
        }
    }

    fn is_pure(&self, op: &Transfer) -> bool {
        *op == Transfer::Nothing
    }

    fn discipline(&self) -> Option<Discipline> {
        self.initial.is_empty().then_some(Discipline::Lifo)
    }

    fn handling<'a>(&self, op: &'a Transfer) -> Option<Handling<'a>> {
        Some(op.handling())
    }

    fn weight(&self, _state: &Self::State) -> usize {
        Chain::LINK
    }

    fn describe_op(&self, op: &Transfer) -> String {
        op.describe("push", "pop")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        list("top → [", state.backwards(), "]")
    }
}
