//! kill -9 of every server at once, in the middle of writes, again and again: every acknowledged write is there afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::server;
use kv_server::client::{Client, ClientOptions};
use plumbline::cluster::{Cluster, ClusterOptions, Exit};
use plumbline::observer::Observer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ROUNDS: u64 = 5;
const WRITERS: u64 = 8;
/// How many writes are acknowledged in a round before the blow.
const WRITES: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(60);

fn client(cluster: &Cluster, turn: u64) -> Client {
    let mut endpoints = cluster.endpoints();
    let turn = usize::try_from(turn).unwrap() % endpoints.len();
    endpoints.rotate_left(turn);
    Client::new(ClientOptions {
        endpoints,
        op_timeout: Duration::from_secs(2),
        attempt_timeout: Duration::from_millis(500),
    })
}

async fn recovered(cluster: &Arc<Cluster>) {
    let observer = Observer::new(Arc::clone(cluster), Instant::now());
    assert!(observer.recovered(Instant::now() + PATIENCE).await, "no leader: fallen {:?}", observer.fallen());
}

/// Writes 1, 2, 3, … to its own key until told to stop. Returns the last acknowledged number and the last one tried.
async fn write(
    cluster: Arc<Cluster>,
    writer: u64,
    first: u64,
    acks: Arc<AtomicU64>,
    stop: CancellationToken,
) -> (u64, u64) {
    let mut client = client(&cluster, writer);
    let (mut acknowledged, mut tried) = (first, first);
    while !stop.is_cancelled() {
        tried += 1;
        if client.put(format!("w{writer}").as_bytes(), tried.to_string().as_bytes()).await.is_ok() {
            acknowledged = tried;
            acks.fetch_add(1, Ordering::Relaxed);
        }
    }
    (acknowledged, tried)
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9_of_all_servers_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = ClusterOptions {
        system: Arc::new(plumbline::system::KvServer),
        server: server().to_owned(),
        nodes: 3,
        folder: folder.path().to_owned(),
        server_args: Vec::new(),
        server_also: None,
        direct: false,
        trace: false,
        disks: None,
        clock_shim: None,
    };
    let cluster = Arc::new(Cluster::start(&options).await.unwrap());
    recovered(&cluster).await;
    let mut numbers = vec![(0, 0); usize::try_from(WRITERS).unwrap()];
    for round in 1..=ROUNDS {
        let (acks, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let first = numbers[usize::try_from(writer).unwrap()].1;
            let (cluster, acks, stop) = (Arc::clone(&cluster), Arc::clone(&acks), stop.clone());
            writers.spawn(async move { (writer, write(cluster, writer, first, acks, stop).await) });
        }
        let deadline = Instant::now() + PATIENCE;
        while acks.load(Ordering::Relaxed) < WRITES {
            assert!(Instant::now() < deadline, "round {round}: only {acks:?} writes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let killed = futures::future::join_all(cluster.nodes().iter().map(|node| node.kill())).await;
        assert!(killed.into_iter().all(|killed| killed.unwrap()));
        stop.cancel();
        while let Some(done) = writers.join_next().await {
            let (writer, (acknowledged, tried)) = done.unwrap();
            let slot = &mut numbers[usize::try_from(writer).unwrap()];
            // A writer that got nothing through in this round still has what it had.
            *slot = (acknowledged.max(slot.0), tried);
        }
        for node in cluster.nodes() {
            assert!(node.start().await.unwrap());
        }
        recovered(&cluster).await;
        let mut reader = client(&cluster, round);
        for (writer, (acknowledged, tried)) in numbers.iter().enumerate() {
            let value = reader.get(format!("w{writer}").as_bytes()).await.unwrap();
            let value: u64 = value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap());
            assert!(
                (*acknowledged..=*tried).contains(&value),
                "round {round}: w{writer} is {value}, but {acknowledged} was acknowledged (and {tried} tried last)"
            );
        }
    }
    for node in cluster.nodes() {
        assert_eq!(node.stop(PATIENCE).await.unwrap(), Exit::Clean, "n{}", node.id());
    }
}
