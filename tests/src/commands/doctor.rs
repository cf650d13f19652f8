//! `plumbline doctor`: what this machine can do to a cluster.

use std::process::ExitCode;

use clap::Args;

use super::{EXIT_ERROR, print_json, print_text};
use crate::doctor::examine;
use crate::progress::tell;

const EXAMPLES: &str = "\
Examples:
  plumbline doctor
  plumbline doctor --require power,clock-drift
  plumbline doctor --require all --json

Everything is tried for real: a disk is mounted, a network namespace made, a clock set wrong for one program; and taken away.
Exit codes: 0 looked at, 2 something that was required is missing.";

/// The arguments of `plumbline doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Fail if one of these is missing, comma-separated: faults, what they rest on, or all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    require: Vec<String>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

/// Looks, and says what it found.
///
/// # Errors
/// When something is required that nobody knows.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = examine();
    let missing = report.missing(&args.require).map_err(anyhow::Error::msg)?;
    if args.json {
        print_json(&report)?;
    } else {
        print_text(&report.text())?;
    }
    for one in &missing {
        let why = one.why.as_deref().unwrap_or_default();
        tell(&format!("error: {} is required and missing: {why}", one.name));
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ERROR) })
}
