//! The analysis by varying parameters: one experiment for each value of one parameter, the others as they are.
//!
//! ```text
//!    parameter, values ─► an experiment for each ─► Figures ─► table.csv, table.md, curves.svg, report.html, results.json
//! ```
//!
//! What is compared is [`crate::scenario`]'s experiment, shortened: real servers, requests at their moments (or in a closed loop,
//! where throughput is the question), every message between servers counted. Repetitions differ in their seed; curves go through
//! the median of each value, tables say the least and the most, too.

mod curves;
mod parameter;
mod table;

use std::path::PathBuf;

use serde::Serialize;

pub use parameter::{Base, Parameter};

use crate::report::Validity;
use crate::scenario::Figures;

/// What one value of the parameter came to.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The value.
    pub value: String,
    /// The worst verdict of its experiments.
    pub valid: Validity,
    /// The figures of each of its experiments.
    pub figures: Vec<Figures>,
    /// Their folders.
    pub stores: Vec<PathBuf>,
}

/// A whole sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// The worst verdict.
    pub valid: Validity,
    /// As in a run's results.
    pub test: String,
    /// The seed of the first experiment of each value.
    pub seed: u64,
    /// The parameter.
    pub parameter: Parameter,
    /// What the experiments had in common, in words.
    pub common: String,
    /// One for each value.
    pub points: Vec<Point>,
}

/// A figure that is drawn and tabulated.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Figures) -> f64,
}

/// Everything that a table shows.
pub(crate) const MEASURES: [Measure; 12] = [
    Measure { name: "mean latency", unit: "ms", of: |figures| figures.mean_latency_ms },
    Measure { name: "median latency", unit: "ms", of: |figures| figures.median_latency_ms },
    Measure { name: "p95 latency", unit: "ms", of: |figures| figures.p95_latency_ms },
    Measure { name: "p99 latency", unit: "ms", of: |figures| figures.p99_latency_ms },
    Measure { name: "longest latency", unit: "ms", of: |figures| figures.longest_latency_ms },
    Measure { name: "answered", unit: "per second", of: |figures| figures.answered_per_second },
    Measure { name: "longest silence", unit: "ms", of: |figures| figures.longest_silence_ms },
    Measure {
        name: "messages between servers",
        unit: "per request",
        of: |figures| per_request(figures, figures.messages_between_servers),
    },
    Measure {
        name: "bytes between servers",
        unit: "per request",
        of: |figures| per_request(figures, figures.bytes_between_servers),
    },
    Measure {
        name: "unanswered",
        unit: "% of requests",
        of: |figures| 100.0 * per_request(figures, figures.unanswered_gets + figures.unanswered_puts),
    },
    Measure { name: "redirects", unit: "per request", of: |figures| per_request(figures, figures.redirects) },
    Measure { name: "leaders", unit: "", of: |figures| figures.leaders.len() as f64 },
];

fn per_request(figures: &Figures, count: u64) -> f64 {
    let requests = figures.get_requests + figures.put_requests;
    if requests == 0 { 0.0 } else { count as f64 / requests as f64 }
}

impl Point {
    /// The least, the median and the most of a figure, over the repetitions.
    pub(crate) fn spread(&self, measure: &Measure) -> [f64; 3] {
        let mut values: Vec<f64> = self.figures.iter().map(measure.of).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        [at(0), at(values.len().saturating_sub(1) / 2), at(values.len().saturating_sub(1))]
    }
}
