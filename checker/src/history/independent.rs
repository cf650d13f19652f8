//! Jepsen's `independent` histories: a map of objects, where every value is a tuple `[key value]`.

use super::{History, Operation};
use crate::{Unfit, Value};

impl History {
    /// Whether the history names no key of its own and all its invocations have values `[key value]`.
    #[must_use]
    pub fn has_key_tuples(&self) -> bool {
        let tuple = |operation: &Operation| operation.key.is_none() && tuple(&operation.input).is_some();
        !self.operations.is_empty() && self.operations.iter().all(tuple)
    }

    /// The same history with the keys taken out of the tuples.
    ///
    /// # Errors
    /// [`Unfit`] at the first value that is no tuple, or a completion with another key than its invocation.
    pub fn independent(mut self) -> Result<Self, Unfit> {
        for operation in &mut self.operations {
            let Some((key, input)) = tuple(&operation.input) else {
                return Err(Unfit::operation(operation, "a value [key value]"));
            };
            operation.output = match tuple(&operation.output) {
                Some((other, output)) if other == key => output,
                Some(_) => return Err(Unfit::answer(operation, format!("an answer for key {key}"))),
                None if operation.outcome == super::Outcome::Ok && !operation.output.is_nil() => {
                    return Err(Unfit::answer(operation, "a value [key value]"));
                }
                None => Value::Nil,
            };
            operation.key = Some(key);
            operation.input = input;
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
