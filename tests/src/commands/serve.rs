//! `plumbline serve [STORE]`: the results in a web browser.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::print_text;
use crate::serve::{Server, Site};

const EXAMPLES: &str = "\
Examples:
  plumbline serve
  plumbline serve store --port 0

It listens on loopback only, until SIGINT or SIGTERM, and changes nothing.
Exit codes: 0 ended by a signal, 2 usage or environment error.";

/// The arguments of `plumbline serve`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The store
    #[arg(default_value = "store")]
    store: PathBuf,
    /// The port on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 7380)]
    port: u16,
}

/// Serves until a signal comes.
///
/// # Errors
/// When there is no store, or the port is taken.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let site = Site::new(&args.store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::bind(site, args.port).await?;
        print_text(&format!(
            "http://{}/ serves {} (Ctrl-C ends it)\n",
            server.address()?,
            args.store.display()
        ))?;
        tokio::select! {
            () = server.serve() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}
