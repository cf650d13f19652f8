//! `plumbline soak --hours N`: seed after seed, until time is up or it is stopped. What failed is kept, what passed is not.
//!
//! Each run is a process of its own, so that one that crashes, hangs or runs out of memory is a finding and not the end; after
//! each it is looked for what it may have left behind: processes, mounts, network namespaces.

mod left;
mod one;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::run::random_seed;
use super::{EXIT_ERROR, print_json, print_text};
use crate::program;
use crate::progress::tell;
use crate::report::Validity;
use crate::store::RunFolder;
use one::{Ended, Line, Plan};

const EXAMPLES: &str = "\
Examples:
  plumbline soak --hours 8
  plumbline soak --hours 0.5 --seed 1000 -- --nodes 3 --time-limit 20s --nemesis kill,partition
  plumbline soak --runs 200 -- --time-limit 20s

What stands after -- is given to every `plumbline run`. Runs that passed are removed from the store; store/soak/<time>/
receives the summary. SIGINT or SIGTERM ends it after the present run, which heals and is judged; once more ends it at once.
Exit codes: that of the worst run: 0 all held, 1 one violated, 2 the environment was at fault, 3 one unknown.";

/// The arguments of `plumbline soak`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SoakArgs {
    /// How long; the run that is under way when time is up is finished
    #[arg(long, value_parser = hours, value_name = "N", required_unless_present = "runs")]
    hours: Option<Duration>,
    /// At most so many runs [1..=1000000]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000))]
    runs: Option<u64>,
    /// The first seed, each run has the next; random, and printed, if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Where what failed is collected
    #[arg(long, default_value = "store", value_name = "DIR")]
    store: PathBuf,
    /// The server's program; built or found if not given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Keep the runs that passed as well
    #[arg(long)]
    keep_all: bool,
    /// Print one JSON object on standard output at the end, and the lines on standard error
    #[arg(long)]
    json: bool,
    /// Options of `plumbline run`
    #[arg(last = true, value_name = "RUN OPTIONS")]
    run: Vec<String>,
}

/// After so many runs in a row that did not take place, the rest would not either.
const MOST_ERRORS: usize = 3;

fn hours(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours > 0.0 && hours <= 10_000.0 => Ok(Duration::from_secs_f64(hours * 3_600.0)),
        _ => Err(format!("{text:?} is not a number of hours above 0 and up to 10000")),
    }
}

/// What all runs came to.
#[derive(Debug, Serialize)]
struct Summary {
    /// The worst.
    valid: Validity,
    test: &'static str,
    seed: u64,
    seconds: f64,
    passed: usize,
    failed: usize,
    unknown: usize,
    /// Runs that did not take place.
    errors: usize,
    /// Things left behind, by all runs together.
    left_behind: usize,
    operations: u64,
    faults: u64,
    faults_without_effect: u64,
    /// Whether a signal ended it.
    stopped: bool,
    runs: Vec<Line>,
}

/// Runs until time is up.
///
/// # Errors
/// When nothing could be started.
pub fn run(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(random_seed);
    tell(&format!("seeds from {seed} on"));
    // Another system's program is found by each run.
    let is_ours = !args.run.iter().any(|option| option.starts_with("--system"));
    let server = match &args.server {
        None if !is_ours => None,
        named => Some(program::find(named.as_deref())?),
    };
    let folder = RunFolder::create(&args.store, "soak")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plan = Plan { store: args.store.clone(), server, keep_all: args.keep_all, options: args.run.clone() };
    let summary = runtime.block_on(args.all(&plan, seed))?;
    folder.write_json("results.json", &summary)?;
    folder.write_text("verdict.txt", &summary.text())?;
    if args.json {
        print_json(&summary)?;
    } else {
        print_text(&summary.text())?;
    }
    Ok(ExitCode::from(summary.exit_code()))
}

impl SoakArgs {
    async fn all(&self, plan: &Plan, seed: u64) -> anyhow::Result<Summary> {
        let began = Instant::now();
        let stop = CancellationToken::new();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let kill = CancellationToken::new();
        let (stopping, killing) = (stop.clone(), kill.clone());
        let listening = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stopping.is_cancelled() {
                    killing.cancel();
                }
                tell("stopping after this run, which heals and is judged (once more to stop at once)");
                stopping.cancel();
            }
        });
        let mut runs: Vec<Line> = Vec::new();
        while self.hours.is_none_or(|hours| began.elapsed() < hours) && !stop.is_cancelled() {
            let number = runs.len() as u64;
            if self.runs.is_some_and(|most| number >= most) {
                break;
            }
            let line = one::perform(plan, seed.wrapping_add(number), &stop, &kill).await?;
            if self.json {
                tell(line.text().trim_end());
            } else {
                print_text(&line.text())?;
            }
            runs.push(line);
            let last = runs.iter().rev().take(MOST_ERRORS);
            if runs.len() >= MOST_ERRORS && last.clone().all(|line| line.ended == Ended::Error) {
                tell(&format!("the last {MOST_ERRORS} runs did not take place: giving up"));
                break;
            }
        }
        listening.abort();
        Ok(Summary::of(seed, began.elapsed(), stop.is_cancelled(), runs))
    }
}

impl Summary {
    fn of(seed: u64, elapsed: Duration, stopped: bool, runs: Vec<Line>) -> Summary {
        let having = |ended: Ended| runs.iter().filter(|line| line.ended == ended).count();
        let (passed, failed, unknown, errors) =
            (having(Ended::Pass), having(Ended::Fail), having(Ended::Unknown), having(Ended::Error));
        let left_behind = runs.iter().map(|line| line.left_behind.len()).sum();
        let valid = match (failed + left_behind, unknown + errors, passed) {
            (0, 0, 1..) => Validity::True,
            (0, ..) => Validity::Unknown,
            _ => Validity::False,
        };
        let sum = |of: fn(&Line) -> u64| runs.iter().map(of).sum();
        Summary {
            valid,
            test: "soak",
            seed,
            seconds: elapsed.as_secs_f64(),
            passed,
            failed,
            unknown,
            errors,
            left_behind,
            operations: sum(|line| line.operations),
            faults: sum(|line| line.faults),
            faults_without_effect: sum(|line| line.without_effect),
            stopped,
            runs,
        }
    }

    /// Violated before at fault before unknown.
    fn exit_code(&self) -> u8 {
        match self.valid {
            Validity::Unknown if self.errors > 0 => EXIT_ERROR,
            valid => valid.exit_code(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} runs in {:.0} s: {} passed, {} failed, {} unknown, {} did not take place; {} operations, {} faults ({} without \
             effect), {} left behind\n",
            self.runs.len(),
            self.seconds,
            self.passed,
            self.failed,
            self.unknown,
            self.errors,
            self.operations,
            self.faults,
            self.faults_without_effect,
            self.left_behind
        );
        for line in self.runs.iter().filter(|line| line.ended != Ended::Pass || !line.left_behind.is_empty())
        {
            text.push_str(&line.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ended: Ended) -> Line {
        Line { ended, ..Line::default() }
    }

    #[test]
    fn the_worst_run_decides() {
        let code = |runs: Vec<Line>| Summary::of(1, Duration::from_secs(1), false, runs).exit_code();
        assert_eq!(code(vec![line(Ended::Pass)]), 0);
        assert_eq!(code(vec![line(Ended::Pass), line(Ended::Unknown)]), 3);
        assert_eq!(code(vec![line(Ended::Unknown), line(Ended::Error)]), 2);
        assert_eq!(code(vec![line(Ended::Error), line(Ended::Fail), line(Ended::Pass)]), 1);
        assert_eq!(code(Vec::new()), 3, "nothing was shown");
        let leak = Line { left_behind: vec!["a process".to_owned()], ..line(Ended::Pass) };
        assert_eq!(code(vec![leak]), 1);
    }

    #[test]
    fn hours_are_read_in_parts_too() {
        assert_eq!(hours("0.5"), Ok(Duration::from_secs(1_800)));
        for text in ["0", "-1", "soon", "nan", "inf", "10001"] {
            assert!(hours(text).is_err(), "{text}");
        }
    }
}
