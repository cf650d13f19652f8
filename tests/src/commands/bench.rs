//! `plumbline bench`: the commands behind every number that the project states.

mod checker;
mod core;
mod measure;
mod server;

use std::process::ExitCode;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  plumbline bench server --clients 64 --value-size 256
  plumbline bench checker --operations 100000 --json";

/// The arguments of `plumbline bench`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Real servers on loopback with fsync on: operations per second and latency
    Server(server::ServerArgs),
    /// The protocol alone, in memory
    Core(core::CoreArgs),
    /// The checker on generated histories, or next to other checkers on files
    Checker(checker::CheckerArgs),
    /// One command: what it used
    #[command(hide = true)]
    Measure(measure::MeasureArgs),
}

/// Runs the benchmark asked for.
///
/// # Errors
/// When it could not be measured.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Server(args) => server::run(args),
        What::Core(args) => core::run(args),
        What::Checker(args) => checker::run(args),
        What::Measure(args) => measure::run(args),
    }
}
