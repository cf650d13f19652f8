//! Short runs of real servers under each family of faults of links and processes: what the clients see stays linearizable, every
//! fault is felt, and a message that was damaged on its way is detected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{json, processes_in, run_with, server, text};
use plumbline::cluster::Damage;
use plumbline::faults::Usability;
use plumbline::faults::at_rest::AtRest;
use plumbline::faults::bandwidth::Bandwidth;
use plumbline::faults::crash_loop::CrashLoop;
use plumbline::faults::descriptors::Descriptors;
use plumbline::faults::frames::Frames;
use plumbline::faults::graceful::Graceful;
use plumbline::faults::packets::Packets;
use plumbline::faults::partition::Partition;
use plumbline::faults::resets::Resets;
use plumbline::faults::rolling::Rolling;
use plumbline::faults::slow_accept::SlowAccept;
use plumbline::faults::slow_process::SlowProcess;
use plumbline::link::FrameFaults;
use plumbline::netns::PacketFault;
use plumbline::schedule::{Fault, Planned, Schedule, Victims, all_links};
use serde_json::Value;

const SEED: u64 = 11;
const FIRST_MS: u64 = 1_000;
const LASTS_MS: u64 = 1_500;
const QUIET_MS: u64 = 500;

/// A run under these faults, one after the other, each of which must have had an effect.
fn run(store: &Path, faults: Vec<Fault>) -> Value {
    let count = faults.len() as u64;
    let planned = (0..).zip(faults).map(|(number, fault)| Planned {
        at_ms: FIRST_MS + number * (LASTS_MS + QUIET_MS),
        duration_ms: Some(LASTS_MS),
        number: number + 1,
        fault,
    });
    let length = Duration::from_millis(FIRST_MS + count * (LASTS_MS + QUIET_MS) + 1_000);
    let schedule = Schedule::of(SEED, 3, length, planned.collect());
    let file = store.join("plan.json");
    std::fs::write(&file, serde_json::to_vec(&schedule).unwrap()).unwrap();
    let output = run_with(server(), store, &["--json", "--schedule", file.to_str().unwrap()]);
    let results = json(&output);
    let findings = &results["findings"];
    assert_eq!(output.status.code(), Some(0), "{}\n{findings:#}", text(&output.stderr));
    assert_eq!(results["valid"], true);
    assert!(processes_in(store).is_empty(), "{:?}", processes_in(store));
    let injected = results["nemesis"]["faults"].as_array().unwrap();
    assert_eq!(injected.len() as u64, count);
    for fault in injected {
        assert_eq!(fault["effective"], true, "no effect: {fault:#}");
        assert_eq!(fault["errors"].as_array().unwrap().len(), 0, "{fault:#}");
    }
    results
}

#[test]
fn under_faults_of_links_a_run_stays_linearizable_and_damaged_messages_are_detected() {
    let store = tempfile::tempdir().unwrap();
    let links = || all_links(3);
    let frames =
        |faults: FrameFaults| Frames { links: links(), faults: FrameFaults { seed: SEED, ..faults } };
    let results = run(
        store.path(),
        vec![
            frames(FrameFaults { lost: 100, ..FrameFaults::default() }).into(),
            frames(FrameFaults { duplicated: 300, ..FrameFaults::default() }).into(),
            frames(FrameFaults { reordered: 300, ..FrameFaults::default() }).into(),
            frames(FrameFaults { corrupted: 50, ..FrameFaults::default() }).into(),
            Bandwidth { links: links(), bytes_per_second: 5_000 }.into(),
            Resets { links: links(), every_ms: 300 }.into(),
            SlowAccept { links: links(), delay_ms: 400 }.into(),
        ],
    );
    let corrupted = results["links"]["corrupted_frames"].as_u64().unwrap();
    let mut detected = 0;
    for id in 1..=3 {
        let log =
            std::fs::read_to_string(store.path().join(format!("latest/nodes/n{id}/server.log"))).unwrap();
        detected += log.matches("refused a damaged frame").count() as u64;
    }
    // What follows on a connection after a damaged message is never read.
    assert!((1..=corrupted).contains(&detected), "{detected} detected of {corrupted} corrupted");
}

#[test]
fn under_faults_of_processes_a_run_stays_linearizable_and_ends_in_order() {
    let store = tempfile::tempdir().unwrap();
    run(
        store.path(),
        vec![
            SlowProcess { victims: Victims::Leader, per_cent: 10 }.into(),
            CrashLoop { victims: Victims::Minority, times: 10 }.into(),
            Graceful(Victims::Leader).into(),
            Rolling(Victims::All).into(),
            Descriptors(Victims::Leader).into(),
            AtRest { victims: Victims::Minority, damage: Damage::Flip, seed: SEED }.into(),
            AtRest { victims: Victims::Minority, damage: Damage::Truncate, seed: SEED }.into(),
        ],
    );
}

#[test]
fn under_faults_of_packets_a_run_stays_linearizable_and_they_do_not_go_with_those_of_proxies() {
    if let Usability::Missing(why) = plumbline::schedule::Kind::Packets.usable() {
        println!("skipped: {why}");
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let packets = |shape, fault| Fault::from(Packets { shape, fault });
    run(
        store.path(),
        vec![
            packets(Partition::Isolate(Victims::Leader), PacketFault::Drop),
            packets(Partition::Outbound(Victims::Leader), PacketFault::Drop),
            packets(Partition::OneWay(all_links(3)), PacketFault::Lose { per_mille: 200 }),
            packets(Partition::OneWay(all_links(3)), PacketFault::Reset),
        ],
    );
    let output = run_with(server(), store.path(), &["--nemesis", "packets,latency", "--time-limit", "60s"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("do not go together"), "{}", text(&output.stderr));
}
