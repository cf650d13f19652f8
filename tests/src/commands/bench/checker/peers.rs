//! Other checkers on the same files: each file, each round, each checker in turn, and every one of them as a process, reading
//! the file included. Who begins changes from round to round.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::commands::bench::measure::Used;
use crate::commands::subprocess::quoted;

/// Another checker: `NAME=COMMAND`, with `{}` where the file's name goes.
#[derive(Clone, Debug)]
pub(in crate::commands::bench) struct Peer {
    name: String,
    command: String,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && command.contains("{}") => {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => Err("expected NAME=COMMAND with {} where the file's name goes".to_owned()),
        }
    }
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    rounds: u64,
    time_limit_seconds: f64,
    /// What a command that does nothing is said to have used: no figure can be smaller.
    floor: Used,
    files: Vec<OfFile>,
}

/// One file.
#[derive(Debug, Serialize)]
struct OfFile {
    file: String,
    bytes: u64,
    checkers: Vec<OfChecker>,
}

/// One checker on one file.
#[derive(Debug, Serialize)]
struct OfChecker {
    name: String,
    /// How it ended, each time the same.
    ended: String,
    /// The median of the rounds.
    cpu_seconds: f64,
    /// The median of the rounds.
    wall_seconds: f64,
    /// The largest of the rounds.
    peak_bytes: u64,
    rounds: Vec<Used>,
}

/// Measures all checkers on all files.
pub(super) fn compare(
    files: &[PathBuf],
    check_options: &str,
    peers: &[Peer],
    rounds: u64,
    limit: Duration,
) -> anyhow::Result<Compared> {
    let ours = std::env::current_exe()?;
    // Ours is given more time than it gives itself, so that it can say that it does not know.
    let seconds = limit.as_secs_f64();
    let command =
        format!("{} check {{}} --time-limit {}ms {check_options}", quoted(&ours), limit.as_millis());
    let mut contenders = vec![Peer { name: "plumbline".to_owned(), command }];
    contenders.extend_from_slice(peers);
    let floor = measure(&ours, "true", limit)?;
    let mut measured = Vec::new();
    for file in files {
        let bytes =
            std::fs::metadata(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?.len();
        let mut used: Vec<Vec<Used>> = vec![Vec::new(); contenders.len()];
        for round in 0..rounds {
            for turn in 0..contenders.len() {
                let which = (turn + usize::try_from(round)?) % contenders.len();
                let (Some(contender), Some(used)) = (contenders.get(which), used.get_mut(which)) else {
                    continue;
                };
                let line = contender.command.replace("{}", &quoted(file));
                used.push(measure(&ours, &line, limit + Duration::from_secs(10))?);
            }
        }
        let checkers = contenders.iter().zip(used).map(|(contender, rounds)| summary(contender, rounds));
        let checkers = checkers.collect::<anyhow::Result<_>>()?;
        measured.push(OfFile { file: file.display().to_string(), bytes, checkers });
    }
    Ok(Compared { rounds, time_limit_seconds: seconds, floor, files: measured })
}

fn measure(ours: &Path, line: &str, limit: Duration) -> anyhow::Result<Used> {
    let output = Command::new(ours)
        .args(["bench", "measure", "--limit", &limit.as_millis().to_string(), "--", "sh", "-c", line])
        .output()?;
    anyhow::ensure!(output.status.success(), "cannot measure: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn summary(contender: &Peer, rounds: Vec<Used>) -> anyhow::Result<OfChecker> {
    let ended = |used: &Used| match used.code {
        _ if used.timed_out => "out of time".to_owned(),
        Some(0) => "linearizable (0)".to_owned(),
        Some(1) => "not (1)".to_owned(),
        Some(3) => "unknown (3)".to_owned(),
        Some(code) => format!("exit code {code}"),
        None => "ended by a signal".to_owned(),
    };
    let name = &contender.name;
    let first = rounds.first().map(ended).unwrap_or_default();
    for used in &rounds {
        let now = ended(used);
        // A checker that could not be run has no time.
        let ran = used.timed_out || matches!(used.code, Some(0 | 1 | 3));
        anyhow::ensure!(
            ran,
            "{name}: {now}, and no verdict (0, 1 or 3): `{}`\n{}",
            contender.command,
            used.said
        );
        anyhow::ensure!(now == first, "{name}: {first} first, then {now}");
    }
    let median = |of: fn(&Used) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Ok(OfChecker {
        name: name.clone(),
        ended: first,
        cpu_seconds: median(|used| used.cpu_seconds),
        wall_seconds: median(|used| used.wall_seconds),
        peak_bytes: rounds.iter().map(|used| used.peak_bytes).max().unwrap_or(0),
        rounds,
    })
}

impl Compared {
    /// Whether two checkers gave different verdicts on a file: one of them is wrong, and its time worth nothing.
    pub(super) fn disagreement(&self) -> Option<String> {
        let verdict = |checker: &&OfChecker| checker.ended.ends_with("(0)") || checker.ended.ends_with("(1)");
        self.files.iter().find_map(|file| {
            let mut verdicts = file.checkers.iter().filter(verdict);
            let first = verdicts.next()?;
            let other = verdicts.find(|other| other.ended != first.ended)?;
            Some(format!(
                "{}: {} by {}, {} by {}",
                file.file, first.ended, first.name, other.ended, other.name
            ))
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from(
            "| file | checker | verdict | CPU s | wall s | peak MiB | CPU, plumbline = 1 |\n|---|---|---|---:|---:|---:|---:|\n",
        );
        for file in &self.files {
            let ours = file.checkers.first().map_or(0.0, |ours| ours.cpu_seconds);
            for checker in &file.checkers {
                let OfChecker { name, ended, cpu_seconds, wall_seconds, peak_bytes, .. } = checker;
                let name_of_file = Path::new(&file.file)
                    .file_name()
                    .map_or(file.file.as_str().into(), |name| name.to_string_lossy());
                let ratio = if ours > 0.0 { format!("{:.1}", cpu_seconds / ours) } else { "-".to_owned() };
                text.push_str(&format!(
                    "| {name_of_file} | {name} | {ended} | {cpu_seconds:.3} | {wall_seconds:.3} | {:.0} | {ratio} |\n",
                    *peak_bytes as f64 / f64::from(1 << 20),
                ));
            }
        }
        text.push_str(&format!(
            "\nMedian of {} rounds, interleaved; reading the file is part of it. A command that does nothing: {:.3} s of CPU, {:.0} MiB.\n",
            self.rounds,
            self.floor.cpu_seconds,
            self.floor.peak_bytes as f64 / f64::from(1 << 20),
        ));
        text
    }
}
