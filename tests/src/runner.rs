//! Joins the parts into a run: cluster, clients, nemesis, recovery, final reads, verdict.

mod findings;
mod load;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ClusterOptions, Exit};
use crate::judge::{Limits, judge};
use crate::logs;
use crate::observer::Observer;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::replicas::ReplicaReport;
use crate::report::{Finding, NemesisReport, NodeReport, RunResults, Setup, Weight};
use crate::schedule::{Draft, Kind, Nemeses, Pace, Schedule, all_links, plan};
use crate::stats::Stats;
use crate::store::{RESULTS, RunFolder, SCHEDULE};
use crate::system::{AnySystem, require_all};
use crate::traces::TraceReport;
use crate::units::millis;
use crate::watch::WatchReport;
use crate::workload::{self, Workload};

/// How long a fresh cluster has to elect its first leader.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a healed cluster has to recover, and then each key to be read.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(20);
/// How long a server has to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// What the parts may take beyond their own limits before the run counts as hung.
const SLACK: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The test's name: the folder under `store`.
    pub test: String,
    /// The folder that collects results.
    pub store: PathBuf,
    /// The system under test.
    pub system: AnySystem,
    /// The server's program.
    pub server: PathBuf,
    /// A second build of it, for clusters of both.
    pub server_also: Option<PathBuf>,
    /// Arguments for every server.
    pub server_args: Vec<String>,
    /// How many servers.
    pub nodes: u64,
    /// How many workers.
    pub concurrency: u64,
    /// The workload's name.
    pub workload: String,
    /// How many keys at a time.
    pub keys: usize,
    /// After so many of its operations a worker goes on to fresh keys (0: never); as the workload has it, if not given.
    pub rotate: Option<u64>,
    /// Operations per second, all workers together.
    pub rate: u64,
    /// How long clients and faults run.
    pub time_limit: Duration,
    /// How long a client tries one operation.
    pub op_timeout: Duration,
    /// Which faults are drawn from the seed, if no schedule is given.
    pub nemeses: Nemeses,
    /// How densely.
    pub pace: Pace,
    /// The schedule, if one is given.
    pub schedule: Option<Draft>,
    /// The options of `plumbline run` that say all of this, to be stored with the schedule.
    pub options: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The checker's limits.
    pub check: Limits,
    /// Whether watchers stand beside the clients, and what they are told is judged.
    pub watch: bool,
    /// Whether the servers record traces, which are replayed and judged.
    pub trace: bool,
    /// Whether to keep the terminal quiet.
    pub quiet: bool,
}

impl RunOptions {
    /// The longest a run with these options can take unless something hangs.
    #[must_use]
    pub fn budget(&self) -> Duration {
        let patience = START_PATIENCE + 2 * RECOVERY_PATIENCE + STOP_PATIENCE + SLACK;
        // Replaying takes a few percent of the time that was recorded.
        self.time_limit + self.time_limit / 4 + 3 * self.op_timeout + self.check.time + patience
    }

    /// The plan of faults that these options lead to.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let made = match &self.schedule {
            Some(draft) => draft.complete(self.seed, self.nodes, self.time_limit),
            None => plan(self.seed, self.nodes, self.time_limit, &self.nemeses, self.pace),
        };
        Schedule { options: self.options.clone(), ..made }
    }
}

/// Performs one run. `stop` ends the workload early; what was recorded is still healed, read and judged.
///
/// # Errors
/// When the run could not take place: no ports, no program, no leader, a history that cannot be written.
pub async fn run(options: &RunOptions, stop: &CancellationToken) -> anyhow::Result<RunResults> {
    let schedule = options.schedule();
    schedule.check().map_err(anyhow::Error::msg)?;
    let workload = workload::named(&options.workload).map_err(anyhow::Error::msg)?;
    require_all(&*options.system, &*workload, &schedule)?;
    let folder = RunFolder::create(&options.store, &options.test)?;
    folder.write_json(SCHEDULE, &schedule)?;
    let progress = Progress::new(options.time_limit, options.quiet);
    let result =
        Run { options, workload: &workload, folder: &folder, schedule: &schedule, progress: &progress }
            .perform(stop)
            .await;
    progress.done();
    let results =
        result.with_context(|| format!("the run in {} came to nothing", folder.root().display()))?;
    folder.write_json(RESULTS, &results)?;
    folder.write_text("verdict.txt", &results.text())?;
    // The verdict stands whatever becomes of its page.
    if let Err(error) = crate::page::write(folder.root()) {
        progress.note(&format!("no page was made: {error:#}"));
    }
    Ok(results)
}

struct Run<'a> {
    options: &'a RunOptions,
    workload: &'a Arc<dyn Workload>,
    folder: &'a RunFolder,
    schedule: &'a Schedule,
    progress: &'a Progress,
}

impl Run<'_> {
    async fn perform(&self, stop: &CancellationToken) -> anyhow::Result<RunResults> {
        let began = Instant::now();
        let options = self.options;
        let mut cluster = ClusterOptions {
            system: Arc::clone(&options.system),
            server: options.server.clone(),
            server_also: options.server_also.clone(),
            nodes: options.nodes,
            folder: self.folder.nodes(),
            server_args: options.server_args.clone(),
            direct: false,
            namespaces: false,
            trace: options.trace,
            disks: None,
            clock_shim: None,
        };
        for planned in self.schedule.faults() {
            planned
                .fault
                .prepare(&mut cluster)
                .with_context(|| format!("cannot prepare {}", planned.fault))?;
        }
        if let Some(disks) = &mut cluster.disks {
            disks.seed = self.schedule.seed;
        }
        let cluster = Arc::new(Cluster::start(&cluster).await?);
        await_first_leader(&cluster, stop).await?;
        let start_ms = millis(began.elapsed());
        let recorder = Arc::new(Recorder::create(&self.folder.history_jsonl(), &self.folder.history_edn())?);
        let observer = Observer::new(Arc::clone(&cluster), recorder.origin());
        let stats = Arc::new(Stats::default());
        let mut loaded = self.load(&cluster, &observer, &recorder, &stats, stop).await?;
        loaded.phases.start_ms = start_ms;
        self.progress.note("stopping the servers");
        let stopping = Instant::now();
        let (nodes, unstopped) = match stop_all(&cluster).await {
            Ok(nodes) => (nodes, None),
            Err(error) => (Vec::new(), Some(format!("the servers could not be stopped in order: {error:#}"))),
        };
        loaded.phases.stop_ms = millis(stopping.elapsed());
        self.progress.note(if options.trace {
            "checking the history and the traces"
        } else {
            "checking the history"
        });
        let checking = Instant::now();
        let (history, limits) = (self.folder.history_jsonl(), options.check);
        let workload = Arc::clone(self.workload);
        let (nodes_folder, is_traced) = (self.folder.nodes(), options.trace);
        let (watches, watched) = (self.folder.watches(), loaded.watched.take());
        let (linearizability, traces, watches) = tokio::try_join!(
            tokio::task::spawn_blocking(move || judge(&history, &*workload, limits)),
            tokio::task::spawn_blocking(move || is_traced.then(|| TraceReport::of(&nodes_folder))),
            tokio::task::spawn_blocking(move || {
                watched.map(|(caught_up, ledger)| WatchReport::of(&watches, &ledger, caught_up)).transpose()
            }),
        )?;
        let watches = watches?;
        let linearizability = linearizability?;
        loaded.phases.check_ms = millis(checking.elapsed());
        let operations = stats.summary(loaded.elapsed);
        let mut findings = findings::of_operations(&operations, &linearizability, self.workload.reads());
        findings.extend(findings::of_recovery(loaded.recovered, &loaded.unread, operations.total));
        findings.extend(findings::of_faults(
            self.schedule,
            options.schedule.is_none() && !options.nemeses.names().is_empty(),
            &loaded.carried,
            stop.is_cancelled(),
        ));
        findings.extend(findings::of_servers(&cluster, &observer, &nodes));
        findings.extend(traces.iter().flat_map(TraceReport::findings));
        findings.extend(watches.iter().flat_map(WatchReport::findings));
        findings.extend(loaded.replicas.iter().flat_map(ReplicaReport::findings));
        // Trouble of the harness itself: what was recorded is judged all the same.
        let troubles = loaded.unhealed.into_iter().chain(unstopped);
        findings.extend(troubles.map(|what| Finding::new(Weight::Doubt, what)));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
        Ok(RunResults {
            valid: crate::report::weigh(&findings),
            test: options.test.clone(),
            seed: options.seed,
            store: self.folder.root().to_owned(),
            count: operations.total.into(),
            findings,
            linearizability,
            traces,
            watches,
            replicas: loaded.replicas,
            operations,
            nemesis: NemesisReport {
                planned: self.schedule.faults().len(),
                injected: loaded.carried.faults.len(),
                without_effect: loaded.carried.faults.iter().filter(|fault| !fault.effective).count(),
                faults: loaded.carried.faults,
                waited: loaded.carried.waited,
            },
            leaders: observer.reigns(),
            links: cluster.traffic(&all_links(options.nodes)),
            nodes,
            phases: loaded.phases,
            harness: loaded.harness,
            schedule: SCHEDULE,
            setup: self.setup(),
        })
    }

    /// The faults that were asked for by name; of a schedule that was given, its families.
    fn nemesis(&self) -> Vec<&'static str> {
        if self.options.schedule.is_none() {
            return self.options.nemeses.names().to_vec();
        }
        let faults = self.schedule.faults();
        let kinds =
            Kind::ALL.iter().filter(|kind| faults.iter().any(|planned| planned.fault.kind() == **kind));
        kinds.map(|kind| kind.name()).collect()
    }

    fn setup(&self) -> Setup {
        let options = self.options;
        Setup {
            version: env!("CARGO_PKG_VERSION"),
            command_line: std::env::args().collect(),
            system: options.system.name(),
            workload: self.workload.name(),
            server: options.server.clone(),
            server_args: options.server_args.clone(),
            nodes: options.nodes,
            concurrency: options.concurrency,
            keys: options.keys,
            rate: options.rate,
            time_limit_ms: millis(options.time_limit),
            op_timeout_ms: millis(options.op_timeout),
            nemesis: self.nemesis(),
        }
    }
}

/// Waits until the new cluster has a leader, so that a run does not begin with a heap of failed operations.
async fn await_first_leader(cluster: &Arc<Cluster>, stop: &CancellationToken) -> anyhow::Result<()> {
    let began = Instant::now();
    let observer = Observer::new(Arc::clone(cluster), began);
    loop {
        if observer.recovered(Instant::now()).await {
            return Ok(());
        }
        let tell = |id| cluster.node(id).map_or(String::new(), |node| logs::tail(node.log(), 10).join("\n"));
        if let Some((id, how)) = observer.fallen().into_iter().next() {
            bail!("server n{id} ended before the run began ({how}); the end of its log:\n{}", tell(id));
        }
        if stop.is_cancelled() {
            bail!("stopped before the run began");
        }
        if began.elapsed() > START_PATIENCE {
            bail!("no leader within {} s; the end of n1's log:\n{}", START_PATIENCE.as_secs(), tell(1));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends every server in order, all at the same time.
async fn stop_all(cluster: &Cluster) -> anyhow::Result<Vec<NodeReport>> {
    let endings = cluster.nodes().iter().map(|node| async move {
        let earlier = node.unclean().map(|how| format!("{how} (during the run)"));
        let exit = match node.stop(STOP_PATIENCE).await? {
            Exit::NotRunning | Exit::Clean if earlier.is_some() => earlier.unwrap_or_default(),
            Exit::NotRunning => "was not running".to_owned(),
            Exit::Clean => "clean".to_owned(),
            Exit::Failed(how) => how,
            Exit::Killed => format!("killed: still there {} s after SIGTERM", STOP_PATIENCE.as_secs()),
        };
        anyhow::Ok(NodeReport { id: node.id(), starts: node.starts().await, exit })
    });
    futures::future::try_join_all(endings).await
}
