//! Hands a recorded history to the checker. It is read back from the file, so that the verdict is about what was written
//! down, and `plumbline check` on the same file says the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use checker::{CheckOptions, History, Model, ModelOptions, ReadOptions, Unknown, Verdict};
use serde::Serialize;

use crate::report::Validity;
use crate::workload::Workload;

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
    /// What of the workload's own laws is broken.
    pub broken: Vec<String>,
}

impl Judgement {
    /// What holds, if it does.
    #[must_use]
    pub fn property(&self) -> &'static str {
        if self.model == NO_MODEL { "the workload's laws hold" } else { "linearizable" }
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let verdict = match self.valid {
            Validity::True => self.property(),
            Validity::False => "not linearizable",
            Validity::Unknown => "unknown",
        };
        let Judgement { operations, keys, seconds, .. } = self;
        format!("{verdict}: {operations} operations on {keys} keys in {seconds:.2} s ({})", self.algorithm)
    }
}

/// What stands for the specification of a workload whose own laws say all.
const NO_MODEL: &str = "none";

/// Checks a recorded history: against the workload's specification, if it has one, and for the workload's own laws.
///
/// # Errors
/// When the file cannot be read as a history, or the checker finds fault with itself.
pub fn judge(path: &Path, workload: &dyn Workload, limits: Limits) -> anyhow::Result<Judgement> {
    let history = History::open(path, &ReadOptions::default())?;
    let broken = workload.broken(&history);
    let Some(model) = workload.model() else { return Ok(unmodelled(&history, broken)) };
    let model = Model::new(model, &ModelOptions::default(), &history).map_err(|error| anyhow!(error))?;
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
        broken,
    })
}

/// The judgement of a history for which there is no specification.
fn unmodelled(history: &History, broken: Vec<String>) -> Judgement {
    let mut by_key = by_key(history, &Verdict::Unknown { reason: Unknown::NothingToCheck });
    by_key.values_mut().for_each(|verdict| *verdict = Validity::True);
    Judgement {
        valid: Validity::True,
        model: NO_MODEL,
        algorithm: "its own laws".to_owned(),
        operations: history.counts.ok,
        keys: by_key.len(),
        by_key,
        seconds: 0.0,
        reason: None,
        explanation: None,
        broken,
    }
}

/// What is known of each key: a violation on one leaves the others undecided.
fn by_key(history: &History, verdict: &Verdict) -> BTreeMap<String, Validity> {
    let name = |key: &checker::Value| key.text().map_or_else(|| key.to_string(), str::to_owned);
    let keys = history.operations.keys();
    let mut verdicts: BTreeMap<String, Validity> =
        keys.iter().map(|key| (name(key), Validity::Unknown)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::named;

    const LIMITS: Limits = Limits { time: Duration::from_secs(10), memory_bytes: 1 << 30 };

    fn judged(workload: &str, lines: &[&str]) -> Judgement {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let line = |line: &&str| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            format!(
                "{{\"process\":{},\"type\":\"{}\",\"f\":\"{}\",\"key\":\"k0\",\"value\":{}}}\n",
                words[0], words[1], words[2], words[3]
            )
        };
        std::fs::write(&path, lines.iter().map(line).collect::<String>()).unwrap();
        judge(&path, &*named(workload).unwrap(), LIMITS).unwrap()
    }

    #[test]
    fn a_write_whose_client_gave_up_may_land_after_a_later_one_and_a_lost_write_may_not_be_lost() {
        let unanswered = ["0 invoke write 1", "0 info write 1"];
        let acknowledged = ["1 invoke write 2", "1 ok write 2"];
        let reads = ["2 invoke read null", "2 ok read 2", "2 invoke read null", "2 ok read 1"];
        for workload in ["register", "cas-register", "map"] {
            let late = [&unanswered[..], &acknowledged, &reads].concat();
            assert_eq!(judged(workload, &late).valid, Validity::True, "{workload}");
            // Nobody wrote 1 late: it was there, and acknowledged, before 2 was.
            let lost = [&["0 invoke write 1", "0 ok write 1"][..], &acknowledged, &reads].concat();
            assert_eq!(judged(workload, &lost).valid, Validity::False, "{workload}");
            // And a write that never began explains nothing.
            let never = [&acknowledged[..], &reads].concat();
            assert_eq!(judged(workload, &never).valid, Validity::False, "{workload}");
        }
    }

    #[test]
    fn an_add_whose_client_gave_up_may_show_late_and_an_acknowledged_one_may_not_vanish() {
        let adds = ["0 invoke add 1", "0 info add 1", "1 invoke add 2", "1 ok add 2"];
        let late = ["2 invoke read null", "2 ok read [2]", "2 invoke read null", "2 ok read [1,2]"];
        let found = judged("set", &[&adds[..], &late].concat());
        assert_eq!((found.valid, found.broken.len()), (Validity::True, 0));
        let lost = ["2 invoke read null", "2 ok read [1]"];
        let found = judged("set", &[&adds[..], &lost].concat());
        assert_eq!(found.valid, Validity::False);
        assert!(found.broken[0].contains("2 is lost"), "{:?}", found.broken);
    }

    #[test]
    fn a_workload_without_a_specification_is_judged_by_its_own_laws() {
        let read = |total: &str| judged("bank", &["0 invoke read null", &format!("0 ok read {total}")]);
        let sound = read(r#"{"0":10,"1":10,"2":10,"3":10,"4":10}"#);
        assert_eq!((sound.valid, sound.operations, sound.broken.len()), (Validity::True, 1, 0));
        let lost = read(r#"{"0":10,"1":10,"2":10,"3":10,"4":7}"#);
        assert!(lost.broken[0].contains("a total of 47"), "{:?}", lost.broken);
    }
}
