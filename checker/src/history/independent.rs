//! Jepsen's `independent` histories: a map of objects, where every value is a tuple `[key value]`.

use super::text::glance;
use super::{Event, History, Kind, Operation, Problem, Process};
use crate::{Unfit, Value};

impl History {
    /// Whether the history names no key of its own and all its invocations have values `[key value]`.
    #[must_use]
    pub fn has_key_tuples(&self) -> bool {
        let tuple = |operation: &Operation| operation.key.is_none() && tuple(&operation.input).is_some();
        !self.operations.is_empty() && self.operations.iter().all(|operation| tuple(&operation))
    }

    /// The same history with the keys taken out of the tuples.
    ///
    /// # Errors
    /// [`Unfit`] at the first value that is no tuple, or a completion with another key than its invocation.
    pub fn independent(mut self) -> Result<Self, Unfit> {
        self.operations = std::mem::take(&mut self.operations).with_values(|operation| {
            let Some((key, input)) = tuple(&operation.input) else {
                return Err(Unfit::operation(operation, "a value [key value]"));
            };
            let output = match tuple(&operation.output) {
                Some((other, output)) if other == key => output,
                Some(_) => return Err(Unfit::answer(operation, format!("an answer for key {key}"))),
                None if operation.outcome == super::Outcome::Ok && !operation.output.is_nil() => {
                    return Err(Unfit::answer(operation, "a value [key value]"));
                }
                None => Value::Nil,
            };
            Ok((key, input, output))
        })?;
        Ok(self)
    }
}

impl Event {
    /// Whether it is an invocation that has its key in its value, `[key value]`.
    #[must_use]
    pub fn has_key_tuple(&self) -> bool {
        self.kind == Kind::Invoke && self.key.is_none() && tuple(&self.value).is_some()
    }

    /// The same event with the key taken out of the tuple; what [`History::independent`] does to all of them.
    ///
    /// # Errors
    /// A [`Problem`] if the value is no tuple and should be one.
    pub fn independent(mut self) -> Result<Self, Problem> {
        if matches!(self.process, Process::Named(_)) {
            return Ok(self);
        }
        match (tuple(&self.value), self.kind) {
            (Some((key, value)), _) => (self.key, self.value) = (Some(key), value),
            (None, Kind::Fail | Kind::Info) => self.value = Value::Nil,
            (None, Kind::Ok) if self.value.is_nil() => {}
            (None, Kind::Invoke | Kind::Ok) => {
                return Err(Problem::syntax("a value [key value]", glance(&self.value.to_string())));
            }
        }
        Ok(self)
    }
}

fn tuple(value: &Value) -> Option<(Value, Value)> {
    let value = match value {
        Value::Tagged(tagged) => &tagged.1,
        value => value,
    };
    match value.items() {
        Some([key, value]) => Some((key.clone(), value.clone())),
        _ => None,
    }
}
