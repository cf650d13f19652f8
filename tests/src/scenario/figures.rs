//! What an experiment comes to: its figures, the conditions it must meet, and the text that says so.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kv_server::client::Counters;
use serde::Serialize;

use super::requests::Ask;
use super::wrong::{self, Done, End};
use super::{Experiment, Load};
use crate::effort::Effort;
use crate::judge::Judgement;
use crate::link::Traffic;
use crate::observer::Reign;
use crate::page::draw::number;
use crate::page::series::{mean, quantiles};
use crate::report::{CountByType, Finding, Validity, Weight, weigh};
use crate::schedule::NodeId;

/// Every figure that is printed and stored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The leaders, in the order in which they came.
    pub leaders: Vec<String>,
    /// Servers that ended by themselves.
    pub servers_that_crashed: Vec<String>,
    /// Servers that were failed on purpose, in order.
    pub servers_failed_on_purpose: Vec<String>,
    /// Messages between servers.
    pub messages_between_servers: u64,
    /// Gets asked.
    pub get_requests: u64,
    /// Puts asked.
    pub put_requests: u64,
    /// Answers that came after their request had been answered or given up.
    pub duplicates: u64,
    /// How often a request was put to a server once more.
    pub repetitions: u64,
    /// Gets without an answer by the end.
    pub unanswered_gets: u64,
    /// Puts without one.
    pub unanswered_puts: u64,
    /// Answers that named another server as the leader.
    pub redirects: u64,
    /// Gets that were refused.
    pub failed_gets: u64,
    /// Puts that were refused.
    pub failed_puts: u64,
    /// Gets that saw what they cannot have seen.
    pub wrong_gets: u64,
    /// Gets while nothing had been put.
    pub gets_before_any_put: u64,
    /// The mean time from when a request was due to its answer, in milliseconds.
    pub mean_latency_ms: f64,
    /// The median of the same.
    pub median_latency_ms: f64,
    /// 95 of 100 were faster.
    pub p95_latency_ms: f64,
    /// 99 of 100 were faster.
    pub p99_latency_ms: f64,
    /// The slowest.
    pub longest_latency_ms: f64,
    /// Answered requests per second, from the first request on.
    pub answered_per_second: f64,
    /// The longest time without an answer, in milliseconds, while requests were asked.
    pub longest_silence_ms: f64,
    /// Bytes between servers.
    pub bytes_between_servers: u64,
}

/// A condition that the experiment must meet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// What is bounded.
    pub what: String,
    /// What it came to.
    pub value: f64,
    /// The bound, in words.
    pub bound: String,
    /// Whether it is kept.
    pub holds: bool,
}

/// Everything that is stored of an experiment. The names are those of a run's results, so that the same page shows both.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The verdict.
    pub valid: Validity,
    /// The experiment's name.
    pub test: String,
    /// Its seed.
    pub seed: u64,
    /// The folder with everything.
    pub store: PathBuf,
    /// Requests by how they ended.
    pub count: CountByType,
    /// Why the verdict is what it is.
    pub findings: Vec<Finding>,
    /// All figures.
    pub figures: Figures,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// The checker's part.
    pub linearizability: Judgement,
    /// The leaders seen.
    pub leaders: Vec<Reign>,
    /// The failures.
    pub nemesis: Failed,
    /// What the links carried.
    pub links: Traffic,
    /// The servers.
    pub nodes: Vec<Node>,
    /// What the harness itself took.
    pub harness: Effort,
    /// How it was set up.
    pub setup: Experiment,
}

/// A server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
}

/// The failures as they happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Failed {
    /// How many were planned.
    pub planned: usize,
    /// Each of them.
    pub faults: Vec<Killed>,
}

/// A server that was killed.
#[derive(Clone, Debug, Serialize)]
pub struct Killed {
    /// Always `kill`.
    pub kind: &'static str,
    /// In words.
    pub what: String,
    /// When, in milliseconds.
    pub at_ms: u64,
    /// When it was started again; never, if nothing.
    pub healed_at_ms: Option<u64>,
    /// Whether there was a process to kill.
    pub effective: bool,
    /// Whom.
    pub nodes: Vec<NodeId>,
}

impl Experiment {
    /// From when on a request's latency counts.
    fn counts_from(&self, one: &Done) -> Duration {
        match self.load {
            Load::Spaced => one.request.due,
            Load::Closed => one.asked,
        }
    }
}

impl Figures {
    /// What became of the requests.
    pub(super) fn of_requests(&mut self, experiment: &Experiment, done: &[Done], counters: Counters) {
        let count = |gets: bool, wanted: &dyn Fn(End) -> bool| {
            let of = |one: &&Done| (one.request.ask == Ask::Get) == gets && wanted(one.end);
            done.iter().filter(of).count() as u64
        };
        (self.get_requests, self.put_requests) = (count(true, &|_| true), count(false, &|_| true));
        let unanswered = |end| end == End::Unanswered;
        (self.unanswered_gets, self.unanswered_puts) = (count(true, &unanswered), count(false, &unanswered));
        let failed = |end| end == End::Failed;
        (self.failed_gets, self.failed_puts) = (count(true, &failed), count(false, &failed));
        self.wrong_gets = wrong::gets(done).len() as u64;
        self.gets_before_any_put = done.iter().filter(|one| one.request.premature).count() as u64;
        self.duplicates = counters.strays;
        self.repetitions = counters.attempts.saturating_sub(counters.requests);
        self.redirects = counters.redirects;
        let answered: Vec<&Done> = done.iter().filter(|one| matches!(one.end, End::Ok(_))).collect();
        let mut latencies: Vec<f64> = answered
            .iter()
            .map(|one| one.ended.saturating_sub(experiment.counts_from(one)).as_secs_f64() * 1_000.0)
            .collect();
        self.mean_latency_ms = mean(&latencies).unwrap_or(0.0);
        let [p50, p95, p99, longest] = quantiles(&mut latencies).unwrap_or_default();
        (self.median_latency_ms, self.p95_latency_ms, self.p99_latency_ms, self.longest_latency_ms) =
            (p50, p95, p99, longest);
        self.silence(experiment, done, &answered);
    }

    fn silence(&mut self, experiment: &Experiment, done: &[Done], answered: &[&Done]) {
        let last = done.iter().map(|one| one.ended).max().unwrap_or(experiment.first_request);
        let span = last.saturating_sub(experiment.first_request).as_secs_f64();
        self.answered_per_second = if span > 0.0 { answered.len() as f64 / span } else { 0.0 };
        let mut moments: Vec<Duration> = answered.iter().map(|one| one.ended).collect();
        moments.extend([experiment.first_request, last]);
        moments.sort_unstable();
        let gaps = moments.windows(2).map(|two| match two {
            [a, b] => b.saturating_sub(*a),
            _ => Duration::ZERO,
        });
        self.longest_silence_ms = gaps.max().unwrap_or_default().as_secs_f64() * 1_000.0;
    }

    /// The conditions of the experiment.
    #[must_use]
    pub fn conditions(&self, experiment: &Experiment) -> Vec<Condition> {
        let share = |what: &str, part: u64, whole: u64, most: f64| {
            let value = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
            Condition { what: what.to_owned(), value, bound: format!("at most {most}"), holds: value <= most }
        };
        let messages = self.messages_between_servers;
        let (least, most) = (experiment.least_messages, experiment.most_messages);
        vec![
            share("share of unanswered gets", self.unanswered_gets, self.get_requests, 0.5),
            share("share of unanswered puts", self.unanswered_puts, self.put_requests, 0.5),
            share("share of gets before any put", self.gets_before_any_put, self.get_requests, 0.1),
            Condition {
                what: "messages between servers".to_owned(),
                value: messages as f64,
                bound: format!("{least} to {most}"),
                holds: (least..=most).contains(&messages),
            },
        ]
    }
}

impl Outcome {
    /// The findings of figures, conditions and checker.
    pub(super) fn weigh(&mut self) {
        let violation = |what: String| Finding::new(Weight::Violation, what);
        for condition in self.conditions.iter().filter(|condition| !condition.holds) {
            let Condition { what, value, bound, .. } = condition;
            self.findings.push(violation(format!("{what}: {}, where {bound} is asked", number(*value))));
        }
        if self.figures.wrong_gets > 0 {
            self.findings.push(violation(format!("{} gets were wrong", self.figures.wrong_gets)));
        }
        let reason = self.linearizability.reason.clone().unwrap_or_default();
        match self.linearizability.valid {
            Validity::True => {}
            Validity::False => self.findings.push(violation(format!("not linearizable: {reason}"))),
            Validity::Unknown => {
                self.findings.push(Finding::new(Weight::Doubt, format!("the checker cannot say: {reason}")));
            }
        }
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
        self.valid = weigh(&self.findings);
    }

    /// Everything for a person, every figure on a line of its own.
    #[must_use]
    pub fn text(&self) -> String {
        let word = match self.valid {
            Validity::True => "PASS",
            Validity::False => "FAIL",
            Validity::Unknown => "UNKNOWN",
        };
        let mut text = format!("{word}     {} (seed {})\n", self.test, self.seed);
        // Writing into a String cannot fail.
        for finding in &self.findings {
            let _ = writeln!(text, "  {}", finding.what.replace('\n', "\n  "));
        }
        let figures = &self.figures;
        let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<34}{value}");
        };
        line("leaders, in order", names(&figures.leaders));
        line("servers that crashed", names(&figures.servers_that_crashed));
        line("servers failed on purpose", names(&figures.servers_failed_on_purpose));
        line("messages between servers", figures.messages_between_servers.to_string());
        line("get requests", figures.get_requests.to_string());
        line("put requests", figures.put_requests.to_string());
        line("duplicate answers", figures.duplicates.to_string());
        line("requests repeated", figures.repetitions.to_string());
        line("unanswered gets", figures.unanswered_gets.to_string());
        line("unanswered puts", figures.unanswered_puts.to_string());
        line("redirects", figures.redirects.to_string());
        line("failed gets", figures.failed_gets.to_string());
        line("failed puts", figures.failed_puts.to_string());
        line("wrong gets", figures.wrong_gets.to_string());
        line("gets before any put", figures.gets_before_any_put.to_string());
        line("mean latency", format!("{:.2} ms", figures.mean_latency_ms));
        line("median latency", format!("{:.2} ms", figures.median_latency_ms));
        line(
            "latency of 99 in 100, and longest",
            format!("{:.2} ms, {:.1} ms", figures.p99_latency_ms, figures.longest_latency_ms),
        );
        line("longest silence", format!("{:.0} ms", figures.longest_silence_ms));
        for Condition { what, value, bound, holds } in &self.conditions {
            let word = if *holds { "holds" } else { "BROKEN" };
            line(what, format!("{} ({bound}): {word}", number(*value)));
        }
        line("checker", self.linearizability.summary());
        line("harness", self.harness.summary());
        line("look in", self.store.display().to_string());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::requests::plan;

    #[test]
    fn conditions_break_where_their_bounds_are() {
        let experiment = Experiment::seed_1("s".into(), 1);
        let good = Figures {
            get_requests: 400,
            put_requests: 100,
            unanswered_gets: 200,
            unanswered_puts: 50,
            gets_before_any_put: 40,
            messages_between_servers: 20_000,
            ..Figures::default()
        };
        let broken = |figures: &Figures| -> Vec<String> {
            let conditions = figures.conditions(&experiment).into_iter();
            conditions.filter(|condition| !condition.holds).map(|condition| condition.what).collect()
        };
        assert!(broken(&good).is_empty(), "each at its bound");
        let bad = Figures {
            unanswered_gets: 201,
            unanswered_puts: 51,
            gets_before_any_put: 41,
            messages_between_servers: 20_001,
            ..good.clone()
        };
        assert_eq!(broken(&bad).len(), 4);
        assert_eq!(broken(&Figures { messages_between_servers: 499, ..good }), ["messages between servers"]);
    }

    #[test]
    fn requests_are_counted_by_what_became_of_them() {
        let experiment = Experiment::seed_2("s".into(), 1);
        let done: Vec<Done> = plan(&experiment)
            .into_iter()
            .enumerate()
            .map(|(at, request)| {
                let end = match at % 10 {
                    0 | 9 => End::Unanswered,
                    1 => End::Failed,
                    _ => End::Ok(None),
                };
                Done { request, asked: request.due, ended: request.due + Duration::from_millis(2), end }
            })
            .collect();
        let mut figures = Figures::default();
        let counters =
            Counters { requests: 10, attempts: 14, redirects: 3, strays: 2, ..Counters::default() };
        figures.of_requests(&experiment, &done, counters);
        assert_eq!(figures.get_requests + figures.put_requests, 500);
        assert_eq!(figures.unanswered_gets + figures.unanswered_puts, 100);
        assert_eq!(figures.failed_gets + figures.failed_puts, 50);
        assert_eq!((figures.repetitions, figures.redirects, figures.duplicates), (4, 3, 2));
        assert!(
            (figures.mean_latency_ms - 2.0).abs() < 1e-6 && (figures.median_latency_ms - 2.0).abs() < 1e-6
        );
        assert!((figures.longest_silence_ms - 4.0 * 46.0).abs() < 1.0, "{}", figures.longest_silence_ms);
    }
}
