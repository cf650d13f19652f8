//! Real servers, as processes, with real clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Cluster, DEADLINE, eventually, kvctl};
use kv_server::client::{Client, ClientOptions, Role};
use kv_server::machine::{Command, Compare, Operation, Test, Transaction, Write};
use kv_server::wal::{Wal, WalError, WalOptions};
use raft_core::{Batch, Entry, Index, NodeId, Payload};

fn client(cluster: &Cluster) -> Client {
    Client::new(ClientOptions {
        endpoints: cluster.client_addresses(),
        op_timeout: DEADLINE,
        attempt_timeout: Duration::from_millis(500),
    })
}

#[tokio::test]
async fn three_servers_elect_and_serve_through_any_of_them() {
    let cluster = Cluster::start(3);
    cluster.leader().await;
    for (number, endpoint) in cluster.client_addresses().into_iter().enumerate() {
        let mut client =
            Client::new(ClientOptions { op_timeout: DEADLINE, ..ClientOptions::new(vec![endpoint]) });
        let value = number.to_string();
        client.put(b"k", value.as_bytes()).await.unwrap();
        assert_eq!(client.get(b"k").await.unwrap().as_deref(), Some(value.as_bytes()));
        assert!(client.cas(b"k", Some(value.as_bytes()), b"swapped").await.unwrap());
        assert!(!client.cas(b"k", Some(value.as_bytes()), b"again").await.unwrap());
        assert!(client.delete(b"k").await.unwrap());
        assert!(!client.delete(b"k").await.unwrap());
        assert_eq!(client.get(b"k").await.unwrap(), None);
        assert!(client.cas(b"k", None, b"new").await.unwrap());
    }
}

#[tokio::test]
async fn several_keys_are_written_and_read_together_also_while_others_do() {
    const TRANSFERS: u64 = 50;
    let cluster = Cluster::start(3);
    let mut setup = client(&cluster);
    setup.put(b"a", b"100").await.unwrap();
    setup.put(b"b", b"100").await.unwrap();
    let movers = [1, -1].map(|amount: i64| {
        let mut client = client(&cluster);
        tokio::spawn(async move {
            let mut done = 0;
            while done < TRANSFERS {
                let [a, b] = balances(&mut client).await;
                done += u64::from(client.txn(transfer([a, b], amount)).await.unwrap());
            }
        })
    });
    let mut seen = 0;
    while movers.iter().any(|mover| !mover.is_finished()) {
        let [a, b] = balances(&mut setup).await;
        assert_eq!(a + b, 200, "{a} and {b}, {seen} sound reads before");
        seen += 1;
    }
    for mover in movers {
        mover.await.unwrap();
    }
    assert_eq!(balances(&mut setup).await, [100, 100], "each transfer was done once");
    let error = setup.get_all(&[&b"k"[..]; 65]).await.unwrap_err();
    assert!(error.is_definite() && error.to_string().contains("65 keys"), "{error}");
}

async fn balances(client: &mut Client) -> [i64; 2] {
    let found = client.get_all(&[b"a", b"b"]).await.unwrap();
    let number = |at: usize| std::str::from_utf8(found[at].as_ref().unwrap()).unwrap().parse().unwrap();
    [number(0), number(1)]
}

fn transfer([a, b]: [i64; 2], amount: i64) -> Transaction {
    let is = |key: &'static str, value: i64| Compare {
        key: key.into(),
        test: Test::Is(Some(value.to_string().into())),
    };
    let put = |key: &'static str, value: i64| Write::Put { key: key.into(), value: value.to_string().into() };
    Transaction {
        compares: vec![is("a", a), is("b", b)],
        success: vec![put("a", a - amount), put("b", b + amount)],
        otherwise: Vec::new(),
    }
}

#[tokio::test]
async fn the_largest_values_travel_and_larger_ones_are_refused() {
    let cluster = Cluster::start(3);
    let mut client = client(&cluster);
    let value = vec![7; kv_server::machine::MAX_VALUE_BYTES];
    client.put(b"large", &value).await.unwrap();
    assert_eq!(client.get(b"large").await.unwrap().as_deref(), Some(&value[..]));
    client.put(b"larger", &value).await.unwrap();
    let two = client.get_all(&[b"large", b"larger"]).await.unwrap();
    assert!(two.iter().flatten().all(|found| found == &value[..]) && two.len() == 2);
    let error = client.get_all(&[b"large", b"larger", b"large"]).await.unwrap_err();
    assert!(error.is_definite() && error.to_string().contains("ask for fewer"), "{error}");
    let error = client.put(b"large", &[&value[..], &[7]].concat()).await.unwrap_err();
    assert!(error.is_definite(), "{error}");
}

#[tokio::test]
async fn when_the_leader_is_killed_nothing_acknowledged_is_lost_and_nothing_is_done_twice() {
    let mut cluster = Cluster::start(3);
    let mut client = client(&cluster);
    for round in 0..3 {
        let key = |number: u32| format!("{round}-{number}").into_bytes();
        for number in 0..20 {
            client.put(&key(number), b"v").await.unwrap();
        }
        let leader = cluster.leader().await;
        cluster.kill(leader);
        // The client's next operation meets the dead leader and goes on elsewhere.
        assert!(client.cas(&key(0), Some(b"v"), b"w").await.unwrap(), "applied once");
        for number in 1..20 {
            assert_eq!(client.get(&key(number)).await.unwrap().as_deref(), Some(&b"v"[..]));
        }
        cluster.restart(leader);
    }
}

#[tokio::test]
async fn m05_retries_across_kills_of_the_leader_are_applied_once() {
    let mut cluster = Cluster::start(3);
    let addresses = cluster.client_addresses();
    let counting = tokio::spawn(async move {
        let mut client = Client::new(ClientOptions {
            endpoints: addresses,
            op_timeout: DEADLINE,
            attempt_timeout: Duration::from_millis(300),
        });
        // A chain of compare-and-sets breaks if one is applied twice: the second application fails, and says so.
        let value = |number: u32| number.to_string().into_bytes();
        client.put(b"n", &value(0)).await.unwrap();
        for number in 0..200 {
            let swapped = client.cas(b"n", Some(&value(number)), &value(number + 1)).await.unwrap();
            assert!(swapped, "step {number}");
        }
        client.get(b"n").await.unwrap()
    });
    while !counting.is_finished() {
        let leader = cluster.leader().await;
        cluster.kill(leader);
        cluster.restart(leader);
        let applied = cluster.status(cluster.leader().await).await.map_or(0, |status| status.applied);
        eventually("a few more steps", async || {
            counting.is_finished() || cluster.highest_applied().await > applied + 20
        })
        .await;
    }
    assert_eq!(counting.await.unwrap().as_deref(), Some(&b"200"[..]));
}

#[tokio::test]
async fn kill_9_of_all_servers_in_the_middle_of_writes_loses_nothing_acknowledged() {
    let mut cluster = Cluster::start(3);
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let count = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let mut client = Client::new(ClientOptions {
                    endpoints: cluster.client_addresses(),
                    op_timeout: Duration::from_millis(1500),
                    attempt_timeout: Duration::from_millis(300),
                });
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    for number in 0.. {
                        let key = format!("{round}-{writer}-{number}");
                        if client.put(key.as_bytes(), key.as_bytes()).await.is_err() {
                            break;
                        }
                        done.push(key);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    done
                })
            })
            .collect();
        eventually("writes under way", async || count.load(Ordering::Relaxed) > 100).await;
        cluster.ids().into_iter().for_each(|id| cluster.kill(id));
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    }
    let mut client = client(&cluster);
    for key in acknowledged {
        assert_eq!(client.get(key.as_bytes()).await.unwrap().as_deref(), Some(key.as_bytes()));
    }
}

#[tokio::test]
async fn a_minority_cannot_write_and_says_so_definitely_or_not() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader().await;
    let alone = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.ids().into_iter().filter(|id| *id != alone).for_each(|id| cluster.kill(id));
    eventually("it misses its leader", async || {
        cluster.status(alone).await.is_some_and(|status| status.leader.is_none())
    })
    .await;
    let mut client = Client::new(ClientOptions {
        endpoints: vec![cluster.client_address(alone)],
        op_timeout: Duration::from_millis(400),
        attempt_timeout: Duration::from_millis(200),
    });
    let error = client.put(b"k", b"v").await.unwrap_err();
    assert!(error.is_definite(), "no leader ever had it: {error}");
    let error = client.get(b"k").await.unwrap_err();
    assert!(error.is_definite(), "{error}");
}

#[tokio::test]
async fn sigterm_ends_a_server_gracefully_and_a_restart_has_everything() {
    let mut cluster = Cluster::start(3);
    let mut client = client(&cluster);
    client.put(b"k", b"v").await.unwrap();
    for id in cluster.ids() {
        let status = cluster.terminate(id).await;
        assert_eq!(status.code(), Some(0), "{}", cluster.log(id));
    }
    cluster.ids().into_iter().for_each(|id| cluster.restart(id));
    assert_eq!(client.get(b"k").await.unwrap().as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn sigint_and_the_end_of_standard_input_end_a_server_too() {
    let mut cluster = Cluster::start(3);
    cluster.leader().await;
    assert_eq!(cluster.interrupt(1).await.code(), Some(0));
    assert_eq!(cluster.close_stdin(2).await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_answers_what_is_pending() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader().await;
    let mut client = client(&cluster);
    client.put(b"k", b"v").await.unwrap();
    // Alone, the leader can commit nothing: a write stays pending.
    cluster.ids().into_iter().filter(|id| *id != leader).for_each(|id| cluster.stop(id));
    let address = cluster.client_address(leader);
    let write = tokio::spawn(async move {
        let mut client = Client::new(ClientOptions {
            endpoints: vec![address],
            op_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(3),
        });
        client.put(b"k", b"w").await
    });
    eventually("a pending write", async || {
        cluster.status(leader).await.is_some_and(|status| status.pending > 0)
    })
    .await;
    assert_eq!(cluster.terminate(leader).await.code(), Some(0), "{}", cluster.log(leader));
    assert!(write.await.unwrap().is_err());
    cluster.ids().into_iter().filter(|id| *id != leader).for_each(|id| cluster.resume(id));
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let cluster = Cluster::start(1);
    cluster.leader().await;
    let status = cluster.start_again_elsewhere(1).await;
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_paused_leader_is_replaced_and_comes_back_as_a_follower() {
    let mut cluster = Cluster::start(3);
    let mut client = client(&cluster);
    client.put(b"k", b"before").await.unwrap();
    let old = cluster.leader().await;
    cluster.stop(old);
    client.put(b"k", b"after").await.unwrap();
    cluster.resume(old);
    eventually("the old leader follows", async || {
        cluster
            .status(old)
            .await
            .is_some_and(|status| status.role == Role::Follower && status.leader.is_some())
    })
    .await;
    assert_eq!(client.get(b"k").await.unwrap().as_deref(), Some(&b"after"[..]));
}

#[tokio::test]
async fn kvctl_does_what_its_help_says() {
    let cluster = Cluster::start(3);
    cluster.leader().await;
    let run = |arguments: &[&str]| kvctl(&cluster, arguments);
    assert_eq!(run(&["put", "k", "v"]), (0, "ok\n".into()));
    assert_eq!(run(&["get", "k"]), (0, "v\n".into()));
    assert_eq!(run(&["cas", "k", "v", "w"]), (0, "ok\n".into()));
    assert_eq!(run(&["cas", "k", "v", "x"]), (1, String::new()));
    assert_eq!(run(&["cas", "k", "--absent", "x"]), (1, String::new()));
    assert_eq!(run(&["delete", "k"]), (0, "ok\n".into()));
    assert_eq!(run(&["delete", "k"]), (1, String::new()));
    assert_eq!(run(&["cas", "k", "--absent", "x"]), (0, "ok\n".into()));
    assert_eq!(run(&["get", "nothing"]), (1, String::new()));
    assert_eq!(run(&["cas", "k", "x"]).0, 2);
    assert_eq!(run(&["frobnicate"]).0, 2);
    assert_eq!(
        run(&["txn", "--if", "k=x", "--if-absent", "m", "--put", "m=1", "--delete", "k"]),
        (0, "ok\n".into())
    );
    assert_eq!((run(&["get", "k"]).0, run(&["get", "m"])), (1, (0, "1\n".into())));
    assert_eq!(run(&["txn", "--if-not", "m=1", "--put", "n=2", "--else-put", "m=3"]), (1, String::new()));
    assert_eq!((run(&["get", "n"]).0, run(&["get", "m"])), (1, (0, "3\n".into())));
    assert_eq!(run(&["txn", "--if-present", "k", "--else-delete", "m"]).0, 1);
    assert_eq!(run(&["get", "m"]).0, 1);
    assert_eq!(run(&["txn", "--put", "no value"]).0, 2);

    let (code, table) = run(&["status"]);
    assert_eq!((code, table.lines().count()), (0, 4), "{table}");
    assert_eq!(table.matches(" leader ").count() - 1, 1, "one besides the title: {table}");
    let (code, json) = run(&["status", "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!((code, rows.len()), (0, 3));
    assert!(rows.iter().all(|row| row["leader"] == rows[0]["leader"] && row["term"].is_u64()), "{json}");
}

#[tokio::test]
async fn a_server_that_executes_a_long_log_at_its_start_still_answers() {
    const ENTRIES: u64 = 400_000;
    let mut cluster = Cluster::start(1);
    client(&cluster).put(b"k", b"v").await.unwrap();
    cluster.kill(1);
    // The log grows by hand: writing so much through the server would take a while.
    let mut options = WalOptions::new(NodeId(1));
    // The refusal tells which cluster's log it is.
    if let Err(WalError::WrongOwner { cluster, .. }) = Wal::open(cluster.data_dir(1), options) {
        options.cluster = cluster;
    }
    let (mut wal, recovered) = Wal::open(cluster.data_dir(1), options).unwrap();
    let last = recovered.entries.last().unwrap().position();
    let operation = Operation::Put { key: "k".into(), value: "w".into() };
    let command = Command::Apply { session: 1, sequence: 1, operation }.encode().unwrap();
    let entry = |index| Entry { index, term: last.term, payload: Payload::Command(command.clone()) };
    for first in (0..ENTRIES).step_by(10_000) {
        let entries = (1..=10_000).map(|i| entry(Index(last.index.0 + first + i))).collect();
        wal.append(&Batch::new(None, entries)).unwrap();
        wal.sync().unwrap();
    }
    drop(wal);
    cluster.restart(1);
    let end = last.index.0 + ENTRIES;
    let mut seen_on_the_way = 0;
    eventually("the whole log to be executed", async || {
        let applied = cluster.status(1).await.map_or(0, |status| status.applied);
        seen_on_the_way += u32::from(0 < applied && applied < end);
        applied > end
    })
    .await;
    assert!(seen_on_the_way > 0, "while it executes, a server must be heard, or it is taken for dead");
}
