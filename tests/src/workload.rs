//! What clients do to the system under test, and what must be so then.
//!
//! A workload draws operations, carries them out with what a [`Client`] can do (some, such as a queue,
//! by several steps on the store), says which sequential specification of [`checker`] its history must follow, and
//! looks for its own invariants in the history besides. One file each; they all are named here.
//!
//! | workload | operations | needs | specification | invariants |
//! |---|---|---|---|---|
//! | `register` | read, write | | register | |
//! | `cas-register` | read, write, cas | cas | cas-register | |
//! | `map` | the same, on a map | cas | kv | |
//! | `append-list` | append, read | cas | append-list | every read begins as the longest one does; nothing acknowledged is lost |
//! | `set` | add, read | cas | set | nothing acknowledged is lost, nothing comes from nowhere |
//! | `counter` | add, read | cas | counter | between what was acknowledged and what was tried |
//! | `queue` | enqueue, dequeue | cas | fifo-queue | nothing twice, nothing lost, nothing from nowhere |
//! | `lock` | acquire, release | cas | mutex | no two holders; fencing tokens grow |
//! | `bank` | transfer, read | txn | | the total is the same in every read; no account below zero |

mod bank;
mod counter;
mod list;
mod lock;
mod past;
mod queue;
mod registers;
mod set;
mod update;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use checker::{History, ModelName, Value};
use futures::future::BoxFuture;

use crate::generator::{Op, Station};
use crate::recorder::Completion;
use crate::system::{Capability, Client, Failed};

/// The workload that is run unless another one is asked for.
pub const DEFAULT: &str = "map";

/// What came of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub completion: Completion,
    /// What was seen or done; `None`: what it was invoked with.
    pub value: Option<Value>,
    /// Why it did not succeed.
    pub error: Option<String>,
}

impl Outcome {
    /// It took effect, as it was invoked.
    #[must_use]
    pub fn ok() -> Outcome {
        Outcome { completion: Completion::Ok, value: None, error: None }
    }

    /// It took effect and saw this.
    #[must_use]
    pub fn saw(value: Value) -> Outcome {
        Outcome { completion: Completion::Ok, value: Some(value), error: None }
    }

    /// It did not take effect, and nothing went wrong.
    #[must_use]
    pub fn refused() -> Outcome {
        Outcome { completion: Completion::Fail, value: None, error: None }
    }

    /// A read that failed: it has no effect to be unsure of.
    #[must_use]
    pub fn unread(failed: Failed) -> Outcome {
        Outcome { completion: Completion::Fail, value: None, error: Some(failed.why) }
    }
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Outcome {
        let completion = if failed.certain { Completion::Fail } else { Completion::Info };
        Outcome { completion, value: None, error: Some(failed.why) }
    }
}

/// One worker's part: what it does next, and how.
pub trait Actor: Send {
    /// The next operation, and how long to wait before it, in mean pauses.
    fn next(&mut self) -> (Op, f64);

    /// Does it. Dropped half-way, it may have been done.
    fn perform<'a>(&'a mut self, client: &'a mut dyn Client, op: &'a Op) -> BoxFuture<'a, Outcome>;
}

/// A workload.
pub trait Workload: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it needs of the system under test.
    fn needs(&self) -> &'static [Capability];

    /// The specification that its history must follow.
    fn model(&self) -> Option<ModelName>;

    /// The operations that only look.
    fn reads(&self) -> &'static [&'static str] {
        &["read"]
    }

    /// After how many of its operations a worker goes on to fresh keys, if nobody says; 0: never.
    fn rotate(&self) -> u64 {
        50
    }

    /// One worker's part. An operation has `limit` to end in.
    fn actor(&self, station: Station, limit: Duration) -> Box<dyn Actor>;

    /// What is done to each key at the very end, when all faults are healed.
    fn last(&self, key: usize) -> Op {
        Op { f: "read", key, value: Value::Nil }
    }

    /// Whether that is over with this outcome, or must be done again.
    fn is_last(&self, outcome: &Outcome) -> bool {
        outcome.completion == Completion::Ok
    }

    /// What of the workload's own laws the history breaks.
    fn broken(&self, _history: &History) -> Vec<String> {
        Vec::new()
    }
}

/// The names of all workloads.
pub const NAMES: [&str; 9] =
    ["register", "cas-register", "map", "append-list", "set", "counter", "queue", "lock", "bank"];

/// The workload of that name, for one run.
///
/// # Errors
/// If there is none; names all.
pub fn named(name: &str) -> Result<Arc<dyn Workload>, String> {
    Ok(match name {
        "register" => Arc::new(registers::Registers::register()),
        "cas-register" => Arc::new(registers::Registers::cas_register()),
        "map" => Arc::new(registers::Registers::map()),
        "append-list" => Arc::new(list::AppendList),
        "set" => Arc::new(set::Set),
        "counter" => Arc::new(counter::Counter),
        "queue" => Arc::new(queue::Queue),
        "lock" => Arc::new(lock::Lock),
        "bank" => Arc::new(bank::Bank),
        _ => return Err(format!("there is no workload `{name}`: choose one of {}", NAMES.join(", "))),
    })
}

/// What an operation of unknown outcome is: one that only looks is a failure, anything else may have happened.
#[must_use]
pub fn unsure(workload: &dyn Workload, op: &Op) -> Completion {
    if workload.reads().contains(&op.f) { Completion::Fail } else { Completion::Info }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn station(seed: u64, worker: u64) -> Station {
        Station { seed, worker, workers: 3, keys: 2, rotate: 10 }
    }

    #[test]
    fn every_workload_is_found_by_its_name_and_draws_all_it_does_from_the_seed() {
        for name in NAMES {
            let workload = named(name).unwrap();
            assert_eq!(workload.name(), name);
            let run = |seed, worker| {
                let mut actor = workload.actor(station(seed, worker), Duration::from_secs(1));
                (0..200).map(|_| actor.next().0).collect::<Vec<Op>>()
            };
            assert_eq!(run(1, 0), run(1, 0), "{name}");
            assert_ne!(run(1, 0), run(2, 0), "{name}");
            let sorts: HashSet<&str> = (0..3).flat_map(|worker| run(1, worker)).map(|op| op.f).collect();
            assert!(sorts.len() >= 2, "{name}: {sorts:?}");
            let reads = workload.reads();
            assert!(sorts.iter().any(|f| !reads.contains(f)), "{name}: {sorts:?}");
        }
        assert!(named("nothing").unwrap_err().contains("append-list"));
    }

    #[test]
    fn without_an_answer_only_what_looks_is_known_not_to_have_happened() {
        let op = |f| Op { f, key: 0, value: Value::Nil };
        let map = named("map").unwrap();
        assert_eq!(unsure(&*map, &op("read")), Completion::Fail);
        assert_eq!(unsure(&*map, &op("write")), Completion::Info);
        let queue = named("queue").unwrap();
        assert_eq!(unsure(&*queue, &op("dequeue")), Completion::Info, "it takes something away");
    }
}
