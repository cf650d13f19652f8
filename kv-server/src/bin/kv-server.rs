//! `kv-server`: one server of a cluster.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};
use kv_server::config::{ServerConfig, Settings};
use kv_server::shell;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tracing_subscriber::EnvFilter;

/// One server of a replicated key-value store.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Example, the first of three servers on one machine:
  kv-server --id 1 --data-dir data/1 --peer-listen 127.0.0.1:7001 --client-listen 127.0.0.1:8001 \\
            --peer 2=127.0.0.1:7002 --peer 3=127.0.0.1:7003

The same as a file, for --config (flags win):
  id = 1
  data-dir = \"data/1\"
  peer-listen = \"127.0.0.1:7001\"
  client-listen = \"127.0.0.1:8001\"
  peer = [\"2=127.0.0.1:7002\", \"3=127.0.0.1:7003\"]

Logs go to standard error; RUST_LOG chooses (default: info). SIGTERM and SIGINT end the server gracefully.
Exit codes: 0 ended gracefully, 1 could not start or go on, 2 wrong usage."
)]
struct Cli {
    /// A TOML file with the same keys as the flags.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// How to write logs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// End when standard input ends, so that whoever started this server takes it along.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

impl Cli {
    fn server_config(&mut self) -> Result<ServerConfig, kv_server::config::ConfigError> {
        let flags = std::mem::take(&mut self.settings);
        let file = self.config.as_deref().map(Settings::read).transpose()?;
        flags.or(file.unwrap_or_default()).check()
    }
}

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    let config = match cli.server_config() {
        Ok(config) => config,
        Err(error) => Cli::command().error(ErrorKind::ValueValidation, error).exit(),
    };
    start_logging(cli.log_format);
    raise_descriptor_limit();
    match serve(config, cli.exit_on_stdin_close) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Connections and log segments take file descriptors; the usual soft limit of 1,024 is less than the connections alone may
/// need, and a segment that cannot be created ends the server.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors"),
    }
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn serve(config: ServerConfig, exit_on_stdin_close: bool) -> anyhow::Result<()> {
    // One thread: a turn of the replica takes microseconds, and the log has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stdin = exit_on_stdin_close.then(watch_stdin).transpose()?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                Some(()) = async { stdin?.await.ok() } => {}
            }
        };
        Ok(shell::run(config, stop).await?)
    });
    // Connections that are still open end with the process; nobody waits for them.
    runtime.shutdown_background();
    result
}

/// Reads standard input, on a thread of its own as it blocks, until there is no more.
fn watch_stdin() -> io::Result<oneshot::Receiver<()>> {
    let (ended, wait) = oneshot::channel();
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut ignored = [0; 64];
        while matches!(io::stdin().read(&mut ignored), Ok(1..)) {}
        let _ = ended.send(());
    })?;
    Ok(wait)
}
