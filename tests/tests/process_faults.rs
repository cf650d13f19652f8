//! Faults of processes and of what they have on disk, on real servers: what each does, and that healing undoes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::server;
use kv_server::client::{Client, ClientOptions};
use plumbline::cluster::{Cluster, ClusterOptions, Damage, Node};
use plumbline::faults::at_rest::AtRest;
use plumbline::faults::crash_loop::CrashLoop;
use plumbline::faults::descriptors::Descriptors;
use plumbline::faults::graceful::Graceful;
use plumbline::faults::memory::Memory;
use plumbline::faults::rolling::Rolling;
use plumbline::faults::slow_process::SlowProcess;
use plumbline::faults::upgrade::Upgrade;
use plumbline::faults::{Effect, Family, Scene, Targets};
use plumbline::observer::Observer;
use plumbline::schedule::{NodeId, Victims};

const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn options(folder: &Path, server: PathBuf, nodes: u64) -> ClusterOptions {
    ClusterOptions {
        system: Arc::new(plumbline::system::KvServer),
        server,
        server_also: None,
        nodes,
        folder: folder.join("nodes"),
        server_args: Vec::new(),
        direct: false,
        namespaces: false,
        trace: false,
        disks: None,
        clock_shim: None,
    }
}

/// A cluster of real servers that has a leader.
async fn cluster(options: &ClusterOptions) -> Arc<Cluster> {
    let cluster = Arc::new(Cluster::start(options).await.unwrap());
    recovered(&cluster).await;
    cluster
}

async fn three(folder: &tempfile::TempDir) -> Arc<Cluster> {
    cluster(&options(folder.path(), server().to_owned(), 3)).await
}

/// Processes of a script that is no server at all.
async fn scripts(folder: &tempfile::TempDir, script: &str) -> Arc<Cluster> {
    let program = folder.path().join("script");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Arc::new(Cluster::start(&options(folder.path(), program, 1)).await.unwrap())
}

async fn recovered(cluster: &Arc<Cluster>) {
    let observer = Observer::new(Arc::clone(cluster), Instant::now());
    assert!(observer.recovered(Instant::now() + PATIENCE).await, "no leader: fallen {:?}", observer.fallen());
    assert!(observer.fallen().is_empty(), "{:?}", observer.fallen());
}

fn client(cluster: &Cluster) -> Client {
    Client::new(ClientOptions { op_timeout: PATIENCE, ..ClientOptions::new(cluster.endpoints()) })
}

async fn put(cluster: &Cluster, number: u64) {
    client(cluster).put(number.to_string().as_bytes(), b"value").await.unwrap();
}

/// Every number up to this one was put, and is there.
async fn all_are_there(cluster: &Cluster, last: u64) {
    let mut client = client(cluster);
    for number in 1..=last {
        let value = client.get(number.to_string().as_bytes()).await.unwrap();
        assert_eq!(value.as_deref(), Some(&b"value"[..]), "{number} is gone");
    }
}

fn on(nodes: &[NodeId]) -> Targets {
    Targets { nodes: nodes.to_vec(), links: Vec::new() }
}

fn victim() -> Victims {
    Victims::Nodes(vec![1])
}

/// Injects a fault, does something under it, heals it, and says what came of it.
async fn under<F: Family>(
    fault: F,
    cluster: &Arc<Cluster>,
    targets: &Targets,
    act: impl AsyncFnOnce(),
) -> Effect {
    let (scene, mut effect) = (Scene { cluster }, Effect::default());
    let held = fault.inject(&scene, targets, &mut effect).await.unwrap();
    act().await;
    fault.heal(held, &scene, targets, &mut effect).await;
    effect
}

fn node(cluster: &Cluster, id: NodeId) -> &Node {
    cluster.node(id).unwrap()
}

async fn stat(node: &Node) -> String {
    std::fs::read_to_string(format!("/proc/{}/stat", node.pid().await.unwrap())).unwrap()
}

/// Of so many looks at the process, how many found it standing still.
async fn standing(node: &Node, looks: usize) -> usize {
    let mut standing = 0;
    for _ in 0..looks {
        standing += usize::from(stat(node).await.rsplit(')').next().unwrap().trim_start().starts_with('T'));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_process_stands_still_most_of_the_time_and_once_healed_never() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = scripts(&folder, "#!/bin/sh\nwhile :; do :; done\n").await;
    let node = node(&cluster, 1);
    let fault = SlowProcess { victims: victim(), per_cent: 10 };
    let effect = under(fault, &cluster, &on(&[1]), async || {
        let stood = standing(node, 300).await;
        assert!((150..=299).contains(&stood), "it stood still at {stood} of 300 looks");
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    assert_eq!(standing(node, 100).await, 0, "still slow");
}

/// The limit in force, as the system tells it.
fn soft_limit(pid: u32, name: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    line.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_file_descriptors_no_connection_is_taken_and_healed_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    let (node, pid) = (node(&cluster, 1), node(&cluster, 1).pid().await.unwrap());
    let before = soft_limit(pid, "Max open files");
    let effect = under(Descriptors(victim()), &cluster, &on(&[1]), async || {
        assert_eq!(soft_limit(pid, "Max open files"), "4");
        until("a complaint", async || {
            std::fs::read_to_string(node.log()).unwrap().contains("cannot accept a server's connection")
        })
        .await;
        put(&cluster, 1).await;
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    assert_eq!(soft_limit(node.pid().await.unwrap(), "Max open files"), before);
    recovered(&cluster).await;
    all_are_there(&cluster, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_ends_and_is_no_finding_and_healed_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    let node = node(&cluster, 1);
    let effect = under(Memory { victims: victim(), room_kib: 0 }, &cluster, &on(&[1]), async || {
        let mut client = client(&cluster);
        let large = vec![7; 64 << 10];
        until("the server's end", async || {
            client.put(b"large", &large).await.unwrap();
            assert_eq!(node.fallen().await.unwrap(), None, "that it may end was said");
            node.pid().await.is_none()
        })
        .await;
        put(&cluster, 1).await;
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    recovered(&cluster).await;
    all_are_there(&cluster, 1).await;
    // From here on, to end is to fall again.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(node.pid().await.unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    until("the fall", async || node.fallen().await.unwrap().is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_a_crash_loop_is_killed_whenever_it_is_up_and_left_up_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    put(&cluster, 1).await;
    let node = node(&cluster, 1);
    let fault = CrashLoop { victims: victim(), times: 1_000 };
    let effect = under(fault, &cluster, &on(&[1]), async || {
        until("five starts", async || node.starts().await >= 5).await;
        put(&cluster, 2).await;
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    let starts = node.starts().await;
    recovered(&cluster).await;
    assert_eq!(node.starts().await, starts, "the loop goes on");
    all_are_there(&cluster, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_restarts_each_once_in_order_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    put(&cluster, 1).await;
    let mut most_down = 0;
    let effect = under(Rolling(Victims::All), &cluster, &on(&[1, 2, 3]), async || {
        until("all to be restarted", async || {
            let mut down = 0;
            let mut starts = 0;
            for node in cluster.nodes() {
                down += u64::from(node.pid().await.is_none());
                starts += node.starts().await;
            }
            most_down = most_down.max(down);
            starts == 6
        })
        .await;
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    assert!(most_down <= 1, "{most_down} were down at once");
    for node in cluster.nodes() {
        assert_eq!((node.starts().await, node.unclean()), (2, None), "n{}", node.id());
    }
    recovered(&cluster).await;
    all_are_there(&cluster, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_asked_to_end_do_so_in_order_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    put(&cluster, 1).await;
    let effect = under(Graceful(Victims::All), &cluster, &on(&[1, 2, 3]), async || {
        for node in cluster.nodes() {
            assert_eq!((node.pid().await, node.unclean()), (None, None), "n{}", node.id());
            let log = std::fs::read_to_string(node.log()).unwrap();
            assert!(log.contains("stopped"), "n{} did not end in order:\n{log}", node.id());
        }
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    recovered(&cluster).await;
    all_are_there(&cluster, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_end_in_order_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\ntrap 'exit 3' TERM\necho ready\nwhile :; do sleep 0.01; done\n";
    let cluster = scripts(&folder, script).await;
    let node = node(&cluster, 1);
    until("the script", async || std::fs::read_to_string(node.log()).unwrap().contains("ready")).await;
    under(Graceful(victim()), &cluster, &on(&[1]), async || {}).await;
    assert_eq!(node.unclean().as_deref(), Some("exit status: 3"));
}

async fn program_of(node: &Node) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/exe", node.pid().await.unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_two_builds_changes_who_runs_which_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let second = folder.path().canonicalize().unwrap().join("second-build");
    std::fs::copy(server(), &second).unwrap();
    let options = options(folder.path(), server().to_owned(), 3);
    let first = server().canonicalize().unwrap();
    let cluster = cluster(&ClusterOptions { server_also: Some(second.clone()), ..options.clone() }).await;
    let builds = async || {
        let programs = cluster.nodes().iter().map(program_of);
        let programs: Vec<PathBuf> = futures::future::join_all(programs).await;
        programs.into_iter().map(|program| program == second).collect::<Vec<bool>>()
    };
    assert_eq!(builds().await, [false, false, true]);
    assert_eq!(program_of(node(&cluster, 1)).await, first);
    put(&cluster, 1).await;
    let effect = under(Upgrade(Victims::All), &cluster, &on(&[1, 2, 3]), async || {
        assert_eq!(builds().await, [true, true, false]);
        put(&cluster, 2).await;
    })
    .await;
    assert!(effect.effective && effect.errors.is_empty(), "{effect:?}");
    assert_eq!(builds().await, [false, false, true]);
    recovered(&cluster).await;
    all_are_there(&cluster, 2).await;
    let error = Upgrade(victim()).prepare(&mut options.clone()).unwrap_err();
    assert!(error.to_string().contains("--server-also"), "{error}");
}

/// Damages a file of n1 with each of these seeds in turn. Each time it refuses, with file and place, nothing that was
/// acknowledged is missing, and it is back once healed.
async fn is_refused_and_healed(cluster: &Arc<Cluster>, damage: Damage, seeds: std::ops::Range<u64>) {
    let node = node(cluster, 1);
    for seed in seeds {
        let log_before = std::fs::read_to_string(node.log()).unwrap().len();
        let fault = AtRest { victims: victim(), damage, seed };
        let effect = under(fault, cluster, &on(&[1]), async || {
            assert_eq!(node.pid().await, None, "seed {seed}: it runs on damaged files");
            put(cluster, seed + 2).await;
        })
        .await;
        assert!(effect.effective && effect.errors.is_empty(), "seed {seed}: {effect:?}");
        let log = std::fs::read_to_string(node.log()).unwrap().split_off(log_before);
        let refusal = log.lines().find(|line| line.contains("corrupt"));
        let refusal = refusal.unwrap_or_else(|| panic!("seed {seed}: no refusal in\n{log}"));
        assert!(refusal.contains("wal-") || refusal.contains("snapshot-"), "seed {seed}: {refusal}");
        recovered(cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_was_flipped_on_disk_is_refused_and_restored_the_server_is_back_with_all() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    put(&cluster, 1).await;
    is_refused_and_healed(&cluster, Damage::Flip, 0..12).await;
    all_are_there(&cluster, 13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_snapshot_is_refused_and_restored_the_server_is_back_with_all() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = three(&folder).await;
    put(&cluster, 1).await;
    is_refused_and_healed(&cluster, Damage::Truncate, 0..5).await;
    all_are_there(&cluster, 6).await;
}
