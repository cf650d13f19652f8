//! `--second-opinion`: another checker judges the same history, and a disagreement is an error.
//!
//! ```text
//!   History ──► knossos    exported per key as EDN (or the file itself), real Knossos on the JVM, its result maps read back
//!           ──► a command  given by the user, as for Porcupine: the file itself, its exit code is its verdict
//! ```

mod export;
mod knossos;

use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use checker::{History, Model, Report, Verdict};
use serde_json::{Value, json};

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

/// A path as one word for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What a program printed, and how it ended.
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a program to its end; `None` if it had to be ended for want of time.
fn finish(mut command: Command, limit: Duration) -> std::io::Result<Option<Finished>> {
    use std::os::unix::process::CommandExt as _;
    // A group of its own, so that what the shell has started ends with it.
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                // What has come by the time of an error is what there is.
                let _ = std::io::Read::read_to_end(&mut std::io::Read::take(pipe, MOST_OUTPUT), &mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let group = i32::try_from(child.id()).unwrap_or(0);
    let (ended, wait) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more if the time is over.
        let _ = ended.send(());
        status
    });
    let in_time = wait.recv_timeout(limit).is_ok();
    if !in_time && group > 0 {
        let _ =
            nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
    }
    let status = waiter.join().map_err(|_| std::io::Error::other("the waiting thread has ended"))??;
    let [stdout, stderr] = [stdout, stderr].map(|text| text.join().unwrap_or_default());
    Ok(in_time.then(|| Finished { code: status.code(), stdout, stderr }))
}

/// The most that is read of what another checker prints, in bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// The end of what a program had to say.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
