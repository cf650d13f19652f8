//! Operations per second of processor time.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use raft_core_peer::{BATCHES, COMMAND_SIZE, Cluster, LIBRARIES, Library};

/// Each library has so many turns, of which the median counts.
const TURNS: usize = 7;
/// Commands in a turn, one at a time and 256 at a time.
const OPERATIONS: [u64; 2] = [256 * 1024, 4 * 256 * 1024];

fn main() -> anyhow::Result<()> {
    println!(
        "million operations per CPU second: three voters in memory, {COMMAND_SIZE}-byte commands, executed on all\n\
         three; the median of {TURNS} turns, then the lowest and the highest"
    );
    for (batch, operations) in BATCHES.into_iter().zip(OPERATIONS) {
        let mut turns = LIBRARIES.map(|_| Vec::new());
        for _ in 0..TURNS {
            for (library, turns) in LIBRARIES.into_iter().zip(&mut turns) {
                turns.push(turn(library, operations, batch)?);
            }
        }
        let spreads = turns.map(spread);
        for (library, [lowest, median, highest]) in LIBRARIES.into_iter().zip(spreads) {
            let ratio = median / spreads[0][1];
            println!(
                "{batch:>4} at a time  {library:<14}  {median:>6.2} ({lowest:.2}–{highest:.2})  {ratio:>5.2} of raft-core's"
            );
        }
    }
    Ok(())
}

/// A fresh cluster's millions of operations per second of this thread's processor time.
fn turn(library: Library, operations: u64, batch: usize) -> anyhow::Result<f64> {
    let mut cluster = Cluster::led(library)?;
    let before = cpu_time()?;
    cluster.execute(operations, batch)?;
    let used = cpu_time()?.saturating_sub(before);
    Ok(operations as f64 / 1e6 / used.as_secs_f64())
}

fn cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Lowest, median, highest.
fn spread(mut turns: Vec<f64>) -> [f64; 3] {
    turns.sort_unstable_by(f64::total_cmp);
    [turns[0], turns[turns.len() / 2], turns[turns.len() - 1]]
}
