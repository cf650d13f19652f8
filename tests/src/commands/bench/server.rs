//! `plumbline bench server`: real servers on loopback with fsync on, clients that each wait for one answer before they ask
//! again (a closed loop), and nothing in between: the servers reach each other directly, not through the proxies.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use hdrhistogram::Histogram;
use kv_server::client::{Client, ClientOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::{Cluster, ClusterOptions, MAX_NODES};
use crate::commands::{print_json, print_text};
use crate::observer::Observer;
use crate::program;
use crate::stats::{Quantiles, quantiles};
use crate::store::RunFolder;
use crate::units::{parse_duration_within, show_duration};

const EXAMPLES: &str = "\
Example:
  plumbline bench server --clients 64 --value-size 256 --time-limit 30s";

/// The arguments of `plumbline bench server`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServerArgs {
    /// Servers [1..=9]
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_NODES))]
    nodes: u64,
    /// Clients that work at the same time, one operation each [1..=10000]
    #[arg(long, default_value_t = 64, value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000))]
    clients: u64,
    /// Bytes in a value [0..=1000000]
    #[arg(long, default_value_t = 256, value_parser = RangedU64ValueParser::<u64>::new().range(0..=1_000_000))]
    value_size: u64,
    /// Keys [1..=10000000]
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000_000))]
    keys: u64,
    /// How many of 100 operations are reads; the others are writes [0..=100]
    #[arg(long, default_value_t = 0, value_parser = RangedU64ValueParser::<u64>::new().range(0..=100))]
    read_share: u64,
    /// How long to measure [1s..=24h]
    #[arg(long, default_value = "10s", value_parser = span, value_name = "DURATION")]
    time_limit: Duration,
    /// How long to run before measuring [0s..=24h]
    #[arg(long, default_value = "2s", value_parser = warm_up, value_name = "DURATION")]
    warm_up: Duration,
    /// Decides keys and the order of reads and writes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where results are collected; the servers' data is there while the measurement lasts, and removed afterwards
    #[arg(long, default_value = "store", value_name = "DIR")]
    store: PathBuf,
    /// The server's program; built or found if not given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Let the servers record traces, to see what that costs; they are left in the store
    #[arg(long)]
    trace: bool,
    /// One more argument for every server; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    server_arg: Vec<String>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

/// How long one operation may take before the measurement is given up.
const OP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the cluster has to elect a leader.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// Latencies are counted in microseconds up to this one.
const LONGEST_US: u64 = 60_000_000;

fn span(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

fn warm_up(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::ZERO, Duration::from_secs(86_400))
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    nodes: u64,
    clients: u64,
    value_size: u64,
    read_share: u64,
    seconds: f64,
    operations: u64,
    errors: u64,
    ops_per_second: f64,
    reads: Option<Quantiles>,
    writes: Option<Quantiles>,
    store: PathBuf,
}

/// Measures.
pub(super) fn run(args: &ServerArgs) -> anyhow::Result<ExitCode> {
    let server = program::find(args.server.as_deref())?;
    let folder = RunFolder::create(&args.store, "bench-server")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(args, server, &folder));
    // The data has served its purpose, also when the measurement failed; the logs stay.
    for id in 1..=args.nodes {
        let _ = std::fs::remove_dir_all(folder.nodes().join(format!("n{id}/data")));
    }
    let measured = measured?;
    folder.write_json("results.json", &measured)?;
    if args.json {
        print_json(&measured)?
    } else {
        print_text(&measured.text())?
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &ServerArgs, server: PathBuf, folder: &RunFolder) -> anyhow::Result<Measured> {
    let cluster = Arc::new(
        Cluster::start(&ClusterOptions {
            system: Arc::new(crate::system::KvServer),
            server,
            nodes: args.nodes,
            folder: folder.nodes(),
            server_args: args.server_arg.clone(),
            server_also: None,
            direct: true,
            namespaces: false,
            trace: args.trace,
            disks: None,
            clock_shim: None,
        })
        .await?,
    );
    let observer = Observer::new(Arc::clone(&cluster), std::time::Instant::now());
    if !observer.recovered(std::time::Instant::now() + START_PATIENCE).await {
        bail!(
            "no leader within {}: see the logs in {}",
            show_duration(START_PATIENCE),
            folder.nodes().display()
        );
    }
    let from = Instant::now() + args.warm_up;
    let until = from + args.time_limit;
    let mut clients = JoinSet::new();
    for number in 0..args.clients {
        let mut endpoints = cluster.endpoints();
        let turn = usize::try_from(number).unwrap_or(0) % endpoints.len().max(1);
        endpoints.rotate_left(turn);
        let client =
            Client::new(ClientOptions { endpoints, op_timeout: OP_TIMEOUT, attempt_timeout: OP_TIMEOUT / 5 });
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        rng.set_stream(number);
        let (keys, share) = (args.keys, args.read_share);
        let value = vec![b'v'; usize::try_from(args.value_size)?];
        clients.spawn(async move { load(client, rng, keys, share, &value, from, until).await });
    }
    let mut total = Tally::new()?;
    while let Some(tally) = clients.join_next().await {
        total.add(&tally.context("a client panicked")??)?;
    }
    for node in cluster.nodes() {
        node.stop(Duration::from_secs(10)).await?;
    }
    let seconds = args.time_limit.as_secs_f64();
    let operations = total.reads.len() + total.writes.len();
    Ok(Measured {
        nodes: args.nodes,
        clients: args.clients,
        value_size: args.value_size,
        read_share: args.read_share,
        seconds,
        operations,
        errors: total.errors,
        ops_per_second: operations as f64 / seconds,
        reads: (!total.reads.is_empty()).then(|| quantiles(&total.reads)),
        writes: (!total.writes.is_empty()).then(|| quantiles(&total.writes)),
        store: folder.root().to_owned(),
    })
}

/// What one client did in the time measured.
struct Tally {
    reads: Histogram<u64>,
    writes: Histogram<u64>,
    errors: u64,
}

impl Tally {
    fn new() -> anyhow::Result<Tally> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_US, 3);
        Ok(Tally { reads: histogram()?, writes: histogram()?, errors: 0 })
    }

    fn add(&mut self, other: &Tally) -> anyhow::Result<()> {
        self.reads.add(&other.reads)?;
        self.writes.add(&other.writes)?;
        self.errors += other.errors;
        Ok(())
    }
}

async fn load(
    mut client: Client,
    mut rng: ChaCha8Rng,
    keys: u64,
    read_share: u64,
    value: &[u8],
    from: Instant,
    until: Instant,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    loop {
        let key = format!("key-{:08}", rng.random_range(0..keys));
        let reads = rng.random_range(0..100) < read_share;
        let asked = Instant::now();
        if asked >= until {
            return Ok(tally);
        }
        let answer = if reads {
            client.get(key.as_bytes()).await.map(|_| ())
        } else {
            client.put(key.as_bytes(), value).await
        };
        let answered = Instant::now();
        // Counted by when it ended: what was asked in the warm-up and answered in the measured time belongs to it, what
        // is still unanswered at its end does not.
        if answered < from || answered > until {
            continue;
        }
        let micros = u64::try_from((answered - asked).as_micros()).unwrap_or(LONGEST_US);
        match answer {
            Ok(()) if reads => tally.reads.saturating_record(micros),
            Ok(()) => tally.writes.saturating_record(micros),
            Err(_) => tally.errors += 1,
        }
    }
}

impl Measured {
    fn text(&self) -> String {
        let line = |name: &str, quantiles: Option<Quantiles>| match quantiles {
            Some(Quantiles { p50_ms, p90_ms, p99_ms, p999_ms, max_ms }) => format!(
                "  {name:<8}p50 {p50_ms:.2} ms, p90 {p90_ms:.2} ms, p99 {p99_ms:.2} ms, p99.9 {p999_ms:.2} ms, max {max_ms:.1} ms\n"
            ),
            None => String::new(),
        };
        format!(
            "{:.0} operations per second: {} in {:.0} s, {} errors ({} servers, {} clients, {} bytes, {} % reads)\n{}{}",
            self.ops_per_second,
            self.operations,
            self.seconds,
            self.errors,
            self.nodes,
            self.clients,
            self.value_size,
            self.read_share,
            line("reads", self.reads),
            line("writes", self.writes),
        )
    }
}
