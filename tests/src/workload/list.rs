//! Lists that only grow at their end, one under each key.

use std::time::Duration;

use checker::{History, ModelName, Value};
use futures::future::BoxFuture;

use super::past::{began, by_key, done, given, line, only, perhaps_before, seen, shorten};
use super::update::{Change, NOBODY_WROTE, numbers, text, update};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::system::{Capability, Client};

#[derive(Debug)]
pub(super) struct AppendList;

impl Workload for AppendList {
    fn name(&self) -> &'static str {
        "append-list"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Cas]
    }

    fn model(&self) -> Option<ModelName> {
        Some(ModelName::AppendList)
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Appender { stream: Stream::new(station), station, limit })
    }

    fn broken(&self, history: &History) -> Vec<String> {
        let mut breaches = Vec::new();
        for (key, operations) in by_key(history) {
            let appends = only(&operations, "append");
            let mut reads: Vec<_> =
                only(&operations, "read").into_iter().filter(|read| done(read).is_some()).collect();
            reads.sort_by_key(|read| seen(read).len());
            let longest = reads.last().map(|read| seen(read)).unwrap_or_default();
            for read in &reads {
                let list = seen(read);
                let at = format!("{key}, line {}", line(read));
                if !longest.starts_with(&list) {
                    breaches
                        .push(format!("{at}: the list that was read does not begin as the longest one does"));
                }
                let end = done(read).unwrap_or(u32::MAX);
                let tried = |value: &i64| {
                    appends.iter().any(|append| given(append) == Some(*value) && perhaps_before(append, end))
                };
                if let Some(value) = list.iter().find(|value| !tried(value)) {
                    breaches.push(format!("{at}: {value} was read, which nobody had appended"));
                }
                let acknowledged =
                    appends.iter().filter(|append| done(append).is_some_and(|at| at < began(read)));
                let lost =
                    acknowledged.filter_map(|append| given(append)).find(|value| !list.contains(value));
                if let Some(value) = lost {
                    breaches.push(format!("{at}: {value} is missing, whose append was acknowledged before"));
                }
            }
        }
        shorten(breaches)
    }
}

struct Appender {
    stream: Stream,
    station: Station,
    limit: Duration,
}

impl Actor for Appender {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let only_reads = self.station.only_reads() || draw.dice < 20;
        let (f, value) = if only_reads { ("read", Value::Nil) } else { ("append", Value::Int(draw.unique)) };
        (Op { f, key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = key_name(op.key);
            let Value::Int(value) = op.value else { return read(client, &key, Value::vector).await };
            let appended = update(client, &key, self.limit, |found| {
                let mut list = numbers(found)?;
                list.push(value);
                Ok(Change::To(text(&list), ()))
            });
            appended.await.map_or_else(Outcome::from, |()| Outcome::ok())
        })
    }
}

/// Reads all numbers under a key.
pub(super) async fn read(client: &mut dyn Client, key: &str, shape: impl Fn(Vec<Value>) -> Value) -> Outcome {
    let shape = |numbers: Vec<i64>| shape(numbers.into_iter().map(Value::Int).collect());
    match client.get(key).await {
        Ok(found) => match numbers(found.as_deref()) {
            Ok(numbers) => Outcome::saw(shape(numbers)),
            Err(error) => Outcome { error: Some(error), ..Outcome::saw(shape(vec![NOBODY_WROTE])) },
        },
        Err(failed) => Outcome::unread(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    fn broken(lines: &str) -> String {
        AppendList.broken(&history(lines)).join("; ")
    }

    #[test]
    fn lists_that_fork_lose_or_invent_are_refused() {
        let start = "
            0 invoke append 1
            0 ok append 1
            1 invoke append 2
            1 info append 2\n";
        assert_eq!(
            broken(&format!(
                "{start} 2 invoke read null\n 2 ok read [1]\n 2 invoke read null\n 2 ok read [1,2]"
            )),
            ""
        );
        assert!(broken(&format!("{start} 2 invoke read null\n 2 ok read [2]")).contains("1 is missing"));
        assert!(
            broken(&format!("{start} 2 invoke read null\n 2 ok read [1,3]")).contains("nobody had appended")
        );
        let forked =
            format!("{start} 2 invoke read null\n 2 ok read [1,2]\n 2 invoke read null\n 2 ok read [2,1,2]");
        assert!(broken(&forked).contains("does not begin"));
    }
}
