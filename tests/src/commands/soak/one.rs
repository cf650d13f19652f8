//! One run of a soak: a process of its own, judged by what it says and leaves.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::left::Inventory;
use crate::report::Validity;
use crate::report::stored::validity;

/// What every run is given.
pub(super) struct Plan {
    pub(super) store: PathBuf,
    pub(super) server: Option<PathBuf>,
    pub(super) keep_all: bool,
    pub(super) options: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ended {
    Pass,
    Fail,
    #[default]
    Unknown,
    /// It did not take place.
    Error,
}

/// One run in a line.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Line {
    pub(super) seed: u64,
    pub(super) ended: Ended,
    pub(super) seconds: f64,
    pub(super) operations: u64,
    pub(super) faults: u64,
    pub(super) without_effect: u64,
    /// Why it did not pass.
    pub(super) why: Vec<String>,
    /// Where it is kept, if it is.
    pub(super) store: Option<PathBuf>,
    /// What it left behind.
    pub(super) left_behind: Vec<String>,
}

/// Performs one run. `stop` ends it in order, `end` at once.
pub(super) async fn perform(
    plan: &Plan,
    seed: u64,
    stop: &CancellationToken,
    end: &CancellationToken,
) -> anyhow::Result<Line> {
    let before = Inventory::take(&plan.store);
    let began = Instant::now();
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(["run", "--json", "--seed", &seed.to_string(), "--store"]).arg(&plan.store);
    if let Some(server) = &plan.server {
        command.arg("--server").arg(server);
    }
    command.args(&plan.options);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C at the terminal reaches us, and we pass it on once.
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn().context("cannot start a run")?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let passing_on = async {
        stop.cancelled().await;
        // One that has ended meanwhile needs no signal.
        let _ = pid.map(|pid| kill(pid, Signal::SIGTERM));
        end.cancelled().await;
        let _ = pid.map(|pid| kill(pid, Signal::SIGTERM));
        std::future::pending::<()>().await;
    };
    let output = tokio::select! {
        output = child.wait_with_output() => output.context("cannot wait for a run")?,
        () = passing_on => unreachable_line()?,
    };
    let results: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let mut line =
        Line::of(seed, results.as_ref(), output.status.code(), &String::from_utf8_lossy(&output.stderr));
    line.seconds = began.elapsed().as_secs_f64();
    line.left_behind = Inventory::take(&plan.store).beyond(&before);
    let is_dull = line.ended == Ended::Pass && line.left_behind.is_empty();
    if is_dull
        && !plan.keep_all
        && let Some(store) = line.store.take()
    {
        forget(&store);
    }
    Ok(line)
}

/// The signals are passed on for ever.
fn unreachable_line() -> anyhow::Result<std::process::Output> {
    anyhow::bail!("the signals' listener ended")
}

impl Line {
    /// What a run's own words come to.
    fn of(seed: u64, results: Option<&Value>, code: Option<i32>, stderr: &str) -> Line {
        let line = Line { seed, ..Line::default() };
        let Some(results) = results else {
            let said = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            let how = code.map_or_else(|| "a signal ended it".to_owned(), |code| format!("exit code {code}"));
            return Line { ended: Ended::Error, why: vec![format!("{how}: {said}")], ..line };
        };
        let number = |pointer: &str| results.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let ended = match (results.get("valid").and_then(validity), code) {
            // A verdict is believed only together with the exit code that says the same.
            (Some(Validity::True), Some(0)) => Ended::Pass,
            (Some(Validity::False), _) | (_, Some(1)) => Ended::Fail,
            (Some(Validity::Unknown), _) | (_, Some(3)) => Ended::Unknown,
            _ => Ended::Error,
        };
        let findings = results.get("findings").and_then(Value::as_array).into_iter().flatten();
        let heavy = findings.filter(|finding| finding.get("weight").is_none_or(|weight| weight != "remark"));
        let first = |finding: &Value| finding.get("what")?.as_str()?.lines().next().map(str::to_owned);
        Line {
            ended,
            operations: number("/count/invoke"),
            faults: number("/nemesis/injected"),
            without_effect: number("/nemesis/without_effect"),
            why: heavy.filter_map(first).collect(),
            store: results.get("store").and_then(Value::as_str).map(PathBuf::from),
            ..line
        }
    }

    pub(super) fn text(&self) -> String {
        let word = match self.ended {
            Ended::Pass => "PASS",
            Ended::Fail => "FAIL",
            Ended::Unknown => "UNKNOWN",
            Ended::Error => "ERROR",
        };
        let mut text = format!(
            "{word:<8} seed {}  {} operations, {} faults ({} without effect), {:.0} s",
            self.seed, self.operations, self.faults, self.without_effect, self.seconds
        );
        for why in &self.why {
            text.push_str(&format!("; {why}"));
        }
        for left in &self.left_behind {
            text.push_str(&format!("; left behind: {left}"));
        }
        if let Some(store) = &self.store {
            text.push_str(&format!("  {}", store.display()));
        }
        text.push('\n');
        text
    }
}

/// Removes a run's folder, and the links that pointed at it.
fn forget(folder: &Path) {
    // What cannot be removed is found by whoever looks at the store.
    let _ = std::fs::remove_dir_all(folder);
    let family = folder.parent();
    for place in family.into_iter().chain(family.and_then(Path::parent)) {
        let link = place.join("latest");
        if link.is_symlink() && !link.exists() {
            let _ = std::fs::remove_file(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_believed_only_with_its_exit_code() {
        let results = |valid: Value| serde_json::json!({"valid": valid, "count": {"invoke": 9}, "findings": [{"weight": "doubt", "what": "x\ny"}, {"weight": "remark", "what": "z"}]});
        let ended = |valid: Value, code| Line::of(1, Some(&results(valid)), code, "").ended;
        assert_eq!(ended(true.into(), Some(0)), Ended::Pass);
        assert_eq!(ended(true.into(), Some(1)), Ended::Fail);
        assert_eq!(ended(true.into(), None), Ended::Error);
        assert_eq!(ended(false.into(), Some(0)), Ended::Fail);
        assert_eq!(ended("unknown".into(), Some(3)), Ended::Unknown);
        let line = Line::of(1, Some(&results("unknown".into())), Some(3), "");
        assert_eq!((line.operations, line.why), (9, vec!["x".to_owned()]));
        let crashed = Line::of(7, None, Some(101), "thread panicked\n\n");
        assert_eq!(
            (crashed.ended, crashed.why),
            (Ended::Error, vec!["exit code 101: thread panicked".to_owned()])
        );
    }

    #[test]
    fn a_run_that_is_forgotten_leaves_no_link_to_nowhere() {
        let store = tempfile::tempdir().unwrap();
        let kept = crate::store::RunFolder::create(store.path(), "kv").unwrap();
        let gone = crate::store::RunFolder::create(store.path(), "kv").unwrap();
        forget(gone.root());
        assert!(kept.root().exists() && !gone.root().exists());
        assert!(!store.path().join("latest").is_symlink() && !store.path().join("kv/latest").is_symlink());
    }
}
