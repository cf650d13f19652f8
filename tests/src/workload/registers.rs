//! Registers: read, write, and compare-and-set on a few keys.
//!
//! What a compare-and-set *expects* is the one thing in any workload that comes from what clients have seen: one that expects a
//! random value never succeeds and tests nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use checker::{ModelName, Value};
use futures::future::BoxFuture;

use super::past::number;
use super::update::{NOBODY_WROTE, foreign};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::recorder::Completion;
use crate::system::{Capability, Client};

/// Registers of one of three vocabularies.
#[derive(Debug)]
pub(super) struct Registers {
    name: &'static str,
    model: ModelName,
    has_cas: bool,
    seen: Arc<Seen>,
}

impl Registers {
    pub(super) fn register() -> Registers {
        Registers { name: "register", model: ModelName::Register, has_cas: false, seen: Arc::default() }
    }

    pub(super) fn cas_register() -> Registers {
        Registers { name: "cas-register", model: ModelName::CasRegister, has_cas: true, seen: Arc::default() }
    }

    pub(super) fn map() -> Registers {
        Registers { name: "map", model: ModelName::KeyValue, has_cas: true, seen: Arc::default() }
    }
}

impl Workload for Registers {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> &'static [Capability] {
        if self.has_cas { &[Capability::Cas] } else { &[] }
    }

    fn model(&self) -> Option<ModelName> {
        Some(self.model)
    }

    fn rotate(&self) -> u64 {
        0
    }

    fn actor(&self, station: Station, _limit: Duration) -> Box<dyn Actor> {
        let stream = Stream::new(station);
        Box::new(Registrar { stream, station, has_cas: self.has_cas, seen: Arc::clone(&self.seen) })
    }
}

/// The value each key was last seen with by any client: a good guess at what it has now.
#[derive(Debug, Default)]
struct Seen(Mutex<HashMap<usize, i64>>);

impl Seen {
    fn last(&self, key: usize) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    fn note(&self, key: usize, value: Option<i64>) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => drop(values.insert(key, value)),
            None => drop(values.remove(&key)),
        }
    }
}

struct Registrar {
    stream: Stream,
    station: Station,
    has_cas: bool,
    seen: Arc<Seen>,
}

fn optional(value: Option<i64>) -> Value {
    value.map_or(Value::Nil, Value::Int)
}

impl Actor for Registrar {
    fn next(&mut self) -> (Op, f64) {
        let draw = self.stream.draw();
        let (f, value) = match draw.dice {
            _ if self.station.only_reads() => ("read", Value::Nil),
            0..20 => ("read", Value::Nil),
            65.. if self.has_cas => {
                ("cas", Value::vector(vec![optional(self.seen.last(draw.key)), Value::Int(draw.unique)]))
            }
            _ => ("write", Value::Int(draw.unique)),
        };
        (Op { f, key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = match (op.f, &op.value) {
                ("write", Value::Int(value)) => write(client, op.key, *value).await,
                ("cas", pair) => cas(client, op.key, pair.items().unwrap_or_default()).await,
                _ => read(client, op.key).await,
            };
            if outcome.completion == Completion::Ok {
                let value = match (op.f, &op.value) {
                    ("cas", pair) => pair.items().and_then(|pair| pair.last()).and_then(number),
                    ("write", value) => number(value),
                    _ => outcome.value.as_ref().and_then(number),
                };
                self.seen.note(op.key, value);
            }
            outcome
        })
    }
}

async fn read(client: &mut dyn Client, key: usize) -> Outcome {
    match client.get(&key_name(key)).await {
        Ok(None) => Outcome::saw(Value::Nil),
        Ok(Some(text)) => match text.parse() {
            Ok(value) => Outcome::saw(Value::Int(value)),
            Err(_) => Outcome { error: Some(foreign(&text)), ..Outcome::saw(Value::Int(NOBODY_WROTE)) },
        },
        Err(failed) => Outcome::unread(failed),
    }
}

async fn write(client: &mut dyn Client, key: usize, value: i64) -> Outcome {
    match client.put(&key_name(key), &value.to_string()).await {
        Ok(()) => Outcome::ok(),
        Err(failed) => failed.into(),
    }
}

async fn cas(client: &mut dyn Client, key: usize, pair: &[Value]) -> Outcome {
    let [from, Value::Int(to)] = pair else { return Outcome::refused() };
    let from = number(from).map(|from| from.to_string());
    match client.cas(&key_name(key), from.as_deref(), &to.to_string()).await {
        Ok(true) => Outcome::ok(),
        Ok(false) => Outcome::refused(),
        Err(failed) => failed.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compare_and_set_expects_what_was_last_seen_and_a_reader_only_reads() {
        let workload = Registers::map();
        workload.seen.note(0, Some(77));
        let station = |worker| Station { seed: 1, worker, workers: 3, keys: 1, rotate: 0 };
        let mut actor = workload.actor(station(0), Duration::from_secs(1));
        let cas = std::iter::from_fn(|| Some(actor.next().0)).find(|op| op.f == "cas").unwrap();
        assert_eq!(cas.value.items().unwrap()[0], Value::Int(77));
        let mut reader = workload.actor(station(2), Duration::from_secs(1));
        assert!((0..100).all(|_| reader.next().0.f == "read"));
    }
}
