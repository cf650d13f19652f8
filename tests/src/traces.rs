//! What the servers' own traces say: replayed and judged after every run, beside what the clients saw.

use std::collections::HashMap;
use std::path::Path;

use models::{Validated, Verdict};
use serde::Serialize;

use crate::report::{Finding, Validity, Weight};

/// The file in a server's folder that holds its trace.
pub const TRACE_FILE: &str = "core.trace";

/// How many breaches of one rule are told among the findings.
const MOST_TOLD: usize = 3;

/// The verdict on the traces of a run.
#[derive(Clone, Debug, Serialize)]
pub struct TraceReport {
    /// Whether the laws hold.
    pub valid: Validity,
    /// What was seen, unless the traces cannot be read.
    #[serde(flatten)]
    pub validated: Option<Validated>,
    /// Why they cannot be read.
    pub error: Option<String>,
}

impl TraceReport {
    /// Replays and judges the traces in the servers' folders.
    #[must_use]
    pub fn of(nodes: &Path) -> TraceReport {
        match models::validate(nodes) {
            Ok(validated) => {
                let valid = validity(validated.verdict);
                TraceReport { valid, validated: Some(validated), error: None }
            }
            Err(error) => {
                TraceReport { valid: Validity::Unknown, validated: None, error: Some(error.to_string()) }
            }
        }
    }

    /// What it means for the run.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let doubt = self
            .error
            .iter()
            .map(|error| Finding::new(Weight::Doubt, format!("no verdict on the traces: {error}")));
        let mut told: HashMap<(&str, bool), usize> = HashMap::new();
        let all = self.validated.iter().flat_map(|validated| &validated.findings);
        let judged = all.filter_map(|finding| {
            let count = told.entry((finding.rule, finding.is_violation)).or_default();
            *count += 1;
            // What breaks one rule often breaks it at every step from there on; all of it is in results.json.
            if *count > MOST_TOLD {
                return None;
            }
            let weight = if finding.is_violation { Weight::Violation } else { Weight::Doubt };
            let kind = format!("traces: {}", finding.rule);
            Some(Finding::new(weight, format!("traces: {finding}")).of_kind(kind))
        });
        doubt.chain(judged).collect()
    }

    /// One line of a report.
    #[must_use]
    pub fn summary(&self) -> String {
        match (&self.validated, &self.error) {
            (Some(validated), _) => {
                let Validated { bytes, seconds, .. } = validated;
                format!("{} ({:.1} MB in {seconds:.1} s)", validated.headline(), *bytes as f64 / 1e6)
            }
            (None, error) => error.clone().unwrap_or_default(),
        }
    }
}

/// In the harness's words.
#[must_use]
pub fn validity(verdict: Verdict) -> Validity {
    match verdict {
        Verdict::Holds => Validity::True,
        Verdict::Unknown => Validity::Unknown,
        Verdict::Violated => Validity::False,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::weigh;

    #[test]
    fn traces_that_cannot_be_judged_make_no_pass() {
        let folder = tempfile::tempdir().unwrap();
        let report = TraceReport::of(folder.path());
        assert_eq!((report.valid, weigh(&report.findings())), (Validity::Unknown, Validity::Unknown));
        assert!(report.summary().contains("no traces"), "{}", report.summary());
        std::fs::write(folder.path().join("n1.trace"), "").unwrap();
        let report = TraceReport::of(folder.path());
        assert_eq!((report.valid, weigh(&report.findings())), (Validity::Unknown, Validity::Unknown));
        std::fs::write(folder.path().join("n1.trace"), "something else").unwrap();
        let report = TraceReport::of(folder.path());
        assert_eq!((report.valid, weigh(&report.findings())), (Validity::Unknown, Validity::Unknown));
        assert!(
            report.summary().contains("n1.trace: record 1 (byte 0): this is no trace"),
            "{}",
            report.summary()
        );
    }
}
