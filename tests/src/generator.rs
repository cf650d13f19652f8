//! What the clients draw from the seed: an endless stream for each worker, of its own.
//!
//! Which operation, key and value comes next depends on the seed and the worker alone, never on what the servers answer or
//! which faults there are: a fault taken away leaves the operations as they were. Every number that a worker gives out is
//! given out once in a run, by anyone (`number × workers + worker`), so that a read names the very write it saw, and a stale
//! read cannot hide behind an equal value.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use checker::Value;

/// The streams of the seed from this one on belong to the workers, one each; [`crate::schedule`] has an earlier one.
const FIRST_WORKER_STREAM: u64 = 1_000;

/// One operation, as it is recorded when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// What is done: `read`, `write`, …
    pub f: &'static str,
    /// The number of the key that it is done to.
    pub key: usize,
    /// With what.
    pub value: Value,
}

/// A key's name, in histories and in the store under test.
#[must_use]
pub fn key_name(key: usize) -> String {
    format!("k{key}")
}

/// Where a worker sits: what its operations follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// The run's seed.
    pub seed: u64,
    /// The worker, from 0.
    pub worker: u64,
    /// How many workers there are.
    pub workers: u64,
    /// How many keys are in use at a time.
    pub keys: usize,
    /// After so many of its operations a worker goes on to fresh keys; never, if 0.
    pub rotate: u64,
}

impl Station {
    /// Whether this worker only reads: every third does.
    ///
    /// A client that also writes soon hangs in a write to a leader that has lost its followers, and then asks somebody else.
    /// Only one that just reads stays with such a leader, and shows whether it serves what it should no longer serve.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.worker % 3 == 2
    }
}

/// What is drawn for one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// How long to wait before it as a multiple of the mean pause: exponentially distributed (as independent arrivals are),
    /// but at most five times the mean.
    pub pause: f64,
    /// The key.
    pub key: usize,
    /// From 0 to 99: decides what is done.
    pub dice: u32,
    /// A number that nobody else has.
    pub unique: i64,
}

/// The stream of one worker.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha8Rng,
    station: Station,
    number: u64,
}

impl Stream {
    /// The stream of this worker.
    #[must_use]
    pub fn new(station: Station) -> Stream {
        let mut rng = ChaCha8Rng::seed_from_u64(station.seed);
        rng.set_stream(FIRST_WORKER_STREAM + station.worker);
        Stream { rng, station: Station { keys: station.keys.max(1), ..station }, number: 0 }
    }

    /// Draws what one operation needs.
    pub fn draw(&mut self) -> Draw {
        let Station { worker, workers, keys, rotate, .. } = self.station;
        let pause = (-(1.0 - self.rng.random::<f64>()).ln()).min(5.0);
        let era = usize::try_from(self.number.checked_div(rotate).unwrap_or(0)).unwrap_or(0);
        let key = era * keys + self.rng.random_range(0..keys);
        let dice = self.rng.random_range(0..100);
        let unique = i64::try_from(self.number * workers + worker).unwrap_or(i64::MAX);
        self.number += 1;
        Draw { pause, key, dice, unique }
    }

    /// One more number, below `limit` (at least 1).
    pub fn below(&mut self, limit: i64) -> i64 {
        self.rng.random_range(0..limit.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    pub(super) fn station(seed: u64, worker: u64) -> Station {
        Station { seed, worker, workers: 10, keys: 5, rotate: 0 }
    }

    #[test]
    fn what_a_worker_draws_depends_on_seed_and_worker_alone() {
        let run = |seed, worker| {
            let mut stream = Stream::new(station(seed, worker));
            (0..100).map(|_| stream.draw()).collect::<Vec<_>>()
        };
        assert_eq!(run(1, 3), run(1, 3));
        assert_ne!(run(1, 3), run(1, 4));
        assert_ne!(run(1, 3), run(2, 3));
    }

    #[test]
    fn no_number_is_given_out_twice_and_pauses_have_bounds() {
        let mut numbers = HashSet::new();
        for worker in 0..10 {
            let mut stream = Stream::new(station(9, worker));
            for _ in 0..200 {
                let draw = stream.draw();
                assert!((0.0..=5.0).contains(&draw.pause) && draw.key < 5 && draw.dice < 100);
                assert!(numbers.insert(draw.unique), "{} twice", draw.unique);
            }
        }
    }

    #[test]
    fn keys_rotate_in_step() {
        for worker in 0..10 {
            let mut stream = Stream::new(Station { rotate: 20, ..station(9, worker) });
            for number in 0..100 {
                assert_eq!(stream.draw().key / 5, number / 20, "worker {worker}");
            }
        }
    }
}
