//! Real servers that take snapshots, start from them, and send them to each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use std::time::Duration;

use common::{Cluster, DEADLINE, eventually, kvctl};
use kv_server::client::{Client, ClientOptions};

fn client(cluster: &Cluster) -> Client {
    Client::new(ClientOptions {
        endpoints: cluster.client_addresses(),
        op_timeout: DEADLINE,
        attempt_timeout: Duration::from_millis(500),
    })
}

async fn snapshot(cluster: &Cluster, id: u64) -> u64 {
    cluster.status(id).await.map_or(0, |status| status.snapshot)
}

fn files(cluster: &Cluster, id: u64, kind: &str) -> usize {
    let items = std::fs::read_dir(cluster.data_dir(id)).unwrap();
    items.filter(|item| item.as_ref().unwrap().file_name().to_str().unwrap().starts_with(kind)).count()
}

#[tokio::test]
async fn servers_take_snapshots_and_start_from_them() {
    let mut cluster = Cluster::start_with(3, &["--snapshot-every", "50", "--keep-entries", "5"]);
    let mut client = client(&cluster);
    for number in 0..180 {
        client.put(format!("k{number}").as_bytes(), b"v").await.unwrap();
    }
    for id in cluster.ids() {
        eventually("a snapshot", async || snapshot(&cluster, id).await >= 150).await;
        eventually("one snapshot at a time", async || files(&cluster, id, "snapshot-") == 1).await;
    }
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    for number in 0..180 {
        let value = client.get(format!("k{number}").as_bytes()).await.unwrap();
        assert_eq!(value.as_deref(), Some(&b"v"[..]), "k{number}");
    }
    for id in cluster.ids() {
        assert!(cluster.log(id).contains("read the state from a snapshot"), "{}", cluster.log(id));
    }
}

#[tokio::test]
async fn f01_a_server_that_is_too_far_behind_gets_a_large_snapshot() {
    let mut cluster = Cluster::start(3);
    let mut client = client(&cluster);
    client.put(b"before", b"v").await.unwrap();
    let leader = cluster.leader().await;
    let behind = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.kill(behind);
    // Several parts' worth.
    for number in 0..5 {
        client.put(format!("large{number}").as_bytes(), &vec![number; 700_000]).await.unwrap();
    }
    let (code, out) = kvctl(&cluster, &["compact"]);
    assert_eq!(code, 1, "one of them is down: {out}");
    assert_eq!(out.matches("snapshot up to entry").count(), 2, "{out}");
    client.put(b"after", b"v").await.unwrap();
    cluster.restart(behind);
    eventually("it has caught up", async || {
        let keys = cluster.status(behind).await.map_or(0, |status| status.keys);
        keys == 7 && snapshot(&cluster, behind).await > 0
    })
    .await;
    // And what it received, it can start from.
    cluster.kill(behind);
    cluster.restart(behind);
    eventually("it has its state again", async || {
        cluster.status(behind).await.is_some_and(|status| status.keys == 7)
    })
    .await;
    // It is one of the two that serve.
    cluster.kill(leader);
    for number in 0..5 {
        let value = client.get(format!("large{number}").as_bytes()).await.unwrap();
        assert_eq!(value.map(|value| value.to_vec()), Some(vec![number; 700_000]));
    }
}

#[tokio::test]
async fn kill_9_in_the_middle_of_snapshots_loses_nothing_acknowledged() {
    let mut cluster = Cluster::start_with(3, &["--snapshot-every", "7", "--keep-entries", "2"]);
    let mut client = client(&cluster);
    for round in 0..8u32 {
        for number in 0..25 {
            client.put(format!("{round}-{number}").as_bytes(), b"v").await.unwrap();
        }
        let victim = u64::from(round % 3) + 1;
        cluster.kill(victim);
        for number in 25..40 {
            client.put(format!("{round}-{number}").as_bytes(), b"v").await.unwrap();
        }
        cluster.restart(victim);
    }
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    for round in 0..8 {
        for number in 0..40 {
            let value = client.get(format!("{round}-{number}").as_bytes()).await.unwrap();
            assert_eq!(value.as_deref(), Some(&b"v"[..]), "{round}-{number}");
        }
    }
}
