//! A run read back from its folder: what pages, comparisons and lists are made of. Only what is asked for is looked at, so that
//! results of other versions, other tests and other tools can still be shown.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::Validity;
use crate::schedule::NodeId;

/// The file of a run's results.
pub const RESULTS: &str = "results.json";
/// Results beyond this are not ours.
const MOST_BYTES: u64 = 256 << 20;

/// The results of one run, wherever they came from.
#[derive(Clone, Debug)]
pub struct StoredRun {
    folder: PathBuf,
    json: Value,
}

/// A fault as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFault {
    /// The family.
    pub kind: String,
    /// What was done, in words.
    pub what: String,
    /// When it was injected, in seconds.
    pub from: f64,
    /// When it was healed; never, if it was not.
    pub to: Option<f64>,
    /// Whether anything came of it.
    pub effective: bool,
    /// The servers it was aimed at.
    pub nodes: Vec<NodeId>,
}

/// A leader as it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredReign {
    /// When it was first seen, in seconds.
    pub at: f64,
    /// Its term.
    pub term: u64,
    /// The server.
    pub node: NodeId,
}

impl StoredRun {
    /// Reads the results in this folder.
    ///
    /// # Errors
    /// When there are none, or they are not JSON.
    pub fn open(folder: &Path) -> anyhow::Result<StoredRun> {
        let path = folder.join(RESULTS);
        let size = std::fs::metadata(&path).map(|file| file.len());
        let size =
            size.with_context(|| format!("no results in {}: is it a run's folder?", folder.display()))?;
        anyhow::ensure!(size <= MOST_BYTES, "{} is larger than {MOST_BYTES} bytes", path.display());
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let json =
            serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        Ok(StoredRun { folder: folder.to_owned(), json })
    }

    /// Where it was read.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Anything of it, by a JSON pointer.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer).filter(|value| !value.is_null())
    }

    /// A number of it.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<f64> {
        self.at(pointer)?.as_f64()
    }

    /// A text of it.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// The members of an object, in order.
    #[must_use]
    pub fn members(&self, pointer: &str) -> Vec<(&str, &Value)> {
        let object = self.at(pointer).and_then(Value::as_object);
        object.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The verdict; none where nothing was judged.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        validity(self.at("/valid")?)
    }

    /// The test's name.
    #[must_use]
    pub fn test(&self) -> &str {
        let family = || self.folder.parent()?.file_name()?.to_str();
        self.text("/test").or_else(family).unwrap_or("?")
    }

    /// The findings: weight and words, the heaviest first as they were stored.
    #[must_use]
    pub fn findings(&self) -> Vec<(&str, &str)> {
        let mut findings = Vec::new();
        for finding in self.list("/findings") {
            let part = |name: &str| finding.get(name).and_then(Value::as_str);
            if let (Some(weight), Some(what)) = (part("weight"), part("what")) {
                findings.push((weight, what));
            }
        }
        findings
    }

    /// The faults that were injected.
    #[must_use]
    pub fn faults(&self) -> Vec<StoredFault> {
        let faults = self.list("/nemesis/faults").iter();
        faults
            .filter_map(|fault| {
                let millis = |name: &str| fault.get(name).and_then(Value::as_f64).map(|ms| ms / 1_000.0);
                let text = |name: &str| fault.get(name).and_then(Value::as_str).map(str::to_owned);
                let nodes = fault.get("nodes").and_then(Value::as_array).into_iter().flatten();
                let from = millis("at_ms")?;
                Some(StoredFault {
                    kind: text("kind").unwrap_or_else(|| "fault".to_owned()),
                    what: text("what").unwrap_or_default(),
                    from,
                    // Zero, for one that was never healed.
                    to: millis("healed_at_ms").filter(|to| *to >= from && *to > 0.0),
                    effective: fault.get("effective").and_then(Value::as_bool).unwrap_or(true),
                    nodes: nodes.filter_map(Value::as_u64).collect(),
                })
            })
            .collect()
    }

    /// The leaders seen, in order of time.
    #[must_use]
    pub fn reigns(&self) -> Vec<StoredReign> {
        let reigns = self.list("/leaders").iter().filter_map(|reign| {
            let number = |name: &str| reign.get(name).and_then(Value::as_u64);
            let at = reign.get("at_ms").and_then(Value::as_f64)? / 1_000.0;
            Some(StoredReign { at, term: number("term")?, node: number("node")? })
        });
        let mut reigns: Vec<StoredReign> = reigns.collect();
        reigns.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.term.cmp(&b.term)));
        reigns
    }

    /// The servers' numbers.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let of = |value: &Value| value.get("id").and_then(Value::as_u64);
        let mut nodes: Vec<NodeId> = self.list("/nodes").iter().filter_map(of).collect();
        if nodes.is_empty() {
            let count = self.at("/setup/nodes").and_then(Value::as_u64).unwrap_or(0);
            nodes = (1..=count.min(64)).collect();
        }
        nodes
    }
}

/// A verdict as it is stored.
#[must_use]
pub fn validity(value: &Value) -> Option<Validity> {
    match value {
        Value::Bool(true) => Some(Validity::True),
        Value::Bool(false) => Some(Validity::False),
        Value::String(text) if text == "unknown" => Some(Validity::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> StoredRun {
        StoredRun { folder: PathBuf::from("store/kv/x"), json: serde_json::from_str(json).unwrap() }
    }

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_nothing() {
        let run = stored(
            r#"{"valid":"unknown","findings":[{"weight":"doubt","what":"cut"},{"weight":7}],
            "nemesis":{"faults":[{"kind":"kill","what":"kill n1","at_ms":1500,"healed_at_ms":2500,"effective":false,"nodes":[1]},
            {"kind":"kill","at_ms":3000,"healed_at_ms":0},{}]},
            "leaders":[{"at_ms":900,"term":2,"node":3},{"at_ms":100,"term":1,"node":1}],"setup":{"nodes":3}}"#,
        );
        assert_eq!(run.validity(), Some(Validity::Unknown));
        assert_eq!(run.findings(), [("doubt", "cut")]);
        let faults = run.faults();
        assert_eq!((faults[0].from, faults[0].to, faults[0].effective), (1.5, Some(2.5), false));
        assert_eq!((faults.len(), faults[1].to), (2, None));
        assert_eq!(run.reigns().iter().map(|reign| reign.node).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(run.nodes(), [1, 2, 3]);
        assert_eq!(run.test(), "kv", "by its folder");
        let empty = stored("{}");
        assert_eq!((empty.validity(), empty.faults().len(), empty.nodes().len()), (None, 0, 0));
    }

    #[test]
    fn a_folder_without_results_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = StoredRun::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is it a run's folder"), "{error}");
        std::fs::write(folder.path().join(RESULTS), "{").unwrap();
        assert!(StoredRun::open(folder.path()).unwrap_err().to_string().contains("is not JSON"));
    }
}
