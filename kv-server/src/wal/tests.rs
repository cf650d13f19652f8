use std::fs::OpenOptions;

use super::*;
use raft_core::{Payload, Term};

fn batch(index: u64) -> Batch<Bytes> {
    let payload = Payload::Command(Bytes::from_static(b"value"));
    Batch::new(None, vec![Entry { index: Index(index), term: Term(1), payload }].into())
}

/// A log with entry 1 synced, whose next writes go to `device` instead of its file.
fn on_device(dir: &Path, device: &str) -> (Wal, File) {
    let (mut wal, _) = Wal::open(dir, WalOptions::new(NodeId(1))).unwrap();
    wal.append(&batch(1)).unwrap();
    wal.sync().unwrap();
    let device = OpenOptions::new().write(true).open(device).unwrap();
    let file = std::mem::replace(&mut wal.active.file, device);
    (wal, file)
}

fn assert_poisoned(wal: &mut Wal) {
    assert!(matches!(wal.append(&batch(3)), Err(WalError::Poisoned)));
    assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
    assert!(matches!(wal.sync(), Err(WalError::Poisoned)), "again");
}

#[test]
fn k09_a_failed_write_is_the_last() {
    let dir = tempfile::TempDir::new().unwrap();
    let (mut wal, file) = on_device(dir.path(), "/dev/full");
    wal.append(&batch(2)).unwrap();
    assert!(matches!(wal.sync(), Err(WalError::Io { action: "write", .. })));
    wal.active.file = file;
    assert_poisoned(&mut wal);
    drop(wal);
    let (_, recovered) = Wal::open(dir.path(), WalOptions::new(NodeId(1))).unwrap();
    assert_eq!(recovered.entries, *batch(1).entries);
}

#[test]
fn k09_a_failed_sync_is_the_last() {
    let dir = tempfile::TempDir::new().unwrap();
    let (mut wal, file) = on_device(dir.path(), "/dev/null"); // takes every write, and cannot be synced
    wal.append(&batch(2)).unwrap();
    assert!(matches!(wal.sync(), Err(WalError::Io { action: "sync", .. })));
    wal.active.file = file;
    assert_poisoned(&mut wal);
}

#[test]
fn k09_a_segment_that_cannot_be_started_is_the_end() {
    let dir = tempfile::TempDir::new().unwrap();
    let options = WalOptions { segment_bytes: 1, ..WalOptions::new(NodeId(1)) };
    let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
    fs::write(dir.path().join("wal-0000000000000002.log"), b"").unwrap();
    assert!(matches!(wal.append(&batch(1)), Err(WalError::Io { action: "create", .. })));
    assert_poisoned(&mut wal);
}

#[test]
fn nothing_is_removed_before_the_log_says_that_a_snapshot_stands_for_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let options = WalOptions { segment_bytes: 1, ..WalOptions::new(NodeId(1)) };
    let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
    for index in 1..=3 {
        wal.append(&batch(index)).unwrap();
        wal.sync().unwrap();
    }
    let last = Position { index: Index(3), term: Term(1) };
    let membership = std::sync::Arc::new(raft_core::Membership::new([NodeId(1)]));
    wal.snapshots.take(&SnapshotMeta { last, membership }, &()).unwrap();
    assert!(wal.append_snapshot(last).unwrap());
    wal.active.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(matches!(wal.sync(), Err(WalError::Io { action: "write", .. })));
    drop(wal);
    let (_, recovered) = Wal::open(dir.path(), options).unwrap();
    assert_eq!((recovered.snapshot, recovered.entries.len()), (None, 3));
}
