//! Running a search, and saying honestly what came of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raft_core::MutantSwitch;
use serde::Serialize;
use stateright::{Checker, HasDiscoveries, Model};

use crate::bounds::{Bounds, BoundsError};
use crate::cluster::{Action, Cluster};
use crate::layered;
use crate::property::{Law, Witness};
use crate::scenario::Scenario;
use crate::story::Counterexample;
use crate::world::Defect;

/// Which program searches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The stateright crate's breadth-first search.
    #[default]
    Stateright,
    /// Our own breadth-first search, of one thread.
    Layered,
}

/// How to search.
#[derive(Clone, Debug)]
pub struct Options {
    /// With which program.
    pub engine: Engine,
    /// On how many threads. Counterexamples are shortest with one.
    pub threads: usize,
    /// Whether states that differ in names only are one.
    pub symmetric: bool,
    /// Give up after so long.
    pub time_limit: Option<Duration>,
    /// Give up after so many states.
    pub max_states: Option<u64>,
    /// Give up when the process takes so many bytes.
    pub max_memory: Option<u64>,
    /// A seeded bug.
    pub mutant: MutantSwitch,
    /// The laws that count; none: all.
    pub laws: Vec<Law>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            engine: Engine::default(),
            threads: 1,
            symmetric: true,
            time_limit: None,
            max_states: None,
            max_memory: Some(12 << 30),
            mutant: MutantSwitch::default(),
            laws: Vec::new(),
        }
    }
}

/// How far a search is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// States found.
    pub unique: u64,
    /// Steps taken.
    pub generated: u64,
    /// Steps from the beginning.
    pub depth: u64,
    /// Since the search began.
    pub elapsed: Duration,
}

/// Whether something holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// In every state, and every state was seen.
    Holds,
    /// As far as was seen, which was not everything.
    Unknown,
    /// It does not.
    Violated,
}

/// What is said about one law or one witness.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// Its name.
    pub name: &'static str,
    /// Whether it must hold everywhere, or be reached somewhere.
    pub kind: Kind,
    /// Whether it does.
    pub verdict: Verdict,
}

/// The two kinds of property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Must hold in every state.
    Always,
    /// Must be reached in some state.
    Sometimes,
}

/// What a search came to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// Its bounds.
    pub bounds: Bounds,
    /// Who searched.
    pub engine: Engine,
    /// Of everything together.
    pub verdict: Verdict,
    /// Whether every state was seen.
    pub exhausted: bool,
    /// If not, why not.
    pub stopped_by: Option<String>,
    /// Law by law, witness by witness.
    pub findings: Vec<Finding>,
    /// Different states, up to names.
    pub unique_states: u64,
    /// How many there should be, where that is published.
    pub published_states: Option<u64>,
    /// Steps taken.
    pub generated_states: u64,
    /// The longest shortest way to a state.
    pub depth: u64,
    /// How long it took.
    pub seconds: f64,
    /// Different states per second.
    pub states_per_second: f64,
    /// The most memory this process has had, in bytes, by now.
    pub peak_memory: Option<u64>,
    /// How many different values single servers had.
    pub server_states: usize,
    /// How many different messages were sent.
    pub messages: usize,
    /// What the fair schedule came to, where liveness is asked about.
    pub settling: Option<Settling>,
    /// How many different histories of clients were judged, where those are remembered.
    pub histories: Option<usize>,
    /// A run that breaks a law.
    pub counterexample: Option<Counterexample>,
}

/// From how many states a fair schedule was followed, and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Settling {
    /// How many states were asked: all, in a search that is exhausted.
    pub states: u64,
    /// The most election timeouts that any schedule took from any of them.
    pub longest: u64,
}

/// Explores a scenario. `progress` is told now and then how far it is.
///
/// # Errors
/// Bounds out of range.
pub fn check(
    scenario: &Scenario,
    options: &Options,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, BoundsError> {
    let mut report = explore(scenario.name, scenario.bounds, scenario.reaches, options, progress)?;
    let is_plain = options.symmetric && options.mutant == MutantSwitch::default();
    report.published_states = scenario.states.filter(|_| is_plain);
    Ok(report)
}

/// Explores a world of these bounds, in which the witnesses must be reached.
///
/// # Errors
/// Bounds out of range.
pub fn explore(
    name: &str,
    bounds: Bounds,
    reaches: &[Witness],
    options: &Options,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, BoundsError> {
    let mut cluster = Cluster::with(bounds, options.mutant, options.symmetric)?;
    if !options.laws.is_empty() {
        cluster = cluster.judged_by(&options.laws);
    }
    let start = Instant::now();
    let mut guard = Guard { cluster: &cluster, options, start, stopped_by: None };
    let outcome = match options.engine {
        Engine::Stateright => with_stateright(&cluster, options, &mut guard, &mut progress),
        Engine::Layered => with_layers(&cluster, &mut guard, &mut progress),
    };
    let seconds = start.elapsed().as_secs_f64();
    let stopped_by = match (cluster.defect(), guard.stopped_by) {
        (Some(Defect::Full), _) => Some("too many different servers, messages or histories".to_owned()),
        (Some(Defect::Asymmetric), _) => Some("the core does not treat all servers alike".to_owned()),
        (Some(Defect::Undecided), _) => {
            Some("a history of clients that the checker does not decide".to_owned())
        }
        (None, reason) => reason,
    };
    // Whether everything was seen is counted, not believed: every state was asked for its successors.
    let settling = cluster.settling();
    let exhausted = stopped_by.is_none()
        && outcome.broken.is_none()
        && outcome.expanded == outcome.unique
        && settling.is_none_or(|settling| settling.states == outcome.unique);
    let findings = findings(&cluster, reaches, &outcome, exhausted);
    let verdict = findings.iter().map(|finding| finding.verdict).max();
    let [server_states, messages, _] = cluster.world().sizes();
    Ok(Report {
        scenario: name.to_owned(),
        bounds,
        engine: options.engine,
        verdict: verdict.unwrap_or(Verdict::Unknown),
        exhausted,
        stopped_by,
        findings,
        unique_states: outcome.unique,
        published_states: None,
        generated_states: outcome.generated,
        depth: outcome.depth,
        seconds,
        states_per_second: outcome.unique as f64 / seconds.max(1e-9),
        peak_memory: memory("VmHWM:"),
        server_states,
        messages,
        settling,
        histories: cluster.histories(),
        counterexample: outcome.broken.map(|(law, way)| Counterexample::new(&cluster, name, law, &way)),
    })
}

struct Outcome {
    unique: u64,
    generated: u64,
    expanded: u64,
    depth: u64,
    broken: Option<(Law, Vec<Action>)>,
}

/// stateright, with its traps filled in. Its own `timeout` is ignored with one thread, and a search that was cut short
/// says it is done and satisfies `assert_no_discovery`: so limits are ours ([`Guard`]), and what counts as exhausted is
/// counted. Of properties it is only asked for the laws, so that it stops at the first broken one.
fn with_stateright(
    cluster: &Cluster,
    options: &Options,
    guard: &mut Guard<'_>,
    progress: &mut (impl FnMut(Progress) + Send),
) -> Outcome {
    let builder = cluster.clone().checker().threads(options.threads.max(1));
    let mut checker = builder.finish_when(HasDiscoveries::AnyFailures).spawn_bfs();
    let handles = checker.handles();
    let is_done = AtomicBool::new(false);
    let mut has_crashed = false;
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                let now = Progress {
                    unique: checker.unique_state_count() as u64,
                    generated: checker.state_count() as u64,
                    depth: checker.max_depth() as u64,
                    elapsed: guard.start.elapsed(),
                };
                guard.watch(now);
                progress(now);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        for handle in handles {
            has_crashed |= handle.join().is_err();
        }
        is_done.store(true, Ordering::Release);
        watcher.thread().unpark();
    });
    if has_crashed {
        guard.stopped_by = Some("the search itself panicked".to_owned());
    }
    let expanded = cluster.expanded();
    let first = |law: &Law| checker.discovery(law.name()).map(|path| (*law, path.into_actions()));
    let broken = Law::ALL.iter().filter_map(first).min_by_key(|(_, way)| way.len());
    Outcome {
        unique: checker.unique_state_count() as u64,
        generated: checker.state_count() as u64,
        expanded,
        depth: checker.max_depth() as u64,
        broken,
    }
}

fn with_layers(cluster: &Cluster, guard: &mut Guard<'_>, progress: &mut impl FnMut(Progress)) -> Outcome {
    let found = layered::search(cluster, |unique, generated, depth| {
        let now = Progress { unique, generated, depth, elapsed: guard.start.elapsed() };
        guard.watch(now);
        progress(now);
    });
    Outcome {
        unique: found.unique,
        generated: found.generated,
        expanded: cluster.expanded(),
        depth: found.depth,
        broken: found.broken,
    }
}

/// Sees to the limits.
struct Guard<'a> {
    cluster: &'a Cluster,
    options: &'a Options,
    start: Instant,
    stopped_by: Option<String>,
}

impl Guard<'_> {
    fn watch(&mut self, now: Progress) {
        let over = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value > limit);
        let reason = if self.options.time_limit.is_some_and(|limit| now.elapsed > limit) {
            "the time limit"
        } else if over(self.options.max_states, now.unique) {
            "the limit of states"
        } else if over(self.options.max_memory, memory("VmRSS:").unwrap_or(0)) {
            "the limit of memory"
        } else {
            return;
        };
        self.stopped_by.get_or_insert_with(|| reason.to_owned());
        self.cluster.stop();
    }
}

fn findings(cluster: &Cluster, reaches: &[Witness], outcome: &Outcome, exhausted: bool) -> Vec<Finding> {
    let untouched = if exhausted { Verdict::Holds } else { Verdict::Unknown };
    let broken = outcome.broken.as_ref().map(|(law, _)| *law);
    let always = Law::ALL.into_iter().filter(|law| cluster.is_judged_by(*law)).map(|law| Finding {
        name: law.name(),
        kind: Kind::Always,
        verdict: if broken == Some(law) { Verdict::Violated } else { untouched },
    });
    let sometimes = reaches.iter().map(|witness| Finding {
        name: witness.name(),
        kind: Kind::Sometimes,
        verdict: match cluster.has_seen(*witness) {
            true => Verdict::Holds,
            // All there is was seen, and it was not there: the laws hold for want of behaviour.
            false if exhausted => Verdict::Violated,
            false => Verdict::Unknown,
        },
    });
    always.chain(sometimes).collect()
}

/// A line of what Linux says of this process, in bytes.
fn memory(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let rest = status.lines().find_map(|found| found.strip_prefix(line))?;
    let kilobytes: u64 = rest.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
