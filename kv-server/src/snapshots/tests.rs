use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::{Membership, NodeId};
use tempfile::TempDir;

use super::*;

type State = BTreeMap<u64, Vec<u8>>;

fn meta(index: u64) -> SnapshotMeta {
    let membership = Arc::new(Membership::new([1, 2, 3].map(NodeId)));
    SnapshotMeta { last: Position { index: Index(index), term: Term(2) }, membership }
}

/// A state of so many bytes.
fn state(bytes: usize) -> State {
    [(7, (0..bytes).map(|n| n as u8).collect())].into()
}

fn taken(index: u64, bytes: usize) -> (TempDir, Snapshots) {
    let dir = TempDir::new().unwrap();
    let snapshots = Snapshots::new(dir.path(), 5);
    snapshots.take(&meta(index), &state(bytes)).unwrap();
    (dir, snapshots)
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Sends all parts from one directory to another.
fn send(from: &Snapshots, to: &Snapshots, last: Position) {
    let mut offset = 0;
    loop {
        let (data, done) = from.chunk(last, offset).unwrap();
        let length = data.len() as u64;
        to.receive(&Chunk { last, offset, data }).unwrap();
        offset += length;
        if done {
            return;
        }
    }
}

#[test]
fn what_was_taken_is_what_is_restored() {
    for bytes in [0, 1, 1000, 3 << 20] {
        let (_dir, snapshots) = taken(9, bytes);
        assert_eq!(snapshots.verify(meta(9).last).unwrap(), meta(9));
        assert_eq!(snapshots.restore::<State>(meta(9).last).unwrap(), state(bytes));
    }
}

#[test]
fn no_damage_and_no_cut_passes() {
    let (_dir, snapshots) = taken(9, 40);
    let last = meta(9).last;
    let file = snapshots.file(last);
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&file, &bytes).unwrap();
            assert!(snapshots.verify(last).is_err(), "bit {bit} of byte {at}");
            assert!(snapshots.restore::<State>(last).is_err(), "bit {bit} of byte {at}");
        }
        fs::write(&file, &whole[..at]).unwrap();
        assert!(snapshots.verify(last).is_err(), "cut at {at}");
    }
    fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
    assert!(snapshots.verify(last).is_err(), "longer");
    fs::write(&file, &whole).unwrap();
    assert!(snapshots.verify(last).is_ok());
}

#[test]
fn a_snapshot_of_another_cluster_or_release_is_named() {
    let (dir, snapshots) = taken(9, 40);
    let last = meta(9).last;
    let reason = |result: Result<SnapshotMeta, SnapshotError>| match result.unwrap_err() {
        SnapshotError::Corrupt { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(reason(Snapshots::new(dir.path(), 6).verify(last)), SnapshotDamage::Cluster(5));
    let mut bytes = fs::read(snapshots.file(last)).unwrap();
    bytes[8] = 9;
    fs::write(snapshots.file(last), &bytes).unwrap();
    assert_eq!(reason(snapshots.verify(last)), SnapshotDamage::Version(9));
    bytes[0] = 0;
    fs::write(snapshots.file(last), &bytes).unwrap();
    assert_eq!(reason(snapshots.verify(last)), SnapshotDamage::Magic);
    assert!(matches!(snapshots.verify(meta(8).last), Err(SnapshotError::Io { action: "open", .. })));
}

#[test]
fn a_snapshot_that_travelled_in_parts_is_the_same() {
    let (_from, sender) = taken(9, 2 * SNAPSHOT_CHUNK_BYTES + 5);
    let to = TempDir::new().unwrap();
    let receiver = Snapshots::new(to.path(), 5);
    // An earlier transfer that was given up leaves nothing in it.
    let longer = vec![7; 4 * SNAPSHOT_CHUNK_BYTES];
    receiver.receive(&Chunk { last: meta(3).last, offset: 0, data: longer }).unwrap();
    send(&sender, &receiver, meta(9).last);
    receiver.complete(&meta(9)).unwrap();
    assert_eq!(fs::read(receiver.file(meta(9).last)).unwrap(), fs::read(sender.file(meta(9).last)).unwrap());
    assert_eq!(files(to.path()).len(), 1, "nothing else is left");
}

#[test]
fn what_is_not_what_was_announced_is_not_installed() {
    let (_from, sender) = taken(9, 40);
    let to = TempDir::new().unwrap();
    let receiver = Snapshots::new(to.path(), 5);
    send(&sender, &receiver, meta(9).last);
    let other_members = SnapshotMeta { membership: Arc::new(Membership::new([NodeId(1)])), ..meta(9) };
    for announced in [meta(10), other_members] {
        assert!(matches!(receiver.complete(&announced), Err(SnapshotError::Corrupt { .. })));
        assert_eq!(files(to.path()), [RECEIVING]);
    }
    receiver.receive(&Chunk { last: meta(9).last, offset: 3, data: vec![0] }).unwrap();
    assert!(matches!(receiver.complete(&meta(9)), Err(SnapshotError::Corrupt { .. })), "damaged on its way");
    assert_eq!(files(to.path()), [RECEIVING]);
}

#[test]
fn only_older_ones_and_unfinished_ones_are_removed_and_no_other_file() {
    let (dir, snapshots) = taken(7, 10);
    snapshots.take(&meta(8), &state(1)).unwrap();
    snapshots.take(&meta(9), &state(1)).unwrap();
    for name in [TAKING, RECEIVING, "snapshot-7.snap", "lock", "snapshot-x-y.snap"] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    snapshots.remove_before(Index(8)).unwrap();
    assert!(!snapshots.file(meta(7).last).exists());
    assert!(snapshots.file(meta(8).last).exists() && dir.path().join(TAKING).exists());
    snapshots.remove_all_but(Some(meta(8).last)).unwrap();
    let name = snapshots.file(meta(8).last).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(files(dir.path()), ["lock", &name, "snapshot-7.snap", "snapshot-x-y.snap"]);
}

#[test]
fn a_part_beyond_the_end_is_an_error() {
    let (_dir, snapshots) = taken(9, 10);
    let length = fs::metadata(snapshots.file(meta(9).last)).unwrap().len();
    assert!(snapshots.chunk(meta(9).last, length).is_err());
    assert!(snapshots.chunk(meta(9).last, u64::MAX).is_err());
    assert_eq!(snapshots.chunk(meta(9).last, length - 1).unwrap().0.len(), 1);
}
