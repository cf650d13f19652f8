//! Writers that know what was acknowledged to them, and a look at whether it is still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kv_server::client::{Client, ClientOptions};
use plumbline::cluster::Cluster;
use plumbline::observer::Observer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const WRITERS: usize = 8;

fn client(cluster: &Cluster, turn: usize) -> Client {
    let mut endpoints = cluster.endpoints();
    let turn = turn % endpoints.len();
    endpoints.rotate_left(turn);
    Client::new(ClientOptions {
        endpoints,
        op_timeout: Duration::from_secs(2),
        attempt_timeout: Duration::from_millis(500),
    })
}

/// Waits for a leader.
pub(crate) async fn recovered(cluster: &Arc<Cluster>) {
    let observer = Observer::new(Arc::clone(cluster), Instant::now());
    assert!(observer.recovered(Instant::now() + PATIENCE).await, "no leader: fallen {:?}", observer.fallen());
}

/// Each writes 1, 2, 3, … to its own key: the last number acknowledged, and the last one tried.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    numbers: [(u64, u64); WRITERS],
}

impl Writers {
    /// Lets them write until so many writes were acknowledged, then does something in the middle of it, then stops them.
    pub(crate) async fn write(
        &mut self,
        cluster: &Arc<Cluster>,
        writes: u64,
        blow: impl Future<Output = ()>,
    ) {
        let (acks, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let mut writers = JoinSet::new();
        for (writer, (_, tried)) in self.numbers.iter().enumerate() {
            let (cluster, acks, stop) = (Arc::clone(cluster), Arc::clone(&acks), stop.clone());
            let first = *tried;
            writers.spawn(async move { (writer, write(cluster, writer, first, acks, stop).await) });
        }
        let deadline = Instant::now() + PATIENCE;
        while acks.load(Ordering::Relaxed) < writes {
            assert!(Instant::now() < deadline, "only {acks:?} of {writes} writes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        blow.await;
        stop.cancel();
        while let Some(done) = writers.join_next().await {
            let (writer, (acknowledged, tried)) = done.unwrap();
            // A writer that got nothing through this time still has what it had.
            self.numbers[writer] = (acknowledged.max(self.numbers[writer].0), tried);
        }
    }

    /// Reads every key. Says what is missing of that which was acknowledged.
    pub(crate) async fn missing(&self, cluster: &Arc<Cluster>) -> Vec<String> {
        let mut reader = client(cluster, 0);
        let mut missing = Vec::new();
        for (writer, (acknowledged, tried)) in self.numbers.iter().enumerate() {
            let value = reader.get(format!("w{writer}").as_bytes()).await.unwrap();
            let value: u64 = value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap());
            if !(*acknowledged..=*tried).contains(&value) {
                missing.push(format!(
                    "w{writer} is {value}, but {acknowledged} was acknowledged (and {tried} tried last)"
                ));
            }
        }
        missing
    }
}

/// Writes until told to stop. Returns the last acknowledged number and the last one tried.
async fn write(
    cluster: Arc<Cluster>,
    writer: usize,
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
