//! `kvctl`: a cluster from the command line.

mod txn;
mod watch;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use futures::future::join_all;
use kv_server::client::{
    Client, ClientError, ClientOptions, Status, change_members, leader, status, take_snapshot,
    transfer_leadership,
};
use kv_server::config::Span;
use kv_server::limits::KEPT_ENTRIES;
use raft_core::{Change, NodeId};

/// Reads and writes a replicated key-value store.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  kvctl --endpoints 127.0.0.1:8001,127.0.0.1:8002,127.0.0.1:8003 put colour blue
  kvctl get colour
  kvctl cas colour blue green
  kvctl cas colour --absent blue
  kvctl txn --if from=5 --if to=0 --put from=4 --put to=1
  kvctl watch --prefix user/
  kvctl status --json
  kvctl --endpoints 127.0.0.1:8002 snapshot
  kvctl member add 4
  kvctl transfer 2

Exit codes: 0 done; 1 the key was not there (get, delete) or did not hold what was expected (cas, txn), or, for status, snapshot
and compact, some server did not do it; 2 wrong usage, or the cluster could not do it (the message says whether it may yet happen)."
)]
struct Cli {
    /// Where servers listen for clients.
    #[arg(
        long,
        value_name = "ADDR,...",
        value_delimiter = ',',
        default_value = "127.0.0.1:8001,127.0.0.1:8002,127.0.0.1:8003"
    )]
    endpoints: Vec<SocketAddr>,
    /// How long to try.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: Span,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a key's value.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Print a key's value; linearizable.
    Get {
        /// The key.
        key: String,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Compare and set: set a key's value if it holds what is expected.
    #[command(override_usage = "kvctl cas <KEY> <EXPECTED> <NEW>\n       kvctl cas <KEY> --absent <NEW>")]
    Cas {
        /// The key.
        key: String,
        /// What it must hold, and what it is to hold then; with --absent only the latter.
        #[arg(value_name = "EXPECTED NEW", num_args = 1..=2, required = true)]
        values: Vec<String>,
        /// The key must be absent.
        #[arg(long)]
        absent: bool,
    },
    /// Compare and write several keys at once: if all that is said with --if holds, the puts and then the deletes are done, or
    /// else those of --else.
    Txn(txn::Txn),
    /// Print what changes, as it does: revision, put or delete, key, value. Goes on at the next server if one ends.
    Watch(watch::Watch),
    /// Have each server take a snapshot now, and let go of most of the log that it stands for.
    Snapshot {
        /// So many entries before its end stay, for servers that lag a little.
        #[arg(long, value_name = "N", default_value_t = KEPT_ENTRIES)]
        keep: u64,
    },
    /// The same, and all of that log goes: a server that lags needs the snapshot then.
    Compact,
    /// Show or change who the members are.
    #[command(subcommand)]
    Member(Member),
    /// Give leadership to another voter.
    Transfer {
        /// To whom [default: the most suitable one].
        id: Option<u64>,
    },
    /// Show what each server believes: role, term, leader, commit, applied.
    Status {
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Member {
    /// Take a server in that runs with --join: as a learner, and as a voter once it has caught up.
    Add {
        /// Its number.
        id: u64,
        /// Leave it a learner.
        #[arg(long)]
        learner: bool,
    },
    /// Make a learner that has caught up a voter.
    Promote {
        /// Its number.
        id: u64,
    },
    /// Remove a server from the cluster. It may be the leader.
    Remove {
        /// Its number.
        id: u64,
    },
    /// Show who votes and who learns, as the leader says.
    List,
}

const NEGATIVE: u8 = 1;
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("cannot start").and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NEGATIVE),
        Err(error) => {
            let _ = writeln!(io::stderr(), "kvctl: {error:#}");
            ExitCode::from(ERROR)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<bool> {
    let Cli { endpoints, timeout, command } = cli;
    let limit = timeout.0;
    if limit.is_zero() {
        bail!("--timeout must be above 0");
    }
    match command {
        Command::Status { json } => return show_status(&endpoints, limit, json).await,
        Command::Snapshot { keep } => return take_snapshots(&endpoints, keep, limit).await,
        Command::Compact => return take_snapshots(&endpoints, 0, limit).await,
        Command::Watch(watch) => return watch.run(&endpoints, limit).await,
        Command::Member(verb) => return member(&endpoints, verb, limit).await,
        Command::Transfer { id } => {
            let to = transfer_leadership(&endpoints, id.map(NodeId), limit).await.map_err(explain)?;
            return say(&format!("server {to} leads"));
        }
        _ => {}
    }
    let mut client = Client::new(ClientOptions {
        endpoints,
        op_timeout: limit,
        attempt_timeout: (limit / 3).max(Duration::from_millis(1)),
    });
    match command {
        Command::Put { key, value } => {
            client.put(key.as_bytes(), value.as_bytes()).await.map_err(explain)?;
            say("ok")
        }
        Command::Get { key } => match client.get(key.as_bytes()).await.map_err(explain)? {
            Some(value) => {
                let mut out = io::stdout().lock();
                out.write_all(&value)?;
                out.write_all(b"\n")?;
                Ok(true)
            }
            None => complain("not found"),
        },
        Command::Delete { key } => match client.delete(key.as_bytes()).await.map_err(explain)? {
            true => say("ok"),
            false => complain("not found"),
        },
        Command::Cas { key, values, absent } => {
            let (expected, new) = match (values.as_slice(), absent) {
                ([new], true) => (None, new),
                ([expected, new], false) => (Some(expected.as_bytes()), new),
                _ => bail!("cas wants KEY EXPECTED NEW, or KEY --absent NEW"),
            };
            match client.cas(key.as_bytes(), expected, new.as_bytes()).await.map_err(explain)? {
                true => say("ok"),
                false => complain("the key does not hold what was expected"),
            }
        }
        Command::Txn(txn) => match client.txn(txn.into()).await.map_err(explain)? {
            true => say("ok"),
            false => complain("not all of it is as expected"),
        },
        _ => Ok(true),
    }
}

async fn member(endpoints: &[SocketAddr], verb: Member, limit: Duration) -> anyhow::Result<bool> {
    let change = async |change| change_members(endpoints, vec![change], limit).await.map_err(explain);
    match verb {
        Member::Add { id, learner } => {
            change(Change::Learner(NodeId(id))).await?;
            if !learner {
                promote(endpoints, NodeId(id), limit).await?;
            }
        }
        Member::Promote { id } => change(Change::Promote(NodeId(id))).await?,
        Member::Remove { id } => change(Change::Remove(NodeId(id))).await?,
        Member::List => {
            let leader = leader(endpoints, limit).await.map_err(explain)?;
            let list = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            say(&format!("voters {}", list(&leader.voters)))?;
            if !leader.outgoing.is_empty() {
                say(&format!("outgoing {}", list(&leader.outgoing)))?;
            }
            return if leader.learners.is_empty() {
                Ok(true)
            } else {
                say(&format!("learners {}", list(&leader.learners)))
            };
        }
    }
    say("ok")
}

/// A learner has to catch up first; how long that takes depends on how much it lacks.
async fn promote(endpoints: &[SocketAddr], id: NodeId, limit: Duration) -> anyhow::Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let end = tokio::time::Instant::now() + limit;
    loop {
        let error = match change_members(endpoints, vec![Change::Promote(id)], limit).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Refused, which a later attempt may not be.
        if !error.is_definite() || tokio::time::Instant::now() >= end {
            return Err(explain(error)).context("it is a learner, but no voter");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks all servers at once; true if all did it.
async fn take_snapshots(endpoints: &[SocketAddr], kept: u64, limit: Duration) -> anyhow::Result<bool> {
    let answers = join_all(endpoints.iter().map(|&endpoint| take_snapshot(endpoint, kept, limit))).await;
    let all = answers.iter().all(Result::is_ok);
    let mut out = io::stdout().lock();
    for (endpoint, answer) in endpoints.iter().zip(answers) {
        match answer {
            Ok(last) => writeln!(out, "{endpoint:<21} snapshot up to entry {last}")?,
            Err(error) => writeln!(out, "{endpoint:<21} {error}")?,
        }
    }
    Ok(all)
}

fn say(text: &str) -> anyhow::Result<bool> {
    writeln!(io::stdout(), "{text}")?;
    Ok(true)
}

fn complain(text: &str) -> anyhow::Result<bool> {
    writeln!(io::stderr(), "{text}")?;
    Ok(false)
}

fn explain(error: ClientError) -> anyhow::Error {
    let certain = error.is_definite();
    let error = anyhow::Error::from(error);
    if certain { error } else { error.context("it may have been done, or may yet be") }
}

/// Asks all servers at once; true if all answered.
async fn show_status(endpoints: &[SocketAddr], limit: Duration, json: bool) -> anyhow::Result<bool> {
    let answers = join_all(endpoints.iter().map(|&endpoint| status(endpoint, limit))).await;
    let all = answers.iter().all(Result::is_ok);
    let rows = endpoints.iter().zip(answers);
    let mut out = io::stdout().lock();
    if json {
        let rows: Vec<_> = rows.map(|(endpoint, answer)| as_json(*endpoint, answer)).collect();
        writeln!(out, "{}", serde_json::Value::from(rows))?;
        return Ok(all);
    }
    let line = |cells: [&str; 9]| {
        let [endpoint, id, role, term, leader, commit, applied, last, keys] = cells;
        format!(
            "{endpoint:<21} {id:>4} {role:<9} {term:>6} {leader:>6} {commit:>9} {applied:>9} {last:>9} {keys:>8}"
        )
    };
    writeln!(
        out,
        "{}",
        line(["endpoint", "id", "role", "term", "leader", "commit", "applied", "last", "keys"])
    )?;
    for (endpoint, answer) in rows {
        match answer {
            Ok(Status { id, role, term, leader, commit, applied, last_index, keys, .. }) => {
                let leader = leader.map_or("-".to_owned(), |leader| leader.to_string());
                let numbers = [id, term, commit, applied, last_index, keys].map(|number| number.to_string());
                let [id, term, commit, applied, last, keys] = numbers.each_ref().map(String::as_str);
                let endpoint = endpoint.to_string();
                let cells = [&endpoint, id, role.name(), term, &leader, commit, applied, last, keys];
                writeln!(out, "{}", line(cells))?;
            }
            Err(error) => writeln!(out, "{endpoint:<21} {error}")?,
        }
    }
    Ok(all)
}

fn as_json(endpoint: SocketAddr, answer: Result<Status, ClientError>) -> serde_json::Value {
    match answer {
        Ok(status) => serde_json::json!({
            "endpoint": endpoint,
            "id": status.id,
            "role": status.role.name(),
            "term": status.term,
            "leader": status.leader,
            "leader_address": status.leader_address,
            "commit": status.commit,
            "applied": status.applied,
            "last_index": status.last_index,
            "snapshot": status.snapshot,
            "voters": status.voters,
            "outgoing": status.outgoing,
            "learners": status.learners,
            "keys": status.keys,
            "pending": status.pending,
            "version": status.version,
        }),
        Err(error) => serde_json::json!({ "endpoint": endpoint, "error": error.to_string() }),
    }
}
