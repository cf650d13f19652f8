//! How many hostile sequences make a node panic. `… --bench panics -- SEED` draws the same ones again.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use anyhow::Context;
use raft_core_peer::hostile::{Step, sequence, take_raft_core, take_raft_rs};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SEQUENCES: usize = 100_000;

fn main() -> anyhow::Result<()> {
    let seed = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let seed = seed.map_or(Ok(1), |seed| seed.parse()).context("the seed is a number")?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    println!("of {SEQUENCES} hostile sequences (seed {seed}) so many end in a panic:");
    set_hook(Box::new(|_| {}));
    let (mut ours, mut theirs) = (0, 0);
    for _ in 0..SEQUENCES {
        let steps = sequence(&mut random);
        ours += usize::from(panics(take_raft_core, &steps)?);
        theirs += usize::from(panics(take_raft_rs, &steps)?);
    }
    for (library, panicked) in [("raft-core", ours), ("raft-rs", theirs)] {
        println!("  {library:<14}  {panicked:>6}  ({:.1} %)", 100.0 * panicked as f64 / SEQUENCES as f64);
    }
    Ok(())
}

fn panics(take: impl Fn(&[Step]) -> anyhow::Result<()>, steps: &[Step]) -> anyhow::Result<bool> {
    match catch_unwind(AssertUnwindSafe(|| take(steps))) {
        Ok(result) => result.map(|()| false),
        Err(_) => Ok(true),
    }
}
