//! Other checkers on the same files: each file, each round, each checker in turn, and every one of them as a process, reading
//! the file included. Who begins changes from round to round. What a checker needs to start is measured on its own.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::commands::bench::measure::{Used, measure};
use crate::commands::subprocess::quoted;

/// Another checker: `NAME=COMMAND`, with `{}` where the file's name goes.
#[derive(Clone, Debug)]
pub(in crate::commands::bench) struct Peer {
    name: String,
    command: String,
    /// How much longer than the limit it may take: ours can then say that it does not know.
    patience: Duration,
}

impl Peer {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && command.contains("{}") => {
                let (name, command) = (name.to_owned(), command.to_owned());
                Ok(Self { name, command, patience: Duration::ZERO })
            }
            _ => Err("expected NAME=COMMAND with {} where the file's name goes".to_owned()),
        }
    }
}

/// How to measure.
pub(super) struct Settings<'a> {
    /// How `plumbline check` is called.
    pub(super) check_options: &'a str,
    pub(super) peers: &'a [Peer],
    pub(super) rounds: u64,
    /// For each run.
    pub(super) time: Duration,
    /// For each run, in bytes.
    pub(super) memory: u64,
    /// A history that is next to nothing.
    pub(super) base: Option<&'a Path>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    rounds: u64,
    time_limit_seconds: f64,
    memory_limit_bytes: u64,
    /// What a command that does nothing is said to have used: no figure can be smaller.
    floor: Used,
    /// What each needs for a history that is next to nothing: its start-up.
    base: Option<OfFile>,
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
pub(super) struct OfChecker {
    name: String,
    /// How it ended, each time the same.
    pub(super) ended: String,
    /// The median of the rounds.
    pub(super) cpu_seconds: f64,
    /// The median of the rounds.
    wall_seconds: f64,
    /// The largest of the rounds.
    pub(super) peak_bytes: u64,
    rounds: Vec<Used>,
}

/// Measures all checkers on all files.
pub(super) fn compare(files: &[PathBuf], settings: &Settings<'_>) -> anyhow::Result<Compared> {
    let ours = std::env::current_exe()?;
    let mut contenders = vec![own("plumbline", settings.check_options, settings.time)?];
    contenders.extend_from_slice(settings.peers);
    let floor = measure(&ours, "true", settings.time, Some(settings.memory))?;
    let base = settings.base.map(|base| one(base, &contenders, settings)).transpose()?;
    let files = files.iter().map(|file| one(file, &contenders, settings)).collect::<anyhow::Result<_>>()?;
    Ok(Compared {
        rounds: settings.rounds,
        time_limit_seconds: settings.time.as_secs_f64(),
        memory_limit_bytes: settings.memory,
        floor,
        base,
        files,
    })
}

/// Our own `check`, as a contender.
pub(super) fn own(name: &str, check_options: &str, limit: Duration) -> anyhow::Result<Peer> {
    let ours = quoted(&std::env::current_exe()?);
    let command = format!("{ours} check {{}} --time-limit {}ms {check_options}", limit.as_millis());
    Ok(Peer { name: name.to_owned(), command, patience: Duration::from_secs(10) })
}

fn one(file: &Path, contenders: &[Peer], settings: &Settings<'_>) -> anyhow::Result<OfFile> {
    let ours = std::env::current_exe()?;
    let bytes =
        std::fs::metadata(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?.len();
    let mut used: Vec<Vec<Used>> = vec![Vec::new(); contenders.len()];
    for round in 0..settings.rounds {
        for turn in 0..contenders.len() {
            let which = (turn + usize::try_from(round)?) % contenders.len();
            let (Some(contender), Some(used)) = (contenders.get(which), used.get_mut(which)) else {
                continue;
            };
            used.push(run(&ours, contender, file, settings.time, settings.memory)?);
        }
    }
    let checkers = contenders.iter().zip(used).map(|(contender, rounds)| summary(contender, rounds));
    let checkers = checkers.collect::<anyhow::Result<_>>()?;
    Ok(OfFile { file: file.display().to_string(), bytes, checkers })
}

/// One checker, once.
fn run(ours: &Path, contender: &Peer, file: &Path, time: Duration, memory: u64) -> anyhow::Result<Used> {
    let line = contender.command.replace("{}", &quoted(file));
    measure(ours, &line, time + contender.patience, Some(memory))
}

/// One checker on one file, alone.
pub(super) fn alone(contender: &Peer, file: &Path, time: Duration, memory: u64) -> anyhow::Result<OfChecker> {
    let used = run(&std::env::current_exe()?, contender, file, time, memory)?;
    summary(contender, vec![used])
}

fn summary(contender: &Peer, rounds: Vec<Used>) -> anyhow::Result<OfChecker> {
    let ended = |used: &Used| match used.code {
        _ if used.timed_out => "out of time".to_owned(),
        _ if used.too_large => "out of memory".to_owned(),
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
        let ran = used.timed_out || used.too_large || matches!(used.code, Some(0 | 1 | 3));
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

impl OfChecker {
    /// Whether there is a verdict, and no unknown.
    pub(super) fn decided(&self) -> bool {
        self.ended.ends_with("(0)") || self.ended.ends_with("(1)")
    }
}

impl Compared {
    /// Whether two checkers gave different verdicts on a file: one of them is wrong, and its time worth nothing.
    pub(super) fn disagreement(&self) -> Option<String> {
        self.files.iter().find_map(|file| {
            let mut verdicts = file.checkers.iter().filter(|checker| checker.decided());
            let first = verdicts.next()?;
            let other = verdicts.find(|other| other.ended != first.ended)?;
            Some(format!(
                "{}: {} by {}, {} by {}",
                file.file, first.ended, first.name, other.ended, other.name
            ))
        })
    }

    /// A table in Markdown: a line for each file, and a block of columns for each checker.
    pub(super) fn text(&self) -> String {
        let names = self.files.first().map_or(&[][..], |file| &file.checkers);
        let (mut text, mut rule) = ("| file | verdict |".to_owned(), "|---|---|".to_owned());
        for (at, checker) in names.iter().enumerate() {
            text.push_str(&format!(" {}: CPU ms | peak MiB |", checker.name));
            rule.push_str("---:|---:|");
            if at > 0 {
                text.push_str(" CPU × | memory × |");
                rule.push_str("---:|---:|");
            }
        }
        text = format!("{text}\n{rule}\n");
        for file in self.base.iter().chain(&self.files) {
            text.push_str(&self.line(file));
        }
        let (floor, mib) = (&self.floor, |bytes: u64| bytes as f64 / f64::from(1 << 20));
        text.push_str(&format!(
            "\nMedian of {} rounds, interleaved; reading the file is part of it. × is how many times what plumbline needs{}.\n\
             A command that does nothing: {:.1} ms of CPU, {:.0} MiB. Limits: {:.0} s, {:.0} MiB.\n",
            self.rounds,
            if self.base.is_some() { ", without the CPU of its start-up (the first line)" } else { "" },
            floor.cpu_seconds * 1e3,
            mib(floor.peak_bytes),
            self.time_limit_seconds,
            mib(self.memory_limit_bytes),
        ));
        text
    }

    fn line(&self, file: &OfFile) -> String {
        let name = Path::new(&file.file)
            .file_name()
            .map_or(file.file.as_str().into(), |name| name.to_string_lossy());
        let verdict = file.checkers.iter().find(|checker| checker.decided()).or(file.checkers.first());
        let mut text = format!("| {name} | {} |", verdict.map_or("", |checker| &checker.ended));
        let base = |at: usize| {
            let base = self.base.as_ref().filter(|base| base.file != file.file);
            base.and_then(|base| base.checkers.get(at)).map_or(0.0, |base| base.cpu_seconds)
        };
        // What is less than this cannot be told from nothing.
        let net = |at: usize, checker: &OfChecker| (checker.cpu_seconds - base(at)).max(1e-4);
        for (at, checker) in file.checkers.iter().enumerate() {
            let peak = checker.peak_bytes as f64 / f64::from(1 << 20);
            let gave_up = if checker.decided() { "" } else { &*checker.ended };
            let comma = if gave_up.is_empty() { "" } else { ", " };
            text.push_str(&format!(" {:.1}{comma}{gave_up} | {peak:.0} |", checker.cpu_seconds * 1e3));
            if let (Some(ours), true) = (file.checkers.first(), at > 0) {
                let least = if checker.decided() { "" } else { "> " };
                let memory = checker.peak_bytes as f64 / ours.peak_bytes.max(1) as f64;
                text.push_str(&format!(
                    " {least}{:.1} | {least}{memory:.1} |",
                    net(at, checker) / net(0, ours)
                ));
            }
        }
        text.push('\n');
        text
    }
}
