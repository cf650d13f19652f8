//! Wrong clocks, seen by real programs: what the date is, how long waits are, and what a server's timers make of it.

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
#[allow(dead_code, reason = "this suite needs its patience only")]
mod writers;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use common::{json, run_with, server, text};
use plumbline::clock::{CONTROL, ClockFile, PRELOAD, find_shim};
use plumbline::cluster::{Cluster, ClusterOptions};
use plumbline::faults::clock_drift::ClockDrift;
use plumbline::faults::clock_jump::ClockJump;
use plumbline::faults::clock_strobe::ClockStrobe;
use plumbline::faults::kill::Kill;
use plumbline::faults::monotonic_jump::MonotonicJump;
use plumbline::observer::Observer;
use plumbline::schedule::{Fault, Planned, Schedule, Victims};
use writers::PATIENCE;

fn clock(folder: &tempfile::TempDir) -> ClockFile {
    ClockFile::create(&folder.path().join("clock")).unwrap()
}

/// Milliseconds since 1970, as `date` is told.
fn told(clock: &ClockFile) -> i64 {
    let mut date = Command::new("date");
    date.arg("+%s%3N").env(PRELOAD, find_shim().unwrap()).env(CONTROL, clock.path());
    text(&date.output().unwrap().stdout).trim().parse().unwrap()
}

fn real() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// How far ahead of the real time a program is told it is; as exact as programs start quickly.
fn ahead(clock: &ClockFile) -> i64 {
    told(clock) - real()
}

#[test]
fn the_date_jumps_both_ways_drifts_and_is_set_right() {
    const SLACK_MS: i64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let clock = clock(&folder);
    assert!(ahead(&clock).abs() < SLACK_MS);
    assert_eq!(clock.altered().unwrap(), 0, "the truth is not counted");
    clock.jump_real(3_600_000).unwrap();
    assert!((ahead(&clock) - 3_600_000).abs() < SLACK_MS);
    assert!(clock.altered().unwrap() > 0);
    clock.jump_real(-10_800_000).unwrap();
    assert!((ahead(&clock) + 7_200_000).abs() < SLACK_MS);
    clock.set_right().unwrap();
    assert!(ahead(&clock).abs() < SLACK_MS);
    clock.drift(99_000_000).unwrap();
    let began = Instant::now();
    let before = told(&clock);
    let mut gone = 0;
    while gone < 1_000 {
        assert!(began.elapsed() < PATIENCE);
        gone = told(&clock) - before;
    }
    let real = began.elapsed().as_millis();
    // Each reading is up to the whole time that `date` took too early or too late, at a hundred times the pace.
    assert!(i128::from(gone) > 20 * real as i128, "{gone} ms were told, {real} ms were real");
}

/// What [`waits`] told: how long it believes to have waited.
const TELLS: &str = "waited (ms): ";

/// Not a test of its own: it is run as a program that waits, with other clocks. Rust's standard library waits until a time that
/// it computes from the clock it is told.
#[test]
#[ignore = "it is run by other tests"]
fn waits() {
    let length: u64 = std::env::var("LENGTH_MS").unwrap().parse().unwrap();
    let began = Instant::now();
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(Duration::from_millis(length)).unwrap_err();
    std::thread::sleep(Duration::from_millis(length));
    println!("{TELLS}{}", began.elapsed().as_millis());
}

/// How long the program above believes to have waited, and how long it really ran.
fn waited(clock: &ClockFile, length_ms: u64) -> (u64, Duration) {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["waits", "--exact", "--ignored", "--nocapture"]).env("LENGTH_MS", length_ms.to_string());
    program.env(PRELOAD, find_shim().unwrap()).env(CONTROL, clock.path());
    let began = Instant::now();
    let output = program.stdin(Stdio::null()).output().unwrap();
    let (took, said) = (began.elapsed(), text(&output.stdout));
    let told = said.lines().find_map(|line| line.rsplit_once(TELLS)).unwrap_or_else(|| panic!("{said}"));
    (told.1.trim().parse().unwrap(), took)
}

#[test]
fn waits_do_not_grow_by_a_jump_and_shrink_by_a_fast_clock_and_the_program_sees_nothing_odd() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock(&folder);
    clock.jump_monotonic(Duration::from_secs(3_600)).unwrap();
    let (told, took) = waited(&clock, 100);
    assert!(told >= 200 && took < Duration::from_secs(60), "told {told} ms, took {took:?}");
    clock.drift(9_000_000).unwrap();
    let (told, took) = waited(&clock, 60_000);
    assert!(told >= 120_000, "told {told} ms");
    assert!(took >= Duration::from_secs(12) && took < Duration::from_secs(60), "took {took:?}");
    clock.drift(-750_000).unwrap();
    let (told, took) = waited(&clock, 300);
    assert!(told >= 600 && took >= Duration::from_millis(2_400), "told {told} ms, took {took:?}");
}

#[test]
fn a_program_whose_clock_cannot_be_controlled_does_not_run_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    for bytes in [None, Some(vec![]), Some(vec![7; 4_096])] {
        if let Some(bytes) = bytes {
            std::fs::write(&broken, bytes).unwrap();
        }
        let mut date = Command::new("date");
        let output = date.env(PRELOAD, find_shim().unwrap()).env(CONTROL, &broken).output().unwrap();
        assert_eq!(output.status.code(), Some(127));
        assert!(text(&output.stderr).contains("PLUMBLINE_CLOCK"), "{}", text(&output.stderr));
    }
}

/// Three servers that elect only after a minute or two of silence, by their clocks.
async fn patient_cluster(folder: &tempfile::TempDir) -> Arc<Cluster> {
    let options = ClusterOptions {
        system: Arc::new(plumbline::system::KvServer),
        server: server().to_owned(),
        nodes: 3,
        folder: folder.path().to_owned(),
        server_args: ["--election-timeout", "60s"].map(str::to_owned).to_vec(),
        server_also: None,
        direct: false,
        namespaces: false,
        trace: false,
        disks: None,
        clock_shim: Some(find_shim().unwrap()),
    };
    Arc::new(Cluster::start(&options).await.unwrap())
}

/// How long until somebody leads.
async fn elected(cluster: &Arc<Cluster>) -> Duration {
    let began = Instant::now();
    let observer = Observer::new(Arc::clone(cluster), began);
    assert!(observer.recovered(began + PATIENCE).await, "nobody leads: fallen {:?}", observer.fallen());
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_s_timers_go_by_the_clock_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = patient_cluster(&folder).await;
    for node in cluster.nodes() {
        node.clock().unwrap().drift(99_000_000).unwrap();
    }
    // A minute at the least, at a hundred times the pace.
    let took = elected(&cluster).await;
    println!("elected after {took:?}");
    for node in cluster.nodes() {
        assert!(node.clock().unwrap().altered().unwrap() > 0, "n{} never looked", node.id());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_the_monotonic_clock_fires_what_it_passes() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = patient_cluster(&folder).await;
    let observer = Observer::new(Arc::clone(&cluster), Instant::now());
    let deadline = Instant::now() + PATIENCE;
    while cluster.nodes().len() != observer.look().await.len() {
        assert!(Instant::now() < deadline, "the servers do not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(observer.leader().await, None, "too early for a leader");
    cluster.nodes()[0].clock().unwrap().jump_monotonic(Duration::from_secs(180)).unwrap();
    println!("elected after {:?}", elected(&cluster).await);
    assert_eq!(observer.leader().await, Some(1), "the one whose clock jumped was first");
}

#[test]
fn a_run_with_wrong_clocks_passes_and_every_kind_has_an_effect() {
    // A server reads the date only for its log: the kills make it say something.
    let kill = || Kill(Victims::Random(1)).into();
    let faults: [(u64, Fault); 6] = [
        (1_000, ClockJump { victims: Victims::All, by_ms: -3_600_000 }.into()),
        (1_100, kill()),
        (3_000, ClockDrift { victims: Victims::All, ppm: 1_000_000 }.into()),
        (5_000, ClockStrobe { victims: Victims::All, by_ms: 5_000, period_ms: 20 }.into()),
        (5_100, kill()),
        (7_000, MonotonicJump { victims: Victims::Leader, by_ms: 30_000 }.into()),
    ];
    let planned = |(at_ms, fault)| Planned { at_ms, duration_ms: Some(1_200), number: 0, fault };
    let schedule =
        Schedule::of(1, 3, Duration::from_secs(10), faults.clone().into_iter().map(planned).collect());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedule.json");
    std::fs::write(&file, serde_json::to_string(&schedule).unwrap()).unwrap();
    let output = run_with(server(), folder.path(), &["--json", "--schedule", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let results = json(&output);
    let injected = results["nemesis"]["faults"].as_array().unwrap();
    for (_, fault) in faults {
        let kind = fault.kind().name();
        let effective = injected.iter().any(|fault| fault["kind"] == kind && fault["effective"] == true);
        assert!(effective, "no effect of {kind}: {injected:#?}");
    }
}
