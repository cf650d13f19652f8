//! What the clients do: an endless stream of operations for each, drawn from the seed.
//!
//! Every value written is written once in a run, by anyone (`number × workers + worker`), so that a read names the very
//! write it saw, and a stale read cannot hide behind an equal value. Which operation, key and value comes next depends on
//! the seed and the worker alone; only what a compare-and-set *expects* comes from what the clients have seen, because one
//! that expects a random value never succeeds and tests nothing.

use std::sync::Mutex;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The streams of the seed from this one on belong to the workers, one each; [`crate::schedule`] has an earlier one.
const FIRST_WORKER_STREAM: u64 = 1_000;

/// One operation on one key. Values are integers; `None` is the absence of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The key's number.
    pub key: usize,
    /// What is done to it.
    pub action: Action,
}

/// What an operation does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Asks for the value.
    Read,
    /// Puts a value.
    Write(i64),
    /// Puts a value if the present one is as expected.
    Cas(Option<i64>, i64),
}

impl Action {
    /// The name in histories and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write(_) => "write",
            Action::Cas(..) => "cas",
        }
    }
}

/// A key's name, in histories and in the store under test.
#[must_use]
pub fn key_name(key: usize) -> String {
    format!("k{key}")
}

/// How many of 100 operations are of which sort; the rest are compare-and-sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Reads in 100.
    pub reads: u32,
    /// Writes in 100.
    pub writes: u32,
}

impl Mix {
    /// The mix of one worker: every third only reads, the others mostly write.
    ///
    /// A client that also writes soon hangs in a write to a leader that has lost its followers, and then asks somebody else.
    /// Only one that just reads stays with such a leader, and shows whether it serves what it should no longer serve.
    #[must_use]
    pub fn of(worker: u64) -> Mix {
        if worker % 3 == 2 { Mix { reads: 100, writes: 0 } } else { Mix { reads: 20, writes: 45 } }
    }
}

/// The operations of one worker.
#[derive(Clone, Debug)]
pub struct Generator {
    rng: ChaCha8Rng,
    worker: u64,
    workers: u64,
    keys: usize,
    mix: Mix,
    number: u64,
}

impl Generator {
    /// The stream of `worker` of `workers`, over `keys` keys (at least one), with the worker's own mix.
    #[must_use]
    pub fn new(seed: u64, worker: u64, workers: u64, keys: usize) -> Generator {
        Generator::with_mix(seed, worker, workers, keys, Mix::of(worker))
    }

    fn with_mix(seed: u64, worker: u64, workers: u64, keys: usize, mix: Mix) -> Generator {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(FIRST_WORKER_STREAM + worker);
        Generator { rng, worker, workers, keys: keys.max(1), mix, number: 0 }
    }

    /// The next operation, and how long to wait before it as a multiple of the mean pause: exponentially distributed
    /// (as independent arrivals are), but at most five times the mean.
    pub fn next(&mut self, seen: &Seen) -> (Operation, f64) {
        let pause = (-(1.0 - self.rng.random::<f64>()).ln()).min(5.0);
        let key = self.rng.random_range(0..self.keys);
        let dice = self.rng.random_range(0..100);
        let value = i64::try_from(self.number * self.workers + self.worker).unwrap_or(i64::MAX);
        self.number += 1;
        let action = if dice < self.mix.reads {
            Action::Read
        } else if dice < self.mix.reads + self.mix.writes {
            Action::Write(value)
        } else {
            Action::Cas(seen.last(key), value)
        };
        (Operation { key, action }, pause)
    }
}

/// The value each key was last seen with by any client: a good guess at what it has now.
#[derive(Debug)]
pub struct Seen {
    values: Mutex<Vec<Option<i64>>>,
}

impl Seen {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(keys: usize) -> Seen {
        Seen { values: Mutex::new(vec![None; keys]) }
    }

    /// The last value seen.
    #[must_use]
    pub fn last(&self, key: usize) -> Option<i64> {
        let values = self.values.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        values.get(key).copied().flatten()
    }

    /// Remembers a value seen.
    pub fn note(&self, key: usize, value: Option<i64>) {
        let mut values = self.values.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(slot) = values.get_mut(key) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_worker_s_operations_depend_on_seed_and_worker_alone() {
        let seen = Seen::new(5);
        let run = |seed, worker| {
            let mut generator = Generator::new(seed, worker, 10, 5);
            (0..100).map(|_| generator.next(&seen).0).collect::<Vec<_>>()
        };
        assert_eq!(run(1, 3), run(1, 3));
        assert_ne!(run(1, 3), run(1, 4));
        assert_ne!(run(1, 3), run(2, 3));
    }

    #[test]
    fn no_value_is_written_twice_and_every_sort_of_operation_comes_up() {
        let seen = Seen::new(5);
        let mut values = HashSet::new();
        let mut sorts = HashSet::new();
        for worker in 0..10 {
            let mut generator = Generator::new(9, worker, 10, 5);
            for _ in 0..200 {
                let (operation, pause) = generator.next(&seen);
                sorts.insert(operation.action.name());
                assert!((0.0..=5.0).contains(&pause) && operation.key < 5);
                if let Action::Write(value) | Action::Cas(_, value) = operation.action {
                    assert!(values.insert(value), "{value} twice");
                }
            }
        }
        assert_eq!(sorts.len(), 3);
    }

    #[test]
    fn a_compare_and_set_expects_what_was_last_seen() {
        let seen = Seen::new(1);
        seen.note(0, Some(77));
        let mut generator = Generator::with_mix(1, 0, 1, 1, Mix { reads: 0, writes: 0 });
        assert!(matches!(generator.next(&seen).0.action, Action::Cas(Some(77), _)));
    }
}
