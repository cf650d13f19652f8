//! Two runs side by side: every figure that both or either have, and what is better in which.

mod page;

use serde::Serialize;

use crate::page::draw::number;
use crate::page::series::{Series, mean, quantiles};
use crate::report::Validity;
use crate::report::stored::StoredRun;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The smaller.
    Less,
    /// The larger.
    More,
    /// It says nothing by itself.
    Neither,
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it is.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// In the first run.
    pub a: Option<f64>,
    /// In the second.
    pub b: Option<f64>,
    /// By how much the second is larger, as a share of the first.
    pub change: Option<f64>,
    /// Which way it is better.
    pub better: Better,
}

/// One of the two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Its folder.
    pub folder: std::path::PathBuf,
    /// Its test.
    pub test: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// Its verdict.
    pub valid: Option<Validity>,
    /// Findings that are not mere remarks.
    pub findings: Vec<String>,
}

/// Both.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Settings in which they differ: name, first, second.
    pub settings: Vec<(String, String, String)>,
    /// Every figure.
    pub rows: Vec<Row>,
}

/// A run with what its history says.
pub(crate) struct Read {
    pub(crate) run: StoredRun,
    pub(crate) series: Series,
}

impl Read {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// When it has no results.
    pub(crate) fn open(folder: &std::path::Path) -> anyhow::Result<Read> {
        let (run, series) = crate::page::read(folder)?;
        Ok(Read { run, series })
    }

    fn side(&self) -> Side {
        let findings = self.run.findings().into_iter().filter(|(weight, _)| *weight != "remark");
        Side {
            folder: self.run.folder().to_owned(),
            test: self.run.test().to_owned(),
            seed: self.run.at("/seed").and_then(serde_json::Value::as_u64),
            valid: self.run.validity(),
            findings: findings.map(|(_, what)| what.lines().next().unwrap_or_default().to_owned()).collect(),
        }
    }

    /// Every figure: name, unit, value, which way is better.
    fn figures(&self) -> Vec<(String, &'static str, f64, Better)> {
        let (run, series) = (&self.run, &self.series);
        let mut figures: Vec<(String, &'static str, f64, Better)> = Vec::new();
        let mut add = |what: String, unit: &'static str, value: Option<f64>, better: Better| {
            figures.extend(value.map(|value| (what, unit, value, better)));
        };
        if !series.points.is_empty() {
            let kinds = series.names.iter().enumerate().map(|(f, name)| (Some(f), name.as_str()));
            for (f, name) in [(None, "all")].into_iter().chain(kinds) {
                let [ok, fail, info] = series.counts(f).map(|count| Some(count as f64));
                add(format!("{name}: ok"), "", ok, Better::More);
                add(format!("{name}: failed"), "", fail, Better::Neither);
                add(format!("{name}: nobody knows"), "", info, Better::Less);
                let mut latencies = series.latencies(f);
                add(format!("{name}: mean latency"), "ms", mean(&latencies), Better::Less);
                let four = quantiles(&mut latencies);
                for (at, what) in
                    ["median latency", "p95 latency", "p99 latency", "longest latency"].iter().enumerate()
                {
                    add(
                        format!("{name}: {what}"),
                        "ms",
                        four.and_then(|four| four.get(at).copied()),
                        Better::Less,
                    );
                }
            }
            let found = series.availability();
            add("available".to_owned(), "%", found.map(|found| found.share * 100.0), Better::More);
            add("longest silence".to_owned(), "s", found.map(|found| found.silence), Better::Less);
        }
        add("ok per second".to_owned(), "/s", run.number("/operations/ok_per_second"), Better::More);
        let faults = run.faults();
        add("faults".to_owned(), "", Some(faults.len() as f64), Better::Neither);
        if !series.points.is_empty() {
            let mut recoveries: Vec<f64> = faults
                .iter()
                .filter(|fault| fault.effective)
                .filter_map(|fault| series.recovery(fault).after_injection)
                .collect();
            let four = quantiles(&mut recoveries);
            add(
                "median recovery after a fault".to_owned(),
                "s",
                four.map(|[median, ..]| median),
                Better::Less,
            );
            add(
                "longest recovery after a fault".to_owned(),
                "s",
                four.map(|[.., longest]| longest),
                Better::Less,
            );
        }
        add("leaders seen".to_owned(), "", Some(run.reigns().len() as f64), Better::Neither);
        add("bytes between servers".to_owned(), "", run.number("/links/forwarded_bytes"), Better::Neither);
        add("messages between servers".to_owned(), "", run.number("/links/frames"), Better::Neither);
        add(
            "the harness' own CPU".to_owned(),
            "%",
            run.number("/harness/cpu_share").map(|share| share * 100.0),
            Better::Neither,
        );
        for (name, value) in run.members("/figures").into_iter().chain(run.members("/traces")) {
            add(name.replace('_', " "), "", value.as_f64(), Better::Neither);
        }
        figures
    }
}

impl Comparison {
    /// Compares two runs.
    #[must_use]
    pub(crate) fn of(a: &Read, b: &Read) -> Comparison {
        let mut rows: Vec<Row> = Vec::new();
        for (what, unit, value, better) in a.figures() {
            rows.push(Row { what, unit, a: Some(value), b: None, change: None, better });
        }
        for (what, unit, value, better) in b.figures() {
            match rows.iter_mut().find(|row| row.what == what) {
                Some(row) => row.b = Some(value),
                None => rows.push(Row { what, unit, a: None, b: Some(value), change: None, better }),
            }
        }
        for row in &mut rows {
            row.change = row.a.zip(row.b).filter(|(a, _)| *a != 0.0).map(|(a, b)| (b - a) / a);
        }
        Comparison { a: a.side(), b: b.side(), settings: settings(&a.run, &b.run), rows }
    }

    /// For a person at a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let seed = side.seed.map_or_else(|| "?".to_owned(), |seed| seed.to_string());
            let word = crate::page::badge(side.valid).1;
            text.push_str(&format!(
                "{name}  {word:<8} {} seed {seed}: {}\n",
                side.test,
                side.folder.display()
            ));
            for finding in &side.findings {
                text.push_str(&format!("     {finding}\n"));
            }
        }
        if !self.settings.is_empty() {
            text.push_str(&format!("\n{:<36}{:>16}{:>16}\n", "different settings", "A", "B"));
        }
        for (name, a, b) in &self.settings {
            text.push_str(&format!("{name:<36}{a:>16}{b:>16}\n"));
        }
        text.push_str(&format!("\n{:<36}{:>16}{:>16}{:>10}\n", "", "A", "B", "B to A"));
        for row in &self.rows {
            let cell = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{} {}", number(value), row.unit))
            };
            text.push_str(&format!(
                "{:<36}{:>16}{:>16}{:>10}\n",
                row.what,
                cell(row.a).trim_end(),
                cell(row.b).trim_end(),
                row.says()
            ));
        }
        text
    }
}

impl Row {
    /// The change in words.
    pub(crate) fn says(&self) -> String {
        match self.change {
            Some(change) if change.abs() >= 0.0005 => format!("{:+.1} %", change * 100.0),
            Some(_) => "same".to_owned(),
            None => String::new(),
        }
    }

    /// Whether the second is better, worse, or neither.
    pub(crate) fn judgement(&self) -> &'static str {
        match (self.better, self.change) {
            (_, None) | (Better::Neither, _) => "",
            (_, Some(change)) if change.abs() < 0.02 => "",
            (Better::Less, Some(change)) => {
                if change < 0.0 {
                    "better"
                } else {
                    "worse"
                }
            }
            (Better::More, Some(change)) => {
                if change > 0.0 {
                    "better"
                } else {
                    "worse"
                }
            }
        }
    }
}

/// Settings of the two that are not the same.
fn settings(a: &StoredRun, b: &StoredRun) -> Vec<(String, String, String)> {
    let of = |run: &StoredRun| -> std::collections::BTreeMap<String, String> {
        let plain =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        run.members("/setup").into_iter().map(|(name, value)| (name.to_owned(), plain(value))).collect()
    };
    let (a, b) = (of(a), of(b));
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &std::collections::BTreeMap<String, String>, name: &String| {
        of.get(name).cloned().unwrap_or_default()
    };
    // The command line says in other words what the others say.
    let names = names.into_iter().filter(|name| *name != "command_line");
    names.map(|name| (name.clone(), value(&a, name), value(&b, name))).filter(|(_, a, b)| a != b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(latency_ms: i64, nodes: u64) -> (tempfile::TempDir, Read) {
        let folder = tempfile::tempdir().unwrap();
        let results = serde_json::json!({
            "valid": true, "test": "kv", "seed": nodes, "findings": [{"weight": "remark", "what": "no effect"}],
            "setup": {"nodes": nodes, "rate": 300, "command_line": ["x", nodes.to_string()]},
            "operations": {"ok_per_second": 10.0}, "figures": {"redirects": nodes},
        });
        std::fs::write(folder.path().join("results.json"), results.to_string()).unwrap();
        let mut text = String::new();
        for at in 0..100_i64 {
            for (kind, ms) in [("invoke", at * 20), ("ok", at * 20 + latency_ms)] {
                let time = ms * 1_000_000;
                text.push_str(&format!(
                    r#"{{"time":{time},"process":0,"type":"{kind}","f":"write","key":"k","value":{at}}}"#
                ));
                text.push('\n');
            }
        }
        std::fs::write(folder.path().join("history.jsonl"), text).unwrap();
        let read = Read::open(folder.path()).unwrap();
        (folder, read)
    }

    #[test]
    fn what_differs_is_said_with_its_direction() {
        let ((_one, a), (_two, b)) = (read(2, 3), read(4, 5));
        let comparison = Comparison::of(&a, &b);
        assert_eq!(comparison.settings, [("nodes".to_owned(), "3".to_owned(), "5".to_owned())]);
        let row = |what: &str| {
            comparison.rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("no {what}"))
        };
        let median = row("write: median latency");
        assert_eq!(
            (median.a.map(f64::round), median.b.map(f64::round), median.judgement()),
            (Some(2.0), Some(4.0), "worse")
        );
        assert_eq!(median.says(), "+100.0 %");
        assert_eq!(row("all: ok").says(), "same");
        assert_eq!(row("redirects").judgement(), "", "it says nothing by itself");
        let back = Comparison::of(&b, &a);
        assert_eq!(
            back.rows.iter().find(|row| row.what == "write: median latency").unwrap().judgement(),
            "better"
        );
        let text = comparison.text();
        for part in ["A  PASS", "different settings", "write: median latency", "+100.0 %"] {
            assert!(text.contains(part), "no {part}:\n{text}");
        }
        assert!(!text.contains("no effect"), "remarks are left out");
        let html = comparison.html(&a, &b);
        assert!(html.contains("class=\"worse\"") && html.matches("class=\"chart\"").count() >= 4, "{html}");
    }
}
