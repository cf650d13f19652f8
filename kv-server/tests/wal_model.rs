//! The log against the simplest thing that could be one: a vector of what was synced.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use bytes::Bytes;
use kv_server::wal::{Wal, WalOptions};
use proptest::prelude::*;
use raft_core::{Batch, Entry, HardState, Index, NodeId, Payload, Term};
use tempfile::TempDir;

#[derive(Clone, Debug)]
enum Step {
    /// Appends `count` entries of `size` bytes, over the last `replace` ones, in a term `later` than the last.
    Append {
        replace: usize,
        count: usize,
        size: usize,
        later: u64,
        vote: bool,
    },
    Sync,
    /// Closes (what was not synced is lost, as in a crash) and opens again.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let append = (0usize..4, 0usize..5, prop_oneof![0usize..20, 900usize..1100], 0u64..2, any::<bool>());
    prop_oneof![
        6 => append.prop_map(|(replace, count, size, later, vote)| Step::Append { replace, count, size, later, vote }),
        4 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ]
}

/// What a log must remember, without a disk.
#[derive(Clone, PartialEq, Debug, Default)]
struct Model {
    hard_state: HardState,
    entries: Vec<Entry<Bytes>>,
}

impl Model {
    fn batch(&self, replace: usize, count: usize, size: usize, later: u64, vote: bool) -> Batch<Bytes> {
        let kept = self.entries.len().saturating_sub(replace);
        let term = Term(self.hard_state.term.0 + later);
        let entries = (0..count).map(|n| Entry {
            index: Index((kept + n + 1) as u64),
            term,
            payload: match n {
                0 if later > 0 => Payload::Noop,
                _ => Payload::Command(vec![n as u8 ^ kept as u8; size].into()),
            },
        });
        let voted_for = vote.then_some(NodeId(2));
        let changed = later > 0 || vote;
        Batch::new(changed.then_some(HardState::new(term, voted_for)), entries.collect())
    }

    fn accept(&mut self, batch: &Batch<Bytes>) {
        self.hard_state = batch.hard_state.unwrap_or(self.hard_state);
        if let Some(first) = batch.entries.first() {
            self.entries.truncate(first.index.0 as usize - 1);
            self.entries.extend(batch.entries.iter().cloned());
        }
    }
}

fn reopen(dir: &Path, options: WalOptions, synced: &Model, boot: u64) -> Result<Wal, TestCaseError> {
    let (wal, recovered) = Wal::open(dir, options).unwrap();
    prop_assert_eq!(recovered.hard_state, synced.hard_state);
    prop_assert_eq!(&recovered.entries, &synced.entries);
    prop_assert_eq!(recovered.torn_tail, None);
    prop_assert_eq!(recovered.boot, boot);
    Ok(wal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_synced_is_what_is_read_back(steps in prop::collection::vec(step(), 1..60), small in any::<bool>()) {
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let (segment_bytes, ahead_bytes) = if small { (2048, 300) } else { (64 << 20, 1 << 20) };
        let options = WalOptions { segment_bytes, ahead_bytes, ..WalOptions::new(NodeId(1)) };
        let (mut written, mut synced) = (Model::default(), Model::default());
        let mut boot = 1;
        let mut wal = Some(reopen(dir.path(), options, &synced, boot)?);
        for step in steps.into_iter().chain([Step::Reopen]) {
            match (step, wal.as_mut()) {
                (Step::Append { replace, count, size, later, vote }, Some(wal)) => {
                    let batch = written.batch(replace, count, size, later, vote);
                    wal.append(&batch).unwrap();
                    written.accept(&batch);
                }
                (Step::Sync, Some(wal)) => {
                    wal.sync().unwrap();
                    synced = written.clone();
                }
                (Step::Reopen, _) => {
                    wal = None;
                    boot += 1;
                    drop(wal.take());
                    wal = Some(reopen(dir.path(), options, &synced, boot)?);
                    written = synced.clone();
                }
                (_, None) => unreachable!("always open"),
            }
        }
    }

    /// Arbitrary damage to arbitrary places never panics, never invents an entry, and what opens once opens again the same.
    #[test]
    fn no_bytes_make_recovery_panic_or_invent_entries(
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..40)), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
        segment in 1u64..4,
    ) {
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let options = WalOptions { segment_bytes: 1500, ahead_bytes: 400, ..WalOptions::new(NodeId(1)) };
        let mut model = Model::default();
        let mut legal = vec![model.clone()];
        let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
        for size in [10, 700, 700, 20, 700, 700, 30, 40] {
            let batch = model.batch(1, 2, size, 1, true);
            wal.append(&batch).unwrap();
            model.accept(&batch);
            wal.sync().unwrap();
            legal.push(model.clone());
        }
        drop(wal);
        let file = dir.path().join(format!("wal-{segment:016}.log"));
        let mut bytes = std::fs::read(&file).unwrap();
        for (place, noise) in &damage {
            let at = place.index(bytes.len());
            bytes.iter_mut().skip(at).zip(noise).for_each(|(byte, noise)| *byte = *noise);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&file, &bytes).unwrap();
        let Ok((wal, recovered)) = Wal::open(dir.path(), options) else { return Ok(()) };
        let found = Model { hard_state: recovered.hard_state, entries: recovered.entries };
        prop_assert!(legal.contains(&found), "never synced: {:?}", found);
        drop(wal);
        let (_, again) = Wal::open(dir.path(), options).unwrap();
        prop_assert_eq!(again.torn_tail, None);
        prop_assert_eq!(Model { hard_state: again.hard_state, entries: again.entries }, found);
    }
}
