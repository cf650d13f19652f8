//! `plumbline report RUN`: makes the page of a run again, from what it left in its folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print_text;
use crate::page;

const EXAMPLES: &str = "\
Example:
  plumbline report store/latest

Exit codes: 0 written, 2 usage or environment error.";

/// The arguments of `plumbline report`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Writes the page and says where.
///
/// # Errors
/// When the folder is not a run's, or cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let path = page::write(&args.run)?;
    print_text(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
