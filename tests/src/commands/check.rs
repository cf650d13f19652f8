//! `plumbline check FILE…`: is a recorded history what the specification allows?
//!
//! The verdict in one line first, then where to look. Exit code 0: linearizable; 1: not; 2: the file or the command line is at
//! fault; 3: unknown (a limit was reached, or there was nothing to check). Of several files the worst counts.
//!
//! ```text
//!   FILE ──► History ──► judge ──► output    text, --json
//!     ▲                    ▲       draw      --html, --svg
//!   follow: again and again┘       second_opinion: Knossos, or any command, on the same history; to disagree is an error
//! ```

mod flags;
mod follow;
mod output;
mod second_opinion;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use checker::{
    Algorithm, CheckOptions, FailedCas, Format, History, Limits, Model, ModelName, ModelOptions, NilReads,
    Problem, ReadError, ReadOptions, Report, Value, Verdict,
};

use follow::Followed;
use second_opinion::Opinion;
pub use second_opinion::SecondOpinion;

use crate::commands::print_text;
use crate::progress::tell;

/// Check recorded histories for linearizability.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Histories: EDN, JSON lines, or Jepsen's log lines.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The sequential specification: register, cas-register, write-once, kv, multi-register, append-list, set, counter,
    /// fifo-queue, unordered-queue, priority-queue, stack, mutex or reentrant-mutex.
    #[arg(long, default_value = "kv", value_name = "NAME", value_parser = ModelName::from_str)]
    pub model: ModelName,

    /// How to decide: unique is polynomial and for unique values only; wgl (Wing & Gong, Lowe) and linear (just in time)
    /// search; competition races the two; auto is unique where it applies, and wgl elsewhere.
    #[arg(long, default_value = "auto", value_name = "auto|unique|wgl|linear|competition", value_parser = Algorithm::from_str)]
    pub algorithm: Algorithm,

    /// The state at the start, as JSON or EDN. Default: nil for registers and absent for keys ("" where strings are appended
    /// and nil is never read), 0 for all registers of a multi-register, free for a mutex.
    #[arg(long, value_name = "VALUE", value_parser = flags::value, allow_hyphen_values = true)]
    pub initial: Option<Value>,

    /// How the files are written: auto, edn, jsonl or log.
    #[arg(long, default_value = "auto", value_name = "NAME", value_parser = flags::format)]
    pub format: FormatChoice,

    /// What an ok read of nil says: any (nothing, as Knossos) or value (the register held nil, as Porcupine). Default auto:
    /// any for registers that start at another value and are never set to nil.
    #[arg(long, default_value = "auto", value_name = "auto|any|value", value_parser = flags::nil_reads)]
    pub nil_reads: NilReads,

    /// What a failed compare-and-set says: drop (nothing, as Knossos) or observe (the value differed, as Porcupine's etcd
    /// model). Default auto: observe for log lines, else drop.
    #[arg(long, default_value = "auto", value_name = "auto|drop|observe", value_parser = flags::failed_cas)]
    pub failed_cas: FailedCas,

    /// Values are Jepsen's independent tuples, [key value] (kv finds that out by itself).
    #[arg(long)]
    pub independent: bool,

    /// Time for each file: 500ms, 60s, 2m.
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = flags::duration)]
    pub time_limit: Duration,

    /// Memory for the history and the search: bytes, or with KiB, MiB or GiB. The answer is unknown (exit code 3) where that is
    /// not enough.
    #[arg(long, default_value = "4GiB", value_name = "SIZE", value_parser = flags::bytes)]
    pub memory: u64,

    /// Threads; as many as there are cores if not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZero<usize>>,

    /// Time for explaining a "no"; what is not found until then is said to be unknown. 0s: the verdict alone.
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = flags::duration_or_none)]
    pub explain: Duration,

    /// Ask another checker as well and compare: knossos (needs a JVM; KNOSSOS_CLASSPATH, or clojure or lein with network), or
    /// NAME=COMMAND with {} for the file, whose exit code is 0 (linearizable), 1 (not) or 3 (unknown). To disagree is an
    /// error.
    #[arg(long, value_name = "knossos|NAME=COMMAND", value_parser = SecondOpinion::from_str)]
    pub second_opinion: Option<SecondOpinion>,

    /// Judge the file while it is being written, and stop at the first violation (exit code 1); SIGINT ends it with the verdict
    /// so far. The state at the start is that of --initial, or nil. A pipe is followed to its end.
    #[arg(long, conflicts_with = "second_opinion")]
    pub follow: bool,

    /// With --follow: take the history for complete when nothing was added for so long.
    #[arg(long, value_name = "DURATION", value_parser = flags::duration, requires = "follow")]
    pub until_idle: Option<Duration>,

    /// Write the verdict as a page for a browser: the conflict first, then the whole history to zoom and search in.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Write the verdict as a drawing for a report: the conflict, or the beginning of the history.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// The value of `--format`; `None` finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatChoice(pub Option<Format>);

/// A file that could not be judged.
struct NotJudged {
    message: String,
    /// Not for a fault of the file: the history does not fit into `--memory`. That is an open question, not an error.
    memory: bool,
}

impl From<String> for NotJudged {
    fn from(message: String) -> Self {
        Self { message, memory: false }
    }
}

impl From<ReadError> for NotJudged {
    fn from(error: ReadError) -> Self {
        Self { memory: matches!(error.problem, Problem::Memory), message: error.to_string() }
    }
}

/// What came of one file.
struct Checked {
    file: String,
    outcome: Result<(History, Report), NotJudged>,
    opinion: Option<Opinion>,
    followed: Option<Followed>,
}

/// Runs the command.
///
/// # Errors
/// Only if the output cannot be written; what is wrong with a file is reported and gives exit code 2.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.files.len() > 1 && (args.html.is_some() || args.svg.is_some()) {
        anyhow::bail!("--html and --svg draw one history: name one file");
    }
    if args.files.len() > 1 && args.follow {
        anyhow::bail!("--follow follows one history: name one file");
    }
    let mut checked = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let one = if args.follow { follow::follow(args, file) } else { check_file(args, file) };
        if let Err(error) = &one.outcome {
            tell(&format!("{}: {}", if error.memory { "unknown" } else { "error" }, error.message));
        } else if !args.json {
            print_text(&output::text(&one, args.files.len() > 1))?;
        }
        checked.push(one);
    }
    if args.json {
        print_text(&format!("{:#}\n", output::json(args, &checked)))?;
    }
    let code = checked.iter().map(Checked::code).max_by_key(|code| match code {
        // A violation is worse news than a file that cannot be read, and that than an open question.
        0 => 0,
        3 => 1,
        2 => 2,
        _ => 3,
    });
    Ok(ExitCode::from(code.unwrap_or(2)))
}

fn check_file(args: &CheckArgs, path: &Path) -> Checked {
    let file = path.display().to_string();
    let mut opinion = None;
    let outcome = (|| -> Result<_, NotJudged> {
        let history = History::open(path, &reading(args))?;
        let (model, history) = prepare(args, history)?;
        let report = judge(args, &model, &history)?;
        draw(args, &model, &history, &report)?;
        if let Some(whom) = &args.second_opinion {
            opinion = Some(second_opinion::ask(whom, path, &history, &model, &report, args.time_limit)?);
        }
        Ok((history, report))
    })();
    Checked { file, outcome, opinion, followed: None }
}

fn reading(args: &CheckArgs) -> ReadOptions {
    ReadOptions { format: args.format.0, memory_bytes: Some(args.memory) }
}

/// Whether the values are tuples of a key and a value.
fn tuples(args: &CheckArgs, history: &History) -> bool {
    args.independent || (args.model == ModelName::KeyValue && history.has_key_tuples())
}

/// The history with its keys where they belong, and the specification for it.
fn prepare(args: &CheckArgs, history: History) -> Result<(Model, History), String> {
    let history = match tuples(args, &history) {
        true => history.independent().map_err(|e| e.to_string())?,
        false => history,
    };
    Ok((specification(args, &history)?, history))
}

fn model_options(args: &CheckArgs) -> ModelOptions {
    ModelOptions { initial: args.initial.clone(), nil_reads: args.nil_reads, failed_cas: args.failed_cas }
}

fn specification(args: &CheckArgs, history: &History) -> Result<Model, String> {
    Model::new(args.model, &model_options(args), history)
}

fn judging(args: &CheckArgs) -> CheckOptions {
    let limits = Limits { time: args.time_limit, memory_bytes: args.memory, ..Limits::default() };
    CheckOptions { algorithm: args.algorithm, limits, explanation: args.explain, threads: args.threads }
}

fn judge(args: &CheckArgs, model: &Model, history: &History) -> Result<Report, String> {
    model.check(history, &judging(args)).map_err(|e| e.to_string())
}

/// Writes the pictures that were asked for.
fn draw(args: &CheckArgs, model: &Model, history: &History, report: &Report) -> Result<(), String> {
    if args.html.is_none() && args.svg.is_none() {
        return Ok(());
    }
    let picture = model.picture(history, report);
    let write = |path: &Path, draw: &dyn Fn(&mut BufWriter<File>) -> io::Result<()>| {
        let written = File::create(path).map(BufWriter::new).and_then(|mut out| {
            draw(&mut out)?;
            out.flush()
        });
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    if let Some(path) = &args.html {
        write(path, &|out| picture.write_html(out))?;
    }
    if let Some(path) = &args.svg {
        write(path, &|out| picture.write_svg(out))?;
    }
    Ok(())
}

impl Checked {
    fn code(&self) -> u8 {
        match self.outcome.as_ref().map(|(_, report)| &report.verdict) {
            Ok(Verdict::Linearizable { .. }) => 0,
            Ok(Verdict::NotLinearizable { .. }) => 1,
            Ok(Verdict::Unknown { .. }) => 3,
            Err(NotJudged { memory: true, .. }) => 3,
            Err(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckArgs,
    }

    fn parse(line: &str) -> Result<CheckArgs, clap::Error> {
        use clap::Parser as _;
        let words = std::iter::once("check").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    fn code(history: &str, options: &str) -> ExitCode {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), history).expect("written");
        let args = parse(&format!("{} {options}", file.path().display())).expect("a good command line");
        run(&args).expect("output")
    }

    const WRITE: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read","value":null}
"#;

    #[test]
    fn exit_codes_are_those_of_the_design() {
        let read =
            |value| format!("{WRITE}{{\"process\":1,\"type\":\"ok\",\"f\":\"read\",\"value\":{value}}}\n");
        assert_eq!(code(&read(1), "--model register"), ExitCode::from(0));
        assert_eq!(code(&read(2), "--model register --json"), ExitCode::from(1));
        assert_eq!(code(&read(2), "--model mutex"), ExitCode::from(2));
        assert_eq!(code("{\"process\":0", "--model register"), ExitCode::from(2));
        let unknown = r#"{"process":1,"type":"invoke","f":"read","value":null}"#;
        assert_eq!(code(unknown, "--model register"), ExitCode::from(3));
    }

    #[test]
    fn flags_out_of_range_are_usage_errors() {
        for line in [
            "",
            "h --model nothing",
            "h --time-limit 0s",
            "h --time-limit soon",
            "h --memory 12",
            "h --memory 4TB",
            "h --memory 99999999999999999999GiB",
            "h --nil-reads maybe",
            "h --failed-cas maybe",
            "h --format xml",
            "h --algorithm guess",
            "h --initial [",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let args = parse("h --time-limit 2m --memory 512MiB --initial -1").expect("good");
        assert_eq!((args.time_limit.as_secs(), args.memory), (120, 512 << 20));
        assert_eq!(args.initial, Some(Value::Int(-1)));
    }
}
