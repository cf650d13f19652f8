//! Sees whether a condition of a schedule holds.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::observer::Observer;
use crate::schedule::{Condition, NodeId};
use crate::stats::Stats;

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What a server's log says when it has installed a snapshot that another one sent.
const INSTALLED: &str = "read the state from a snapshot";

/// Sees what conditions are about.
#[derive(Debug)]
pub(super) struct Witness {
    pub(super) observer: Observer,
    pub(super) stats: Arc<Stats>,
    pub(super) logs: Vec<PathBuf>,
}

/// A condition, and how things were when it began to be waited for.
pub(super) enum Awaited<'a> {
    Leader,
    TermAfter(u64),
    NewerThan(BTreeMap<NodeId, u64>),
    Said(Vec<Tail<'a>>),
    Succeeded(u64),
}

impl Witness {
    /// Looks how things are now, before what is to bring the condition about.
    pub(super) async fn begin(&self, condition: Condition) -> Awaited<'_> {
        match condition {
            Condition::Leader => Awaited::Leader,
            Condition::Election => {
                self.observer.look().await;
                Awaited::TermAfter(self.observer.latest().map_or(0, |(term, _)| term))
            }
            Condition::Snapshot => {
                let answers = self.observer.look().await;
                Awaited::NewerThan(answers.iter().map(|answer| (answer.id, answer.snapshot)).collect())
            }
            Condition::SnapshotInstalled => Awaited::Said(self.logs.iter().map(Tail::at_the_end).collect()),
            Condition::Operations(count) => Awaited::Succeeded(self.stats.counts().ok.saturating_add(count)),
        }
    }

    /// Returns when it holds.
    pub(super) async fn holds(&self, mut awaited: Awaited<'_>) {
        while !self.sees(&mut awaited).await {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn sees(&self, awaited: &mut Awaited<'_>) -> bool {
        match awaited {
            Awaited::Leader => self.observer.leader().await.is_some(),
            Awaited::TermAfter(before) => {
                self.observer.look().await;
                self.observer.latest().is_some_and(|(term, _)| term > *before)
            }
            // One that did not answer then is first seen now.
            Awaited::NewerThan(known) => self
                .observer
                .look()
                .await
                .iter()
                .any(|answer| *known.entry(answer.id).or_insert(answer.snapshot) < answer.snapshot),
            Awaited::Said(logs) => logs.iter_mut().any(|log| log.says(INSTALLED)),
            Awaited::Succeeded(wanted) => self.stats.counts().ok >= *wanted,
        }
    }
}

/// The part of a log that is new.
pub(super) struct Tail<'a> {
    log: &'a PathBuf,
    offset: u64,
    line: Vec<u8>,
}

impl Tail<'_> {
    fn at_the_end(log: &PathBuf) -> Tail<'_> {
        Tail { log, offset: std::fs::metadata(log).map_or(0, |log| log.len()), line: Vec::new() }
    }

    /// Whether a line that was written since it was last asked contains these words.
    fn says(&mut self, words: &str) -> bool {
        let mut new = Vec::new();
        let read = std::fs::File::open(self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut new)
        });
        self.offset += read.unwrap_or(0) as u64;
        self.line.extend(new);
        let found = String::from_utf8_lossy(&self.line).contains(words);
        // The last line may not be whole yet.
        let whole = self.line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.line.drain(..whole);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_what_a_log_says_from_now_on_counts_and_also_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        std::fs::write(&path, format!("{INSTALLED}\n")).unwrap();
        let mut log = Tail::at_the_end(&path);
        assert!(!log.says(INSTALLED));
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let (one, two) = INSTALLED.split_at(9);
        file.write_all(one.as_bytes()).unwrap();
        assert!(!log.says(INSTALLED));
        file.write_all(format!("{two} index=5\n").as_bytes()).unwrap();
        assert!(log.says(INSTALLED));
        assert!(!log.says(INSTALLED), "it was said once");
    }
}
