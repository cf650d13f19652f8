//! `plumbline shrink`: makes the schedule of a failed run small.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::replay::{parse, schedule_of};
use super::run::{Watchdog, stop_on_signals};
use super::{print_json, print_text};
use crate::progress::tell;
use crate::report::{RunResults, Validity, Weight};
use crate::runner::{RunOptions, run as run_once};
use crate::schedule::{Draft, Schedule};
use crate::shrink::{Effort, Rate, Shrinker, Tried, describe, settle};
use crate::store::{RESULTS, SCHEDULE};

const EXAMPLES: &str = "\
Examples:
  plumbline shrink store/latest
  plumbline shrink store/latest --attempts 10 --threshold 0.5

Writes into the folder of the run, as shrink/: schedule.json, the small schedule; repro.sh, which runs it; shrink.json, what
was tried; and a run that failed. Ctrl-C ends the search with what it has reached.
Exit codes: 1 violated again, and shrunk; 2 usage or environment error; 3 it did not fail again.";

/// The arguments of `plumbline shrink`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ShrinkArgs {
    /// The folder of a run that failed
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// How often each candidate is run at most [1..=100]
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// The share of these that must fail [0..=1]; half of what the whole schedule shows, if not given
    #[arg(long, value_parser = share, value_name = "SHARE")]
    threshold: Option<f64>,
    /// The most runs in all [1..=100000]
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most_runs: u32,
    /// The kind of violation to go after, as results.json names it; the run's first one, if not given
    #[arg(long, value_name = "KIND")]
    finding: Option<String>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
    /// Options of `plumbline run` that take the place of the stored ones
    #[arg(last = true, value_name = "OPTIONS")]
    overrides: Vec<String>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is no share: expected a number between 0 and 1"))
}

/// The part of a run's results that is needed here.
#[derive(Deserialize)]
struct Results {
    findings: Vec<StoredFinding>,
}

#[derive(Deserialize)]
struct StoredFinding {
    weight: String,
    #[serde(default)]
    kind: String,
    what: String,
}

/// What is stored and printed.
#[derive(Serialize)]
struct Answer<'a> {
    valid: Validity,
    /// The violation that was gone after.
    finding: &'a str,
    /// How often the whole schedule failed again.
    before: Rate,
    /// How often the small one did.
    after: Rate,
    faults_before: usize,
    faults_after: usize,
    size_before: String,
    size_after: String,
    runs: u32,
    /// Whether there was nothing left to try.
    complete: bool,
    schedule: &'a Path,
    repro: &'a Path,
    tried: &'a [Tried],
}

/// Shrinks.
///
/// # Errors
/// When there is nothing to shrink, or a run could not take place.
pub fn run(args: &ShrinkArgs) -> anyhow::Result<ExitCode> {
    if !args.store.is_dir() {
        bail!("{} is no folder of a run: name one such as store/latest", args.store.display());
    }
    let store = args.store.canonicalize()?;
    let kind = kind_of(args, &store)?;
    let whole = Draft::open(&schedule_of(&store)?)?;
    let run_args = parse(&whole.options, &args.overrides)?;
    let folder = store.join("shrink");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| {
            format!("cannot take away what an earlier attempt left: {}", folder.display())
        })?;
    }
    std::fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let server = run_args.program()?;
    let seed = run_args.seed(Some(&whole));
    let start = run_args.options(seed, server.clone(), Some(&whole))?.schedule();
    let mut bench = Bench::new(server, folder.clone(), kind.clone())?;
    tell(&format!("looking for: {kind}; {}", describe(&start)));
    let before = bench.rate(&start, args.attempts)?;
    tell(&format!("the whole schedule fails in {before} runs"));
    if before.failed == 0 {
        print_text(&format!("UNKNOWN  it did not fail again in {} runs: {kind}\n", before.runs))?;
        return Ok(ExitCode::from(Validity::Unknown.exit_code()));
    }
    let effort = effort(args, before);
    let faults_before = start.faults().len();
    let size_before = describe(&start);
    let found = {
        let mut number = 0;
        let mut tell_of = |tried: &Tried| {
            number += 1;
            let kept = if tried.kept { "kept: " } else { "no:   " };
            tell(&format!("{number:>4}  {:<16} fails in {}; {kept}{}", tried.change, tried.rate, tried.size));
        };
        let mut trial = |schedule: &Schedule| bench.fails(schedule);
        Shrinker::new(start, effort, &mut trial, &mut tell_of).run()?
    };
    bench.go_on();
    tell("measuring the smallest once more");
    let again = |schedule: &Schedule| {
        let rate = bench.rate(schedule, args.attempts)?;
        tell(&format!("      fails in {rate}: {}", describe(schedule)));
        Ok(rate)
    };
    let settled = settle(found.kept, before, effort.needed, again)?;
    let (small, after) = settled.context("no schedule was kept")?;
    let (schedule, repro) = (folder.join(SCHEDULE), folder.join("repro.sh"));
    write(&schedule, &format!("{}\n", serde_json::to_string_pretty(&small)?))?;
    write(&repro, &script(&small, &kind, after))?;
    std::fs::set_permissions(&repro, std::fs::Permissions::from_mode(0o755))?;
    let answer = Answer {
        valid: if after.failed > 0 { Validity::False } else { Validity::Unknown },
        finding: &kind,
        before,
        after,
        faults_before,
        faults_after: small.faults().len(),
        size_before,
        size_after: describe(&small),
        runs: found.runs,
        complete: found.complete,
        schedule: &schedule,
        repro: &repro,
        tried: &found.tried,
    };
    write(&folder.join("shrink.json"), &format!("{}\n", serde_json::to_string_pretty(&answer)?))?;
    if args.json {
        print_json(&answer)?
    } else {
        print_text(&text(&answer, &small))?
    }
    Ok(ExitCode::from(answer.valid.exit_code()))
}

/// The kind of violation to go after.
fn kind_of(args: &ShrinkArgs, store: &Path) -> anyhow::Result<String> {
    let path = store.join(RESULTS);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}: the run did not end in order, run it again", path.display())
    })?;
    let results: Results =
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
    let violations: Vec<&StoredFinding> =
        results.findings.iter().filter(|finding| finding.weight == "violation").collect();
    let Some(first) = violations.first() else {
        bail!("the run in {} was not violated: there is nothing to shrink", store.display());
    };
    let Some(wanted) = &args.finding else { return Ok(first.kind.clone()) };
    if violations.iter().any(|finding| finding.kind == *wanted) {
        return Ok(wanted.clone());
    }
    let known: Vec<String> =
        violations.iter().map(|finding| format!("{:?} ({})", finding.kind, finding.what)).collect();
    bail!("the run has no violation of the kind {wanted:?}; it has {}", known.join(", "))
}

/// How often a candidate must fail: the share that was asked for, or half of what the whole schedule shows.
fn effort(args: &ShrinkArgs, before: Rate) -> Effort {
    let shown = f64::from(before.failed) / f64::from(before.runs.max(1));
    // One lucky failure would keep anything.
    let threshold = args.threshold.unwrap_or((shown / 2.0).max(0.5));
    // A share between 0 and 1 of at most 100.
    let needed = (1..=args.attempts).find(|count| f64::from(*count) >= threshold * f64::from(args.attempts));
    Effort { attempts: args.attempts, needed: needed.unwrap_or(args.attempts), most_runs: args.most_runs }
}

/// Runs candidates.
struct Bench {
    server: PathBuf,
    folder: PathBuf,
    kind: String,
    runtime: tokio::runtime::Runtime,
    stop: CancellationToken,
}

impl Bench {
    fn new(server: PathBuf, folder: PathBuf, kind: String) -> anyhow::Result<Bench> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        Ok(Bench { server, folder, kind, runtime, stop })
    }

    /// Whether a run of this schedule fails in the way that is looked for; `None` when it was interrupted.
    fn fails(&mut self, schedule: &Schedule) -> anyhow::Result<Option<bool>> {
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let mut options = options_of(schedule, &self.server)?;
        options.store.clone_from(&self.folder);
        "runs".clone_into(&mut options.test);
        options.quiet = true;
        let results = self.runtime.block_on(async {
            let listening = tokio::spawn(stop_on_signals(self.stop.clone())?);
            let _watchdog = Watchdog::start(options.budget());
            let results = run_once(&options, &self.stop).await;
            listening.abort();
            results
        });
        let results = match results {
            // It was stopped before it began. What the search has reached is not to be lost for it.
            Err(_) if self.stop.is_cancelled() => return Ok(None),
            results => results?,
        };
        let is_violation = |finding: &crate::report::Finding| {
            finding.weight == Weight::Violation && finding.kind == self.kind
        };
        let fails = results.findings.iter().any(is_violation);
        self.put_away(&results, fails)?;
        Ok((!self.stop.is_cancelled()).then_some(fails))
    }

    /// Keeps the run as `failing`, in place of an earlier one, or takes it away.
    fn put_away(&self, results: &RunResults, fails: bool) -> anyhow::Result<()> {
        let failing = self.folder.join("failing");
        if fails {
            if failing.exists() {
                std::fs::remove_dir_all(&failing)?;
            }
            std::fs::rename(&results.store, &failing)?;
        }
        // What has become of single runs, their links and folders, is of no use to anybody.
        std::fs::remove_dir_all(self.folder.join("runs"))?;
        Ok(std::fs::remove_file(self.folder.join("latest"))?)
    }

    /// After an interruption: the rest is measured all the same. A second one ends the program.
    fn go_on(&mut self) {
        self.stop = CancellationToken::new();
    }

    fn rate(&mut self, schedule: &Schedule, attempts: u32) -> anyhow::Result<Rate> {
        let mut rate = Rate::default();
        while rate.runs < attempts {
            let Some(fails) = self.fails(schedule)? else { break };
            rate.runs += 1;
            rate.failed += u32::from(fails);
        }
        Ok(rate)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A script that runs the small schedule.
fn script(schedule: &Schedule, kind: &str, rate: Rate) -> String {
    let program = std::env::current_exe().map_or("plumbline".to_owned(), |path| path.display().to_string());
    // So Linux calls a program that was built anew meanwhile.
    let program = program.trim_end_matches(" (deleted)");
    let mut text = format!(
        "#!/bin/sh\n# {kind}: failed in {rate} runs when this was written, by plumbline {}, seed {}\n# {}\n",
        env!("CARGO_PKG_VERSION"),
        schedule.seed,
        describe(schedule),
    );
    for planned in schedule.faults() {
        let _ = writeln!(text, "#   {}", in_words(planned));
    }
    let program = program.replace('\'', "'\\''");
    text.push_str("# Options of `plumbline run` may follow; exit code 1: it failed again.\n");
    text.push_str(&format!("PLUMBLINE=${{PLUMBLINE:-'{program}'}}\n"));
    text.push_str(&format!("exec \"$PLUMBLINE\" replay \"$(dirname \"$0\")/{SCHEDULE}\" \"$@\"\n"));
    text
}

fn in_words(planned: &crate::schedule::Planned) -> String {
    let lasting = planned.duration_ms.map_or(String::new(), |ms| format!(", for {ms} ms"));
    format!("at {} ms: {}{lasting}", planned.at_ms, planned.fault)
}

fn text(answer: &Answer<'_>, small: &Schedule) -> String {
    let mut text = format!(
        "{}  {}: {} of the small schedule's runs fail, {} of the whole one's\n  before      {}\n  after       {}\n",
        if answer.valid == Validity::False { "FAIL   " } else { "UNKNOWN" },
        answer.finding,
        answer.after,
        answer.before,
        answer.size_before,
        answer.size_after
    );
    for planned in small.faults() {
        let _ = writeln!(text, "              {}", in_words(planned));
    }
    let end = if answer.complete { "nothing left to try" } else { "cut short" };
    let _ = writeln!(text, "  runs        {} ({end})", answer.runs);
    let _ = writeln!(text, "  repro       {}", answer.repro.display());
    text
}

/// What to run for a schedule, whose options count.
fn options_of(schedule: &Schedule, server: &Path) -> anyhow::Result<RunOptions> {
    let draft = Draft::from(schedule.clone());
    let args = parse(&draft.options, &[])?;
    args.options(schedule.seed, server.to_owned(), Some(&draft))
}
