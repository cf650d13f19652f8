//! The result of a run: what is stored as `results.json`, and the few lines a person reads.
//!
//! The verdict is made of findings. A **violation** makes it false, whatever else is well. A **doubt** makes it unknown: the
//! run did not test enough to be called a pass. A **remark** changes nothing but is told.

pub mod junit;
pub mod stored;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::effort::Effort;
use crate::judge::Judgement;
use crate::link::Traffic;
use crate::nemesis::{Injected, Waited};
use crate::observer::Reign;
use crate::replicas::ReplicaReport;
use crate::schedule::{Kind, NodeId};
use crate::stats::{Counts, Summary};
use crate::traces::TraceReport;
use crate::watch::WatchReport;

/// Below this share of successful operations a run has tested too little to be called a pass.
pub const LEAST_OK_SHARE: f64 = 0.10;

/// A verdict, worst last: the verdict of several runs is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Validity {
    /// The property holds.
    True,
    /// Nobody can say.
    Unknown,
    /// It is violated.
    False,
}

impl Serialize for Validity {
    /// As Jepsen has it: `true`, `false`, or the word `"unknown"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Validity::True => serializer.serialize_bool(true),
            Validity::False => serializer.serialize_bool(false),
            Validity::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

impl Validity {
    /// The exit code that says the same.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Validity::True => 0,
            Validity::False => 1,
            Validity::Unknown => 3,
        }
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Worth knowing.
    Remark,
    /// The run cannot be called a pass.
    Doubt,
    /// Something that must not happen did.
    Violation,
}

/// One thing found out about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// What sort of thing it is, the same in every run that shows it: no name, number or place.
    pub kind: String,
    /// What it is.
    pub what: String,
}

impl Finding {
    /// A finding of this weight; its kind is what it says up to the first colon or bracket, without numbers.
    #[must_use]
    pub fn new(weight: Weight, what: impl Into<String>) -> Finding {
        let what = what.into();
        let head = what.split([':', '(', '\n']).next().unwrap_or_default();
        let kind: String = head.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        Finding { weight, kind: kind.trim().to_owned(), what }
    }

    /// The same, of this kind.
    #[must_use]
    pub fn of_kind(self, kind: impl Into<String>) -> Finding {
        Finding { kind: kind.into(), ..self }
    }
}

/// The verdict that findings come to.
#[must_use]
pub fn weigh(findings: &[Finding]) -> Validity {
    match findings.iter().map(|finding| finding.weight).max() {
        Some(Weight::Violation) => Validity::False,
        Some(Weight::Doubt) => Validity::Unknown,
        Some(Weight::Remark) | None => Validity::True,
    }
}

/// What became of one server.
#[derive(Clone, Debug, Serialize)]
pub struct NodeReport {
    /// Its number.
    pub id: NodeId,
    /// How often it was started.
    pub starts: u64,
    /// How it ended.
    pub exit: String,
}

/// How the run was set up.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// The system under test.
    pub system: &'static str,
    /// What the clients did.
    pub workload: &'static str,
    /// The version of this program.
    pub version: &'static str,
    /// The command line.
    pub command_line: Vec<String>,
    /// The program under test.
    pub server: PathBuf,
    /// Extra arguments it was given.
    pub server_args: Vec<String>,
    /// Servers.
    pub nodes: u64,
    /// Workers.
    pub concurrency: u64,
    /// Keys.
    pub keys: usize,
    /// Operations per second aimed at.
    pub rate: u64,
    /// How long the clients ran, in milliseconds.
    pub time_limit_ms: u64,
    /// How long a client tried one operation, in milliseconds.
    pub op_timeout_ms: u64,
    /// The families of faults.
    pub nemesis: Vec<&'static str>,
}

/// How long each part of a run took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Phases {
    pub start_ms: u64,
    pub workload_ms: u64,
    pub recovery_ms: u64,
    pub final_reads_ms: u64,
    pub stop_ms: u64,
    pub check_ms: u64,
}

/// The faults of a run.
#[derive(Clone, Debug, Serialize)]
pub struct NemesisReport {
    /// How many were planned.
    pub planned: usize,
    /// How many were injected.
    pub injected: usize,
    /// How many of these had no effect.
    pub without_effect: usize,
    /// Each of them.
    pub faults: Vec<Injected>,
    /// The conditions that the schedule waited for.
    pub waited: Vec<Waited>,
}

/// Operations by how they ended; `invoke` counts them all.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "Jepsen's types")]
pub struct CountByType {
    pub invoke: u64,
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
}

impl From<Counts> for CountByType {
    fn from(counts: Counts) -> CountByType {
        CountByType { invoke: counts.total(), ok: counts.ok, fail: counts.fail, info: counts.info }
    }
}

/// Everything about one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunResults {
    /// The verdict.
    pub valid: Validity,
    /// The test's name.
    pub test: String,
    /// The seed that decided everything the harness decides.
    pub seed: u64,
    /// The folder with everything.
    pub store: PathBuf,
    /// Operations by how they ended.
    pub count: CountByType,
    /// Why the verdict is what it is.
    pub findings: Vec<Finding>,
    /// The checker's part.
    pub linearizability: Judgement,
    /// What the servers' traces say, if they were recorded.
    pub traces: Option<TraceReport>,
    /// What watchers were told, if there were any.
    pub watches: Option<WatchReport>,
    /// What the servers hold at the end, if they tell.
    pub replicas: Option<ReplicaReport>,
    /// Operations, latencies, errors.
    pub operations: Summary,
    /// The faults.
    pub nemesis: NemesisReport,
    /// The leaders seen, by term.
    pub leaders: Vec<Reign>,
    /// What the links carried.
    pub links: Traffic,
    /// The servers.
    pub nodes: Vec<NodeReport>,
    /// The phases' lengths.
    pub phases: Phases,
    /// What the harness itself took while the clients were at work.
    pub harness: Effort,
    /// Where the schedule is, beside this file.
    pub schedule: &'static str,
    /// How it was set up.
    pub setup: Setup,
}

impl RunResults {
    /// The verdict in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let Judgement { keys, .. } = &self.linearizability;
        let on = format!("{} operations on {keys} keys (seed {})", self.count.invoke, self.seed);
        let decisive =
            self.findings.iter().max_by_key(|finding| finding.weight).map(|finding| finding.what.as_str());
        match self.valid {
            Validity::True => format!("PASS     {}: {on}", self.linearizability.property()),
            Validity::False => format!("FAIL     {}: {on}", decisive.unwrap_or("violated")),
            Validity::Unknown => format!("UNKNOWN  {}: {on}", decisive.unwrap_or("nothing decided")),
        }
    }

    /// The verdict and what led to it, for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline());
        // Writing to a string cannot fail.
        let _ = self.write_body(&mut text);
        text
    }

    fn write_body(&self, text: &mut String) -> std::fmt::Result {
        for finding in &self.findings {
            let weight = match finding.weight {
                Weight::Violation => "violation",
                Weight::Doubt => "doubt",
                Weight::Remark => "remark",
            };
            writeln!(text, "  {weight:<12}{}", finding.what.replace('\n', "\n              "))?;
        }
        if let Some(explanation) = &self.linearizability.explanation {
            writeln!(text, "\n{}\n", explanation.trim_end())?;
        }
        let Counts { ok, fail, info } = self.operations.total;
        writeln!(
            text,
            "  operations  {ok} ok, {fail} fail, {info} info; {:.0} ok/s",
            self.operations.ok_per_second
        )?;
        for (f, latency) in &self.operations.latency {
            let counts = self.operations.by_f.get(f).copied().unwrap_or_default();
            let Counts { ok, fail, info } = counts;
            writeln!(
                text,
                "    {f:<10}{ok} ok, {fail} fail, {info} info; p50 {:.1} ms, p99 {:.1} ms, max {:.0} ms",
                latency.p50_ms, latency.p99_ms, latency.max_ms
            )?;
        }
        writeln!(
            text,
            "  silence     {} ms at most without a successful operation",
            self.operations.longest_silence_ms
        )?;
        writeln!(text, "  faults      {}", self.faults())?;
        let reigns: Vec<String> =
            self.leaders.iter().map(|reign| format!("n{}@{}", reign.node, reign.term)).collect();
        writeln!(text, "  leaders     {}", shorten(&reigns, 12))?;
        writeln!(text, "  checker     {}", self.linearizability.summary())?;
        if let Some(traces) = &self.traces {
            writeln!(text, "  traces      {}", traces.summary())?;
        }
        if let Some(watches) = &self.watches {
            writeln!(text, "  watches     {}", watches.summary())?;
        }
        match &self.replicas {
            Some(replicas) => writeln!(text, "  replicas    {}", replicas.summary())?,
            None => writeln!(text, "  replicas    not asked: {} tells no digests", self.setup.system)?,
        }
        writeln!(text, "  harness     {}", self.harness.summary())?;
        writeln!(text, "  look in     {}", self.store.display())
    }

    fn faults(&self) -> String {
        let count = |kind: Kind| self.nemesis.faults.iter().filter(|fault| fault.kind == kind).count();
        let kinds = Kind::ALL;
        let parts: Vec<String> = kinds
            .iter()
            .filter(|kind| count(**kind) > 0)
            .map(|kind| format!("{} {}", count(*kind), kind.name()))
            .collect();
        if parts.is_empty() {
            return "none".to_owned();
        }
        format!("{} ({} without effect)", parts.join(", "), self.nemesis.without_effect)
    }
}

fn shorten(items: &[String], most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(most).map(String::as_str).collect();
    match items.len().saturating_sub(most) {
        0 if items.is_empty() => "none seen".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_finding_decides() {
        let remark = Finding::new(Weight::Remark, "a fault had no effect");
        let doubt = Finding::new(Weight::Doubt, "nearly everything failed");
        let violation = Finding::new(Weight::Violation, "two leaders in term 3");
        assert_eq!(weigh(&[]), Validity::True);
        assert_eq!(weigh(std::slice::from_ref(&remark)), Validity::True);
        assert_eq!(weigh(&[doubt.clone(), remark.clone()]), Validity::Unknown);
        assert_eq!(weigh(&[doubt, violation, remark]), Validity::False);
    }

    #[test]
    fn a_kind_is_the_same_whatever_server_or_number_it_is_about() {
        let kind = |what: &str| Finding::new(Weight::Violation, what).kind;
        assert_eq!(kind("not linearizable: key k1"), "not linearizable");
        assert_eq!(kind("two leaders in term 4: n2 and n3"), kind("two leaders in term 17: n1 and n3"));
        assert_eq!(
            kind("server n1 ended by itself (signal: 6)"),
            kind("server n2 ended by itself (exit: 1)")
        );
        assert_ne!(
            kind("the log of n1 says: line 3: panicked"),
            kind("server n1 ended by itself (signal: 6)")
        );
    }

    #[test]
    fn verdicts_are_written_as_jepsen_does_and_map_to_exit_codes() {
        let json = |validity: Validity| serde_json::to_string(&validity).unwrap();
        assert_eq!(json(Validity::True), "true");
        assert_eq!(json(Validity::False), "false");
        assert_eq!(json(Validity::Unknown), "\"unknown\"");
        assert_eq!([Validity::True, Validity::False, Validity::Unknown].map(Validity::exit_code), [0, 1, 3]);
        assert_eq!(Validity::Unknown.max(Validity::True), Validity::Unknown);
        assert_eq!(Validity::Unknown.max(Validity::False), Validity::False);
    }
}
