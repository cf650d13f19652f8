//! `plumbline bench measure -- COMMAND` (hidden): runs one command and says what it used.
//!
//! A process of its own does this, because the kernel adds up what the children of a process used: with one child, the sum is
//! that child's (and of what it waited for).

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::commands::print_json;
use crate::commands::subprocess::{Ended, finish_within, last_lines, tail};

/// So much is kept of what a command prints: a model checker tells its counterexamples after its figures.
const MOST_LINES: usize = 1000;

/// The arguments of `plumbline bench measure`.
#[derive(clap::Args, Debug)]
pub(super) struct MeasureArgs {
    /// Milliseconds
    #[arg(long)]
    limit: u64,
    /// Bytes
    #[arg(long)]
    memory: Option<u64>,
    /// The command
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// What a command used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Used {
    /// Its exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    /// Whether it was ended for want of time.
    pub(super) timed_out: bool,
    /// Whether it was ended for want of memory.
    pub(super) too_large: bool,
    /// User and system time of all its threads and of the processes it waited for.
    pub(super) cpu_seconds: f64,
    /// By the clock.
    pub(super) wall_seconds: f64,
    /// The most memory that was resident, of its largest process. Not less than that of the process which starts it.
    pub(super) peak_bytes: u64,
    /// The end of what it printed on standard error.
    pub(super) said: String,
    /// The end of what it printed on standard output.
    pub(super) printed: String,
}

/// Has a process of its own measure a line for the shell.
pub(super) fn measure(ours: &Path, line: &str, limit: Duration, memory: Option<u64>) -> anyhow::Result<Used> {
    let limit = limit.as_millis().to_string();
    let memory = memory.map(|memory| format!("--memory={memory}"));
    let output = Command::new(ours)
        .args(["bench", "measure", "--limit", &limit])
        .args(memory)
        .args(["--", "sh", "-c", line])
        .output()?;
    anyhow::ensure!(output.status.success(), "cannot measure: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs the command.
pub(super) fn run(args: &MeasureArgs) -> anyhow::Result<ExitCode> {
    let (program, rest) = args.command.split_first().ok_or_else(|| anyhow::anyhow!("no command"))?;
    let mut command = Command::new(program);
    command.args(rest);
    let began = Instant::now();
    let ended = finish_within(command, Duration::from_millis(args.limit), args.memory)?;
    let wall_seconds = began.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    let (timed_out, too_large) = (matches!(ended, Ended::OutOfTime), matches!(ended, Ended::OutOfMemory));
    let (code, said, printed) = match ended {
        Ended::Finished(finished) => {
            (finished.code, tail(&finished.stderr), last_lines(&finished.stdout, MOST_LINES))
        }
        Ended::OutOfTime | Ended::OutOfMemory => (None, String::new(), String::new()),
    };
    print_json(&Used {
        code,
        timed_out,
        too_large,
        cpu_seconds: microseconds as f64 / 1e6,
        wall_seconds,
        // Kibibytes, says getrusage(2).
        peak_bytes: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024,
        said,
        printed,
    })?;
    Ok(ExitCode::SUCCESS)
}
