//! `plumbline check FILE…`: is a recorded history what the specification allows?
//!
//! The verdict in one line first, then where to look. Exit code 0: linearizable; 1: not; 2: the file or the command line is at
//! fault; 3: unknown (a limit was reached, or there was nothing to check). Of several files the worst counts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use checker::{
    Algorithm, CheckOptions, Explanation, FailedCas, Format, History, Limits, Model, ModelName, ModelOptions,
    NilReads, ReadFault, ReadOptions, Report, Sequential, Value, Verdict,
};
use serde_json::json;

/// Check recorded histories for linearizability.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Histories: EDN, JSON lines, or Jepsen's log lines.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The sequential specification: register, cas-register, kv, multi-register or mutex.
    #[arg(long, default_value = "kv", value_name = "NAME", value_parser = ModelName::from_str)]
    pub model: ModelName,

    /// How to decide: auto takes a polynomial short cut where values are unique, and wgl elsewhere.
    #[arg(long, default_value = "auto", value_name = "auto|wgl", value_parser = Algorithm::from_str)]
    pub algorithm: Algorithm,

    /// The state at the start, as JSON or EDN. Default: nil for registers and absent for keys ("" where strings are appended
    /// and nil is never read), 0 for all registers of a multi-register, free for a mutex.
    #[arg(long, value_name = "VALUE", value_parser = value, allow_hyphen_values = true)]
    pub initial: Option<Value>,

    /// How the files are written: auto, edn, jsonl or log.
    #[arg(long, default_value = "auto", value_name = "NAME", value_parser = format)]
    pub format: FormatChoice,

    /// What an ok read of nil says: any (nothing, as Knossos) or value (the register held nil, as Porcupine). Default auto:
    /// any for registers that start at another value and are never set to nil.
    #[arg(long, default_value = "auto", value_name = "auto|any|value", value_parser = nil_reads)]
    pub nil_reads: NilReads,

    /// What a failed compare-and-set says: drop (nothing, as Knossos) or observe (the value differed, as Porcupine's etcd
    /// model). Default auto: observe for log lines, else drop.
    #[arg(long, default_value = "auto", value_name = "auto|drop|observe", value_parser = failed_cas)]
    pub failed_cas: FailedCas,

    /// Values are Jepsen's independent tuples, [key value] (kv finds that out by itself).
    #[arg(long)]
    pub independent: bool,

    /// Time for each file: 500ms, 60s, 2m.
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub time_limit: Duration,

    /// Memory for the search: bytes, or with KiB, MiB or GiB.
    #[arg(long, default_value = "4GiB", value_name = "SIZE", value_parser = bytes)]
    pub memory: u64,

    /// Time for explaining a "no", at most 2s; what is not found until then is said to be unknown. 0s: the verdict alone.
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = duration_or_none)]
    pub explain: Duration,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// The value of `--format`; `None` finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatChoice(pub Option<Format>);

/// What came of one file.
struct Checked {
    file: String,
    outcome: Result<(History, Report), String>,
}

/// Runs the command.
///
/// # Errors
/// Only if the output cannot be written; what is wrong with a file is reported and gives exit code 2.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut checked = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let one = check_file(args, file);
        if !args.json {
            print_text(&one, args.files.len() > 1)?;
        }
        checked.push(one);
    }
    if args.json {
        print_json(args, &checked)?;
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
    let outcome = (|| {
        let history =
            History::open(path, &ReadOptions { format: args.format.0 }).map_err(|e| e.to_string())?;
        let history = if args.independent || (args.model == ModelName::KeyValue && history.has_key_tuples()) {
            history.independent().map_err(|e| e.to_string())?
        } else {
            history
        };
        let options = ModelOptions {
            initial: args.initial.clone(),
            nil_reads: args.nil_reads,
            failed_cas: args.failed_cas,
        };
        let model = Model::new(args.model, &options, &history)?;
        let limits = Limits { time: args.time_limit, memory_bytes: args.memory, ..Limits::default() };
        let options = CheckOptions {
            algorithm: args.algorithm,
            limits,
            explanation: args.explain,
            ..CheckOptions::default()
        };
        let report = model.check(&history, &options).map_err(|e| e.to_string())?;
        Ok((history, report))
    })();
    Checked { file, outcome }
}

impl Checked {
    fn code(&self) -> u8 {
        match self.outcome.as_ref().map(|(_, report)| &report.verdict) {
            Ok(Verdict::Linearizable { .. }) => 0,
            Ok(Verdict::NotLinearizable { .. }) => 1,
            Ok(Verdict::Unknown { .. }) => 3,
            Err(_) => 2,
        }
    }

    fn json(&self, args: &CheckArgs) -> serde_json::Value {
        let (history, report) = match &self.outcome {
            Ok(outcome) => outcome,
            Err(error) => return json!({ "file": self.file, "valid": "unknown", "error": error }),
        };
        let counts = report.counts;
        let mut object = json!({
            "file": self.file,
            "valid": match report.verdict {
                Verdict::Linearizable { .. } => json!(true),
                Verdict::NotLinearizable { .. } => json!(false),
                Verdict::Unknown { .. } => json!("unknown"),
            },
            "model": report.model,
            "algorithm": args.algorithm.to_string(),
            "count": {
                "invoke": counts.invoke,
                "ok": counts.ok,
                "fail": counts.fail,
                "info": counts.info,
                "open": counts.open,
            },
            "checked": report.checked,
            "keys": report.partitions,
            "annotations": history.annotations.len(),
            "seconds": report.elapsed.as_secs_f64(),
            "explanation_seconds": report.explained.as_secs_f64(),
        });
        let detail = match &report.verdict {
            Verdict::Linearizable { .. } => None,
            Verdict::NotLinearizable { explanation } => {
                Some(("explanation", explanation_json(explanation, history)))
            }
            Verdict::Unknown { reason } => Some(("cause", json!(reason.to_string()))),
        };
        if let (Some((name, value)), Some(members)) = (detail, object.as_object_mut()) {
            members.insert(name.to_owned(), value);
        }
        object
    }
}

fn explanation_json(explanation: &Explanation, history: &History) -> serde_json::Value {
    let operation = |id: &u32| {
        let operation = history.operations.get(*id as usize)?;
        Some(json!({
            "process": operation.process,
            "operation": operation.to_string(),
            "invoked_line": operation.invoked.line,
            "completed_line": operation.completed.map(|mark| mark.line),
        }))
    };
    let all = |ids: &[u32]| ids.iter().filter_map(operation).collect::<Vec<_>>();
    json!({
        "key": explanation.key.as_ref().map(ToString::to_string),
        "op": operation(&explanation.blocked),
        "states": explanation.states,
        "conflict": all(&explanation.conflict),
        "related": all(&explanation.related),
        "conflict_is_minimal": explanation.minimal,
        "concurrent": all(&explanation.concurrent),
        "linearized_before": explanation.prefix.len(),
        "linearized_before_is_all": explanation.prefix_complete,
        "states_are_all": explanation.states_complete,
        "continuations": explanation.ends.iter().map(|end| json!({
            "after": all(&end.through),
            "state": end.state,
        })).collect::<Vec<_>>(),
        "continuations_are_all": explanation.ends_complete,
        "conflict_is_confirmed": explanation.confirmed,
        "read_fault": read_fault_json(explanation, history),
        "sequentially_consistent": sequential_json(explanation, &all),
    })
}

fn read_fault_json(explanation: &Explanation, history: &History) -> serde_json::Value {
    let Some(fault) = explanation.read_fault else { return serde_json::Value::Null };
    let line = |id: u32| history.operations.get(id as usize).map(|op| op.invoked.line);
    let said = fault.describe(history);
    match fault {
        ReadFault::NeverWritten { read } => {
            json!({ "kind": "never-written", "read_line": line(read), "text": said })
        }
        ReadFault::NotYetWritten { read, writer } => json!({
            "kind": "not-yet-written",
            "read_line": line(read),
            "writer_line": line(writer),
            "text": said,
        }),
        ReadFault::Stale(stale) => json!({
            "kind": "stale",
            "read_line": line(stale.read),
            "writer_line": stale.writer.and_then(line),
            "overwrites": stale.overwrites,
            "overwritten_line": line(stale.since),
            "seconds": stale.time(history).map(|time| time.as_secs_f64()),
            "text": said,
        }),
    }
}

fn sequential_json(
    explanation: &Explanation,
    all: &dyn Fn(&[u32]) -> Vec<serde_json::Value>,
) -> serde_json::Value {
    match &explanation.sequential {
        Sequential::Yes { order } => json!({ "holds": true, "operations": order.len() }),
        Sequential::No { cycle } => json!({ "holds": false, "cycle": all(cycle) }),
        Sequential::Unknown { reason } => json!({ "holds": "unknown", "cause": reason }),
    }
}

fn print_text(checked: &Checked, named: bool) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let (history, report) = match &checked.outcome {
        Ok(outcome) => outcome,
        Err(error) => return writeln!(std::io::stderr().lock(), "error: {error}"),
    };
    if named {
        write!(out, "{}: ", checked.file)?;
    }
    writeln!(out, "{}", report.summary())?;
    if let Verdict::NotLinearizable { explanation } = &report.verdict {
        write!(out, "{}", explanation.render(history))?;
    }
    let counts = report.counts;
    let explained = match &report.verdict {
        Verdict::NotLinearizable { .. } => format!(", explained in {:.3} s", report.explained.as_secs_f64()),
        _ => String::new(),
    };
    writeln!(
        out,
        "  {} invoked, {} ok, {} fail, {} info, {} without completion; decided in {:.3} s{explained}",
        counts.invoke,
        counts.ok,
        counts.fail,
        counts.info,
        counts.open,
        report.elapsed.as_secs_f64()
    )
}

/// One object: that of the file, or for several files the worst verdict and all of them.
fn print_json(args: &CheckArgs, checked: &[Checked]) -> std::io::Result<()> {
    use std::io::Write as _;
    let objects: Vec<_> = checked.iter().map(|one| one.json(args)).collect();
    let object = match objects.as_slice() {
        [one] => one.clone(),
        many => {
            let valid = |one: &serde_json::Value| one.get("valid").and_then(serde_json::Value::as_bool);
            let valid = if many.iter().any(|one| valid(one) == Some(false)) {
                json!(false)
            } else if many.iter().any(|one| valid(one) != Some(true)) {
                json!("unknown")
            } else {
                json!(true)
            };
            let count = |one: &serde_json::Value, name: &str| one.get("count")?.get(name)?.as_u64();
            let sum = |name: &str| many.iter().filter_map(|one| count(one, name)).sum::<u64>();
            json!({
                "valid": valid,
                "model": args.model.to_string(),
                "algorithm": args.algorithm.to_string(),
                "count": {
                    "invoke": sum("invoke"), "ok": sum("ok"), "fail": sum("fail"),
                    "info": sum("info"), "open": sum("open"),
                },
                "seconds": many.iter().filter_map(|one| one["seconds"].as_f64()).sum::<f64>(),
                "files": many,
            })
        }
    };
    writeln!(std::io::stdout().lock(), "{object:#}")
}

/// JSON where it is JSON, else EDN.
fn value(text: &str) -> Result<Value, String> {
    Value::from_json(text).or_else(|_| Value::from_edn(text)).map_err(|error| error.to_string())
}

fn format(name: &str) -> Result<FormatChoice, String> {
    if name == "auto" {
        Ok(FormatChoice(None))
    } else {
        name.parse().map(|format| FormatChoice(Some(format)))
    }
}

fn nil_reads(name: &str) -> Result<NilReads, String> {
    match name {
        "auto" => Ok(NilReads::Auto),
        "any" => Ok(NilReads::Any),
        "value" => Ok(NilReads::Value),
        _ => Err("expected auto, any or value".to_owned()),
    }
}

fn failed_cas(name: &str) -> Result<FailedCas, String> {
    match name {
        "auto" => Ok(FailedCas::Auto),
        "drop" => Ok(FailedCas::Drop),
        "observe" => Ok(FailedCas::Observe),
        _ => Err("expected auto, drop or observe".to_owned()),
    }
}

/// Splits `12MiB` into its number and its unit.
fn quantity(text: &str) -> (&str, &str) {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(digits)
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    match quantity(text) {
        ("0", "" | "s" | "ms") => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a time such as 500ms, 60s or 2m";
    let (number, unit) = quantity(text);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let milliseconds = match unit.trim() {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(EXPECTED.to_owned()),
    };
    match milliseconds {
        Some(0) => Err("the time must be more than zero".to_owned()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err("too long".to_owned()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as 65536, 512MiB or 4GiB";
    const LEAST: u64 = 1 << 20;
    let (number, unit) = quantity(text);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(EXPECTED.to_owned()),
    };
    match number.checked_mul(factor) {
        Some(bytes) if bytes >= LEAST => Ok(bytes),
        Some(_) => Err("the search needs at least 1MiB".to_owned()),
        None => Err("too much".to_owned()),
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
