//! Every recorded history with a known verdict is decided as known, by every algorithm.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use checker::{
    Algorithm, CheckOptions, History, Limits, Model, ModelName, ModelOptions, ReadOptions, Report, Unknown,
    Value, Verdict,
};

/// Histories that the search alone (`wgl`) does not decide within the test's limits: it must say *unknown*, never wrong.
/// `auto` decides all.
const HARD_FOR_WGL: &[&str] = &[];
const HARD_FOR_LINEAR: &[&str] = &[];

fn corpora() -> Option<PathBuf> {
    let named = std::env::var_os("PLUMBLINE_CORPORA").map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"));
    if path.join("expected.json").exists() {
        return Some(path);
    }
    println!("skipped: no corpora at {} (set PLUMBLINE_CORPORA)", path.display());
    None
}

struct Case {
    name: String,
    history: History,
    model: Model,
    linearizable: bool,
}

fn cases(corpora: &Path) -> Vec<Case> {
    let expected = std::fs::read_to_string(corpora.join("expected.json")).expect("readable");
    let expected: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&expected).expect("JSON");
    let case = |(name, known): (&String, &serde_json::Value)| {
        let history = History::open(&corpora.join(name), &ReadOptions::default()).expect("a good file");
        let specification = known["specification"].as_str().expect("a name");
        let model = match specification.split([' ', '-']).next() {
            Some("kv" | "append") => ModelName::KeyValue,
            _ => specification.parse().expect("a known name"),
        };
        let initial = known.get("initial").map(|value| Value::from_json(&value.to_string()).expect("JSON"));
        let options = ModelOptions { initial, ..ModelOptions::default() };
        let model = Model::new(model, &options, &history).expect("a suitable start");
        Case { name: name.clone(), history, model, linearizable: known["linearizable"] == true }
    };
    expected.iter().map(case).collect()
}

fn check(case: &Case, algorithm: Algorithm, seconds: u64) -> Report {
    let limits = Limits { time: Duration::from_secs(seconds), memory_bytes: 2 << 30, ..Limits::default() };
    // The effort is bounded in steps, long before this; a busy machine must not change what is found.
    let explanation = Duration::from_secs(seconds);
    let options = CheckOptions { algorithm, limits, explanation, ..CheckOptions::default() };
    case.model.check(&case.history, &options).expect("a history of this kind")
}

fn verdict(report: &Report) -> Option<bool> {
    match &report.verdict {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        Verdict::Unknown { .. } => None,
    }
}

fn decided_as_known(algorithm: Algorithm, hard: &[&str]) {
    let Some(corpora) = corpora() else { return };
    let mut wrong = Vec::new();
    for case in cases(&corpora) {
        let start = Instant::now();
        let known_hard = hard.contains(&&*case.name);
        let report = check(&case, algorithm, if known_hard { 1 } else { 20 });
        let verdict = verdict(&report);
        if start.elapsed() > Duration::from_millis(200) {
            println!("{}: {:?} (decided in {:?})", case.name, start.elapsed(), report.elapsed);
        }
        let expected = if known_hard { None } else { Some(case.linearizable) };
        if verdict != expected {
            wrong.push(format!("{}: {} instead of linearizable: {expected:?}", case.name, report.summary()));
        }
        if let Verdict::NotLinearizable { explanation } = &report.verdict {
            assert!(!explanation.conflict.is_empty(), "{}: a conflict is shown", case.name);
            assert!(
                explanation.minimal && explanation.confirmed,
                "{}: small, and confirmed by the independent judge\n{}",
                case.name,
                explanation.render(&case.history)
            );
            assert!(explanation.prefix_complete, "{}: an order of all that came before", case.name);
            assert!(!explanation.ends.is_empty(), "{}: why it goes no further", case.name);
            assert!(explanation.render(&case.history).contains("cannot be linearized"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn auto_decides_every_recorded_history_as_known() {
    decided_as_known(Algorithm::Auto, &[]);
}

#[test]
fn wgl_decides_every_recorded_history_as_known() {
    decided_as_known(Algorithm::Wgl, HARD_FOR_WGL);
}

#[test]
fn linear_decides_every_recorded_history_as_known() {
    decided_as_known(Algorithm::Linear, HARD_FOR_LINEAR);
}

#[test]
fn the_competition_decides_every_recorded_history_as_known() {
    decided_as_known(Algorithm::Competition, &[]);
}

#[test]
fn unique_decides_every_history_of_unique_values_as_known() {
    let Some(corpora) = corpora() else { return };
    let mut decided = 0;
    for case in cases(&corpora) {
        let report = check(&case, Algorithm::Unique, 20);
        let unique = case.name.contains("uniq") || case.name.contains("synthetic/kv");
        match &report.verdict {
            Verdict::Unknown { reason: Unknown::Inapplicable(_) } => {
                assert!(!unique, "{}: {}", case.name, report.summary());
            }
            _ => assert_eq!(verdict(&report), Some(case.linearizable), "{}", case.name),
        }
        decided += u32::from(unique);
    }
    assert!(decided > 0);
}
