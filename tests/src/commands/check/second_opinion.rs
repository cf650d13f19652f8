//! `--second-opinion`: another checker judges the same history, and a disagreement is an error.
//!
//! ```text
//!   History ──► knossos    exported per key as EDN (or the file itself), real Knossos on the JVM, its result maps read back
//!           ──► a command  given by the user, as for Porcupine: the file itself, its exit code is its verdict
//! ```

mod export;
mod knossos;

use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use checker::{History, Model, Report, Verdict};
use serde_json::{Value, json};

use crate::commands::subprocess::{finish, quoted, tail};

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondOpinion {
    /// Knossos, on the JVM.
    Knossos,
    /// A command with `{}` in the place of the file.
    Command {
        /// What to call it.
        name: String,
        /// For the shell.
        command: String,
    },
}

impl FromStr for SecondOpinion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "knossos" => Ok(Self::Knossos),
            Some((name, command)) if !name.is_empty() && command.contains("{}") => {
                Ok(Self::Command { name: name.to_owned(), command: command.to_owned() })
            }
            Some(_) => Err("a command needs {} where the file's name goes".to_owned()),
            None => Err(format!(
                "unknown checker `{text}`: expected knossos, or NAME=COMMAND with {{}} for the file, whose exit code is 0 \
                 (linearizable), 1 (not) or 3 (unknown)"
            )),
        }
    }
}

/// What the other checker said.
pub(super) struct Opinion {
    pub(super) name: String,
    /// `None`: unknown.
    pub(super) valid: Option<bool>,
    /// In its own words.
    pub(super) words: String,
    pub(super) time: Duration,
}

impl Opinion {
    pub(super) fn json(&self) -> Value {
        json!({
            "checker": self.name,
            "valid": self.valid.map_or(json!("unknown"), |valid| json!(valid)),
            "says": self.words,
            "seconds": self.time.as_secs_f64(),
        })
    }

    /// In one line.
    pub(super) fn text(&self, report: &Report) -> String {
        let agrees = match (self.valid, valid(report)) {
            (None, _) => "does not know",
            (Some(_), None) => "knows more",
            (Some(theirs), Some(ours)) if theirs == ours => "agrees",
            (Some(_), Some(_)) => "disagrees",
        };
        let words = if self.words.is_empty() { String::new() } else { format!(": {}", self.words) };
        let verdict = match self.valid {
            Some(true) => "linearizable",
            Some(false) => "not linearizable",
            None => "unknown",
        };
        format!(
            "  second opinion: {} {agrees} ({verdict}, {:.1} s){words}\n",
            self.name,
            self.time.as_secs_f64()
        )
    }
}

fn valid(report: &Report) -> Option<bool> {
    match report.verdict {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        Verdict::Unknown { .. } => None,
    }
}

/// Asks for it.
///
/// # Errors
/// If the other checker is not there, fails, or disagrees.
pub(super) fn ask(
    whom: &SecondOpinion,
    path: &Path,
    history: &History,
    model: &Model,
    report: &Report,
    limit: Duration,
) -> Result<Opinion, String> {
    let began = Instant::now();
    let (name, (valid_there, words)) = match whom {
        SecondOpinion::Knossos => ("knossos", knossos::judge(path, history, model, limit)?),
        SecondOpinion::Command { name, command } => (name.as_str(), run(name, command, path, limit)?),
    };
    let opinion = Opinion { name: name.to_owned(), valid: valid_there, words, time: began.elapsed() };
    match (valid(report), opinion.valid) {
        (Some(ours), Some(theirs)) if ours != theirs => Err(disagreement(history, report, &opinion)),
        _ => Ok(opinion),
    }
}

fn disagreement(history: &History, report: &Report, opinion: &Opinion) -> String {
    let ours = match &report.verdict {
        Verdict::NotLinearizable { explanation } => explanation.render(history),
        _ => "every key has a linearization, and the validator has replayed it\n".to_owned(),
    };
    let theirs = if opinion.valid == Some(true) { "linearizable" } else { "not linearizable" };
    format!(
        "{file}: two checkers disagree; one of them is wrong, or they were asked different things (what a read of nil and a \
         failed compare-and-set mean: --nil-reads, --failed-cas, --initial)\n\
         plumbline: {summary}\n{ours}{name}: {theirs}\n{words}",
        file = history.name,
        summary = report.summary(),
        name = opinion.name,
        words = opinion.words,
    )
}

/// A command of the user's: its exit code is its verdict, as ours is.
fn run(name: &str, command: &str, path: &Path, limit: Duration) -> Result<(Option<bool>, String), String> {
    let line = command.replace("{}", &quoted(path));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&line);
    let finished = finish(shell, limit).map_err(|error| format!("cannot run {name} (`{line}`): {error}"))?;
    let Some(finished) = finished else { return Ok((None, format!("no answer in {limit:?}"))) };
    let words = finished.stdout.trim().to_owned();
    match finished.code {
        Some(0) => Ok((Some(true), words)),
        Some(1) => Ok((Some(false), words)),
        Some(3) => Ok((None, words)),
        code => Err(format!(
            "{name} gave no verdict (`{line}` ended with {}); 0 is linearizable, 1 is not, 3 is unknown\n{}",
            code.map_or("a signal".to_owned(), |code| format!("exit code {code}")),
            tail(&finished.stderr)
        )),
    }
}
