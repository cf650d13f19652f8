//! The history of an experiment, in both formats. An invocation is written before its request is sent, a completion after the
//! answer has come, and each takes its time under the lock under which it is written: what is recorded contains what was.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use checker::Value;
use checker::history::{Event, Format, Keys, Kind, Process, Writer};

use super::requests::{Ask, Request};
use super::wrong::End;
use crate::store::RunFolder;
use crate::units::nanos;

pub(super) struct Record {
    origin: Instant,
    files: Mutex<[Writer<File>; 2]>,
}

impl Record {
    /// Starts a history in this folder; times in it count from now.
    pub(super) fn create(folder: &RunFolder) -> anyhow::Result<Record> {
        let open =
            |path: &Path| File::create_new(path).with_context(|| format!("cannot create {}", path.display()));
        let jsonl = Writer::new(open(&folder.history_jsonl())?, Format::JsonLines);
        let edn = Writer::new(open(&folder.history_edn())?, Format::Edn).keys(Keys::Tuple);
        Ok(Record { origin: Instant::now(), files: Mutex::new([jsonl, edn]) })
    }

    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    pub(super) fn invoke(&self, process: u64, request: &Request) -> anyhow::Result<()> {
        self.operation(process, Kind::Invoke, request, None, None)
    }

    pub(super) fn complete(
        &self,
        process: u64,
        request: &Request,
        end: End,
        told: Option<&String>,
    ) -> anyhow::Result<()> {
        let (kind, seen) = match end {
            End::Ok(seen) => (Kind::Ok, seen),
            End::Failed => (Kind::Fail, None),
            // A get has no effect to be unsure of.
            End::Unanswered if request.ask == Ask::Get => (Kind::Fail, None),
            End::Unanswered => (Kind::Info, None),
        };
        self.operation(process, kind, request, seen, told)
    }

    pub(super) fn nemesis(&self, f: &str, what: &str) -> anyhow::Result<()> {
        let mut event = Event::new(0, Kind::Info, f, Value::string(what));
        event.process = Process::nemesis();
        self.append(event)
    }

    fn operation(
        &self,
        process: u64,
        kind: Kind,
        request: &Request,
        seen: Option<i64>,
        told: Option<&String>,
    ) -> anyhow::Result<()> {
        let (f, value) = match request.ask {
            Ask::Get => ("read", seen.map_or(Value::Nil, Value::Int)),
            Ask::Put(value) => ("write", Value::Int(value)),
        };
        let mut event = Event::new(i64::try_from(process)?, kind, f, value);
        event.error = told.map(|told| Value::string(told));
        self.append(event.on_key(Value::string(&format!("k{}", request.key))))
    }

    fn append(&self, event: Event) -> anyhow::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let event = event.at_time(i64::try_from(nanos(self.origin.elapsed()))?);
        files.iter_mut().try_for_each(|file| file.write(&event)).context("cannot write the history")
    }
}
