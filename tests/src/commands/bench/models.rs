//! `plumbline bench models`: how many different states a second of CPU finds, and what each takes of memory, alone or next to
//! other model checkers in the same run. Every one is a process, and they take turns.

use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;

use crate::commands::bench::measure::{Used, measure};
use crate::commands::subprocess::quoted;
use crate::commands::{print_json, print_text};
use crate::units::parse_duration_within;

const EXAMPLES: &str = "\
Examples:
  plumbline bench models --scenario t3-l3-k1
  plumbline bench models --peer 'stateright raft, depth 8=target/release/examples/raft check 3 8'";

/// The arguments of `plumbline bench models`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ModelsArgs {
    /// What of ours is explored; see `plumbline model list`
    #[arg(long, default_value = "t3-l3-k1")]
    scenario: String,
    /// How `plumbline model check` is called
    #[arg(long, default_value = "--threads 1", allow_hyphen_values = true, value_name = "OPTIONS")]
    check_options: String,
    /// How often each is run [1..=100]
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..=100))]
    rounds: u64,
    /// How long each may take [1s..=24h]
    #[arg(long, default_value = "10m", value_parser = time_limit, value_name = "DURATION")]
    time_limit: Duration,
    /// Another model checker: its command, which ends by itself and says how many different states it found, in its last
    /// `unique=N`, as stateright's reporter does. May be given again
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Peer::from_str)]
    peers: Vec<Peer>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

fn time_limit(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

/// A program that explores.
#[derive(Clone, Debug)]
struct Peer {
    name: String,
    command: String,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && !command.trim().is_empty() => {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => Err("expected NAME=COMMAND".to_owned()),
        }
    }
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Compared {
    scenario: String,
    rounds: u64,
    /// What a command that does nothing is said to have used.
    floor: Used,
    explorers: Vec<OfExplorer>,
}

/// One program.
#[derive(Debug, Serialize)]
struct OfExplorer {
    name: String,
    unique_states: u64,
    /// The median of the rounds.
    cpu_seconds: f64,
    states_per_cpu_second: f64,
    /// The largest of the rounds.
    peak_bytes: u64,
    /// What is above the floor, by the states.
    bytes_per_state: f64,
    rounds: Vec<Used>,
}

/// Measures.
pub(super) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    let ours = std::env::current_exe()?;
    let command = format!(
        "{} model check {} --json {}",
        quoted(&ours),
        quoted(Path::new(&args.scenario)),
        args.check_options
    );
    let mut explorers = vec![Peer { name: format!("plumbline {}", args.scenario), command }];
    explorers.extend_from_slice(&args.peers);
    let floor = measure(&ours, "true", args.time_limit, None)?;
    let mut used: Vec<Vec<Used>> = vec![Vec::new(); explorers.len()];
    for round in 0..args.rounds {
        for turn in 0..explorers.len() {
            let which = (turn + usize::try_from(round)?) % explorers.len();
            let (Some(explorer), Some(used)) = (explorers.get(which), used.get_mut(which)) else { continue };
            used.push(measure(&ours, &explorer.command, args.time_limit, None)?);
        }
    }
    let explorers = explorers.iter().zip(used).map(|(explorer, rounds)| summary(explorer, rounds, &floor));
    let explorers = explorers.collect::<anyhow::Result<_>>()?;
    let compared = Compared { scenario: args.scenario.clone(), rounds: args.rounds, floor, explorers };
    if args.json {
        print_json(&compared)?;
    } else {
        print_text(&compared.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(explorer: &Peer, rounds: Vec<Used>, floor: &Used) -> anyhow::Result<OfExplorer> {
    let Peer { name, command } = explorer;
    let mut counts = Vec::new();
    for used in &rounds {
        // Who was cut short, or found something broken, has not explored what it should have.
        let ended = match used.code {
            _ if used.timed_out => "ran out of time".to_owned(),
            Some(0) => String::new(),
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        anyhow::ensure!(ended.is_empty(), "{name} {ended}: `{command}`\n{}", used.said);
        let count = unique_states(&used.printed);
        counts.push(count.ok_or_else(|| {
            anyhow::anyhow!("{name} does not say how many states it found: `{command}`\n{}", used.printed)
        })?);
    }
    let unique_states = counts.iter().copied().max().unwrap_or(0);
    let mut seconds: Vec<f64> = rounds.iter().map(|used| used.cpu_seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let cpu_seconds = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let peak_bytes = rounds.iter().map(|used| used.peak_bytes).max().unwrap_or(0);
    let states = unique_states.max(1) as f64;
    Ok(OfExplorer {
        name: name.clone(),
        unique_states,
        cpu_seconds,
        states_per_cpu_second: states / cpu_seconds.max(1e-6),
        peak_bytes,
        bytes_per_state: peak_bytes.saturating_sub(floor.peak_bytes) as f64 / states,
        rounds,
    })
}

/// How many different states a program says it found: `"unique_states":N` of ours, or the last `unique=N`.
fn unique_states(printed: &str) -> Option<u64> {
    if let Ok(report) = serde_json::from_str::<serde_json::Value>(printed.trim()) {
        return report.get("unique_states")?.as_u64();
    }
    let (_, rest) = printed.rsplit_once("unique=")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl Compared {
    fn text(&self) -> String {
        let mut text = String::from(
            "| model checker | unique states | CPU s | unique states per CPU s | peak MiB | bytes per unique state |\n|---|---:|---:|---:|---:|---:|\n",
        );
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for of in &self.explorers {
            text.push_str(&format!(
                "| {} | {} | {:.2} | {:.0} | {:.0} | {:.0} |\n",
                of.name,
                of.unique_states,
                of.cpu_seconds,
                of.states_per_cpu_second,
                mebibytes(of.peak_bytes),
                of.bytes_per_state,
            ));
        }
        text.push_str(&format!(
            "\nMedian of {} rounds, in turns. Bytes are what the process had at most above one that does nothing ({:.0} MiB).\n",
            self.rounds,
            mebibytes(self.floor.peak_bytes),
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_states_is_the_last_one_said() {
        let said = "Checking. states=9, unique=7, depth=2\nDone. states=21, unique=12, depth=3, sec=1\nDiscovered ...";
        assert_eq!(unique_states(said), Some(12));
        assert_eq!(unique_states("{\"valid\":true,\"unique_states\":853,\"scenarios\":[]}\n"), Some(853));
        for nothing in ["", "unique=", "unique=x", "{\"valid\":true}", "states=9"] {
            assert_eq!(unique_states(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn who_was_cut_short_has_no_figure() {
        let used = |code, timed_out, printed: &str| Used {
            code,
            timed_out,
            too_large: false,
            cpu_seconds: 2.0,
            wall_seconds: 2.0,
            peak_bytes: 3 << 20,
            said: String::new(),
            printed: printed.to_owned(),
        };
        let peer = Peer { name: "other".to_owned(), command: "other".to_owned() };
        let floor = used(Some(0), false, "");
        for (code, timed_out, printed) in [
            (Some(0), true, "unique=5"),
            (Some(3), false, "unique=5"),
            (None, false, "unique=5"),
            (Some(0), false, "nothing"),
        ] {
            assert!(summary(&peer, vec![used(code, timed_out, printed)], &floor).is_err());
        }
        let good = summary(&peer, vec![used(Some(0), false, "unique=1000")], &floor)
            .map(|of| (of.unique_states, of.states_per_cpu_second, of.bytes_per_state));
        assert_eq!(good.ok(), Some((1000, 500.0, 0.0)));
    }
}
