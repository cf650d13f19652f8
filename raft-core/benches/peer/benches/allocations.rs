//! Calls of the allocator per operation: allocations, and reallocations of what has outgrown its place.

use std::alloc::System;

use raft_core_peer::{BATCHES, COMMAND_SIZE, Cluster, LIBRARIES, Library};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OPERATIONS: u64 = 256 * 1024;

fn main() -> anyhow::Result<()> {
    println!(
        "allocations per operation: three voters in memory, {COMMAND_SIZE}-byte commands, executed on all three"
    );
    for batch in BATCHES {
        for library in LIBRARIES {
            println!("{batch:>4} at a time  {library:<14}  {:>7.3}", count(library, batch)?);
        }
    }
    Ok(())
}

fn count(library: Library, batch: usize) -> anyhow::Result<f64> {
    let mut cluster = Cluster::led(library)?;
    // Buffers that are reused find their size first.
    cluster.execute(4096, batch)?;
    let region = Region::new(ALLOCATOR);
    cluster.execute(OPERATIONS, batch)?;
    let calls = region.change();
    Ok((calls.allocations + calls.reallocations) as f64 / OPERATIONS as f64)
}
