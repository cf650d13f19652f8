//! What watchers were told, as it comes, one line each: `watches.jsonl`. It survives a harness that dies.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::schedule::NodeId;
use crate::system::{Ended, Event, Told};
use crate::units::millis;

/// One line. A stream is one watch from its opening to its end; streams are numbered in the order of their opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) at_ms: u64,
    pub(super) stream: u64,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// A watch is asked for.
    Open { watcher: String, server: NodeId, from: u64 },
    /// Changes: revision, key, value.
    Events(Vec<(u64, String, Option<String>)>),
    /// All is told up to here.
    Progress(u64),
    /// It tells no more.
    End { why: String, oldest: Option<u64> },
}

#[derive(Debug)]
pub(super) struct Record {
    origin: Instant,
    file: Mutex<(File, u64)>,
}

impl Record {
    pub(super) fn create(path: &Path, origin: Instant) -> anyhow::Result<Record> {
        let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Record { origin, file: Mutex::new((file, 0)) })
    }

    /// Writes down that a watch is asked for, before it is; returns the stream's number.
    pub(super) fn open(&self, watcher: &str, server: NodeId, from: u64) -> anyhow::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, streams) = &mut *file;
        let stream = *streams;
        *streams += 1;
        self.write(file, stream, What::Open { watcher: watcher.to_owned(), server, from })?;
        Ok(stream)
    }

    pub(super) fn told(&self, stream: u64, told: &Told) -> anyhow::Result<()> {
        let tuple = |event: &Event| (event.revision, event.key.clone(), event.value.clone());
        self.append(
            stream,
            match told {
                Told::Events(events) => What::Events(events.iter().map(tuple).collect()),
                Told::Progress(revision) => What::Progress(*revision),
            },
        )
    }

    pub(super) fn ended(&self, stream: u64, ended: &Ended) -> anyhow::Result<()> {
        let oldest = match ended {
            Ended::Compacted { oldest } => Some(*oldest),
            Ended::Broken(_) => None,
        };
        self.append(stream, What::End { why: ended.to_string(), oldest })
    }

    fn append(&self, stream: u64, what: What) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut file.0, stream, what)
    }

    fn write(&self, file: &mut File, stream: u64, what: What) -> anyhow::Result<()> {
        let line = Line { at_ms: millis(self.origin.elapsed()), stream, what };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        file.write_all(&text).context("cannot write watches.jsonl")
    }
}
