//! `plumbline compare A B`: two runs side by side.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{print_json, print_text};
use crate::compare::{Comparison, Read};

const EXAMPLES: &str = "\
Examples:
  plumbline compare store/kv/20260102T030405.678Z store/latest
  plumbline compare store/seed-1/latest store/seed-2/latest --html both.html
  plumbline compare A B --json

Exit codes: 0 compared, 2 usage or environment error. What the runs' own verdicts were is in the comparison.";

/// The arguments of `plumbline compare`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// The folder of the first run
    a: PathBuf,
    /// The folder of the second
    b: PathBuf,
    /// Write a page of both as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

/// Compares.
///
/// # Errors
/// When one of the two is not a run's folder, or the page cannot be written.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let (a, b) = (Read::open(&args.a)?, Read::open(&args.b)?);
    let comparison = Comparison::of(&a, &b);
    if let Some(path) = &args.html {
        let page = comparison.html(&a, &b);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        print_json(&comparison)?;
    } else {
        print_text(&comparison.text())?;
    }
    Ok(ExitCode::SUCCESS)
}
