//! The log and its snapshots: a crash at any moment leaves the old snapshot with the old log, or the new one with the new.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kv_server::snapshots::{SnapshotError, Snapshots};
use kv_server::wal::{Misfit, Recovered, Wal, WalError, WalOptions};
use raft_core::{
    Batch, Chunk, Entries, Entry, HardState, Index, Install, Membership, NodeId, Payload, Position,
    SnapshotMeta, Term,
};
use tempfile::TempDir;

const TERM: Term = Term(2);

fn options() -> WalOptions {
    WalOptions { segment_bytes: 4096, ahead_bytes: 700, ..WalOptions::new(NodeId(1)) }
}

fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn snapshots(dir: &Path) -> Snapshots {
    Snapshots::new(dir, options().cluster)
}

fn position(index: u64) -> Position {
    Position { index: Index(index), term: TERM }
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta { last: position(index), membership: Arc::new(Membership::new([1, 2, 3].map(NodeId))) }
}

/// The state as of an entry: its number.
fn take(dir: &Path, index: u64) {
    snapshots(dir).take(&meta(index), &index).unwrap();
}

fn batch(first: u64, count: u64) -> Batch<Bytes> {
    let entry = |index| Entry {
        index: Index(index),
        term: TERM,
        payload: Payload::Command(Bytes::from(format!("{index} {}", "v".repeat(1000)))),
    };
    let hard_state = Some(HardState::new(TERM, Some(NodeId(1))));
    Batch::new(hard_state, (first..first + count).map(entry).collect())
}

/// Entries 1 to 14 in four segments.
fn written() -> (TempDir, Wal) {
    written_with(options())
}

fn written_with(options: WalOptions) -> (TempDir, Wal) {
    let dir = scratch();
    let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
    for index in 1..=14 {
        wal.append(&batch(index, 1)).unwrap();
        wal.sync().unwrap();
    }
    let segments: Vec<_> = wal.segments().map(|s| (s.sequence, s.highest.0)).collect();
    assert_eq!(segments, [(1, 4), (2, 8), (3, 12), (4, 14)]);
    (dir, wal)
}

/// All files with their bytes.
fn image(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|item| item.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

fn restore(image: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let dir = scratch();
    image.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    dir
}

/// What a start finds: the snapshot, whose state must be whole, and the entries.
fn found(dir: &Path) -> (Option<u64>, Vec<u64>) {
    let (_, recovered) = Wal::open(dir, options()).unwrap();
    let Recovered { snapshot, entries, hard_state, .. } = recovered;
    assert_eq!(hard_state, HardState::new(TERM, Some(NodeId(1))));
    let last = snapshot.map(|snapshot| snapshot.last);
    if let Some(last) = last {
        assert_eq!(snapshots(dir).restore::<u64>(last).unwrap(), last.index.0);
    }
    (last.map(|last| last.index.0), entries.iter().map(|entry| entry.index.0).collect())
}

fn names(dir: &Path) -> Vec<String> {
    image(dir).into_keys().filter(|name| name != "lock").collect()
}

#[test]
fn a_snapshot_lets_go_of_the_segments_that_hold_nothing_else() {
    let (dir, mut wal) = written();
    take(dir.path(), 9);
    assert!(wal.append_snapshot(position(9)).unwrap());
    wal.sync().unwrap();
    let segments: Vec<_> = wal.segments().map(|s| (s.sequence, s.highest.0)).collect();
    assert_eq!(segments, [(3, 12), (4, 14)], "entry 9 is in the third");
    drop(wal);
    assert_eq!(names(dir.path()).len(), 3, "{:?}", names(dir.path()));
    assert_eq!(found(dir.path()), (Some(9), (9..=14).collect()));

    // And it goes on from there, over restarts.
    let (mut wal, _) = Wal::open(dir.path(), options()).unwrap();
    wal.append(&batch(12, 5)).unwrap();
    wal.sync().unwrap();
    take(dir.path(), 16);
    assert!(wal.append_snapshot(position(16)).unwrap());
    wal.append(&batch(17, 1)).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let (snapshot, entries) = found(dir.path());
    assert_eq!((snapshot, entries.last()), (Some(16), Some(&17)));
    assert!(!names(dir.path()).iter().any(|name| name.contains("00009-")), "{:?}", names(dir.path()));
}

#[test]
fn a_crash_in_the_middle_of_taking_a_snapshot_leaves_the_old_or_the_new() {
    let (dir, mut wal) = written();
    take(dir.path(), 5);
    wal.append_snapshot(position(5)).unwrap();
    wal.sync().unwrap();
    let before = image(dir.path());

    // Its file is being written.
    let mut partial = before.clone();
    partial.insert("snapshot.taking".to_owned(), b"plumb".to_vec());
    let crashed = restore(&partial);
    assert_eq!(found(crashed.path()), (Some(5), (5..=14).collect()));
    assert!(!names(crashed.path()).contains(&"snapshot.taking".to_owned()), "it is cleared away");

    // Its file is whole, and the log does not say so yet.
    take(dir.path(), 13);
    wal.append_snapshot(position(13)).unwrap();
    let crashed = restore(&image(dir.path()));
    assert_eq!(found(crashed.path()), (Some(5), (5..=14).collect()));
    assert_eq!(names(crashed.path()).iter().filter(|name| name.ends_with(".snap")).count(), 1);

    // The log says so, and any part of what is not needed any more is still there.
    wal.sync().unwrap();
    let after = image(dir.path());
    let gone: Vec<_> = before.iter().filter(|(name, _)| !after.contains_key(*name)).collect();
    assert_eq!(gone.len(), 3, "two segments and a snapshot: {gone:?}");
    for left in 0..1 << gone.len() {
        let mut crashed = after.clone();
        for (number, (name, bytes)) in gone.iter().enumerate() {
            if left & (1 << number) != 0 {
                crashed.insert((*name).clone(), (*bytes).clone());
            }
        }
        let crashed = restore(&crashed);
        let (snapshot, entries) = found(crashed.path());
        assert_eq!((snapshot, entries.last()), (Some(13), Some(&14)), "{left:b}");
        assert_eq!(names(crashed.path()), after.keys().filter(|n| *n != "lock").cloned().collect::<Vec<_>>());
    }
}

/// Entries 1 to 14, and a snapshot up to entry 20 comes in, in two parts; what is on the disk after each step.
#[test]
fn f15_a_crash_in_the_middle_of_an_installation_leaves_the_old_or_the_new() {
    let source = scratch();
    take(source.path(), 20);
    let bytes = fs::read(snapshots(source.path()).file(position(20))).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let (dir, mut wal) = written();
    let nothing = Batch::new(None, Entries::none());
    let chunk = |offset, data: &[u8]| Some(Chunk { last: position(20), offset, data: data.to_vec() });
    let old = (None, (1..=14).collect::<Vec<_>>());

    wal.append(&Batch { chunk: chunk(0, first), ..nothing.clone() }).unwrap();
    wal.sync().unwrap();
    assert_eq!(found(restore(&image(dir.path())).path()), old);

    let install = Install { snapshot: Arc::new(meta(20)), keeps_log: false };
    let last = Batch { chunk: chunk(first.len() as u64, second), install: Some(install), ..batch(21, 1) };
    wal.append(&last).unwrap();
    let before = image(dir.path());
    assert_eq!(found(restore(&before).path()), old, "its file is there, the log does not say so yet");

    wal.sync().unwrap();
    drop(wal);
    let after = image(dir.path());
    assert_eq!(found(restore(&after).path()), (Some(20), vec![21]));
    // The frame that says so is torn at any byte.
    let segment = after.keys().rfind(|name| name.starts_with("wal-")).unwrap();
    let written = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let frame = written(&before[segment])..written(&after[segment]);
    for cut in frame.clone() {
        let mut torn = before.clone();
        torn.insert(segment.clone(), after[segment][..cut].to_vec());
        assert_eq!(found(restore(&torn).path()), old, "cut at {cut} of {frame:?}");
    }
}

/// What came in is not what was announced: the log fails, and the next start finds the old state.
fn damaged_on_its_way(options: WalOptions) -> Result<(), WalError> {
    let (dir, mut wal) = written_with(options);
    let chunk = Some(Chunk { last: position(20), offset: 0, data: b"plumbsnp and nonsense".to_vec() });
    let install = Some(Install { snapshot: Arc::new(meta(20)), keeps_log: false });
    let refused = wal.append(&Batch { chunk, install, ..Batch::new(None, Entries::none()) });
    assert!(matches!(refused, Err(WalError::Snapshot(_))), "{refused:?}");
    assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
    drop(wal);
    let (_, recovered) = Wal::open(dir.path(), options)?;
    assert_eq!((recovered.snapshot, recovered.entries.len()), (None, 14));
    Ok(())
}

#[test]
fn a_snapshot_that_was_damaged_on_its_way_changes_nothing() {
    damaged_on_its_way(options()).unwrap();
}

#[cfg(feature = "mutants")]
#[test]
fn mutant_snapshot_not_atomic_is_seen() {
    use kv_server::wal::mutant::{ServerMutant, ServerMutantSwitch};
    let mutant = ServerMutantSwitch::on(ServerMutant::SnapshotNotAtomic);
    assert!(damaged_on_its_way(WalOptions { mutant, ..options() }).is_err());
}

#[test]
fn an_installation_may_keep_the_log_or_let_go_of_it() {
    for (keeps_log, expected) in [(true, (5..=14).collect::<Vec<_>>()), (false, Vec::new())] {
        let (dir, mut wal) = written();
        let source = scratch();
        take(source.path(), 10);
        let data = fs::read(snapshots(source.path()).file(position(10))).unwrap();
        let chunk = Some(Chunk { last: position(10), offset: 0, data });
        let install = Some(Install { snapshot: Arc::new(meta(10)), keeps_log });
        wal.append(&Batch { chunk, install, ..Batch::new(None, Entries::none()) }).unwrap();
        wal.sync().unwrap();
        drop(wal);
        let (snapshot, entries) = found(dir.path());
        assert_eq!(snapshot, Some(10));
        assert!(entries.ends_with(&expected[expected.len().saturating_sub(4)..]), "{keeps_log}: {entries:?}");
        assert_eq!(entries.is_empty(), !keeps_log);
    }
}

/// At a start the core asks for this where the state machine was ahead of the server's own disk.
#[test]
fn a_log_that_its_snapshot_has_overtaken_goes_and_the_snapshot_stays() {
    let (dir, mut wal) = written();
    take(dir.path(), 16);
    assert!(wal.append_snapshot(position(16)).unwrap());
    wal.sync().unwrap();
    let install = Some(Install { snapshot: Arc::new(meta(16)), keeps_log: false });
    wal.append(&Batch { install, ..batch(17, 1) }).unwrap();
    wal.sync().unwrap();
    drop(wal);
    assert_eq!(found(dir.path()), (Some(16), vec![17]));
}

#[test]
fn an_older_snapshot_does_not_take_the_place_of_a_later_one() {
    let (dir, mut wal) = written();
    take(dir.path(), 9);
    take(dir.path(), 5);
    assert!(wal.append_snapshot(position(9)).unwrap());
    assert!(!wal.append_snapshot(position(5)).unwrap());
    let install = Some(Install { snapshot: Arc::new(meta(5)), keeps_log: true });
    let refused = wal.append(&Batch { install, ..Batch::new(None, Entries::none()) });
    assert!(matches!(refused, Err(WalError::InvalidBatch(Misfit::OldSnapshot { .. }))), "{refused:?}");
    wal.sync().unwrap();
    drop(wal);
    assert_eq!(found(dir.path()).0, Some(9));
}

#[test]
fn a_snapshot_that_is_damaged_or_gone_is_refused_and_named() {
    let (dir, mut wal) = written();
    take(dir.path(), 9);
    wal.append_snapshot(position(9)).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let before = names(dir.path());
    let file = snapshots(dir.path()).file(position(9));
    let mut bytes = fs::read(&file).unwrap();
    bytes[30] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let refused = Wal::open(dir.path(), options()).map(drop);
    assert!(matches!(&refused, Err(WalError::Snapshot(SnapshotError::Corrupt { .. }))), "{refused:?}");
    assert_eq!(names(dir.path()), before, "nothing was changed");
    fs::remove_file(&file).unwrap();
    let refused = Wal::open(dir.path(), options()).map(drop);
    assert!(matches!(&refused, Err(WalError::Snapshot(SnapshotError::Io { .. }))), "{refused:?}");
}

#[test]
fn a_segment_that_no_snapshot_stands_for_is_missed() {
    let (dir, mut wal) = written();
    take(dir.path(), 9);
    wal.append_snapshot(position(9)).unwrap();
    wal.sync().unwrap();
    drop(wal);
    fs::remove_file(dir.path().join("wal-0000000000000003.log")).unwrap();
    let refused = Wal::open(dir.path(), options()).map(drop);
    match &refused {
        Err(WalError::MissingSegment { file }) => assert!(file.ends_with("wal-0000000000000003.log")),
        other => panic!("{other:?}"),
    }
}
