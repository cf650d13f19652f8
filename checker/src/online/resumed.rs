//! A specification that begins in the middle.

use std::borrow::Cow;

use crate::spec::{Access, Discipline, Handling, Specification, Unfit};
use crate::{Operation, Value};

/// The same object, from another state on.
pub(super) struct Resumed<'a, S: Specification> {
    pub(super) spec: &'a S,
    pub(super) state: &'a S::State,
    /// The state as a value, if the object is a register.
    pub(super) value: Option<&'a Value>,
}

impl<S: Specification> Specification for Resumed<'_, S> {
    type State = S::State;
    type Op = S::Op;

    fn name(&self) -> &'static str {
        self.spec.name()
    }

    fn initial(&self) -> S::State {
        self.state.clone()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<S::Op>, Unfit> {
        self.spec.parse(operation)
    }

    fn step(&self, state: &S::State, op: &S::Op) -> Option<S::State> {
        self.spec.step(state, op)
    }

    fn advance(&self, state: &mut S::State, op: &S::Op) -> bool {
        self.spec.advance(state, op)
    }

    fn is_pure(&self, op: &S::Op) -> bool {
        self.spec.is_pure(op)
    }

    fn access<'a>(&self, op: &'a S::Op) -> Option<Access<'a>> {
        self.spec.access(op)
    }

    fn initial_value(&self) -> Option<&Value> {
        self.value
    }

    fn part<'a>(&self, operation: &'a Operation, op: &'a S::Op) -> Option<Cow<'a, Value>> {
        self.spec.part(operation, op)
    }

    fn discipline(&self) -> Option<Discipline> {
        // It speaks of what is empty at the start.
        self.spec.discipline().filter(|_| *self.state == self.spec.initial())
    }

    fn handling<'a>(&self, op: &'a S::Op) -> Option<Handling<'a>> {
        self.spec.handling(op)
    }

    fn weight(&self, state: &S::State) -> usize {
        self.spec.weight(state)
    }

    fn describe_op(&self, op: &S::Op) -> String {
        self.spec.describe_op(op)
    }

    fn describe_state(&self, state: &S::State) -> String {
        self.spec.describe_state(state)
    }
}
