//! The verdict on what watchers were told, from the record in `watches.jsonl`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::MARK;
use super::laws::{self, Broken, Changes, Item, Stream};
use super::ledger::Ledger;
use super::record::{Line, What};
use crate::report::{Finding, Weight};

/// How many breaches of one law are told.
const MOST_TOLD: usize = 3;

/// What came of the watchers.
#[derive(Clone, Debug, Serialize)]
pub struct WatchReport {
    /// How many watched.
    pub watchers: usize,
    /// How many watches they opened.
    pub streams: usize,
    /// How many changes they were told, all together.
    pub events: u64,
    /// How many revisions these came with.
    pub revisions: u64,
    /// How often a watcher had to leave out what was compacted.
    pub compacted: u64,
    /// Whether at least one was told everything from the first revision to the mark at the end, so that what clients wrote
    /// could be held against it.
    pub is_whole: bool,
    /// Whether all were told of the mark in time.
    pub caught_up: bool,
    /// How many breaches of laws there are.
    pub breaches: usize,
    /// The first of each law.
    pub broken: Vec<Broken>,
}

impl WatchReport {
    /// Judges a record. `caught_up`: whether all watchers were told of the mark.
    ///
    /// # Errors
    /// When the record cannot be read, with the place.
    pub fn of(record: &Path, ledger: &Ledger, caught_up: bool) -> anyhow::Result<WatchReport> {
        let mut changes = Changes::default();
        let streams = read(record, &mut changes)?;
        let mut broken: Vec<Broken> =
            streams.iter().filter_map(|stream| laws::in_order(stream, &changes)).collect();
        let (all, different) = laws::together(&streams, &changes);
        broken.extend(different);
        broken.extend(streams.iter().filter_map(|stream| laws::complete(stream, &all, &changes)));
        let is_whole = is_whole(&streams, &changes);
        if is_whole {
            broken.extend(laws::written(&all, &changes, &ledger.writes(), MARK));
        }
        let breaches = broken.len();
        let mut told: HashMap<&str, usize> = HashMap::new();
        broken.retain(|one| {
            let count = told.entry(one.law).or_default();
            *count += 1;
            *count <= MOST_TOLD
        });
        let watchers: std::collections::HashSet<&str> =
            streams.iter().map(|stream| stream.watcher.as_str()).collect();
        Ok(WatchReport {
            watchers: watchers.len(),
            streams: streams.len(),
            events: streams.iter().map(|stream| stream.events().count() as u64).sum(),
            revisions: all.len() as u64,
            compacted: streams.iter().filter(|stream| stream.oldest.is_some()).count() as u64,
            is_whole,
            caught_up,
            breaches,
            broken,
        })
    }

    /// In one line, for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let WatchReport { watchers, streams, events, revisions, .. } = self;
        let verdict = match self.breaches {
            0 => "in order, nothing twice, nothing left out".to_owned(),
            breaches => format!("{breaches} breaches"),
        };
        let writes = if self.is_whole { ", as clients wrote" } else { "" };
        format!(
            "{verdict}{writes}: {events} events of {revisions} revisions told to {watchers} watchers in {streams} watches"
        )
    }

    /// What they mean for the verdict.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let broken = self.broken.iter();
        let mut findings: Vec<Finding> = broken
            .map(|one| Finding::new(Weight::Violation, format!("{}: {}", one.law, one.what)).of_kind(one.law))
            .collect();
        if self.events == 0 {
            findings.push(Finding::new(Weight::Doubt, "no watcher was told anything"));
        } else if !self.caught_up {
            let what = "not all watchers were told of what was written last, after the faults were healed";
            findings.push(Finding::new(Weight::Doubt, what));
        } else if !self.is_whole {
            let what = "what clients wrote was not held against the watches: no watcher was told everything";
            findings.push(Finding::new(Weight::Remark, what));
        }
        findings
    }
}

/// Reads a record.
fn read(path: &Path, changes: &mut Changes) -> anyhow::Result<Vec<Stream>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut streams: Vec<Stream> = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{}:{}", path.display(), number + 1);
        let line = line.with_context(place)?;
        let Line { at_ms, stream, what } = serde_json::from_str(&line).with_context(place)?;
        let stream = usize::try_from(stream).unwrap_or(usize::MAX);
        if let What::Open { watcher, server, from } = what {
            anyhow::ensure!(stream == streams.len(), "{}: this stream is out of turn", place());
            streams.push(Stream { watcher, server, from, ..Stream::default() });
            continue;
        }
        let stream = streams.get_mut(stream).with_context(|| format!("{}: no such stream", place()))?;
        match what {
            What::Open { .. } => {}
            What::Events(events) => {
                stream.told.extend(events.into_iter().map(|(revision, key, value)| Item::Event {
                    at_ms,
                    revision,
                    change: changes.number(key, value),
                }));
            }
            What::Progress(revision) => stream.told.push(Item::Progress { at_ms, revision }),
            What::End { oldest, .. } => stream.oldest = oldest,
        }
    }
    Ok(streams)
}

/// Whether some watcher was told everything up to the mark: each of its streams went on where the one before had ended.
fn is_whole(streams: &[Stream], changes: &Changes) -> bool {
    let mut next: HashMap<&str, Option<u64>> = HashMap::new();
    for stream in streams {
        let next = next.entry(stream.watcher.as_str()).or_insert(Some(1));
        *next = next.filter(|next| stream.from <= *next);
        if let (Some(next), Some(last)) = (next.as_mut(), stream.last()) {
            *next = (*next).max(last + 1);
        }
    }
    streams.iter().any(|stream| {
        let marked = |item: &Item| matches!(item, Item::Event { change, .. } if changes.key(*change) == MARK);
        next.get(stream.watcher.as_str()).is_some_and(Option::is_some) && stream.told.iter().any(marked)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::system::{Client, Done, Failed};

    /// A record of one line each: `n1 from`, `[revision key value]…`, `=progress`, `!oldest`.
    fn judged(lines: &[&str], ledger: &Ledger) -> WatchReport {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watches.jsonl");
        let mut text = String::new();
        for (at, line) in lines.iter().enumerate() {
            let (stream, rest) = line.split_once(' ').unwrap();
            let words: Vec<&str> = rest.split(' ').collect();
            let what = match words.as_slice() {
                ["open", watcher, from] => {
                    format!(r#""open":{{"watcher":"{watcher}","server":1,"from":{from}}}"#)
                }
                ["progress", revision] => format!(r#""progress":{revision}"#),
                ["end", oldest] => format!(r#""end":{{"why":"x","oldest":{oldest}}}"#),
                events => {
                    let events: Vec<String> = events
                        .chunks(3)
                        .map(|event| format!(r#"[{},"{}","{}"]"#, event[0], event[1], event[2]))
                        .collect();
                    format!(r#""events":[{}]"#, events.join(","))
                }
            };
            text.push_str(&format!("{{\"at_ms\":{at},\"stream\":{stream},{what}}}\n"));
        }
        std::fs::write(&path, text).unwrap();
        WatchReport::of(&path, ledger, true).unwrap()
    }

    fn laws(lines: &[&str]) -> Vec<&'static str> {
        judged(lines, &Ledger::default()).broken.iter().map(|broken| broken.law).collect()
    }

    #[test]
    fn a_stream_in_order_is_fine_also_where_several_keys_share_a_revision() {
        let lines = [
            "0 open n1 1",
            "0 2 a 1 3 b 1 3 c 1",
            "0 progress 3",
            "0 4 a 2",
            "1 open n2 3",
            "1 3 b 1 3 c 1 4 a 2",
        ];
        let report = judged(&lines, &Ledger::default());
        assert!(report.broken.is_empty(), "{report:?}");
        assert_eq!((report.watchers, report.streams, report.revisions), (2, 2, 3));
        assert_eq!(crate::report::weigh(&report.findings()), crate::report::Validity::True);
    }

    #[test]
    fn a_stream_that_goes_back_in_time_is_found() {
        assert_eq!(laws(&["0 open n1 1", "0 5 a 1", "0 3 a 0"]), [laws::BACK_IN_TIME]);
        assert_eq!(laws(&["0 open n1 7", "0 5 a 1"]), [laws::BACK_IN_TIME], "older than was asked for");
        assert_eq!(laws(&["0 open n1 1", "0 progress 5", "0 5 a 1"]), [laws::BACK_IN_TIME], "that was all");
        assert_eq!(laws(&["0 open n1 1", "0 5 a 1", "0 progress 4"]), [laws::BACK_IN_TIME]);
    }

    #[test]
    fn what_is_told_twice_differently_or_not_at_all_is_found() {
        assert_eq!(laws(&["0 open n1 1", "0 5 a 1", "0 5 a 1"]), [laws::TWICE]);
        assert_eq!(laws(&["0 open n1 1", "0 5 a 1", "1 open n2 1", "1 5 a 2"]), [laws::DIFFERENT]);
        let gap = ["0 open n1 1", "0 5 a 1 6 a 2 7 a 3", "1 open n2 1", "1 5 a 1 7 a 3"];
        assert_eq!(laws(&gap), [laws::LEFT_OUT]);
        let torn = ["0 open n1 1", "0 5 a 1 5 b 1", "1 open n2 1", "1 5 a 1"];
        assert_eq!(laws(&torn), [laws::LEFT_OUT], "half a transaction");
        let progress = ["0 open n1 1", "0 5 a 1 6 a 2", "1 open n2 6", "1 progress 6"];
        assert_eq!(laws(&progress), [laws::LEFT_OUT], "all is told, it said");
        let resumed = ["0 open n1 1", "0 5 a 1 6 a 2", "1 open n2 6", "1 6 a 2"];
        assert!(laws(&resumed).is_empty(), "what is before its start is not missing");
    }

    /// A client whose every write ends as it says.
    struct Ends(Result<(), Failed>);

    impl Client for Ends {
        fn get<'a>(&'a mut self, _: &'a str) -> Done<'a, Option<String>> {
            Box::pin(async { Ok(None) })
        }

        fn put<'a>(&'a mut self, _: &'a str, _: &'a str) -> Done<'a, ()> {
            let result = self.0.clone();
            Box::pin(async { result })
        }
    }

    fn put(ledger: &Arc<Ledger>, value: &str, ends: Result<(), Failed>) {
        let mut client = ledger.noting(Box::new(Ends(ends)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(client.put("a", value));
    }

    #[test]
    fn what_clients_wrote_is_held_against_a_watcher_that_was_told_everything() {
        let ledger = Arc::new(Ledger::default());
        put(&ledger, "1", Ok(()));
        put(&ledger, "2", Err(Failed::perhaps("x")));
        put(&ledger, "3", Err(Failed::certainly("x")));
        let told = |events: &str| {
            let events = format!("0 {events}9 {MARK} 1");
            let report = judged(&["0 open n1 1", &events], &ledger);
            assert!(report.is_whole);
            report.broken.iter().map(|broken| broken.law).collect::<Vec<_>>()
        };
        assert!(told("2 a 1 3 a 2 ").is_empty(), "what nobody knows may be told");
        assert!(told("2 a 1 ").is_empty(), "or not");
        assert_eq!(told("3 a 2 "), [laws::NEVER_TOLD]);
        assert_eq!(told("2 a 1 3 a 3 "), [laws::NEVER_WRITTEN], "it failed for certain");
        assert_eq!(told("2 a 1 3 a 4 "), [laws::NEVER_WRITTEN], "nobody wrote it");
        assert_eq!(told("2 a 1 3 a 1 "), [laws::NEVER_WRITTEN], "once only");
        let part = format!("1 9 {MARK} 1");
        let skipped = judged(&["0 open n1 1", "0 end 5", "1 open n1 5", &part], &ledger);
        assert!(!skipped.is_whole && skipped.broken.is_empty(), "{skipped:?}");
    }

    #[test]
    fn watchers_that_were_told_nothing_or_not_all_are_no_pass() {
        let silent = judged(&["0 open n1 1"], &Ledger::default());
        assert_eq!(crate::report::weigh(&silent.findings()), crate::report::Validity::Unknown);
        let late =
            WatchReport { caught_up: false, ..judged(&["0 open n1 1", "0 2 a 1"], &Ledger::default()) };
        assert_eq!(crate::report::weigh(&late.findings()), crate::report::Validity::Unknown);
    }

    #[test]
    fn a_record_that_is_damaged_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watches.jsonl");
        for text in ["{\"at_ms\":0,\"stream\":0", "{\"at_ms\":0,\"stream\":0,\"progress\":3}\n"] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", WatchReport::of(&path, &Ledger::default(), true).unwrap_err());
            assert!(error.contains("watches.jsonl:1"), "{error}");
        }
    }
}
