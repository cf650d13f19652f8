//! How often the core asks for memory while it replicates, which is exact where seconds are not. See `benches/` for those.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a test fails by panicking, and prints what it measured"
)]

#[path = "../benches/memory/mod.rs"]
mod memory;

use std::alloc::System;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls of the allocator per command that three voters in memory execute, `batch` of them in a proposal.
fn allocations_per_operation(batch: usize) -> f64 {
    let command = Bytes::from(vec![0x5a; 128]);
    let mut cluster = memory::Cluster::start(3).unwrap();
    cluster.elect().unwrap();
    let mut execute = |proposals: usize| {
        for _ in 0..proposals {
            cluster.propose(&command, batch).unwrap();
        }
        cluster.heartbeat().unwrap();
        cluster.applied_everywhere()
    };
    // Buffers that are reused find their size first.
    let before = execute(100);
    let region = Region::new(ALLOCATOR);
    let executed = execute(4096) - before;
    let calls = region.change();
    assert_eq!(executed, 4096 * batch as u64);
    (calls.allocations + calls.reallocations) as f64 / executed as f64
}

/// One test, so that no other thread is counted. The bounds are what it takes today: lower them with it.
#[test]
fn replication_allocates_no_more_than_it_has_to() {
    for (batch, bound) in [(1, 7.01), (256, 0.03)] {
        let allocations = allocations_per_operation(batch);
        println!("{batch} at a time: {allocations:.3} allocations per operation");
        assert!(
            allocations <= bound,
            "{allocations} allocations per operation, {batch} at a time: over {bound}"
        );
    }
}
