//! Histories that get harder step by step, and how far each algorithm gets within the limits: where a search is exponential, its
//! speed on a history that it can do says little.

use std::path::Path;

use checker::Event;
use checker::generate::{Plan, Workload, generate};
use serde::Serialize;

use super::peers::{Peer, Settings, alone, own};
use super::write_down;
use crate::progress::tell;

/// Histories of compare-and-set registers, of one kind, from easy to hard.
struct Family {
    name: &'static str,
    /// What a step counts.
    unit: &'static str,
    steps: &'static [u64],
    plan: fn(u64) -> Plan,
    fault: Fault,
}

/// What makes it not linearizable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// One read of what nobody wrote: beyond doubt whatever the values.
    Phantom,
    /// One stale read: beyond doubt where each value is written once.
    Stale,
}

const OPERATIONS: [u64; 15] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000,
];
const UNKNOWN: [u64; 16] = [20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 250, 300, 400, 500, 600, 800];
const CLIENTS: [u64; 12] = [5, 10, 15, 20, 25, 30, 40, 50, 100, 200, 500, 1_000];

const FAMILIES: [Family; 6] = [
    Family {
        name: "five values, 5 % unknown, linearizable",
        unit: "operations",
        steps: &OPERATIONS,
        plan: five_values,
        fault: Fault::None,
    },
    Family {
        name: "five values, 5 % unknown, one read of what nobody wrote",
        unit: "operations",
        steps: &OPERATIONS,
        plan: five_values,
        fault: Fault::Phantom,
    },
    Family {
        name: "150 operations, writes that never return, one read of what nobody wrote",
        unit: "‰ unknown",
        steps: &UNKNOWN,
        plan: |unknown| Plan { operations: 150, unknown, ..five_values(0) },
        fault: Fault::Phantom,
    },
    Family {
        name: "1,000 operations, five values, one read of what nobody wrote",
        unit: "clients",
        steps: &CLIENTS,
        plan: |clients| Plan { operations: 1_000, clients: small(clients), unknown: 0, ..five_values(0) },
        fault: Fault::Phantom,
    },
    Family {
        name: "1,000 operations, unique values, one stale read",
        unit: "clients",
        steps: &CLIENTS,
        plan: |clients| Plan {
            operations: 1_000,
            clients: small(clients),
            values: 0,
            unknown: 0,
            ..five_values(0)
        },
        fault: Fault::Stale,
    },
    Family {
        name: "100 clients, unique values, linearizable",
        unit: "operations",
        steps: &OPERATIONS,
        plan: |operations| Plan { clients: 100, values: 0, unknown: 0, ..five_values(operations) },
        fault: Fault::None,
    },
];

fn five_values(operations: u64) -> Plan {
    Plan {
        operations: small(operations),
        clients: 10,
        keys: 1,
        values: 5,
        unknown: 50,
        ..Plan::new(Workload::CasRegister, 0)
    }
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How far one checker got with one family.
#[derive(Debug, Serialize)]
pub(super) struct Far {
    family: &'static str,
    unit: &'static str,
    checker: String,
    /// The last step that was decided for every seed; none if not even the first was.
    furthest: Option<u64>,
    /// Whether that was the last there is.
    all: bool,
    /// The most CPU that any seed of that step took.
    cpu_seconds: f64,
    /// The most memory that any seed of that step took.
    peak_bytes: u64,
    /// What ended it at the next step.
    stopped_by: String,
}

/// Lets every checker climb every family, with as many seeds for each step as there are rounds.
pub(super) fn climb(folder: &Path, settings: &Settings<'_>, seed: u64) -> anyhow::Result<Vec<Far>> {
    let memory = settings.memory >> 20;
    let options = |name| {
        format!("--model cas-register --explain 0s --threads 1 --memory {memory}MiB --algorithm {name}")
    };
    let mut contenders = Vec::new();
    for name in ["auto", "wgl", "linear"] {
        contenders.push((format!("plumbline {name}"), own(name, &options(name), settings.time)?));
    }
    contenders.extend(settings.peers.iter().map(|peer| (peer.name().to_owned(), peer.clone())));
    let mut far = Vec::new();
    for family in &FAMILIES {
        for (name, contender) in &contenders {
            tell(&format!("{}: {name}", family.name));
            far.push(one(family, name, contender, folder, settings, seed)?);
        }
    }
    Ok(far)
}

fn one(
    family: &Family,
    name: &str,
    contender: &Peer,
    folder: &Path,
    settings: &Settings<'_>,
    seed: u64,
) -> anyhow::Result<Far> {
    let mut far = Far {
        family: family.name,
        unit: family.unit,
        checker: name.to_owned(),
        furthest: None,
        all: true,
        cpu_seconds: 0.0,
        peak_bytes: 0,
        stopped_by: String::new(),
    };
    let path = folder.join("history.jsonl");
    for step in family.steps {
        let (mut cpu_seconds, mut peak_bytes) = (0.0_f64, 0);
        for seed in (seed..).take(small(settings.rounds)) {
            let Some(events) = events(family, *step, seed) else { continue };
            write_down(&events, &path)?;
            let used = alone(contender, &path, settings.time, settings.memory)?;
            if !used.decided() {
                far.all = false;
                far.stopped_by = format!("{} at {step}", used.ended);
                return Ok(far);
            }
            // The generator knows the verdict; another one would be a bug, and no measurement.
            let expected = if family.fault == Fault::None { "linearizable (0)" } else { "not (1)" };
            anyhow::ensure!(
                used.ended == expected,
                "{name}: {} at {step} of {}, seed {seed}",
                used.ended,
                family.name
            );
            cpu_seconds = cpu_seconds.max(used.cpu_seconds);
            peak_bytes = peak_bytes.max(used.peak_bytes);
        }
        (far.furthest, far.cpu_seconds, far.peak_bytes) = (Some(*step), cpu_seconds, peak_bytes);
    }
    Ok(far)
}

/// `None` if that history has no read that could be made wrong.
fn events(family: &Family, step: u64, seed: u64) -> Option<Vec<Event>> {
    let generated = generate(&Plan { seed, ..(family.plan)(step) });
    // Anywhere in the history: a fault near its beginning is found without the rest.
    let choice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match family.fault {
        Fault::None => Some(generated.events),
        Fault::Phantom => generated.with_phantom_read(choice),
        Fault::Stale => generated.with_stale_read(choice),
    }
}

/// A table in Markdown.
pub(super) fn text(far: &[Far], settings: &Settings<'_>) -> String {
    let mut text = "| history | checker | decided up to | CPU s there | peak MiB | then |\n|---|---|---:|---:|---:|---|\n".to_owned();
    for Far { family, unit, checker, furthest, all, cpu_seconds, peak_bytes, stopped_by } in far {
        let furthest = furthest.map_or("none".to_owned(), |step| format!("{step} {unit}"));
        let then = if *all { "the last there is" } else { stopped_by };
        text.push_str(&format!(
            "| {family} | {checker} | {furthest} | {cpu_seconds:.2} | {:.0} | {then} |\n",
            *peak_bytes as f64 / f64::from(1 << 20),
        ));
    }
    text.push_str(&format!(
        "\n{} histories for each step, {:.0} s and {} MiB for each; a step counts if all of them are decided.\n",
        settings.rounds,
        settings.time.as_secs_f64(),
        settings.memory >> 20,
    ));
    text
}
