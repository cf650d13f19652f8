//! `plumbline sweep PARAMETER`: the same experiment for one value after the other, with curves and tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::guarded::guarded;
use super::run::random_seed;
use super::{print_json, print_text};
use crate::program;
use crate::progress::tell;
use crate::report::Validity;
use crate::scenario::{Experiment, Load, perform};
use crate::store::RunFolder;
use crate::sweep::{Base, Parameter, Point, Sweep};
use crate::units::{parse_duration_within, show_duration};

const EXAMPLES: &str = "\
Examples:
  plumbline sweep servers
  plumbline sweep election-timeout --values 100ms,300ms,1s --repeat 5
  plumbline sweep clients --lifetime 10s --seed 7
  plumbline sweep read-share --load closed

store/sweep-<parameter>/<time>/ receives table.csv, table.md, curves.svg, report.html, results.json, and each experiment's own
folder under runs/.
Exit codes: 0 every experiment was linearizable, 1 one was not, 2 usage or environment error, 3 unknown.";

/// The arguments of `plumbline sweep`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// What is varied
    parameter: Parameter,
    /// Its values, comma-separated [default: a range that shows something]
    #[arg(long, value_delimiter = ',', value_name = "VALUE,...")]
    values: Vec<String>,
    /// Experiments for each value, each with the next seed [1..=1000]
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    repeat: u64,
    /// How long each experiment lasts [4s..=24h]
    #[arg(long, default_value = "12s", value_parser = lifetime, value_name = "DURATION")]
    lifetime: Duration,
    /// How far apart requests are, where they are spaced [1ms..=1h]
    #[arg(long, default_value = "46ms", value_parser = spacing, value_name = "DURATION")]
    spacing: Duration,
    /// Requests at their moments, or each as soon as the client's last was answered [default: what the parameter needs]
    #[arg(long, value_name = "spaced|closed")]
    load: Option<LoadArg>,
    /// Decides every request; random, and printed, if not given
    #[arg(long)]
    seed: Option<u64>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoadArg {
    Spaced,
    Closed,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(4), Duration::from_secs(86_400))
}

fn spacing(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_millis(1), Duration::from_secs(3_600))
}

/// Performs the experiments.
///
/// # Errors
/// When a value makes no sense, before anything is started; or when an experiment could not take place.
pub fn run(args: &SweepArgs) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(random_seed);
    let base = args.base(program::find(args.server.as_deref())?, seed);
    let values = if args.values.is_empty() { args.parameter.values() } else { args.values.clone() };
    let experiments: Vec<(String, Experiment)> = values
        .into_iter()
        .map(|value| {
            let experiment =
                args.parameter.experiment(&base, &value).map_err(|error| anyhow!("--values: {error}"))?;
            anyhow::Ok((value, experiment))
        })
        .collect::<anyhow::Result<_>>()?;
    tell(&format!("seed {seed} (the same requests again: --seed {seed})"));
    let folder = RunFolder::create(&args.store, &format!("sweep-{}", args.parameter.name()))?;
    let budget: Duration = experiments.iter().map(|(_, one)| one.budget()).sum();
    let stop = CancellationToken::new();
    let repeat = u32::try_from(args.repeat).unwrap_or(u32::MAX);
    let points = guarded(budget.saturating_mul(repeat), &stop, args.all(&experiments, &folder, &stop))?;
    let whole = points.iter().map(|point| point.figures.len() as u64).sum::<u64>()
        == args.repeat * experiments.len() as u64;
    let worst = points.iter().map(|point| point.valid).max().unwrap_or(Validity::Unknown);
    let sweep = Sweep {
        valid: if whole { worst } else { worst.max(Validity::Unknown) },
        test: format!("sweep-{}", args.parameter.name()),
        seed,
        parameter: args.parameter,
        common: args.common(&experiments),
        points,
    };
    folder.write_json("results.json", &sweep)?;
    folder.write_text("table.csv", &sweep.csv())?;
    folder.write_text("table.md", &sweep.markdown())?;
    folder.write_text("curves.svg", &sweep.svg())?;
    folder.write_text("report.html", &sweep.html())?;
    if args.json {
        print_json(&sweep)?;
    } else {
        print_text(&format!("{}\nlook in {}\n", sweep.markdown(), folder.root().display()))?;
    }
    Ok(ExitCode::from(sweep.valid.exit_code()))
}

impl SweepArgs {
    fn base(&self, server: PathBuf, seed: u64) -> Base {
        let load = self.load.map(|load| match load {
            LoadArg::Spaced => Load::Spaced,
            LoadArg::Closed => Load::Closed,
        });
        let server_args = self.server_arg.clone();
        Base { server, seed, lifetime: self.lifetime, spacing: self.spacing, load, server_args }
    }

    async fn all(
        &self,
        experiments: &[(String, Experiment)],
        folder: &RunFolder,
        stop: &CancellationToken,
    ) -> anyhow::Result<Vec<Point>> {
        let runs = folder.root().join("runs");
        let mut points = Vec::new();
        for (value, experiment) in experiments {
            let mut point = Point {
                value: value.clone(),
                valid: Validity::True,
                figures: Vec::new(),
                stores: Vec::new(),
            };
            for number in 0..self.repeat {
                if stop.is_cancelled() {
                    break;
                }
                let experiment =
                    Experiment { seed: experiment.seed.wrapping_add(number), ..experiment.clone() };
                let of = RunFolder::create(&runs, &experiment.name)?;
                let outcome = perform(&experiment, &of, stop).await?;
                // The data has served its purpose; histories and logs stay.
                for id in 1..=experiment.servers {
                    let _ = std::fs::remove_dir_all(of.nodes().join(format!("n{id}/data")));
                }
                tell(&format!(
                    "  {} {value}: median {:.2} ms, {:.0} answered/s, {} messages",
                    self.parameter.name(),
                    outcome.figures.median_latency_ms,
                    outcome.figures.answered_per_second,
                    outcome.figures.messages_between_servers
                ));
                point.valid = point.valid.max(outcome.valid);
                point.figures.push(outcome.figures);
                point.stores.push(outcome.store);
            }
            points.push(point);
        }
        Ok(points)
    }

    /// What the experiments have in common, in words.
    fn common(&self, experiments: &[(String, Experiment)]) -> String {
        let Some((_, one)) = experiments.first() else { return String::new() };
        let load = match one.load {
            Load::Spaced => format!("a request every {}", show_duration(one.spacing)),
            Load::Closed => "each client asks again as soon as it is answered".to_owned(),
        };
        let failing = if experiments.iter().all(|(_, one)| one.failures.is_empty()) {
            "nothing fails".to_owned()
        } else {
            "the leader fails and comes back two seconds later".to_owned()
        };
        // What is varied is not in common.
        let common = [
            (Parameter::Servers, format!("{} servers", one.servers)),
            (Parameter::Clients, format!("{} clients", one.clients)),
            (Parameter::ReadShare, format!("{} % gets", one.read_share)),
            (Parameter::ValueSize, format!("values of {} bytes", one.value_size)),
        ];
        let common = common.into_iter().filter(|(parameter, _)| *parameter != self.parameter);
        let mut common: Vec<String> = common.map(|(_, what)| what).collect();
        common.extend([load, failing]);
        let length = show_duration(one.lifetime);
        format!(
            "{}; experiments of {length}, {} for each value, seed {} on.",
            common.join(", "),
            self.repeat,
            one.seed
        )
    }
}
