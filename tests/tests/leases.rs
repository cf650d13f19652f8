//! Reads from a lease rest on clocks: while these are no worse than was said, none is stale; when they are, stale reads are found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{run_with, server, text};
use kv_server::client::{Client, ClientOptions};
use plumbline::clock::find_shim;
use plumbline::cluster::{Cluster, ClusterOptions, Node};
use plumbline::faults::clock_drift::ClockDrift;
use plumbline::faults::partition::Partition;
use plumbline::observer::Observer;
use plumbline::schedule::{Planned, Schedule, Victims};

const PATIENCE: Duration = Duration::from_secs(60);
/// A fifth, in millionths: what the servers are told their clocks may be wrong by.
const BOUND: &str = "--lease-reads=200000";

fn client(endpoints: Vec<SocketAddr>, op_timeout: Duration) -> Client {
    Client::new(ClientOptions { endpoints, op_timeout, attempt_timeout: Duration::from_millis(400) })
}

async fn cluster(folder: &tempfile::TempDir) -> Arc<Cluster> {
    let options = ClusterOptions {
        system: Arc::new(plumbline::system::KvServer),
        server: server().to_owned(),
        nodes: 3,
        folder: folder.path().to_owned(),
        server_args: ["--election-timeout", "1s", BOUND].map(str::to_owned).to_vec(),
        server_also: None,
        direct: false,
        trace: false,
        disks: None,
        clock_shim: Some(find_shim().unwrap()),
    };
    Arc::new(Cluster::start(&options).await.unwrap())
}

async fn leader(observer: &Observer, is_other_than: Option<u64>) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match observer.leader().await {
            Some(leader) if Some(leader) != is_other_than => return leader,
            _ => {}
        }
        assert!(Instant::now() < deadline, "nobody leads");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Cuts off the leader, has the others write, and asks the old leader what the value is, until its lease must be over. Says
/// whether it ever gave the old value once the new one was acknowledged, and how often it answered before.
async fn serves_stale_reads(drift_ppm: i64, others_ppm: i64) -> (bool, u64) {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(&folder).await;
    let observer = Observer::new(Arc::clone(&cluster), Instant::now());
    let old = leader(&observer, None).await;
    client(cluster.endpoints(), PATIENCE).put(b"k", b"old").await.unwrap();
    for node in cluster.nodes() {
        node.clock().unwrap().drift(if node.id() == old { drift_ppm } else { others_ppm }).unwrap();
    }
    let address = |node: &Node| node.client_address();
    let mut at_old = client(vec![address(cluster.node(old).unwrap())], Duration::from_millis(300));
    // It has a lease by its new clock, and then is alone.
    for _ in 0..5 {
        assert_eq!(at_old.get(b"k").await.unwrap().unwrap(), "old");
    }
    for (_, link) in cluster.links().filter(|(link, _)| link.from == old || link.to == old) {
        link.cut();
    }
    let others = cluster.nodes().iter().filter(|node| node.id() != old).map(address).collect();
    let mut writer = client(others, PATIENCE);
    let written = tokio::spawn(async move { writer.put(b"k", b"new").await.unwrap() });
    let (mut before, mut stale) = (0, false);
    let mut rest = None;
    loop {
        let is_acknowledged = written.is_finished();
        let answer = at_old.get(b"k").await;
        let is_old = matches!(&answer, Ok(Some(value)) if value == "old");
        stale |= is_old && is_acknowledged;
        before += u64::from(is_old && !is_acknowledged);
        if is_acknowledged
            && Instant::now() > *rest.get_or_insert_with(|| Instant::now() + Duration::from_secs(1))
        {
            return (stale, before);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_worse_than_was_said_are_found_by_a_stale_read() {
    let (stale, _) = serves_stale_reads(-850_000, 0).await;
    assert!(stale, "a lease of a leader whose clock nearly stands still was over in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_within_what_was_said_serve_no_stale_read_and_do_serve_from_the_lease() {
    let (stale, before) = serves_stale_reads(-150_000, 150_000).await;
    assert!(!stale);
    assert!(before > 0, "a leader that was cut off never answered: it had no lease");
}

/// The same as a run of the harness: a slow clock of the leader, which is then cut off.
fn run(ppm: i64, store: &std::path::Path) -> std::process::Output {
    let planned =
        |at_ms, duration_ms, fault| Planned { at_ms, duration_ms: Some(duration_ms), number: 0, fault };
    let slow = ClockDrift { victims: Victims::All, ppm };
    let faults = vec![
        planned(1_000, 11_000, slow.into()),
        planned(3_000, 3_000, Partition::Isolate(Victims::Leader).into()),
        planned(8_000, 3_000, Partition::Isolate(Victims::Leader).into()),
    ];
    let schedule = Schedule::of(1, 3, Duration::from_secs(13), faults);
    let file = store.join("schedule.json");
    std::fs::write(&file, serde_json::to_string(&schedule).unwrap()).unwrap();
    let args = ["--schedule", file.to_str().unwrap(), "--server-arg", BOUND];
    run_with(server(), store, &args)
}

#[test]
fn a_run_with_leases_and_clocks_that_drift_alike_passes() {
    let store = tempfile::tempdir().unwrap();
    let output = run(-150_000, store.path());
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
}
