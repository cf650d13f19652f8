//! `plumbline scenario seed-1` and `seed-2`: the two experiments that this project began with.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::guarded::guarded;
use super::run::random_seed;
use super::{print_json, print_text};
use crate::cluster::MAX_NODES;
use crate::program;
use crate::progress::tell;
use crate::scenario::{Experiment, Failure, perform};
use crate::store::RunFolder;
use crate::units::parse_duration_within;

const EXAMPLES: &str = "\
Examples:
  plumbline scenario seed-1
  plumbline scenario seed-2 --seed 7 --json
  plumbline scenario seed-2 --fail follower@13s --fail leader@21s
  plumbline scenario seed-1 --servers 3 --fail leader@10s+2s

Everything is left in store/<name>/<time>/, with a page (report.html).
Exit codes: 0 the experiment's conditions hold, 1 one is broken or a get was wrong, 2 usage or environment error, 3 unknown.";

/// The experiments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Five servers, 8 clients, 500 requests, eight in ten of them gets; nothing fails.
    #[value(name = "seed-1")]
    Seed1,
    /// The same with two gets in ten requests; the leader fails for good at seconds 13 and 21.
    #[value(name = "seed-2")]
    Seed2,
}

/// The arguments of `plumbline scenario`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ScenarioArgs {
    /// Which experiment
    name: Name,
    /// Decides every request; random, and printed, if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Whom to fail and when, instead of the experiment's own failures: leader@13s, follower@13s, follower[1]@13s, and
    /// leader@13s+2s for one that comes back; may be repeated
    #[arg(long, value_name = "WHO@WHEN", value_parser = Failure::parse)]
    fail: Vec<Failure>,
    /// Servers [1..=9] [default: 5]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_NODES))]
    servers: Option<u64>,
    /// Clients [1..=1000] [default: 8]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    clients: Option<u64>,
    /// Requests [1..=100000] [default: 500]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=100_000))]
    requests: Option<u64>,
    /// Gets in 100 requests [0..=100] [default: the experiment's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    read_share: Option<u32>,
    /// How long it lasts [1s..=24h] [default: 30s]
    #[arg(long, value_parser = lifetime, value_name = "DURATION")]
    lifetime: Option<Duration>,
    /// When the first request is due [0s..=24h] [default: 5s]
    #[arg(long, value_parser = moment, value_name = "DURATION")]
    first_request: Option<Duration>,
    /// How far apart requests are [0s..=24h] [default: 46ms]
    #[arg(long, value_parser = moment, value_name = "DURATION")]
    spacing: Option<Duration>,
    /// Where results are collected
    #[arg(long, default_value = "store", value_name = "DIR")]
    store: PathBuf,
    /// The server's program; built or found if not given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// One more argument for every server; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    server_arg: Vec<String>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

fn moment(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::ZERO, Duration::from_secs(86_400))
}

/// Performs the experiment.
///
/// # Errors
/// When it could not take place.
pub fn run(args: &ScenarioArgs) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(random_seed);
    tell(&format!("seed {seed} (the same requests again: --seed {seed})"));
    let experiment = args.experiment(program::find(args.server.as_deref())?, seed)?;
    let folder = RunFolder::create(&args.store, &experiment.name)?;
    tell(&format!("{} requests in {} s", experiment.requests, experiment.lifetime.as_secs()));
    let stop = CancellationToken::new();
    let outcome = guarded(experiment.budget(), &stop, perform(&experiment, &folder, &stop))?;
    if args.json {
        print_json(&outcome)?;
    } else {
        print_text(&outcome.text())?;
    }
    Ok(ExitCode::from(outcome.valid.exit_code()))
}

impl ScenarioArgs {
    fn experiment(&self, server: PathBuf, seed: u64) -> anyhow::Result<Experiment> {
        let mut experiment = match self.name {
            Name::Seed1 => Experiment::seed_1(server, seed),
            Name::Seed2 => Experiment::seed_2(server, seed),
        };
        experiment.server_args.clone_from(&self.server_arg);
        let set = |field: &mut u64, value: Option<u64>| *field = value.unwrap_or(*field);
        set(&mut experiment.servers, self.servers);
        set(&mut experiment.clients, self.clients);
        set(&mut experiment.requests, self.requests);
        let set = |field: &mut Duration, value: Option<Duration>| *field = value.unwrap_or(*field);
        set(&mut experiment.lifetime, self.lifetime);
        set(&mut experiment.first_request, self.first_request);
        set(&mut experiment.spacing, self.spacing);
        experiment.read_share = self.read_share.unwrap_or(experiment.read_share);
        // A message for each request is the least that keeping it takes; a server alone needs none.
        experiment.least_messages = if experiment.servers > 1 { experiment.requests } else { 0 };
        if !self.fail.is_empty() {
            experiment.failures.clone_from(&self.fail);
        }
        let late = experiment.failures.iter().find(|failure| failure.at >= experiment.lifetime);
        if let Some(late) = late {
            anyhow::bail!(
                "{late} is after the experiment's end: give a longer --lifetime, or other failures with --fail"
            );
        }
        Ok(experiment)
    }
}
