//! Queues, first in, first out, one under each key.

use std::collections::BTreeMap;
use std::time::Duration;

use checker::{History, ModelName, Operation, Outcome as End, Value};
use futures::future::BoxFuture;

use super::past::{began, by_key, done, given, line, number, only, perhaps_before, shorten};
use super::update::{Change, numbers, text, update};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::recorder::Completion;
use crate::system::{Capability, Client};

#[derive(Debug)]
pub(super) struct Queue;

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Cas]
    }

    fn model(&self) -> Option<ModelName> {
        Some(ModelName::FifoQueue)
    }

    fn reads(&self) -> &'static [&'static str] {
        &[]
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Porter { stream: Stream::new(station), limit })
    }

    /// At the end the queues are emptied.
    fn last(&self, key: usize) -> Op {
        Op { f: "dequeue", key, value: Value::Nil }
    }

    fn is_last(&self, outcome: &Outcome) -> bool {
        outcome.completion == Completion::Ok && outcome.value == Some(Value::Nil)
    }

    fn broken(&self, history: &History) -> Vec<String> {
        let keys = by_key(history);
        shorten(keys.iter().flat_map(|(key, operations)| broken(key, operations)).collect())
    }
}

/// Nothing comes out twice, or from nowhere; and what was put in for certain comes out before the queue is found empty for the
/// last time, unless a dequeue without an answer may have taken it.
fn broken(key: &str, operations: &[Operation]) -> Vec<String> {
    let mut breaches = Vec::new();
    let (puts, takes) = (only(operations, "enqueue"), only(operations, "dequeue"));
    let mut taken: BTreeMap<i64, &Operation> = BTreeMap::new();
    for take in &takes {
        let (Some(end), Some(value)) = (done(take), number(&take.output)) else { continue };
        let at = format!("{key}, line {}", line(take));
        if let Some(before) = taken.insert(value, take) {
            breaches.push(format!("{at}: {value} came out before, in line {}", line(before)));
        }
        if !puts.iter().any(|put| given(put) == Some(value) && perhaps_before(put, end)) {
            breaches.push(format!("{at}: {value} came out, which nobody had put in"));
        }
    }
    let empty =
        takes.iter().filter(|take| done(take).is_some() && take.output.is_nil()).map(|take| began(take));
    let Some(empty) = empty.max() else { return breaches };
    let owed = puts.iter().filter(|put| done(put).is_some_and(|at| at < empty));
    let lost: Vec<i64> =
        owed.filter_map(|put| given(put)).filter(|value| !taken.contains_key(value)).collect();
    let unknown = takes.iter().filter(|take| take.outcome == End::Info).count();
    if lost.len() > unknown {
        breaches.push(format!(
            "{key}: {} elements are lost ({:?}), of which {unknown} may have been taken by dequeues without an answer",
            lost.len(),
            lost.iter().take(10).collect::<Vec<_>>()
        ));
    }
    breaches
}

struct Porter {
    stream: Stream,
    limit: Duration,
}

impl Actor for Porter {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let (f, value) =
            if draw.dice < 50 { ("dequeue", Value::Nil) } else { ("enqueue", Value::Int(draw.unique)) };
        (Op { f, key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = key_name(op.key);
            let value = number(&op.value);
            let moved = update(client, &key, self.limit, |found| {
                let mut queue = numbers(found)?;
                match value {
                    Some(value) => queue.push(value),
                    None if queue.is_empty() => return Ok(Change::Stays(Value::Nil)),
                    None => {
                        let first = queue.remove(0);
                        return Ok(Change::To(text(&queue), Value::Int(first)));
                    }
                }
                Ok(Change::To(text(&queue), op.value.clone()))
            });
            moved.await.map_or_else(Outcome::from, Outcome::saw)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    fn broken(lines: &str) -> String {
        Queue.broken(&history(lines)).join("; ")
    }

    const TWO_IN: &str = "
        0 invoke enqueue 1
        0 ok enqueue 1
        0 invoke enqueue 2
        0 ok enqueue 2\n";

    #[test]
    fn what_comes_out_twice_or_from_nowhere_or_not_at_all_is_refused() {
        let one_out = "1 invoke dequeue null\n 1 ok dequeue 1\n";
        let empty = "1 invoke dequeue null\n 1 ok dequeue null\n";
        let two_out = one_out.replace("ok dequeue 1", "ok dequeue 2");
        assert_eq!(broken(&format!("{TWO_IN}{one_out}{two_out}{empty}")), "");
        assert_eq!(broken(&format!("{TWO_IN}{one_out}")), "", "nobody has looked for the rest");
        assert!(broken(&format!("{TWO_IN}{one_out}{one_out}")).contains("came out before, in line 6"));
        assert!(
            broken(&format!("{TWO_IN}{}", one_out.replace("dequeue 1", "dequeue 9")))
                .contains("nobody had put in")
        );
        assert!(broken(&format!("{TWO_IN}{one_out}{empty}")).contains("1 elements are lost ([2])"));
    }

    #[test]
    fn a_take_without_an_answer_excuses_one_loss_and_no_second() {
        let unknown = "1 invoke dequeue null\n 1 info dequeue null\n";
        let empty = "2 invoke dequeue null\n 2 ok dequeue null\n";
        let out = "3 invoke dequeue null\n 3 ok dequeue 1\n";
        assert_eq!(broken(&format!("{TWO_IN}{unknown}{out}{empty}")), "");
        assert!(broken(&format!("{TWO_IN}{unknown}{empty}")).contains("2 elements are lost"));
    }
}
