//! Writes the history as it happens, in both formats, one event per line, unbuffered: a run that dies leaves all that
//! was known.
//!
//! The order of events is what a linearizability checker believes, so it must be true. Under one lock an event takes its
//! time and its index and is written; an invocation is recorded *before* its request is sent, and a completion *after* the
//! answer has arrived. Recorded intervals therefore contain the real ones, never the reverse: a delay in here can hide a
//! violation for a moment but cannot invent one.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context;
use checker::Value;
use checker::history::{Event, Format, Keys, Kind, Process, Writer};

use crate::generator::{Op, key_name};
use crate::units::nanos;

/// How an operation ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Completion {
    /// It took effect.
    Ok,
    /// It did not take effect and never will.
    Fail,
    /// Nobody knows: it may take effect at any later time, or never. Its process ends here.
    Info,
}

impl Completion {
    /// The event's type in histories and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Completion::Ok => "ok",
            Completion::Fail => "fail",
            Completion::Info => "info",
        }
    }
}

/// The recorder of one run.
pub struct Recorder {
    origin: Instant,
    files: Mutex<Files>,
}

struct Files {
    jsonl: Writer<File>,
    edn: Writer<File>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Starts a history; times in it count from now.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(jsonl: &Path, edn: &Path) -> anyhow::Result<Recorder> {
        let open =
            |path: &Path| File::create_new(path).with_context(|| format!("cannot create {}", path.display()));
        let files = Files {
            jsonl: Writer::new(open(jsonl)?, Format::JsonLines),
            edn: Writer::new(open(edn)?, Format::Edn).keys(Keys::Tuple),
        };
        Ok(Recorder { origin: Instant::now(), files: Mutex::new(files) })
    }

    /// The moment from which the history's times count.
    #[must_use]
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Records that `process` is about to begin an operation. Begin it only if this succeeds.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn invoke(&self, process: u64, op: &Op) -> anyhow::Result<()> {
        self.operation(process, Kind::Invoke, op, op.value.clone(), None)
    }

    /// Records what became of the operation that `process` had open, what it saw if that is not what it was invoked with,
    /// and why, if it did not succeed.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn complete(
        &self,
        process: u64,
        op: &Op,
        completion: Completion,
        saw: Option<Value>,
        error: Option<&str>,
    ) -> anyhow::Result<()> {
        let kind = match completion {
            Completion::Ok => Kind::Ok,
            Completion::Fail => Kind::Fail,
            Completion::Info => Kind::Info,
        };
        self.operation(process, kind, op, saw.unwrap_or_else(|| op.value.clone()), error)
    }

    /// Records what the nemesis did.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn nemesis(&self, f: &str, what: &str) -> anyhow::Result<()> {
        let mut event = Event::new(0, Kind::Info, f, Value::string(what));
        event.process = Process::nemesis();
        self.append(event)
    }

    fn operation(
        &self,
        process: u64,
        kind: Kind,
        op: &Op,
        value: Value,
        error: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut event = Event::new(i64::try_from(process)?, kind, op.f, value);
        event.error = error.map(Value::string);
        self.append(event.on_key(Value::string(&key_name(op.key))))
    }

    fn append(&self, event: Event) -> anyhow::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Taken under the lock: the order of lines is the order of times.
        let time = i64::try_from(nanos(self.origin.elapsed()))?;
        let event = event.at_time(time);
        files.jsonl.write(&event).context("cannot write history.jsonl")?;
        files.edn.write(&event).context("cannot write history.edn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_in_both_formats_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let (jsonl, edn) = (folder.path().join("history.jsonl"), folder.path().join("history.edn"));
        let recorder = Recorder::create(&jsonl, &edn).unwrap();
        let read = Op { f: "read", key: 0, value: Value::Nil };
        let cas = Op { f: "cas", key: 1, value: Value::vector(vec![Value::Nil, Value::Int(7)]) };
        recorder.invoke(0, &read).unwrap();
        recorder.invoke(1, &cas).unwrap();
        recorder.nemesis("kill", "n1 \"the leader\"").unwrap();
        recorder.complete(0, &read, Completion::Ok, Some(Value::Int(3)), None).unwrap();
        recorder.complete(1, &cas, Completion::Info, None, Some("no answer")).unwrap();
        let lines: Vec<serde_json::Value> = std::fs::read_to_string(&jsonl)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 5);
        assert!(lines.windows(2).all(|two| two[0]["time"].as_u64() <= two[1]["time"].as_u64()));
        assert_eq!(lines[3]["value"], 3);
        assert_eq!(lines[4]["value"], serde_json::json!([null, 7]));
        let edn = std::fs::read_to_string(&edn).unwrap();
        assert_eq!(edn.lines().count(), 5);
        assert!(
            edn.lines().next().unwrap().contains(r#":type :invoke, :process 0, :f :read, :value ["k0" nil]"#)
        );
        assert!(edn.lines().nth(1).unwrap().contains(r#":value ["k1" [nil 7]]"#));
        assert!(edn.lines().nth(2).unwrap().contains(":process :nemesis"));
        assert!(edn.lines().nth(4).unwrap().contains(r#":error "no answer""#));
    }
}
