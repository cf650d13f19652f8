//! What came of the files, for people and for machines.

use std::fmt::Write as _;

use checker::{Explanation, History, ReadFault, Sequential, Verdict};
use serde_json::{Value, json};

use super::follow::{End, Followed};
use super::{CheckArgs, Checked};

/// What came of one file, for people; `named` says which.
pub(super) fn text(checked: &Checked, named: bool) -> String {
    let Ok((history, report)) = &checked.outcome else { return String::new() };
    let file = if named { format!("{}: ", checked.file) } else { String::new() };
    let mut text = format!("{file}{}\n", report.summary());
    let mut explained = String::new();
    if let Verdict::NotLinearizable { explanation } = &report.verdict {
        text.push_str(&explanation.render(history));
        explained = format!(", explained in {:.3} s", report.explained.as_secs_f64());
    }
    let counts = report.counts;
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "  {} invoked, {} ok, {} fail, {} info, {} without completion; decided in {:.3} s{explained}",
        counts.invoke,
        counts.ok,
        counts.fail,
        counts.info,
        counts.open,
        report.elapsed.as_secs_f64()
    );
    if let Some(Followed { looks, line, end }) = &checked.followed {
        let end = match end {
            End::Violation => "stopped at the violation",
            End::History => "the history has ended",
            End::Told => "told to stop",
        };
        let _ = writeln!(text, "  followed to line {line} and judged {looks} times; {end}");
    }
    if let Some(opinion) = &checked.opinion {
        text.push_str(&opinion.text(report));
    }
    text
}

/// One object: that of the file, or for several files the worst verdict and all of them.
pub(super) fn json(args: &CheckArgs, checked: &[Checked]) -> Value {
    let objects: Vec<_> = checked.iter().map(|one| one.json(args)).collect();
    match objects.as_slice() {
        [one] => one.clone(),
        many => {
            let valid = |one: &Value| one.get("valid").and_then(Value::as_bool);
            let valid = if many.iter().any(|one| valid(one) == Some(false)) {
                json!(false)
            } else if many.iter().any(|one| valid(one) != Some(true)) {
                json!("unknown")
            } else {
                json!(true)
            };
            let count = |one: &Value, name: &str| one.get("count")?.get(name)?.as_u64();
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
    }
}

impl Checked {
    fn json(&self, args: &CheckArgs) -> Value {
        let (history, report) = match &self.outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let name = if error.memory { "cause" } else { "error" };
                return json!({ "file": self.file, "valid": "unknown", name: error.message });
            }
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
            "followed": self.followed.as_ref().map(|followed| json!({
                "line": followed.line,
                "looks": followed.looks,
                "end": match followed.end {
                    End::Violation => "violation",
                    End::History => "history",
                    End::Told => "told",
                },
            })),
            "second_opinion": self.opinion.as_ref().map(super::Opinion::json),
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

fn explanation_json(explanation: &Explanation, history: &History) -> Value {
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

fn read_fault_json(explanation: &Explanation, history: &History) -> Value {
    let Some(fault) = explanation.read_fault else { return Value::Null };
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

fn sequential_json(explanation: &Explanation, all: &dyn Fn(&[u32]) -> Vec<Value>) -> Value {
    match &explanation.sequential {
        Sequential::Yes { order } => json!({ "holds": true, "operations": order.len() }),
        Sequential::No { cycle } => json!({ "holds": false, "cycle": all(cycle) }),
        Sequential::Unknown { reason } => json!({ "holds": "unknown", "cause": reason }),
    }
}
