//! What the protocol costs in memory, in time and allocations: `cargo bench -p raft-core`.
//!
//! All figures are for the whole cluster in one thread. See `peer/` for the published `raft` crate beside it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark fails by panicking"
)]

mod memory;

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use memory::Cluster;
use raft_core::RoleKind;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const VOTERS: [u64; 4] = [3, 5, 7, 9];
const BATCH: usize = 256;
/// A refusal would look like a record.
const ACCEPTED: &str = "nothing is refused";

fn main() {
    divan::main();
}

fn command() -> Bytes {
    Bytes::from(vec![0x5a; 128])
}

/// `voters` nodes of which the first leads, with `entries` commands in every log.
fn led(voters: u64, entries: usize) -> Cluster {
    let mut cluster = Cluster::start(voters).expect("the configuration is sound");
    cluster.elect().expect(ACCEPTED);
    assert!(cluster.is_led(), "the first node was not elected");
    let mut rest = entries;
    while rest > 0 {
        let count = rest.min(1024);
        cluster.propose(&command(), count).expect(ACCEPTED);
        rest -= count;
    }
    cluster.heartbeat().expect(ACCEPTED);
    assert_eq!(cluster.applied_everywhere(), entries as u64);
    cluster
}

/// From the election timeout to the opening entry's commitment, pre-vote included.
#[divan::bench(args = VOTERS)]
fn election(bencher: Bencher<'_, '_>, voters: u64) {
    let cluster = Cluster::start(voters).expect("the configuration is sound");
    bencher.with_inputs(|| cluster.clone()).bench_refs(|cluster| {
        cluster.elect().expect(ACCEPTED);
        assert!(cluster.is_led(), "the first node was not elected");
    });
}

/// One command, replicated to all and committed.
#[divan::bench(args = VOTERS)]
fn append(bencher: Bencher<'_, '_>, voters: u64) {
    let (mut cluster, command) = (led(voters, 1024), command());
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| cluster.propose(&command, 1).expect(ACCEPTED));
}

/// 256 commands in one proposal.
#[divan::bench(args = VOTERS)]
fn append_256(bencher: Bencher<'_, '_>, voters: u64) {
    let (mut cluster, command) = (led(voters, 1024), command());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| cluster.propose(&command, BATCH).expect(ACCEPTED));
}

/// One linearizable read, confirmed by a round of heartbeats.
#[divan::bench(args = VOTERS)]
fn read(bencher: Bencher<'_, '_>, voters: u64) {
    measure_reads(bencher, voters, 1);
}

/// 256 reads that arrive together: the first begins a round of heartbeats, the others share the next.
#[divan::bench(args = VOTERS)]
fn read_256(bencher: Bencher<'_, '_>, voters: u64) {
    measure_reads(bencher, voters, BATCH as u64);
}

fn measure_reads(bencher: Bencher<'_, '_>, voters: u64, count: u64) {
    let mut cluster = led(voters, 1024);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let before = cluster.reads();
        cluster.read(count).expect(ACCEPTED);
        assert_eq!(cluster.reads() - before, count, "not every read was confirmed");
    });
}

/// One command again, in logs that hold so many entries already: the cost must not grow with them.
#[divan::bench(args = [1_000, 100_000, 1_000_000], sample_count = 100, sample_size = 100)]
fn append_to_log_of(bencher: Bencher<'_, '_>, entries: usize) {
    let (mut cluster, command) = (led(3, entries), command());
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| cluster.propose(&command, 1).expect(ACCEPTED));
}

/// What a model checker does with every state it meets: a node of three with three entries in its log.
#[divan::bench(args = [RoleKind::Leader, RoleKind::Follower])]
fn clone_and_hash(bencher: Bencher<'_, '_>, role: RoleKind) {
    let cluster = led(3, 2);
    let node = cluster.nodes().iter().find(|node| node.role() == role).expect("there are both");
    bencher.bench_local(|| {
        let clone = node.clone();
        let mut hasher = DefaultHasher::new();
        clone.hash(&mut hasher);
        (clone, hasher.finish())
    });
}
