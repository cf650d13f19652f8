//! Counters that only grow, one under each key.

use std::time::Duration;

use checker::{History, ModelName, Operation, Value};
use futures::future::BoxFuture;

use super::past::{began, by_key, done, given, line, number, only, perhaps_before, shorten};
use super::update::{Change, NOBODY_WROTE, foreign, update};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::system::{Capability, Client};

/// The most that is added at once.
const MOST: i64 = 5;

#[derive(Debug)]
pub(super) struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Cas]
    }

    fn model(&self) -> Option<ModelName> {
        Some(ModelName::Counter)
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Adder { stream: Stream::new(station), station, limit })
    }

    /// Every read lies between what had been acknowledged when it began and what had been tried when it ended.
    fn broken(&self, history: &History) -> Vec<String> {
        let mut breaches = Vec::new();
        let sum = |adds: &mut dyn Iterator<Item = &&Operation>| -> i64 {
            adds.filter_map(|add| given(add)).fold(0, i64::saturating_add)
        };
        for (key, operations) in by_key(history) {
            let adds = only(&operations, "add");
            for read in only(&operations, "read") {
                let (Some(end), Some(value)) = (done(read), number(&read.output)) else { continue };
                let least = sum(&mut adds.iter().filter(|add| done(add).is_some_and(|at| at < began(read))));
                let most = sum(&mut adds.iter().filter(|add| perhaps_before(add, end)));
                if value < least || value > most {
                    let at = format!("{key}, line {}", line(read));
                    breaches.push(format!("{at}: {value} was read, which must be from {least} to {most}"));
                }
            }
        }
        shorten(breaches)
    }
}

struct Adder {
    stream: Stream,
    station: Station,
    limit: Duration,
}

impl Actor for Adder {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let amount = 1 + self.stream.below(MOST);
        let only_reads = self.station.only_reads() || draw.dice < 30;
        let (f, value) = if only_reads { ("read", Value::Nil) } else { ("add", Value::Int(amount)) };
        (Op { f, key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = key_name(op.key);
            let Value::Int(amount) = op.value else { return read(client, &key).await };
            let added = update(client, &key, self.limit, |found| {
                let sum = sum(found)?;
                Ok(Change::To(sum.saturating_add(amount).to_string(), ()))
            });
            added.await.map_or_else(Outcome::from, |()| Outcome::ok())
        })
    }
}

fn sum(found: Option<&str>) -> Result<i64, String> {
    found.map_or(Ok(0), |text| text.parse().map_err(|_| foreign(text)))
}

async fn read(client: &mut dyn Client, key: &str) -> Outcome {
    match client.get(key).await {
        Ok(found) => match sum(found.as_deref()) {
            Ok(sum) => Outcome::saw(Value::Int(sum)),
            Err(error) => Outcome { error: Some(error), ..Outcome::saw(Value::Int(NOBODY_WROTE)) },
        },
        Err(failed) => Outcome::unread(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    #[test]
    fn a_counter_below_what_was_acknowledged_or_above_what_was_tried_is_refused() {
        let read = |value: i64| {
            let lines = format!(
                "0 invoke add 2
                 0 ok add 2
                 1 invoke add 3
                 1 info add 3
                 2 invoke add 4
                 2 fail add 4
                 3 invoke read null
                 3 ok read {value}
                 5 invoke add 5
                 5 ok add 5"
            );
            Counter.broken(&history(&lines)).join("; ")
        };
        assert_eq!((read(2), read(5)), (String::new(), String::new()));
        assert!(read(1).contains("must be from 2 to 5"), "an acknowledged one is lost");
        assert!(read(6).contains("must be from 2 to 5"), "what failed, or was not yet tried, is in it");
    }
}
