//! Sets that only grow, one under each key.

use std::time::Duration;

use checker::{History, ModelName, Value};
use futures::future::BoxFuture;

use super::list::read;
use super::past::{began, by_key, done, given, line, only, perhaps_before, seen, shorten};
use super::update::{Change, numbers, text, update};
use super::{Actor, Outcome, Workload};
use crate::generator::{Op, Station, Stream, key_name};
use crate::system::{Capability, Client};

#[derive(Debug)]
pub(super) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Cas]
    }

    fn model(&self) -> Option<ModelName> {
        Some(ModelName::Set)
    }

    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor> {
        Box::new(Adder { stream: Stream::new(station), station, limit })
    }

    /// Nothing acknowledged is lost, and there is nothing that nobody added.
    fn broken(&self, history: &History) -> Vec<String> {
        let mut breaches = Vec::new();
        for (key, operations) in by_key(history) {
            let adds = only(&operations, "add");
            for read in only(&operations, "read") {
                let Some(end) = done(read) else { continue };
                let (elements, at) = (seen(read), format!("{key}, line {}", line(read)));
                let acknowledged = adds.iter().filter(|add| done(add).is_some_and(|at| at < began(read)));
                for add in acknowledged.filter(|add| given(add).is_some_and(|it| !elements.contains(&it))) {
                    let it = &add.input;
                    breaches.push(format!(
                        "{at}: {it} is lost, whose add was acknowledged in line {}",
                        line(add)
                    ));
                }
                let tried =
                    |it: &i64| adds.iter().any(|add| given(add) == Some(*it) && perhaps_before(add, end));
                for it in elements.iter().filter(|it| !tried(it)) {
                    breaches.push(format!("{at}: {it} is there, which nobody had added"));
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
        let only_reads = self.station.only_reads() || draw.dice < 20;
        let (f, value) = if only_reads { ("read", Value::Nil) } else { ("add", Value::Int(draw.unique)) };
        (Op { f, key: draw.key, value }, draw.pause)
    }

    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let key = key_name(op.key);
            let Value::Int(value) = op.value else { return read(client, &key, Value::set).await };
            let added = update(client, &key, self.limit, |found| {
                let mut elements = numbers(found)?;
                if elements.contains(&value) {
                    return Ok(Change::Stays(()));
                }
                elements.push(value);
                Ok(Change::To(text(&elements), ()))
            });
            added.await.map_or_else(Outcome::from, |()| Outcome::ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::history;
    use super::*;

    fn broken(lines: &str) -> String {
        Set.broken(&history(lines)).join("; ")
    }

    #[test]
    fn a_set_that_loses_what_it_acknowledged_or_has_what_nobody_added_is_refused() {
        let start = "
            0 invoke add 1
            0 ok add 1
            1 invoke add 2
            1 info add 2
            2 invoke add 3
            2 fail add 3\n";
        let read = |elements: &str| broken(&format!("{start} 4 invoke read null\n 4 ok read {elements}"));
        assert_eq!(read("[1]"), "");
        assert_eq!(read("[1,2]"), "", "what is in doubt may be there");
        assert!(read("[2]").contains("1 is lost, whose add was acknowledged in line 2"), "{}", read("[2]"));
        assert!(read("[1,3]").contains("3 is there, which nobody had added"));
        assert!(read("[1,9]").contains("9 is there, which nobody had added"));
    }

    #[test]
    fn what_is_added_while_a_read_is_under_way_may_be_in_it_or_not() {
        for elements in ["[]", "[1]"] {
            let lines = format!("4 invoke read null\n 0 invoke add 1\n 0 ok add 1\n 4 ok read {elements}");
            assert_eq!(broken(&lines), "");
        }
        let early = "4 invoke read null\n 4 ok read [1]\n 0 invoke add 1\n 0 ok add 1";
        assert!(broken(early).contains("nobody had added"));
    }
}
