//! The tests can fail: servers with seeded bugs break the promises that `servers.rs` finds kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use common::{Cluster, DEADLINE};
use kv_server::client::{Client, ClientOptions};

fn client(cluster: &Cluster) -> Client {
    Client::new(ClientOptions { op_timeout: DEADLINE, ..ClientOptions::new(cluster.client_addresses()) })
}

/// Writes, kills all servers at once, and counts the acknowledged writes that are gone.
async fn lost_by_kill_9(flags: &[&str]) -> usize {
    let mut cluster = Cluster::start_with(3, flags);
    let mut writer = client(&cluster);
    let keys: Vec<_> = (0..100).map(|number| format!("key {number}")).collect();
    for key in &keys {
        writer.put(key.as_bytes(), b"v").await.unwrap();
    }
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    let mut reader = client(&cluster);
    let mut lost = 0;
    for key in &keys {
        lost += usize::from(reader.get(key.as_bytes()).await.unwrap().is_none());
    }
    lost
}

#[tokio::test]
async fn ack_before_fsync_loses_acknowledged_writes_and_without_it_none_is_lost() {
    assert!(lost_by_kill_9(&["--mutant", "ack-before-fsync"]).await > 0);
    assert_eq!(lost_by_kill_9(&[]).await, 0);
}
