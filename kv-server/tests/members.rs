//! Real servers that join, learn, vote, leave and hand over.

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

fn ok() -> (i32, String) {
    (0, "ok\n".to_owned())
}

#[tokio::test]
async fn g14_a_server_joins_catches_up_and_votes() {
    let mut cluster = Cluster::start(3);
    let mut writer = client(&cluster);
    for number in 0..30 {
        writer.put(format!("k{number}").as_bytes(), b"v").await.unwrap();
    }
    let fourth = cluster.join();
    assert_eq!(kvctl(&cluster, &["member", "add", "4"]), ok());
    assert_eq!(kvctl(&cluster, &["member", "list"]), (0, "voters 1,2,3,4\n".to_owned()));
    // Two of the four are not enough, three are, the new one among them.
    let leader = cluster.leader().await;
    let gone = (1..=3).find(|id| *id != leader).unwrap();
    cluster.kill(gone);
    client(&cluster).put(b"with three of four", b"v").await.unwrap();
    eventually("the new server has everything", async || {
        cluster.status(fourth).await.is_some_and(|status| status.keys == 31)
    })
    .await;
    // After a restart it knows by its log that it is a member, and the others find it by its own calls.
    cluster.kill(fourth);
    cluster.restart(fourth);
    client(&cluster).put(b"again", b"v").await.unwrap();
}

#[tokio::test]
async fn a_learner_has_no_vote_until_it_is_promoted() {
    let mut cluster = Cluster::start(3);
    client(&cluster).put(b"k", b"v").await.unwrap();
    cluster.join();
    assert_eq!(kvctl(&cluster, &["member", "add", "4", "--learner"]), ok());
    assert_eq!(kvctl(&cluster, &["member", "list"]), (0, "voters 1,2,3\nlearners 4\n".to_owned()));
    eventually("it has caught up", async || kvctl(&cluster, &["member", "promote", "4"]) == ok()).await;
    assert_eq!(kvctl(&cluster, &["member", "list"]), (0, "voters 1,2,3,4\n".to_owned()));
    let (code, out) = kvctl(&cluster, &["member", "promote", "4"]);
    assert_eq!((code, out.as_str()), (2, ""), "a voter is not promoted");
}

#[tokio::test]
async fn a_leader_that_is_removed_hands_over_and_the_rest_goes_on() {
    let cluster = Cluster::start(4);
    client(&cluster).put(b"k", b"v").await.unwrap();
    let leader = cluster.leader().await;
    let status = kvctl(&cluster, &["member", "remove", &leader.to_string()]);
    // The answer may be lost with the leadership; the removal is not.
    assert!(status == ok() || status.0 == 2, "{status:?}");
    let rest = (1..=4).filter(|id| *id != leader).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    eventually("it is no member any more", async || {
        kvctl(&cluster, &["member", "list"]) == (0, format!("voters {rest}\n"))
    })
    .await;
    client(&cluster).put(b"k", b"w").await.unwrap();
    assert_ne!(cluster.leader().await, leader);
}

#[tokio::test]
async fn j01_leadership_is_transferred_to_whom_it_is_wanted() {
    let cluster = Cluster::start(3);
    client(&cluster).put(b"k", b"v").await.unwrap();
    for id in [1, 2, 3, 1] {
        assert_eq!(kvctl(&cluster, &["transfer", &id.to_string()]), (0, format!("server {id} leads\n")));
    }
    let (code, out) = kvctl(&cluster, &["transfer"]);
    assert!(code == 0 && out != "server 1 leads\n", "{code} {out}");
    let (code, _) = kvctl(&cluster, &["transfer", "7"]);
    assert_eq!(code, 2, "no such server");
}

#[tokio::test]
async fn founders_may_be_fewer_than_the_servers_that_are_known() {
    let cluster = Cluster::start_with(3, &["--founders", "1,2"]);
    client(&cluster).put(b"k", b"v").await.unwrap();
    assert_eq!(kvctl(&cluster, &["member", "list"]), (0, "voters 1,2\n".to_owned()));
    assert_eq!(kvctl(&cluster, &["member", "add", "3"]), ok());
    assert_eq!(kvctl(&cluster, &["member", "list"]), (0, "voters 1,2,3\n".to_owned()));
}
