//! Real servers on fault disks: power failures lose nothing that was acknowledged, and a server that does not sync is found
//! out by them, which killing alone cannot do.

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

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{PLUMBLINE, json, processes_in, run_with, server, server_with_mutants, text, until};
use plumbline::cluster::{Cluster, ClusterOptions, Disks, Exit};
use plumbline::disk::{DiskCounts, DiskError, DiskFaults, Loss, Refusal, When, mounts};
use plumbline::faults::Kind;
use writers::{PATIENCE, Writers, recovered};

const SEED: u64 = 7;
/// How many writes are acknowledged in a round before the blow.
const WRITES: u64 = 200;

async fn cluster(folder: &Path, server: &Path, mutant: Option<&str>) -> Arc<Cluster> {
    let options = ClusterOptions {
        system: Arc::new(plumbline::system::KvServer),
        server: server.to_owned(),
        nodes: 3,
        folder: folder.to_owned(),
        server_args: mutant.map_or(Vec::new(), |mutant| vec!["--mutant".to_owned(), mutant.to_owned()]),
        server_also: None,
        direct: false,
        namespaces: false,
        trace: false,
        disks: Some(Disks { program: PLUMBLINE.into(), seed: SEED }),
        clock_shim: None,
    };
    let cluster = Arc::new(Cluster::start(&options).await.unwrap());
    recovered(&cluster).await;
    cluster
}

/// Cuts the power of all servers in the middle of writes, once; says what the disks lost and which acknowledged writes are gone.
async fn cut_all(cluster: &Arc<Cluster>, writers: &mut Writers, loss: Loss) -> (DiskCounts, Vec<String>) {
    let mut lost = DiskCounts::default();
    let blow = async {
        let cuts = cluster.nodes().iter().map(|node| node.cut_power(loss));
        for cut in futures::future::join_all(cuts).await {
            let cut = cut.unwrap();
            assert!(cut.killed, "a server had ended by itself");
            lost = lost.plus(&cut.lost);
        }
    };
    writers.write(cluster, WRITES, blow).await;
    start_all(cluster).await;
    (lost, writers.missing(cluster).await)
}

async fn start_all(cluster: &Arc<Cluster>) {
    for node in cluster.nodes() {
        node.start().await.unwrap();
    }
    recovered(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_power_failures_of_all_servers_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path(), server(), None).await;
    let mut writers = Writers::default();
    let mut total = DiskCounts::default();
    for round in 0..9 {
        let loss = [Loss::Everything, Loss::Torn, Loss::Some][round % 3];
        let (lost, missing) = cut_all(&cluster, &mut writers, loss).await;
        assert_eq!(missing, Vec::<String>::new(), "round {round}, {loss:?}, seed {SEED}");
        total = total.plus(&lost);
    }
    println!("lost: {total:?}");
    assert!(total.lost_bytes > 0, "no power failure caught a write: {total:?}");
    for node in cluster.nodes() {
        assert_eq!(node.stop(PATIENCE).await.unwrap(), Exit::Clean, "n{}", node.id());
    }
}

/// Whether acknowledged writes are gone after one of a few power failures. One that refuses to start is caught too.
async fn loses_writes(server: &Path, mutant: Option<&str>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path(), server, mutant).await;
    let mut writers = Writers::default();
    for _ in 0..3 {
        let (_, missing) = cut_all(&cluster, &mut writers, Loss::Everything).await;
        if let Some(missing) = missing.into_iter().next() {
            return Some(missing);
        }
    }
    None
}

/// The same with kills only.
async fn loses_writes_by_kills(server: &Path, mutant: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path(), server, Some(mutant)).await;
    let mut writers = Writers::default();
    for _ in 0..3 {
        let kills = async {
            futures::future::join_all(cluster.nodes().iter().map(|node| node.kill())).await;
        };
        writers.write(&cluster, WRITES, kills).await;
        start_all(&cluster).await;
        if let Some(missing) = writers.missing(&cluster).await.into_iter().next() {
            return Some(missing);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_acknowledges_before_its_fsync_is_found_out() {
    let found = loses_writes(server_with_mutants(), Some("ack-before-fsync")).await;
    println!("{}", found.expect("the seeded bug was missed"));
    assert_eq!(loses_writes(server_with_mutants(), None).await, None, "without the bug the same must pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_syncs_its_log_is_found_out_by_power_failures_and_not_by_kills() {
    let mutant = "log-never-synced";
    assert_eq!(loses_writes_by_kills(server_with_mutants(), mutant).await, None, "the kernel has it all");
    println!(
        "{}",
        loses_writes(server_with_mutants(), Some(mutant)).await.expect("the seeded bug was missed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_disk_of_three_that_lies_costs_nothing_while_the_others_live() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path(), server(), None).await;
    let node = &cluster.nodes()[0];
    let disk = node.disk().unwrap();
    let mut writers = Writers::default();
    disk.set(DiskFaults { lying_sync: true, ..DiskFaults::default() }).await.unwrap();
    let mut lost = DiskCounts::default();
    let blow = async { lost = node.cut_power(Loss::Everything).await.unwrap().lost };
    writers.write(&cluster, WRITES, blow).await;
    assert!(lost.lost_bytes > 0, "{lost:?}");
    let counts = disk.set(DiskFaults::default()).await.unwrap();
    assert!(counts.lies > 0, "{counts:?}");
    start_all(&cluster).await;
    assert_eq!(writers.missing(&cluster).await, Vec::<String>::new());
}

/// A sync that fails, a server that ends over it and is started again, and then a power failure.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_left_in_memory_only_is_not_taken_for_durable_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path(), server(), None).await;
    let mut writers = Writers::default();
    for round in 0..3 {
        let blow = async {
            for node in cluster.nodes() {
                node.let_fall(Kind::DiskError, true).await.unwrap();
                let refusal = Some(Refusal { error: DiskError::Io, when: When::Next(1) });
                let disk = node.disk().unwrap();
                disk.set(DiskFaults { sync: refusal, ..DiskFaults::default() }).await.unwrap();
            }
            let deadline = Instant::now() + PATIENCE;
            for node in cluster.nodes() {
                while node.fallen().await.unwrap().is_none() && node.pid().await.is_some() {
                    assert!(Instant::now() < deadline, "n{} goes on after a failed sync", node.id());
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    // Followers sync only while somebody leads: the last ones may need a write of their own.
                    if cluster_is_quiet(&cluster).await {
                        node.kill().await.unwrap();
                    }
                }
            }
        };
        writers.write(&cluster, WRITES, blow).await;
        for node in cluster.nodes() {
            node.disk().unwrap().set(DiskFaults::default()).await.unwrap();
            node.let_fall(Kind::DiskError, false).await.unwrap();
        }
        start_all(&cluster).await;
        assert_eq!(writers.missing(&cluster).await, Vec::<String>::new(), "round {round}, restarted");
        let cuts = cluster.nodes().iter().map(|node| node.cut_power(Loss::Everything));
        futures::future::join_all(cuts).await.into_iter().for_each(|cut| assert!(cut.unwrap().killed));
        start_all(&cluster).await;
        assert_eq!(
            writers.missing(&cluster).await,
            Vec::<String>::new(),
            "round {round}, after a power failure"
        );
    }
}

/// Whether fewer than a majority of servers are left: nobody can lead any more.
async fn cluster_is_quiet(cluster: &Cluster) -> bool {
    let mut alive = 0;
    for node in cluster.nodes() {
        alive += usize::from(node.pid().await.is_some());
    }
    alive < 2
}

#[test]
fn a_campaign_of_disk_faults_passes_every_kind_had_an_effect_and_nothing_is_left_mounted() {
    let store = tempfile::tempdir().unwrap();
    let args = ["--nodes", "3", "--seed", "3", "--time-limit", "25s", "--json"];
    let nemesis = ["--nemesis", "power,disk-error,disk-slow"];
    let output = run_with(server(), store.path(), &[&args[..], &nemesis[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let results = json(&output);
    for kind in ["power", "disk-error", "disk-slow"] {
        let faults = results["nemesis"]["faults"].as_array().unwrap();
        let effective = faults.iter().any(|fault| fault["kind"] == kind && fault["effective"] == true);
        assert!(effective, "no effect of {kind}: {faults:#?}");
    }
    assert!(mounted_in(store.path()).is_empty());
}

fn mounted_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let folder = folder.canonicalize().unwrap();
    mounts::mounted().unwrap().into_iter().filter(|path| path.starts_with(&folder)).collect()
}

#[test]
fn a_harness_that_is_killed_leaves_no_server_and_no_mount() {
    let store = tempfile::tempdir().unwrap();
    let mut harness = Command::new(PLUMBLINE);
    harness.args(["run", "--nodes", "3", "--time-limit", "60s", "--nemesis", "power", "--server"]);
    harness.arg(server()).arg("--store").arg(store.path());
    let mut harness =
        harness.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("three servers on their disks", PATIENCE, || {
        mounted_in(store.path()).len() == 3 && processes_in(store.path()).len() == 3
    });
    harness.kill().unwrap();
    harness.wait().unwrap();
    until("an empty machine", PATIENCE, || {
        mounted_in(store.path()).is_empty() && processes_in(store.path()).is_empty()
    });
}

#[test]
fn where_no_disk_can_be_mounted_asking_for_its_faults_is_an_error_that_says_so() {
    let store = tempfile::tempdir().unwrap();
    let script = "mount --bind /dev/null /dev/fuse && exec \"$0\" run --nodes 3 --time-limit 5s \
        --nemesis power --server \"$1\" --store \"$2\"";
    let mut shell = Command::new("unshare");
    // Root's own namespace if we are root, a user's otherwise.
    shell.arg(if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" });
    shell.args(["sh", "-c", script, PLUMBLINE]).arg(server()).arg(store.path());
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot be injected on this machine") && said.contains("mount"), "{said}");
}
