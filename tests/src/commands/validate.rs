//! `plumbline model validate`: what real servers did, given once more to the core, and held against the laws.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use models::{Validated, validate};
use serde::Serialize;

use super::{print_json, print_text};
use crate::report::Validity;
use crate::traces::validity;

const EXAMPLES: &str = "\
Example:
  plumbline model validate store/latest

Exit codes: 0 every law holds, 1 one is broken, 2 a trace that cannot be read, or none, 3 not everything can be judged.";

/// The arguments of `plumbline model validate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ValidateArgs {
    /// A folder with the traces (*.trace) of all servers of a cluster, or folders of them
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    valid: Validity,
    #[serde(flatten)]
    validated: &'a Validated,
}

/// Validates.
///
/// # Errors
/// When a trace cannot be read, or there is none.
pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let validated = validate(&args.folder)?;
    let valid = validity(validated.verdict);
    if args.json {
        print_json(&Answer { valid, validated: &validated })?;
    } else {
        print_text(&describe(&validated))?;
    }
    Ok(ExitCode::from(valid.exit_code()))
}

fn describe(validated: &Validated) -> String {
    let Validated { lives, torn, messages, elections, committed, bytes, seconds, findings, .. } = validated;
    let mut text = format!("{}\n", validated.headline());
    for finding in findings {
        let word = if finding.is_violation { "violation" } else { "doubt" };
        text.push_str(&format!("  {word:<11} {finding}\n"));
    }
    text.push_str(&format!(
        "  {lives} starts ({torn} torn ends), {messages} messages received and sent, {elections} elections, \
         {committed} entries committed; {:.1} MB in {seconds:.2} s\n",
        *bytes as f64 / 1e6
    ));
    text
}
