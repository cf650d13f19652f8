//! Lists that only grow at their end: `append` a value, `read` the list; or transactions of both over several lists, as
//! Elle's list-append writes them: `[[:append :x 1] [:r :y nil]]`.

use std::collections::BTreeMap;

use super::{Chain, Discipline, Handling, Specification, Unfit, transfer};
use crate::{Operation, Outcome, Shared, Value};

/// The append-lists: one, or one for each name that transactions use.
#[derive(Clone, Debug, Default)]
pub struct AppendList {
    initial: Chain,
}

/// What an operation did, in order. An operation that is no transaction is about the list named nil.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListOp(Vec<(Value, Action)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Append(Value),
    Read(Shared<[Value]>),
}

impl AppendList {
    /// Lists that all hold these values at the start.
    #[must_use]
    pub fn new(initial: impl IntoIterator<Item = Value>) -> Self {
        Self { initial: initial.into_iter().fold(Chain::default(), |chain, value| chain.then(value)) }
    }

    fn transaction(operation: &Operation) -> Result<Vec<(Value, Action)>, Unfit> {
        const EXPECTED: &str = "a transaction [[:append k v] [:r k [v …]] …]";
        let wrong = || Unfit::operation(operation, EXPECTED);
        let known = operation.outcome == Outcome::Ok;
        let mut actions = Vec::new();
        for step in operation.effective().items().ok_or_else(wrong)? {
            let Some([f, name, value]) = step.items() else { return Err(wrong()) };
            match f.text() {
                Some("append") => actions.push((name.clone(), Action::Append(value.clone()))),
                Some("r" | "read") if !known => {}
                Some("r" | "read") => match seen(value) {
                    Some(seen) => actions.push((name.clone(), Action::Read(seen))),
                    None => return Err(Unfit::answer(operation, EXPECTED)),
                },
                _ => return Err(wrong()),
            }
        }
        Ok(actions)
    }
}

/// The values of a list that was read; nil is the empty one.
fn seen(value: &Value) -> Option<Shared<[Value]>> {
    match value {
        Value::List(values) | Value::Vector(values) => Some(values.clone()),
        Value::Nil => Some(Shared::from([])),
        _ => None,
    }
}

impl Specification for AppendList {
    /// The lists that were appended to.
    type State = BTreeMap<Value, Chain>;
    type Op = ListOp;

    fn name(&self) -> &'static str {
        "append-list"
    }

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<ListOp>, Unfit> {
        let actions = match &*operation.f {
            "append" => vec![(Value::Nil, Action::Append(operation.input.clone()))],
            "read" | "r" if operation.outcome != Outcome::Ok => return Ok(None),
            "read" | "r" => match seen(&operation.output) {
                Some(seen) => vec![(Value::Nil, Action::Read(seen))],
                None => return Err(Unfit::answer(operation, "the list")),
            },
            "txn" => Self::transaction(operation)?,
            _ => return Err(Unfit::operation(operation, "append, read or txn")),
        };
        Ok((operation.outcome != Outcome::Fail && !actions.is_empty()).then_some(ListOp(actions)))
    }

    fn step(&self, state: &Self::State, op: &ListOp) -> Option<Self::State> {
        let mut next = state.clone();
        for (name, action) in &op.0 {
            let list = next.get(name).unwrap_or(&self.initial);
            match action {
                Action::Append(value) => {
                    let longer = list.then(value.clone());
                    next.insert(name.clone(), longer);
                }
                Action::Read(seen) => {
                    if seen.len() != list.len() || !list.backwards().eq(seen.iter().rev()) {
                        return None;
                    }
                }
            }
        }
        Some(next)
    }

    fn is_pure(&self, op: &ListOp) -> bool {
        op.0.iter().all(|(_, action)| matches!(action, Action::Read(_)))
    }

    fn discipline(&self) -> Option<Discipline> {
        self.initial.is_empty().then_some(Discipline::List)
    }

    fn handling<'a>(&self, op: &'a ListOp) -> Option<Handling<'a>> {
        match op.0.as_slice() {
            [(Value::Nil, Action::Append(value))] => Some(Handling::Insert(value)),
            [(Value::Nil, Action::Read(seen))] => Some(Handling::Contents(seen)),
            _ => None,
        }
    }

    fn weight(&self, state: &Self::State) -> usize {
        Chain::LINK + state.len() * 3 * size_of::<Value>()
    }

    fn describe_op(&self, op: &ListOp) -> String {
        let action = |(name, action): &(Value, Action)| {
            let name = if name.is_nil() { String::new() } else { format!("{name} ") };
            match action {
                Action::Append(value) => format!("append {name}{value}"),
                Action::Read(seen) => format!("read {name}→ {}", transfer::list("[", seen.iter(), "]")),
            }
        };
        op.0.iter().map(action).collect::<Vec<_>>().join(", ")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let list = |(name, chain): (&Value, &Chain)| {
            let mut values: Vec<&Value> = chain.backwards().collect();
            values.reverse();
            let values = transfer::list("[", values, "]");
            if name.is_nil() { values } else { format!("{name} = {values}") }
        };
        if state.is_empty() {
            return "nothing appended yet".to_owned();
        }
        state.iter().map(list).collect::<Vec<_>>().join(", ")
    }
}
