//! `plumbline bench`: the commands behind every number that the project states.

mod checker;
mod core;
mod measure;
mod models;
mod server;

use std::process::ExitCode;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  plumbline bench server --clients 64 --value-size 256
  plumbline bench checker --operations 100000 --json
  plumbline bench models --scenario t3-l3-k1";

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
    /// The model checker: states per CPU second and bytes per state, alone or next to other model checkers
    Models(models::ModelsArgs),
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
        What::Models(args) => models::run(args),
        What::Measure(args) => measure::run(args),
    }
}
