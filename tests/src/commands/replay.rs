//! `plumbline replay`: runs again what a run did.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use super::run::{self, RunArgs};
use crate::schedule::Draft;
use crate::store::SCHEDULE;

const EXAMPLES: &str = "\
Examples:
  plumbline replay store/latest
  plumbline replay store/latest/schedule.json --test-count 10
  plumbline replay small.json --server target/release/kv-server --json

Faults, seed, workload and the servers' arguments are those that are stored. Any option of `plumbline run` may follow and
takes their place.
Exit codes: 0 holds, 1 violated, 2 usage or environment error, 3 unknown.";

/// The arguments of `plumbline replay`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// A schedule, or the folder of a run
    #[arg(value_name = "SCHEDULE-or-STORE")]
    source: PathBuf,
    /// Options of `plumbline run` that take the place of the stored ones
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    overrides: Vec<String>,
}

/// The same options as `plumbline run`, of which the last one counts.
#[derive(Debug, Parser)]
#[command(name = "plumbline replay SCHEDULE-or-STORE", args_override_self = true)]
struct Again {
    #[command(flatten)]
    args: RunArgs,
}

/// The schedule of what is named: itself, or the one in the folder of a run.
///
/// # Errors
/// When there is none, with what to do.
pub(super) fn schedule_of(source: &Path) -> anyhow::Result<PathBuf> {
    if !source.is_dir() {
        return Ok(source.to_owned());
    }
    let schedule = source.join(SCHEDULE);
    if !schedule.is_file() {
        let source = source.display();
        bail!("there is no {SCHEDULE} in {source}: name the folder of one run, such as store/latest");
    }
    Ok(schedule)
}

/// The arguments of `plumbline run` that these stored options are, with the others in their place.
///
/// # Errors
/// When one of them cannot be understood.
pub(super) fn parse(stored: &[String], overrides: &[String]) -> Result<RunArgs, clap::Error> {
    let all = std::iter::once("replay").chain(stored.iter().chain(overrides).map(String::as_str));
    let matches = Again::command().try_get_matches_from(all)?;
    let mut args = Again::from_arg_matches(&matches)?.args;
    args.state(&matches);
    Ok(args)
}

/// Runs it again.
///
/// # Errors
/// When there is nothing to replay, or the run could not take place.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let schedule = schedule_of(&args.source)?;
    let mut stored = Draft::open(&schedule)?.options;
    stored.push(format!("--schedule={}", schedule.to_str().context("the schedule's path is not text")?));
    // Help is asked for, or an option is wrong: that is told as always.
    run::run(&parse(&stored, &args.overrides).unwrap_or_else(|usage| usage.exit()))
}
