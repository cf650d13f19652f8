//! `plumbline model`: every state of a small cluster of the production core.
//!
//! Exit code 0: every law holds in every state, and all states were seen; 1: a law is broken, or something that must be
//! possible is not; 2: usage; 3: not all states were seen.

mod mutants;
mod regress;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use models::{Counterexample, Engine, Kind, Options, Progress, Report, Scenario, Set, Verdict};
use serde_json::{Value, json};

use super::validate::{self, ValidateArgs};
use crate::units::parse_duration;

/// Explore the production core's states, all of them, within bounds.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum ModelCommand {
    /// List the scenarios: their bounds, and how many states each has.
    List {
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Explore scenarios; without names, those of the CI set.
    Check(CheckModel),
    /// Let a saved counterexample happen again to this build's servers. Exit code 1: it still breaks the law.
    Replay {
        /// A file that `check` saved.
        file: PathBuf,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Replay the traces of real servers (`kv-server --trace`), and hold what they did against the laws.
    Validate(ValidateArgs),
    /// Walk through a scenario by hand in a web browser.
    Explore {
        /// Its name.
        scenario: String,
        /// Where to listen; loopback only.
        #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
        address: SocketAddr,
    },
    /// Make a regression test for raft-core of a saved counterexample: Rust source, for raft-core/tests/suite/replayed.
    Regress(regress::RegressArgs),
    /// Catch every seeded bug of the core, and show where and how fast.
    Mutants(mutants::MutantsArgs),
}

#[derive(Args, Clone, Debug)]
struct CheckModel {
    /// Names of scenarios (see `plumbline model list`), or of sets: test, ci, nightly, open.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Give up on a scenario after so long: 90s, 5m, 2h.
    #[arg(long, default_value = "30m", value_name = "DURATION", value_parser = parse_duration)]
    time_limit: Duration,
    /// Give up on a scenario after so many states.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    states: Option<u64>,
    /// Give up when the process takes so many mebibytes.
    #[arg(long, default_value_t = 12 * 1024, value_name = "MIB")]
    memory: u64,
    /// Threads; counterexamples are shortest with one. Default: one for each core, at most 8.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: Option<u64>,
    /// Search with our own breadth-first search instead of stateright's (one thread, always the shortest counterexample).
    #[arg(long)]
    layered: bool,
    /// Tell states apart that differ in the servers' names only.
    #[arg(long)]
    no_symmetry: bool,
    /// The folder that counterexamples are saved in.
    #[arg(long, default_value = "store/model", value_name = "DIR")]
    save: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Unknown names, unreadable files, an address that cannot be had: what exit code 2 is for.
pub fn run(args: &ModelArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ModelCommand::List { json } => list(*json),
        ModelCommand::Check(check) => check_all(check),
        ModelCommand::Replay { file, json } => replay(file, *json),
        ModelCommand::Validate(args) => validate::run(args),
        ModelCommand::Explore { scenario, address } => {
            let scenario = find(scenario)?;
            models::browse(scenario.bounds, raft_core::MutantSwitch::default(), *address, |address| {
                eprintln!("{}: {} — http://{address}/ (end with Ctrl-C)", scenario.name, scenario.about);
            })?;
            Ok(ExitCode::SUCCESS)
        }
        ModelCommand::Regress(args) => regress::run(args),
        ModelCommand::Mutants(args) => mutants::run(args),
    }
}

fn find(name: &str) -> anyhow::Result<&'static Scenario> {
    models::scenario(name)
        .with_context(|| format!("no scenario is called {name:?}; `plumbline model list` names them"))
}

/// Standard output, by way of a result: it may be a closed pipe.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}

fn list(as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        let row = |s: &Scenario| json!({ "name": s.name, "about": s.about, "set": s.set.name(), "states": s.states, "bounds": s.bounds });
        let rows: Vec<Value> = models::scenarios().iter().map(row).collect();
        say(&json!({ "scenarios": rows }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for scenario in models::scenarios() {
        let Scenario { name, about, bounds, set, .. } = scenario;
        let states = scenario.states.map_or("not counted".to_owned(), |states| states.to_string());
        say(&format!("{name:16} {:8} {states:>11} states  {about}", set.name()))?;
        say(&format!("{:39}{}", "", bounds.summary()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Scenario>> {
    let all = models::scenarios().iter();
    if names.is_empty() {
        return Ok(all.filter(|scenario| scenario.set <= Set::Ci).collect());
    }
    let mut chosen: Vec<&'static Scenario> = Vec::new();
    for name in names {
        let of_set: Vec<_> = all.clone().filter(|scenario| scenario.set.name() == name).collect();
        let found = if of_set.is_empty() { vec![find(name)?] } else { of_set };
        let is_new = |scenario: &&'static Scenario| !chosen.iter().any(|other| other.name == scenario.name);
        chosen.extend(found.into_iter().filter(is_new).collect::<Vec<_>>());
    }
    Ok(chosen)
}

fn check_all(args: &CheckModel) -> anyhow::Result<ExitCode> {
    let scenarios = chosen(&args.scenarios)?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    let options = Options {
        engine: if args.layered { Engine::Layered } else { Engine::Stateright },
        threads: args.threads.map_or(cores, |threads| usize::try_from(threads).unwrap_or(1)),
        symmetric: !args.no_symmetry,
        time_limit: Some(args.time_limit),
        max_states: args.states,
        max_memory: Some(args.memory.saturating_mul(1 << 20)),
        ..Options::default()
    };
    let mut reports = Vec::new();
    for scenario in scenarios {
        let report = models::check(scenario, &options, live_line(scenario.name))?;
        clear_line();
        if !args.json {
            say(describe(&report).trim_end())?;
        }
        if let Some(story) = &report.counterexample {
            let file = save(&args.save, story)?;
            if !args.json {
                say(&format!("{story}\nreplay it: plumbline model replay {}", file.display()))?;
            }
        }
        reports.push(report);
    }
    let verdict = reports.iter().map(verdict_of).max().unwrap_or(Verdict::Unknown);
    if args.json {
        let sum: u64 = reports.iter().map(|report| report.unique_states).sum();
        say(&json!({ "valid": valid(verdict), "unique_states": sum, "scenarios": reports }).to_string())?;
    } else {
        let sum: u64 = reports.iter().map(|report| report.unique_states).sum();
        let seconds: f64 = reports.iter().map(|report| report.seconds).sum();
        let word = match verdict {
            Verdict::Holds => "every law holds in every state",
            Verdict::Violated => "VIOLATED",
            Verdict::Unknown => "UNKNOWN: not every state was seen",
        };
        say(&format!("{word}: {} scenarios, {sum} states, {seconds:.1} s", reports.len()))?;
    }
    Ok(code(verdict))
}

/// A verdict of what was seen is none while not everything was.
fn verdict_of(report: &Report) -> Verdict {
    match report.verdict {
        Verdict::Holds if !report.exhausted => Verdict::Unknown,
        verdict => verdict,
    }
}

fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Holds => 0,
        Verdict::Violated => 1,
        Verdict::Unknown => 3,
    })
}

fn valid(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Holds => json!(true),
        Verdict::Violated => json!(false),
        Verdict::Unknown => json!("unknown"),
    }
}

fn describe(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.scenario, report.bounds.summary());
    let word = |verdict| match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "VIOLATED",
        Verdict::Unknown => "not seen in all",
    };
    for finding in &report.findings {
        let verdict = match (finding.kind, finding.verdict) {
            (Kind::Always, verdict) => word(verdict),
            (Kind::Sometimes, Verdict::Holds) => "reached",
            (Kind::Sometimes, Verdict::Violated) => "NEVER REACHED",
            (Kind::Sometimes, Verdict::Unknown) => "not reached so far",
        };
        let _ = writeln!(text, "  {:36} {verdict}", finding.name);
    }
    let memory = report.peak_memory.map_or(0, |bytes| bytes >> 20);
    let _ = writeln!(
        text,
        "  {} states ({} steps, {} server states), depth {}, {:.1} s, {:.0} states/s, peak memory {memory} MiB",
        report.unique_states,
        report.generated_states,
        report.server_states,
        report.depth,
        report.seconds,
        report.states_per_second,
    );
    if let Some(settling) = report.settling {
        let _ = writeln!(
            text,
            "  from {} of them a fair schedule commits and applies a command within {} election timeouts",
            settling.states, settling.longest
        );
    }
    if let Some(histories) = report.histories {
        let _ = writeln!(text, "  {histories} different histories of clients were judged");
    }
    if let Some(published) =
        report.published_states.filter(|n| report.exhausted && *n != report.unique_states)
    {
        let _ = writeln!(
            text,
            "  the published number of states is {published}: the core behaves differently now"
        );
    }
    if let Some(reason) = &report.stopped_by {
        let _ = writeln!(text, "  NOT EXHAUSTED: stopped by {reason}");
    }
    text
}

fn save(folder: &Path, story: &Counterexample) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("{}.json", story.scenario));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(&file, story.to_json()?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn read(file: &Path) -> anyhow::Result<Counterexample> {
    const LIMIT: u64 = 64 << 20;
    let describe = || format!("cannot read {}", file.display());
    if std::fs::metadata(file).with_context(describe)?.len() > LIMIT {
        bail!("{} is larger than any counterexample", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(describe)?;
    Counterexample::from_json(&text).with_context(|| file.display().to_string())
}

fn replay(file: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let story = read(file)?;
    let replayed = story.replay().with_context(|| file.display().to_string())?;
    let broken = replayed.is_broken;
    if as_json {
        say(&json!({ "valid": !broken, "law": story.law, "steps": replayed.story.steps }).to_string())?;
    } else {
        say(&replayed.story.to_string())?;
        let word = if broken { "is broken" } else { "holds: the servers behave differently now" };
        say(&format!("{} {word}", story.law))?;
    }
    Ok(ExitCode::from(u8::from(broken)))
}

/// A line on a terminal's standard error that says how far a search is; elsewhere one every half minute.
fn live_line(name: &str) -> impl FnMut(Progress) + Send + use<> {
    let name = name.to_owned();
    let is_terminal = std::io::stderr().is_terminal();
    let mut next = Instant::now() + Duration::from_millis(if is_terminal { 200 } else { 30_000 });
    move |progress| {
        if Instant::now() < next {
            return;
        }
        next = Instant::now() + Duration::from_millis(if is_terminal { 200 } else { 30_000 });
        let Progress { unique, depth, elapsed, .. } = progress;
        let rate = unique as f64 / elapsed.as_secs_f64().max(1e-3);
        let line = format!(
            "{name}: {unique} states, depth {depth}, {:.0} s, {rate:.0} states/s",
            elapsed.as_secs_f64()
        );
        // Nobody is hurt if standard error is gone.
        let mut err = std::io::stderr().lock();
        let _ = if is_terminal { write!(err, "\r\x1b[K{line}") } else { writeln!(err, "{line}") };
        let _ = err.flush();
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
