//! `plumbline bench checker`: how fast recorded histories of a key-value store are judged, alone or next to other checkers.

mod families;
mod peers;

use std::fs::File;
use std::io::BufWriter;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use checker::generate::{Plan, Workload, generate};
use checker::{CheckOptions, Event, Format, Model, ModelName, ModelOptions, Verdict, Writer};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;

use self::peers::Peer;
use crate::commands::{print_json, print_text};
use crate::report::Validity;
use crate::units::parse_duration_within;

const EXAMPLES: &str = "\
Examples:
  plumbline bench checker --operations 100000 --clients 20 --keys 5
  plumbline bench checker --families --rounds 1 --peer 'porcupine=exec env GOMAXPROCS=1 my-porcupine {}'
  plumbline bench checker --file etcd_000.log --check-options '--model cas-register --explain 0s --threads 1' --peer 'porcupine=my-porcupine {}'";

/// The arguments of `plumbline bench checker`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckerArgs {
    /// Operations in the history [1..=10000000]
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000_000))]
    operations: u64,
    /// Clients that work at the same time [1..=1000]
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    clients: u64,
    /// Keys [1..=100000]
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<u64>::new().range(1..=100_000))]
    keys: u64,
    /// How many different values are written; 0: every value once [0..=1000000]
    #[arg(long, default_value_t = 0, value_parser = RangedU64ValueParser::<u64>::new().range(0..=1_000_000))]
    values: u64,
    /// Out of a thousand operations, how many end with unknown outcome [0..=1000]
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<u64>::new().range(0..=1_000))]
    unknown: u64,
    /// Histories, each from the next seed [1..=1000]
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    rounds: u64,
    /// Whether one read of each history is made stale, so that it must be refused
    #[arg(long)]
    stale: bool,
    /// Threads; all cores if not given [1..=1024]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_024))]
    threads: Option<u64>,
    /// How long each check may take [1s..=24h]
    #[arg(long, default_value = "60s", value_parser = time_limit, value_name = "DURATION")]
    time_limit: Duration,
    /// The first history's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A recorded history to judge, as a process; may be given again
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Another checker to measure on the same files, in turns: its command, with {} where the file's name goes (begin it with
    /// `exec` or `exec env NAME=VALUE`, so that it can be ended and its memory be watched). Its exit code
    /// is its verdict: 0, 1 (not linearizable) or 3 (unknown). Without --file the generated histories are written down (JSON
    /// lines). May be given again
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Peer::from_str)]
    peers: Vec<Peer>,
    /// A history that is next to nothing, in the same format: what a checker needs for it is its start-up, shown first and taken
    /// off before CPU is compared
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Instead: histories that get harder step by step, and how far each algorithm and each peer (which must read JSON lines)
    /// gets within the limits
    #[arg(long, conflicts_with_all = ["files", "base"])]
    families: bool,
    /// Memory for each process, in MiB [16..=1048576]
    #[arg(long, default_value_t = 4096, value_parser = RangedU64ValueParser::<u64>::new().range(16..=1_048_576))]
    memory: u64,
    /// How `plumbline check` is called on them: on one thread and, with --explain 0s, for the verdict alone, as others are
    #[arg(
        long,
        default_value = "--model kv --explain 0s --threads 1",
        allow_hyphen_values = true,
        value_name = "OPTIONS"
    )]
    check_options: String,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
}

fn time_limit(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    operations: u64,
    clients: u64,
    keys: u64,
    values: u64,
    unknown_per_mille: u64,
    rounds: Vec<Round>,
    /// Operations of all rounds by the time of all rounds.
    operations_per_second: f64,
}

/// One history.
#[derive(Debug, Serialize)]
struct Round {
    seed: u64,
    valid: Validity,
    seconds: f64,
}

impl CheckerArgs {
    fn settings(&self) -> peers::Settings<'_> {
        peers::Settings {
            check_options: &self.check_options,
            peers: &self.peers,
            rounds: self.rounds,
            time: self.time_limit,
            memory: self.memory << 20,
            base: self.base.as_deref(),
        }
    }
}

/// Measures.
pub(super) fn run(args: &CheckerArgs) -> anyhow::Result<ExitCode> {
    if args.families {
        return families(args);
    }
    if !args.files.is_empty() || !args.peers.is_empty() {
        return compare(args);
    }
    let mut rounds = Vec::new();
    for round in 0..args.rounds {
        rounds.push(measure(args, args.seed.wrapping_add(round))?);
    }
    let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
    // The generator knows the verdict; another one would be a bug of the checker, and no measurement.
    let expected = if args.stale { Validity::False } else { Validity::True };
    let wrong = rounds.iter().find(|round| round.valid != expected && round.valid != Validity::Unknown);
    if let Some(round) = wrong {
        anyhow::bail!("wrong verdict {:?} on the history of seed {}", round.valid, round.seed);
    }
    let measured = Measured {
        operations: args.operations,
        clients: args.clients,
        keys: args.keys,
        values: args.values,
        unknown_per_mille: args.unknown,
        operations_per_second: (args.operations * args.rounds) as f64 / seconds,
        rounds,
    };
    if args.json {
        print_json(&measured)?
    } else {
        print_text(&measured.text())?
    }
    Ok(ExitCode::SUCCESS)
}

/// How far each algorithm gets with histories that become harder and harder.
fn families(args: &CheckerArgs) -> anyhow::Result<ExitCode> {
    let folder = Written::new()?;
    let far = families::climb(&folder.0, &args.settings(), args.seed)?;
    if args.json {
        print_json(&far)?
    } else {
        print_text(&families::text(&far, &args.settings()))?
    }
    Ok(ExitCode::SUCCESS)
}

/// Ours and others as processes, on files.
fn compare(args: &CheckerArgs) -> anyhow::Result<ExitCode> {
    let mut files = args.files.clone();
    let folder = Written::new()?;
    if files.is_empty() {
        for seed in (args.seed..).take(usize::try_from(args.rounds)?) {
            let path = folder
                .0
                .join(format!("kv-n{}-c{}-k{}-seed{seed}.jsonl", args.operations, args.clients, args.keys));
            write_down(&events(args, seed)?, &path)?;
            files.push(path);
        }
    }
    let compared = peers::compare(&files, &args.settings())?;
    if args.json {
        print_json(&compared)?
    } else {
        print_text(&compared.text())?
    }
    if let Some(disagreement) = compared.disagreement() {
        anyhow::bail!("the checkers disagree: {disagreement}");
    }
    Ok(ExitCode::SUCCESS)
}

fn write_down(events: &[Event], path: &Path) -> anyhow::Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(path)?), Format::JsonLines);
    for event in events {
        writer.write(event)?;
    }
    Ok(writer.flush()?)
}

/// A folder that is gone afterwards.
struct Written(PathBuf);

impl Written {
    fn new() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("plumbline-bench-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It is in the folder for what may go, if it is there at all.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn events(args: &CheckerArgs, seed: u64) -> anyhow::Result<Vec<Event>> {
    let generated = generate(&Plan {
        operations: usize::try_from(args.operations)?,
        clients: usize::try_from(args.clients)?,
        keys: usize::try_from(args.keys)?,
        values: args.values,
        unknown: args.unknown,
        ..Plan::new(Workload::KeyValue, seed)
    });
    if !args.stale {
        return Ok(generated.events);
    }
    let events = generated.with_stale_read(seed);
    events.ok_or_else(|| anyhow::anyhow!("the history of seed {seed} has no read to make stale"))
}

fn measure(args: &CheckerArgs, seed: u64) -> anyhow::Result<Round> {
    let history = checker::generate::history(&events(args, seed)?);
    let model =
        Model::new(ModelName::KeyValue, &ModelOptions::default(), &history).map_err(anyhow::Error::msg)?;
    let threads = args.threads.and_then(|threads| NonZero::new(usize::try_from(threads).ok()?));
    let mut options = CheckOptions { threads, ..CheckOptions::default() };
    options.limits.time = args.time_limit;
    let began = Instant::now();
    let valid = match model.check(&history, &options)?.verdict {
        Verdict::Linearizable { .. } => Validity::True,
        Verdict::NotLinearizable { .. } => Validity::False,
        Verdict::Unknown { .. } => Validity::Unknown,
    };
    Ok(Round { seed, valid, seconds: began.elapsed().as_secs_f64() })
}

impl Measured {
    fn text(&self) -> String {
        let Measured { operations, clients, keys, unknown_per_mille, .. } = self;
        let mut text = format!(
            "{:.0} operations per second ({operations} operations, {clients} clients, {keys} keys, {unknown_per_mille} of 1000 unknown)\n",
            self.operations_per_second
        );
        for Round { seed, valid, seconds } in &self.rounds {
            text.push_str(&format!("  seed {seed}: {valid:?} in {seconds:.3} s\n"));
        }
        text
    }
}
