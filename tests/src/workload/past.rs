//! What the invariants of workloads ask a history: which came first, for certain.

use std::collections::BTreeMap;

use checker::history::Mark;
use checker::{History, Operation, Outcome, Value};

/// At most so many breaches of one law are told; one is enough for a verdict.
const MOST: usize = 10;

/// The operations by key.
pub(super) fn by_key(history: &History) -> BTreeMap<String, Vec<Operation>> {
    let mut keys: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for operation in &history.operations {
        let key = operation.key.as_ref();
        let name =
            key.map_or_else(String::new, |key| key.text().map_or_else(|| key.to_string(), str::to_owned));
        keys.entry(name).or_default().push(operation);
    }
    keys
}

/// When it began: a place in the history's order, which is that of real time.
pub(super) fn began(operation: &Operation) -> u32 {
    operation.invoked.position
}

/// When it had certainly taken effect, if it has.
pub(super) fn done(operation: &Operation) -> Option<u32> {
    let end = operation.completed.filter(|_| operation.outcome == Outcome::Ok);
    end.map(|Mark { position, .. }| position)
}

/// Whether it may have taken effect before `position`.
pub(super) fn perhaps_before(operation: &Operation, position: u32) -> bool {
    operation.outcome != Outcome::Fail && began(operation) < position
}

/// The number it was invoked with.
pub(super) fn given(operation: &Operation) -> Option<i64> {
    number(&operation.input)
}

/// The numbers that a read saw.
pub(super) fn seen(operation: &Operation) -> Vec<i64> {
    let (Value::List(items) | Value::Vector(items) | Value::Set(items)) = &operation.output else {
        return Vec::new();
    };
    items.iter().filter_map(number).collect()
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// Those with this name.
pub(super) fn only<'a>(operations: &'a [Operation], f: &str) -> Vec<&'a Operation> {
    operations.iter().filter(|operation| &*operation.f == f).collect()
}

/// Where it stands, for a person.
pub(super) fn line(operation: &Operation) -> u32 {
    operation.completed.map_or(operation.invoked.line, |mark| mark.line)
}

/// Not more than anybody wants to read.
pub(super) fn shorten(mut breaches: Vec<String>) -> Vec<String> {
    let more = breaches.len().saturating_sub(MOST);
    breaches.truncate(MOST);
    if more > 0 {
        breaches.push(format!("and {more} more of the kind"));
    }
    breaches
}

/// What the tests of all invariants share: a history, written as it would be recorded.
#[cfg(test)]
pub(super) fn history(lines: &str) -> History {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap();
        let (process, kind, f, value) = (word(), word(), word(), word());
        text += &format!(
            "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"k\",\"value\":{value}}}\n"
        );
    }
    History::read(text.as_bytes(), "test", &checker::ReadOptions::default()).unwrap()
}
