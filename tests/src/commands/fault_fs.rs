//! `plumbline fault-fs`: the process that is a fault disk.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::disk;

const EXAMPLES: &str = "\
Example (standard input is the disk's control, one JSON value a line; its end unmounts):
  plumbline fault-fs backing mountpoint --seed 7
  {\"set\":{\"sync\":{\"error\":\"io\",\"when\":{\"next\":1}}}}
  {\"set\":{\"lying-sync\":true,\"slow-sync-ms\":20}}
  {\"crash\":\"torn\"}
  \"counts\"

Exit codes: 0 unmounted in order, 2 usage or environment error.";

/// The arguments of `plumbline fault-fs`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FaultFsArgs {
    /// The folder that holds what is durable
    backing: PathBuf,
    /// Where the disk shows
    mountpoint: PathBuf,
    /// Decides which writes fail, which bits flip and what a crash spares
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Serves until standard input ends.
///
/// # Errors
/// When the disk cannot be mounted or unmounted.
pub fn run(args: &FaultFsArgs) -> anyhow::Result<ExitCode> {
    disk::serve(&args.backing, &args.mountpoint, args.seed)?;
    Ok(ExitCode::SUCCESS)
}
