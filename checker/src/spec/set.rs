//! A set: `add`, `remove` and `contains` of one element, `read` of all of them.
//!
//! If nobody reads the whole set, the elements have nothing to do with each other: each is a register that holds whether it is
//! there, and is judged alone.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Access, Discipline, Handling, Specification, Unfit};
use crate::{History, Operation, Outcome, Shared, Value};

/// The set.
#[derive(Clone, Debug, Default)]
pub struct Set {
    initial: BTreeSet<Value>,
    by_element: bool,
}

/// What was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Added this, and perhaps saw whether it was new.
    Add(Value, Option<bool>),
    /// Took this out, and perhaps saw whether it was there.
    Remove(Value, Option<bool>),
    /// Saw whether this was there.
    Contains(Value, bool),
    /// Saw all elements, sorted.
    Read(Shared<[Value]>),
}

const THERE: Value = Value::Bool(true);
const ABSENT: Value = Value::Bool(false);
const READS: &[&str] = &["read", "members", "list"];

impl Set {
    /// A set with these elements at the start. The history decides whether the elements can be judged one by one.
    #[must_use]
    pub fn new(initial: impl IntoIterator<Item = Value>, history: &History) -> Self {
        let initial: BTreeSet<Value> = initial.into_iter().collect();
        let whole = history.operations.named(READS).next().is_some();
        Self { by_element: initial.is_empty() && !whole, initial }
    }

    /// Whether the elements are judged one by one.
    pub(super) fn is_by_element(&self) -> bool {
        self.by_element
    }
}

/// Whether it was so, where the answer is no echo of the element.
fn told(operation: &Operation) -> Option<bool> {
    match (&operation.output, &operation.input) {
        (Value::Bool(_), Value::Bool(_)) => None,
        (Value::Bool(told), _) if operation.outcome == Outcome::Ok => Some(*told),
        _ => None,
    }
}

impl Specification for Set {
    type State = BTreeSet<Value>;
    type Op = SetOp;

    fn name(&self) -> &'static str {
        "set"
    }

    fn initial(&self) -> Self::State {
        self.initial.clone()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<SetOp>, Unfit> {
        let element = || operation.input.clone();
        let known = operation.outcome == Outcome::Ok;
        let op = match &*operation.f {
            "add" | "insert" => SetOp::Add(element(), told(operation)),
            "remove" | "delete" => SetOp::Remove(element(), told(operation)),
            "contains" | "member" if !known => return Ok(None),
            "contains" | "member" => match &operation.output {
                Value::Bool(there) => SetOp::Contains(element(), *there),
                _ => return Err(Unfit::answer(operation, "true or false")),
            },
            f if READS.contains(&f) && !known => return Ok(None),
            f if READS.contains(&f) => match &operation.output {
                Value::Set(elements) => SetOp::Read(elements.clone()),
                Value::List(elements) | Value::Vector(elements) => match Value::set(elements.to_vec()) {
                    Value::Set(sorted) if sorted.len() == elements.len() => SetOp::Read(sorted),
                    _ => return Err(Unfit::answer(operation, "each element once")),
                },
                _ => return Err(Unfit::answer(operation, "all elements, as a set or a list")),
            },
            _ => return Err(Unfit::operation(operation, "add, remove, contains or read")),
        };
        Ok((operation.outcome != Outcome::Fail).then_some(op))
    }

    fn step(&self, state: &Self::State, op: &SetOp) -> Option<Self::State> {
        let agrees = |told: &Option<bool>, element, new| {
            told.is_none_or(|told| told == (state.contains(element) != new))
        };
        match op {
            SetOp::Add(element, told) => agrees(told, element, true).then(|| {
                let mut next = state.clone();
                next.insert(element.clone());
                next
            }),
            SetOp::Remove(element, told) => agrees(told, element, false).then(|| {
                let mut next = state.clone();
                next.remove(element);
                next
            }),
            SetOp::Contains(element, there) => (state.contains(element) == *there).then(|| state.clone()),
            SetOp::Read(elements) => {
                let same = elements.len() == state.len() && elements.iter().eq(state);
                same.then(|| state.clone())
            }
        }
    }

    fn is_pure(&self, op: &SetOp) -> bool {
        match op {
            SetOp::Contains(..) | SetOp::Read(_) => true,
            SetOp::Add(_, told) | SetOp::Remove(_, told) => *told == Some(false),
        }
    }

    /// One element, alone, is a register: there or not.
    fn access<'a>(&self, op: &'a SetOp) -> Option<Access<'a>> {
        let held = |there: bool| if there { &THERE } else { &ABSENT };
        Some(match op {
            _ if !self.by_element => return None,
            SetOp::Add(_, None) => Access::Write(&THERE),
            SetOp::Add(_, Some(true)) => Access::Cas(&ABSENT, &THERE),
            SetOp::Add(_, Some(false)) => Access::Read(&THERE),
            SetOp::Remove(_, None) => Access::Write(&ABSENT),
            SetOp::Remove(_, Some(true)) => Access::Cas(&THERE, &ABSENT),
            SetOp::Remove(_, Some(false)) => Access::Read(&ABSENT),
            SetOp::Contains(_, there) => Access::Read(held(*there)),
            SetOp::Read(_) => return None,
        })
    }

    fn initial_value(&self) -> Option<&Value> {
        self.by_element.then_some(&ABSENT)
    }

    fn part<'a>(&self, operation: &'a Operation, op: &'a SetOp) -> Option<Cow<'a, Value>> {
        match (op, &operation.key) {
            (SetOp::Add(element, _) | SetOp::Remove(element, _) | SetOp::Contains(element, _), key)
                if self.by_element =>
            {
                Some(match key {
                    None => Cow::Borrowed(element),
                    Some(key) => Cow::Owned(Value::vector([key.clone(), element.clone()])),
                })
            }
            (_, key) => key.as_ref().map(Cow::Borrowed),
        }
    }

    fn discipline(&self) -> Option<Discipline> {
        (self.initial.is_empty() && !self.by_element).then_some(Discipline::Set)
    }

    fn handling<'a>(&self, op: &'a SetOp) -> Option<Handling<'a>> {
        match op {
            SetOp::Add(element, None) => Some(Handling::Insert(element)),
            SetOp::Read(elements) => Some(Handling::Contents(elements)),
            _ => None,
        }
    }

    fn weight(&self, state: &Self::State) -> usize {
        // A node of a B-tree is on average two thirds full.
        state.len() * size_of::<Value>() * 3 / 2
    }

    fn describe_op(&self, op: &SetOp) -> String {
        let told = |told: &Option<bool>| told.map_or(String::new(), |told| format!(" → {told}"));
        match op {
            SetOp::Add(element, answer) => format!("add {element}{}", told(answer)),
            SetOp::Remove(element, answer) => format!("remove {element}{}", told(answer)),
            SetOp::Contains(element, there) => format!("contains {element} → {there}"),
            SetOp::Read(elements) => format!("read → {}", super::transfer::list("{", elements.iter(), "}")),
        }
    }

    fn describe_state(&self, state: &Self::State) -> String {
        super::transfer::list("{", state, "}")
    }
}
