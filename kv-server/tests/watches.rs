//! Watches of real servers, through the client library and `kvctl watch`.

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
use kv_server::client::{Client, ClientError, ClientOptions, Scope, Trouble, Watch, state_hash};
use kv_server::protocol::Failure;

fn client(cluster: &Cluster) -> Client {
    Client::new(ClientOptions { op_timeout: DEADLINE, ..ClientOptions::new(cluster.client_addresses()) })
}

/// The next changes under `k`, as `key=value`.
async fn told(watch: &mut Watch) -> Vec<String> {
    loop {
        let revisions = watch.next().await.unwrap();
        if !revisions.is_empty() {
            let changes = revisions.into_iter().flat_map(|revision| revision.changes);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return changes
                .map(|change| {
                    format!("{}={}", text(&change.key), change.value.map_or("-".into(), |v| text(&v)))
                })
                .collect();
        }
    }
}

#[tokio::test]
async fn a_watch_goes_on_at_another_server_where_it_was_when_its_own_is_killed() {
    let mut cluster = Cluster::start(3);
    let mut writer = client(&cluster);
    writer.put(b"k1", b"a").await.unwrap();
    let scope = || Scope::Prefix("k".into());
    let open = |address, from| Watch::open(address, scope(), from, DEADLINE);
    let mut watch = open(cluster.client_address(1), Some(1)).await.unwrap();
    assert_eq!(told(&mut watch).await, ["k1=a"]);
    writer.put(b"other", b"x").await.unwrap();
    writer.put(b"k2", b"b").await.unwrap();
    assert_eq!(told(&mut watch).await, ["k2=b"], "only what was asked for");
    cluster.kill(1);
    writer.delete(b"k1").await.unwrap();
    writer.put(b"k2", b"c").await.unwrap();
    assert!(watch.next().await.is_err());
    let mut watch = open(cluster.client_address(2), Some(watch.next_revision())).await.unwrap();
    let mut both = told(&mut watch).await;
    if both.len() == 1 {
        both.extend(told(&mut watch).await);
    }
    assert_eq!(both, ["k1=-", "k2=c"]);
    let mut now = open(cluster.client_address(2), None).await.unwrap();
    writer.put(b"k3", b"d").await.unwrap();
    assert_eq!(told(&mut now).await, ["k3=d"], "from now on");
}

#[tokio::test]
async fn kvctl_watches_and_says_from_where_one_can() {
    let mut cluster = Cluster::start(3);
    let mut writer = client(&cluster);
    for value in ["a", "b", "c"] {
        writer.put(b"k", value.as_bytes()).await.unwrap();
    }
    writer.delete(b"k").await.unwrap();
    let (code, out) = kvctl(&cluster, &["watch", "k", "--from", "1", "--limit", "4"]);
    let words: Vec<&str> =
        out.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect();
    assert_eq!((code, words), (0, vec!["put k a", "put k b", "put k c", "delete k"]));
    // A server that starts from a snapshot does not know what led to it.
    let (code, _) = kvctl(&cluster, &["compact"]);
    assert_eq!(code, 0);
    for id in cluster.ids() {
        cluster.kill(id);
        cluster.restart(id);
    }
    cluster.leader().await;
    let mut watch =
        Watch::open(cluster.client_address(1), Scope::Key("k".into()), Some(1), DEADLINE).await.unwrap();
    let refused = watch.next().await.unwrap_err();
    let ClientError::Failed { last: Trouble::Failure(Failure::Compacted { oldest }) } = refused else {
        panic!("{refused}")
    };
    assert!(oldest > 1, "{oldest}");
    assert_eq!(kvctl(&cluster, &["watch", "k", "--from", "1"]).0, 2);
}

#[tokio::test]
async fn servers_that_have_applied_the_same_have_the_same_state() {
    let cluster = Cluster::start(3);
    let mut writer = client(&cluster);
    for number in 0..50 {
        writer.put(format!("k{number}").as_bytes(), b"v").await.unwrap();
    }
    let mut first = None;
    for address in cluster.client_addresses() {
        eventually("it has applied everything", async || {
            let (applied, hash) = state_hash(address, Duration::from_secs(1)).await.unwrap();
            let (most, same) = *first.get_or_insert((applied, hash));
            assert!(applied != most || hash == same, "{applied}: {hash} and {same}");
            if applied > most {
                first = Some((applied, hash));
            }
            applied >= most && applied > 50
        })
        .await;
    }
}
