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
#[path = "common/writers.rs"]
mod writers;

use std::sync::Arc;

use common::server;
use plumbline::cluster::{Cluster, ClusterOptions, Exit};
use writers::{PATIENCE, Writers, recovered};

const ROUNDS: u64 = 5;
/// How many writes are acknowledged in a round before the blow.
const WRITES: u64 = 200;

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
        namespaces: false,
        trace: false,
        disks: None,
        clock_shim: None,
    };
    let cluster = Arc::new(Cluster::start(&options).await.unwrap());
    recovered(&cluster).await;
    let mut writers = Writers::default();
    for round in 1..=ROUNDS {
        let blow = async {
            let killed = futures::future::join_all(cluster.nodes().iter().map(|node| node.kill())).await;
            assert!(killed.into_iter().all(|killed| killed.unwrap()));
        };
        writers.write(&cluster, WRITES, blow).await;
        for node in cluster.nodes() {
            assert!(node.start().await.unwrap());
        }
        recovered(&cluster).await;
        assert_eq!(writers.missing(&cluster).await, Vec::<String>::new(), "round {round}");
    }
    for node in cluster.nodes() {
        assert_eq!(node.stop(PATIENCE).await.unwrap(), Exit::Clean, "n{}", node.id());
    }
}
