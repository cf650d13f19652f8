//! `kvctl watch`: what changes, one line each.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kv_server::client::{ClientError, Revision, Scope, Trouble};
use kv_server::protocol::Failure;

/// The pause before the next server is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// What to watch.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// The key; without one, and without --prefix, all keys.
    key: Option<String>,
    /// All keys that begin with this.
    #[arg(long, value_name = "TEXT", conflicts_with = "key")]
    prefix: Option<String>,
    /// The first revision to be told of [default: what comes next]
    #[arg(long, value_name = "REVISION")]
    from: Option<u64>,
    /// End after so many changes.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Watch {
    fn scope(&self) -> Scope {
        match &self.key {
            Some(key) => Scope::Key(key.clone().into_bytes().into()),
            None => Scope::Prefix(self.prefix.clone().unwrap_or_default().into_bytes().into()),
        }
    }

    /// Watches until the limit, or for ever; one server after the other, if they go.
    pub(crate) async fn run(self, endpoints: &[SocketAddr], limit: Duration) -> anyhow::Result<bool> {
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut from = self.from;
        let mut failures = 0;
        for server in endpoints.iter().cycle() {
            let last = match self.at(*server, &mut from, &mut left, limit).await? {
                None => return Ok(true),
                Some(error) => error,
            };
            if let ClientError::Failed { last: Trouble::Failure(Failure::Compacted { .. }) } = &last {
                return Err(last).context("it cannot be watched from there");
            }
            failures = if left == 0 { 0 } else { failures + 1 };
            if failures > endpoints.len() && from == self.from {
                return Err(last).context("no server can be watched");
            }
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("no endpoints were given")
    }

    /// Watches at one server; how that ended, if not by the limit.
    async fn at(
        &self,
        server: SocketAddr,
        from: &mut Option<u64>,
        left: &mut u64,
        limit: Duration,
    ) -> anyhow::Result<Option<ClientError>> {
        let mut watch = match kv_server::client::Watch::open(server, self.scope(), *from, limit).await {
            Ok(watch) => watch,
            Err(error) => return Ok(Some(error)),
        };
        while *left > 0 {
            match watch.next().await {
                Ok(revisions) => revisions.iter().try_for_each(|revision| show(revision, left))?,
                Err(error) => return Ok(Some(error)),
            }
            *from = Some(watch.next_revision());
        }
        Ok(None)
    }
}

fn show(revision: &Revision, left: &mut u64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for change in &revision.changes {
        let (number, key) = (revision.revision, String::from_utf8_lossy(&change.key));
        match &change.value {
            Some(value) => writeln!(out, "{number} put {key} {}", String::from_utf8_lossy(value))?,
            None => writeln!(out, "{number} delete {key}")?,
        }
        *left = left.saturating_sub(1);
    }
    out.flush()
}
