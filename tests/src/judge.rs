//! Hands a recorded history to the checker. It is read back from the file, so that the verdict is about what was written
//! down, and `plumbline check` on the same file says the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use checker::{CheckOptions, History, Model, ModelName, ModelOptions, ReadOptions, Verdict};
use serde::Serialize;

use crate::report::Validity;

/// The limits of the search for a linearization.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// How much memory it may use.
    pub memory_bytes: u64,
}

/// What the checker says of a history.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// Whether it is linearizable.
    pub valid: Validity,
    /// The sequential specification.
    pub model: &'static str,
    /// The algorithm that was asked for.
    pub algorithm: String,
    /// The operations checked: failed ones and reads of unknown outcome say nothing.
    pub operations: u64,
    /// The keys they were on.
    pub keys: usize,
    /// Each key's verdict.
    pub by_key: BTreeMap<String, Validity>,
    /// How long it took.
    pub seconds: f64,
    /// Why not linearizable, or why unknown.
    pub reason: Option<String>,
    /// The picture of the conflict, for a person.
    pub explanation: Option<String>,
}

impl Judgement {
    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let verdict = match self.valid {
            Validity::True => "linearizable",
            Validity::False => "not linearizable",
            Validity::Unknown => "unknown",
        };
        let Judgement { operations, keys, seconds, .. } = self;
        format!("{verdict}: {operations} operations on {keys} keys in {seconds:.2} s ({})", self.algorithm)
    }
}

/// Checks a recorded history of the key-value store.
///
/// # Errors
/// When the file cannot be read as a history, or the checker finds fault with itself.
pub fn judge(path: &Path, limits: Limits) -> anyhow::Result<Judgement> {
    let history = History::open(path, &ReadOptions::default())?;
    let model = Model::new(ModelName::KeyValue, &ModelOptions::default(), &history)
        .map_err(|error| anyhow!(error))?;
    let mut options = CheckOptions::default();
    options.limits.time = limits.time;
    options.limits.memory_bytes = limits.memory_bytes;
    let report = model.check(&history, &options)?;
    let (valid, reason, explanation) = match &report.verdict {
        Verdict::Linearizable { .. } => (Validity::True, None, None),
        Verdict::NotLinearizable { explanation } => {
            let key = explanation.key.as_ref().map_or(String::new(), |key| format!("key {key}"));
            (Validity::False, Some(key), Some(explanation.render(&history)))
        }
        Verdict::Unknown { reason } => (Validity::Unknown, Some(reason.to_string()), None),
    };
    Ok(Judgement {
        valid,
        model: report.model,
        algorithm: report.algorithm.to_string(),
        operations: report.checked,
        keys: report.partitions,
        by_key: by_key(&history, &report.verdict),
        seconds: report.elapsed.as_secs_f64(),
        reason,
        explanation,
    })
}

/// What is known of each key: a violation on one leaves the others undecided.
fn by_key(history: &History, verdict: &Verdict) -> BTreeMap<String, Validity> {
    let name = |key: &checker::Value| key.text().map_or_else(|| key.to_string(), str::to_owned);
    let keys = history.operations.iter().filter_map(|operation| operation.key.as_ref());
    let mut verdicts: BTreeMap<String, Validity> = keys.map(|key| (name(key), Validity::Unknown)).collect();
    match verdict {
        Verdict::Linearizable { .. } => verdicts.values_mut().for_each(|verdict| *verdict = Validity::True),
        Verdict::NotLinearizable { explanation } => {
            if let Some(key) = &explanation.key {
                verdicts.insert(name(key), Validity::False);
            }
        }
        Verdict::Unknown { .. } => {}
    }
    verdicts
}
