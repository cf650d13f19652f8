//! `plumbline run`: the main job.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{EXIT_ERROR, print_json, print_text};
use crate::cluster::{MAX_NODES, kill_all};
use crate::judge::Limits;
use crate::program;
use crate::progress::tell;
use crate::report::{CountByType, RunResults, Validity, junit};
use crate::runner::{RunOptions, run as run_once};
use crate::schedule::{Draft, Nemeses, Pace};
use crate::stats::Counts;
use crate::store::is_name;
use crate::system::{Capability, SystemArgs};
use crate::units::parse_duration_within;
use crate::workload;

const EXAMPLES: &str = "\
Examples:
  plumbline run
  plumbline run --nodes 3 --time-limit 10s --nemesis none
  plumbline run --seed 42 --nemesis kill,pause,partition --test-count 5 --json
  plumbline run --schedule plan.json
  plumbline run --workload bank --nemesis kill,pause

Faults for --nemesis: of processes: kill, crash-loop, graceful, rolling, pause, slow-process, descriptors, memory, at-rest
(damaged files), and by name only upgrade (needs --server-also); of links: partition, latency, bandwidth, resets,
slow-accept, frames (lost, duplicated, reordered, corrupted), and by name only, in place of these, packets (in network
namespaces: dropped, lost, limited, reset); of disks: power (what was not synced is lost), disk-error,
disk-slow, and by name only disk-lie, disk-flip; of clocks: clock-jump, clock-drift, clock-strobe, monotonic-jump
(`plumbline doctor` says which of these this machine can do); and what the cluster is asked for: transfer (of leadership),
compact (snapshots), members (one leaves and comes back); or single ways of them, such as kill-leader or halves (a name
that does not exist makes it list them); all, none.
Results are left in store/<test>/<time>/, with store/latest beside them.
Exit codes: 0 holds, 1 violated, 2 usage or environment error, 3 unknown.";

/// The arguments of `plumbline run`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    system: SystemArgs,
    /// Servers [1..=9] [default: 5, or the schedule's]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_NODES))]
    nodes: Option<u64>,
    /// Clients that work at the same time [1..=1000]
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    concurrency: u64,
    /// How long clients and faults run [1s..=24h] [default: 60s, or the schedule's]
    #[arg(long, value_parser = time_limit, value_name = "DURATION")]
    time_limit: Option<Duration>,
    /// Decides every fault and operation; the schedule's if not given, or else random, and printed
    #[arg(long)]
    seed: Option<u64>,
    /// Which faults, comma-separated
    #[arg(long, default_value = "all", value_parser = Nemeses::parse, value_name = "NAMES")]
    nemesis: Nemeses,
    /// How long it is quiet between a fault and the next, in the mean (in runs under 20 s, less in proportion) [0s..=1h]
    #[arg(long, default_value = "2500ms", value_parser = interval, value_name = "DURATION")]
    nemesis_interval: Duration,
    /// So many faults at a time at most, each of another sort: processes, links, disks, clocks, verbs [1..=5]
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<u64>::new().range(1..=5), value_name = "N")]
    nemesis_at_once: u64,
    /// The faults, when and on whom, from a file, instead of faults drawn from the seed
    #[arg(long, value_name = "FILE", conflicts_with = "nemesis")]
    schedule: Option<PathBuf>,
    /// How many runs, each with the next seed [1..=10000]
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000))]
    test_count: u64,
    /// Where results are collected
    #[arg(long, default_value = "store", value_name = "DIR")]
    store: PathBuf,
    /// The test's name: the results' folder in the store
    #[arg(long, default_value = "kv", value_parser = test_name)]
    name: String,
    /// What the clients do: register, cas-register, map, append-list, set, counter, queue, lock or bank
    #[arg(long, default_value = workload::DEFAULT, value_parser = workload_name, value_name = "NAME")]
    workload: String,
    /// After so many of its operations a client goes on to fresh keys; 0: never [default: as suits the workload]
    #[arg(long, value_name = "N")]
    rotate: Option<u64>,
    /// Keys the clients work on at a time [1..=1000]
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    keys: u64,
    /// Operations per second, all clients together [1..=100000]
    #[arg(long, default_value_t = 300, value_parser = RangedU64ValueParser::<u64>::new().range(1..=100_000))]
    rate: u64,
    /// How long a client tries one operation before its outcome counts as unknown [10ms..=10m]
    #[arg(long, default_value = "2s", value_parser = op_timeout, value_name = "DURATION")]
    op_timeout: Duration,
    /// How long the checker may search [1s..=24h]
    #[arg(long, default_value = "120s", value_parser = time_limit, value_name = "DURATION")]
    check_time_limit: Duration,
    /// The server's program; built or found if not given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// A second build of the server, for a cluster of both: a minority runs it, and the fault upgrade changes who does
    #[arg(long, value_parser = second_build, value_name = "PATH")]
    server_also: Option<PathBuf>,
    /// One more argument for every server; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    server_arg: Vec<String>,
    /// Do not record what the servers' cores are given, and so not replay it
    #[arg(long)]
    no_trace: bool,
    /// Do not watch: no watchers that are told every change, which is judged too (where a system has watches)
    #[arg(long)]
    no_watch: bool,
    /// A seeded bug of a server that was built with the feature `mutants`
    #[arg(long, hide = true, value_name = "NAME")]
    mutant: Option<String>,
    /// Write the verdicts for a build server as well, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print one JSON object on standard output, and nothing else
    #[arg(long)]
    json: bool,
    /// The options that were given or have defaults, as they are stored with the schedule.
    #[arg(skip)]
    pub(super) stated: Vec<String>,
}

/// How many servers, where nobody says.
const NODES: u64 = 5;
/// How long clients and faults run, where nobody says.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The most memory the checker may use.
const CHECK_MEMORY_BYTES: u64 = 4 << 30;

fn time_limit(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_secs(1), Duration::from_secs(86_400))
}

fn interval(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::ZERO, Duration::from_secs(3_600))
}

fn op_timeout(text: &str) -> Result<Duration, String> {
    parse_duration_within(text, Duration::from_millis(10), Duration::from_secs(600))
}

fn second_build(text: &str) -> Result<PathBuf, String> {
    program::find(Some(Path::new(text))).map_err(|error| format!("{error:#}"))
}

fn workload_name(text: &str) -> Result<String, String> {
    workload::named(text).map(|workload| workload.name().to_owned())
}

fn test_name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("use letters, digits, '-', '_' and '.'".to_owned()) }
}

/// Several runs in one object.
#[derive(Debug, Serialize)]
struct Campaign<'a> {
    valid: Validity,
    seed: u64,
    store: &'a PathBuf,
    count: CountByType,
    passed: usize,
    failed: usize,
    unknown: usize,
    runs: &'a [RunResults],
}

/// Performs the runs asked for.
///
/// # Errors
/// When a run could not take place at all.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let draft = args.schedule.as_deref().map(Draft::open).transpose()?;
    let seed = args.seed(draft.as_ref());
    tell(&format!("seed {seed} (the same schedule again: --seed {seed})"));
    let server = args.program()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let mut results = Vec::new();
    for number in 0..args.test_count {
        if stop.is_cancelled() {
            break;
        }
        let options = args.options(seed.wrapping_add(number), server.clone(), draft.as_ref())?;
        if number > 0 {
            tell(&format!("seed {}", options.seed));
        }
        let one = runtime.block_on(async {
            let listening = tokio::spawn(stop_on_signals(stop.clone())?);
            let _watchdog = Watchdog::start(options.budget());
            let one = run_once(&options, &stop).await;
            listening.abort();
            one
        });
        let one = match one {
            Ok(one) => one,
            // What earlier runs found is not to be lost for it.
            Err(error) if !results.is_empty() => {
                tell(&format!("error: {error:#}"));
                let found = finish(args, seed, &results)?;
                let violated = results.iter().any(|one| one.valid == Validity::False);
                return Ok(if violated { found } else { ExitCode::from(EXIT_ERROR) });
            }
            Err(error) => return Err(error),
        };
        if !args.json {
            print_text(&one.text())?;
        }
        results.push(one);
    }
    finish(args, seed, &results)
}

fn finish(args: &RunArgs, seed: u64, results: &[RunResults]) -> anyhow::Result<ExitCode> {
    let valid = results.iter().map(|one| one.valid).max().unwrap_or(Validity::Unknown);
    // A campaign that was cut short has not shown what was asked.
    let is_whole = results.len() as u64 == args.test_count;
    let valid = if is_whole { valid } else { valid.max(Validity::Unknown) };
    let having = |valid: Validity| results.iter().filter(|one| one.valid == valid).count();
    let campaign = Campaign {
        valid,
        seed,
        store: &args.store,
        count: results.iter().fold(Counts::default(), |sum, one| sum.plus(one.operations.total)).into(),
        passed: having(Validity::True),
        failed: having(Validity::False),
        unknown: having(Validity::Unknown),
        runs: results,
    };
    if let Some(path) = &args.junit {
        let cases: Vec<junit::Case> = results.iter().map(junit::Case::of).collect();
        junit::write(path, &format!("plumbline.{}", args.name), &cases)?;
    }
    match results {
        [one] if args.json && args.test_count == 1 => print_json(one)?,
        _ if args.json => print_json(&campaign)?,
        _ if args.test_count > 1 => {
            let Campaign { passed, failed, unknown, .. } = campaign;
            print_text(&format!(
                "{} runs: {passed} passed, {failed} failed, {unknown} unknown\n",
                results.len()
            ))?;
        }
        _ => {}
    }
    Ok(ExitCode::from(valid.exit_code()))
}

impl RunArgs {
    /// The server's program: the one that is named, or the one that is found.
    pub(super) fn program(&self) -> anyhow::Result<PathBuf> {
        self.system.program(self.server.as_deref())
    }

    /// The seed that is given, or the schedule's, or a new one.
    pub(super) fn seed(&self, draft: Option<&Draft>) -> u64 {
        self.seed.or(draft.and_then(|draft| draft.seed)).unwrap_or_else(random_seed)
    }

    /// What to run.
    pub(super) fn options(
        &self,
        seed: u64,
        server: PathBuf,
        draft: Option<&Draft>,
    ) -> anyhow::Result<RunOptions> {
        let mut server_args = self.server_arg.clone();
        if let Some(mutant) = &self.mutant {
            server_args.extend(["--mutant".to_owned(), mutant.clone()]);
        }
        let drafted = draft.and_then(|draft| draft.time_limit_ms).map(Duration::from_millis);
        let system = self.system.system()?;
        for (flag, value) in system.habits() {
            let is_said = |arg: &String| {
                arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            };
            if !server_args.iter().any(is_said) {
                server_args.push(format!("{flag}={value}"));
            }
        }
        Ok(RunOptions {
            test: self.name.clone(),
            store: self.store.clone(),
            system: Arc::clone(&system),
            server: server.clone(),
            server_also: self.server_also.clone(),
            server_args,
            nodes: self.nodes.or(draft.and_then(|draft| draft.nodes)).unwrap_or(NODES),
            concurrency: self.concurrency,
            workload: self.workload.clone(),
            rotate: self.rotate,
            keys: usize::try_from(self.keys).unwrap_or(1),
            rate: self.rate,
            time_limit: self.time_limit.or(drafted).unwrap_or(TIME_LIMIT),
            op_timeout: self.op_timeout,
            nemeses: self.nemesis.clone(),
            pace: Pace {
                interval: self.nemesis_interval,
                at_once: usize::try_from(self.nemesis_at_once).unwrap_or(1),
            },
            schedule: draft.cloned(),
            options: self.stored_options(&server),
            seed,
            check: Limits { time: self.check_time_limit, memory_bytes: CHECK_MEMORY_BYTES },
            watch: !self.no_watch && system.capabilities().contains(&Capability::Watch),
            trace: !self.no_trace && system.capabilities().contains(&Capability::Traces),
            quiet: self.json && !std::io::IsTerminal::is_terminal(&std::io::stderr()),
        })
    }
}

/// What is not stored as an option: it stands in the schedule itself, or is about where results go.
const NOT_STORED: &[&str] = &[
    "seed",
    "nodes",
    "time-limit",
    "schedule",
    "nemesis",
    "nemesis-interval",
    "nemesis-at-once",
    "test-count",
    "store",
    "name",
    "junit",
    "json",
];

impl RunArgs {
    /// Takes down every option with its value, also where that is the default.
    pub(super) fn state(&mut self, matches: &ArgMatches) {
        let command = RunArgs::augment_args(clap::Command::new("run"));
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long().filter(|long| !NOT_STORED.contains(long)) else { continue };
            let id = arg.get_id().as_str();
            if arg.get_action().takes_values() {
                let values = matches.get_raw(id).into_iter().flatten();
                self.stated.extend(values.map(|value| format!("--{long}={}", value.to_string_lossy())));
            } else if matches.value_source(id) == Some(ValueSource::CommandLine) {
                self.stated.push(format!("--{long}"));
            }
        }
    }

    /// The options as they are stored: a server that was named is found again from anywhere.
    fn stored_options(&self, server: &Path) -> Vec<String> {
        let absolute = |option: &String| match (option.split_once('='), &self.server_also) {
            (Some(("--server", _)), _) => format!("--server={}", server.display()),
            (Some(("--server-also", _)), Some(second)) => format!("--server-also={}", second.display()),
            _ => option.clone(),
        };
        self.stated.iter().map(absolute).collect()
    }
}

/// A seed nobody chose: the standard library's hash keys are random per process. Short, so that people can retype it.
pub(super) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() % 1_000_000_000
}

/// The first SIGINT or SIGTERM ends the run in order, with a verdict on what was recorded; a second one ends it at once.
/// (The servers then end because their standard input closes.)
pub(super) fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                kill_all();
                std::process::exit(i32::from(EXIT_ERROR));
            }
            tell("stopping: healing, final reads, verdict (once more to stop at once)");
            stop.cancel();
        }
    })
}

/// Ends a run that hangs: everything in it has a limit of its own, so that this only fires on a bug of the harness. It is
/// a thread, so that it also fires when the runtime itself is stuck; it ends when the value is dropped.
pub(super) struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    pub(super) fn start(budget: Duration) -> Watchdog {
        let (alive, dropped) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if dropped.recv_timeout(budget) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tell(&format!("error: the run hangs: it should have ended within {} s", budget.as_secs()));
                kill_all();
                std::process::exit(i32::from(EXIT_ERROR));
            }
        });
        Watchdog { _alive: alive }
    }
}
