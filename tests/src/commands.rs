//! The command line. Exit codes everywhere: 0 holds, 1 violated, 2 usage or environment error, 3 unknown.

pub mod bench;
pub mod check;
pub mod compare;
pub mod doctor;
pub mod fault_fs;
mod guarded;
pub mod model;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod serve;
pub mod shrink;
pub mod soak;
mod subprocess;
pub mod sweep;
pub mod validate;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::progress::tell;

/// Something in the environment or the command line was wrong; nothing is known about the system under test.
pub const EXIT_ERROR: u8 = 2;

/// A verified Raft key-value store's test bench.
#[derive(Debug, Parser)]
#[command(name = "plumbline", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  plumbline run                                  the main job: five servers, ten clients, 60 s of faults, a verdict
  plumbline run --seed 42 --nemesis partition    the same partitions every time
  plumbline check store/latest/history.edn --model kv

Exit codes: 0 holds, 1 violated, 2 usage or environment error, 3 unknown.";

const CHECK_EXAMPLES: &str = "\
Examples:
  plumbline check store/latest/history.edn --model kv
  plumbline check etcd_000.log --model cas-register --json
  plumbline check history.edn --html verdict.html --svg conflict.svg
  plumbline check history.edn --model cas-register --second-opinion knossos
  plumbline check --follow store/latest/history.jsonl

Exit codes: 0 linearizable, 1 not, 2 usage or environment error, 3 unknown.";

const MODEL_EXAMPLES: &str = "\
Example:
  plumbline model list

Exit codes: 0 holds, 1 violated, 2 usage or environment error, 3 unknown.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run real servers under faults and check what their clients saw
    Run(Box<run::RunArgs>),
    /// Run again what a run did: the same faults, operations and options
    Replay(replay::ReplayArgs),
    /// Make the schedule of a failed run small
    Shrink(shrink::ShrinkArgs),
    /// Run seed after seed until time is up or it is stopped, and keep what failed
    Soak(soak::SoakArgs),
    /// The experiments that this project began with: what fails when, and every figure of it
    Scenario(scenario::ScenarioArgs),
    /// Vary one parameter of such an experiment: curves and tables
    Sweep(sweep::SweepArgs),
    /// Browse the results in a web browser on this machine
    Serve(serve::ServeArgs),
    /// Two runs side by side
    Compare(compare::CompareArgs),
    /// Make a run's page again
    Report(report::ReportArgs),
    /// Check recorded histories for linearizability
    #[command(after_help = CHECK_EXAMPLES)]
    Check(check::CheckArgs),
    /// Explore the protocol's state space exhaustively within bounds
    #[command(after_help = MODEL_EXAMPLES)]
    Model(model::ModelArgs),
    /// Measure the server, the core or the checker
    Bench(bench::BenchArgs),
    /// Say what this machine can do to a cluster
    Doctor(doctor::DoctorArgs),
    /// Be a disk with faults, mounted on a folder
    FaultFs(fault_fs::FaultFsArgs),
}

/// Runs the command line of this process and says how it should exit.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Run(mut args) => {
            if let Some(matches) = matches.subcommand_matches("run") {
                args.state(matches);
            }
            run::run(&args)
        }
        Command::Replay(args) => replay::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Scenario(args) => scenario::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::FaultFs(args) => fault_fs::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        tell(&format!("error: {error:#}"));
        ExitCode::from(EXIT_ERROR)
    })
}

/// Prints a result for machines: one JSON object on one line of standard output.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_text(&format!("{}\n", serde_json::to_string(value)?))
}

/// Prints a result for people on standard output. If the reader has left (`| head`), the exit code still tells the verdict.
fn print_text(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
