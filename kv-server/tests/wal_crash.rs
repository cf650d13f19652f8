//! What a crash or a failing disk can do to the log's files, done to them on purpose: at every byte, not at random.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kv_server::wal::{Damage, Evidence, Recovered, Wal, WalError, WalOptions};
use raft_core::{Batch, Entry, HardState, Index, Membership, NodeId, Payload, Position, Term};
use tempfile::TempDir;

const SECTOR: usize = 512;

fn options() -> WalOptions {
    // Little space ahead: the tests rewrite the whole file again and again.
    WalOptions { ahead_bytes: 700, ..WalOptions::new(NodeId(1)) }
}

/// A directory in memory where there is one: what happens to the bytes is simulated here, and a disk would only be slow.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn open(dir: &Path) -> Result<Recovered, WalError> {
    Wal::open(dir, options()).map(|(_, recovered)| recovered)
}

fn batch(term: u64, vote: u64, first: u64, values: &[&str]) -> Batch<Bytes> {
    let entry = |(index, value): (u64, &&str)| Entry {
        index: Index(index),
        term: Term(term),
        payload: Payload::Command(Bytes::copy_from_slice(value.as_bytes())),
    };
    let hard_state = HardState::new(Term(term), Some(NodeId(vote)));
    Batch::new(Some(hard_state), (first..).zip(values).map(entry).collect())
}

fn segment(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("wal-{sequence:016}.log"))
}

/// What the log holds after each sync, and where that sync's frame ends.
struct Written {
    dir: TempDir,
    /// The segment, without the space behind the last frame.
    bytes: Vec<u8>,
    /// (end of the frame, state then), the first being the state of a log that was only opened.
    states: Vec<(usize, HardState, Vec<Entry<Bytes>>)>,
}

/// A log of one segment: three syncs, the second of two batches, the third of which replaces the end of the log.
fn written() -> Written {
    written_after(0)
}

/// The same, all but the first entry lying further back by some bytes.
fn written_after(shift: usize) -> Written {
    let dir = scratch();
    let file = segment(dir.path(), 1);
    let end = |wal: &Wal| wal.segments().last().unwrap().bytes as usize;
    let (mut wal, _) = Wal::open(dir.path(), options()).unwrap();
    let mut states = vec![(end(&wal), HardState::default(), Vec::new())];
    let mut entries: Vec<Entry<Bytes>> = Vec::new();
    let wide = "w".repeat(2 * SECTOR);
    let groups = [
        vec![batch(1, 1, 1, &[&"1".repeat(200 + shift), "two"])],
        vec![batch(2, 3, 3, &[&wide]), batch(2, 3, 4, &["four", "five"])],
        vec![batch(3, 2, 2, &["other two"])],
        vec![batch(3, 2, 3, &[&wide, "last"])],
    ];
    for group in groups {
        for batch in &group {
            wal.append(batch).unwrap();
            entries.truncate(batch.entries[0].index.0 as usize - 1);
            entries.extend(batch.entries.iter().cloned());
        }
        wal.sync().unwrap();
        states.push((end(&wal), group[0].hard_state.unwrap(), entries.clone()));
    }
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(end(&wal));
    Written { dir, bytes, states }
}

impl Written {
    fn file(&self) -> PathBuf {
        segment(self.dir.path(), 1)
    }

    fn open_with(&self, bytes: &[u8]) -> Result<Recovered, WalError> {
        fs::write(self.file(), bytes).unwrap();
        open(self.dir.path())
    }

    /// The place of the last frame, and what the log was before it.
    fn last_frame(&self) -> std::ops::Range<usize> {
        let [.., (start, ..), (end, ..)] = self.states.as_slice() else { panic!("no frames") };
        *start..*end
    }

    fn assert_is(&self, recovered: &Recovered, state: usize, what: &str) {
        let (_, hard_state, entries) = &self.states[state];
        assert_eq!((recovered.hard_state, &recovered.entries), (*hard_state, entries), "{what}");
    }
}

fn corrupt_at(result: Result<Recovered, WalError>, file: &Path, what: &str) -> (u64, Damage) {
    match result {
        Err(WalError::Corrupt { file: named, offset, reason }) if named == file => (offset, reason),
        other => panic!("{what}: {other:?}"),
    }
}

/// How much of it is written: zeros at the end are space.
fn written_len(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[test]
fn k10_every_prefix_of_the_write_stream_is_a_legal_start() {
    let log = written();
    for (cut, space) in (0..=log.bytes.len()).flat_map(|cut| [(cut, 0), (cut, 1500)]) {
        let what = format!("cut at {cut}, then {space} zeros");
        let mut bytes = log.bytes[..cut].to_vec();
        bytes.resize(cut + space, 0);
        let recovered = log.open_with(&bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        let whole = log.states.iter().rposition(|(end, ..)| *end <= cut);
        log.assert_is(&recovered, whole.unwrap_or(0), &what);
        if let Some(whole) = whole {
            let (end, written) = (log.states[whole].0, written_len(&bytes));
            let tail = recovered.torn_tail.map(|tail| (tail.file, tail.offset, tail.bytes_dropped));
            let expected = (written > end).then(|| (log.file(), end as u64, (written - end) as u64));
            assert_eq!(tail, expected, "{what}");
        }
        // The cut is durable: the next start finds a clean log, and one more boot in it.
        let again = open(log.dir.path()).unwrap();
        log.assert_is(&again, whole.unwrap_or(0), &format!("{what}, second start"));
        assert_eq!((again.torn_tail, again.boot), (None, recovered.boot + 1));
    }
}

#[test]
fn k07_truncate_and_append_are_atomic() {
    // The third sync replaces entries 2..=5 by one. Whatever is left of it, the log is all old or all new.
    let log = written();
    let (start, end) = (log.states[2].0, log.states[3].0);
    for cut in start..=end {
        let recovered = log.open_with(&log.bytes[..cut]).unwrap();
        let (old, new) = (&log.states[2].2, &log.states[3].2);
        assert_eq!((old.len(), new.len()), (5, 2));
        assert_eq!(&recovered.entries, if cut == end { new } else { old }, "cut at {cut}");
    }
}

#[test]
fn k06_a_term_is_never_less_durable_than_its_entries() {
    let log = written();
    for cut in 0..=log.bytes.len() {
        let recovered = log.open_with(&log.bytes[..cut]).unwrap();
        let latest = recovered.entries.last().map_or(Term(0), |entry| entry.term);
        assert!(latest <= recovered.hard_state.term, "cut at {cut}: {recovered:?}");
    }
}

#[test]
fn n02_corrupt_tail_and_corrupt_middle_are_told_apart() {
    let log = written();
    let last = log.last_frame();
    for position in 0..log.bytes.len() {
        // Every bit near the frames' heads; one bit of each byte in the long values.
        let bits = if log.bytes[position] == b'w' { 3..4 } else { 0..8 };
        for bit in bits {
            let mut bytes = log.bytes.clone();
            bytes[position] ^= 1 << bit;
            let what = format!("byte {position} bit {bit}");
            let result = log.open_with(&bytes);
            if position < 40 {
                match result {
                    Err(WalError::Corrupt { offset: 0, .. }) => {}
                    other => panic!("{what}: {other:?}"),
                }
                continue;
            }
            let (offset, reason) = corrupt_at(result, &log.file(), &what);
            let ends = log.states.iter().map(|(end, ..)| *end);
            let start = ends.rev().find(|end| *end <= position);
            if let Some(start) = start {
                assert_eq!(offset, start as u64, "{what}");
            }
            let evidence = match reason {
                Damage::FrameHeader(evidence) | Damage::FrameContent(evidence) => evidence,
                other => panic!("{what}: {other:?}"),
            };
            assert_eq!(evidence == Evidence::NothingMissing, position >= last.start, "{what}: {evidence:?}");
            assert_eq!(fs::read(log.file()).unwrap(), bytes, "{what}: the evidence is left alone");
        }
    }
}

/// The pieces of a range that a disk writes or does not write.
fn sectors(range: std::ops::Range<usize>) -> Vec<std::ops::Range<usize>> {
    let numbers = range.start / SECTOR..=(range.end - 1) / SECTOR;
    numbers.map(|n| (n * SECTOR).max(range.start)..((n + 1) * SECTOR).min(range.end)).collect()
}

#[test]
fn any_sectors_that_were_never_written_are_a_torn_tail_wherever_the_frame_begins() {
    for shift in (0..SECTOR).step_by(3) {
        let log = written_after(shift);
        let last = log.last_frame();
        let sectors = sectors(last.clone());
        assert!((3..=4).contains(&sectors.len()), "a frame over several sectors");
        for lost in 1..1u32 << sectors.len() {
            let mut bytes = log.bytes.clone();
            let is_lost = |n: &usize| lost & 1 << n != 0;
            (0..sectors.len()).filter(is_lost).for_each(|n| bytes[sectors[n].clone()].fill(0));
            let what = format!("shift {shift}, lost sectors {lost:#b} of {sectors:?}");
            let recovered = log.open_with(&bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
            log.assert_is(&recovered, log.states.len() - 2, &what);
            let torn = recovered.torn_tail.map(|tail| tail.offset);
            assert_eq!(torn, (written_len(&bytes) > last.start).then_some(last.start as u64), "{what}");
        }
    }
}

#[test]
fn a_lost_sector_in_the_middle_is_damage() {
    let log = written();
    let middle = log.states[1].0..log.states[2].0;
    for lost in sectors(middle.clone()) {
        let mut bytes = log.bytes.clone();
        bytes[lost.clone()].fill(0);
        let (offset, _) = corrupt_at(log.open_with(&bytes), &log.file(), "middle");
        assert_eq!(offset, middle.start as u64, "lost {lost:?}");
    }
}

#[test]
fn garbage_after_the_last_frame_is_a_reported_torn_tail() {
    let log = written();
    let end = log.bytes.len();
    let noise: Vec<u8> = (1..3000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect();
    for garbage in [&noise[..1], &noise[..7], &noise[..13], &noise, &[0xff; 700]] {
        let recovered = log.open_with(&[&log.bytes, garbage].concat()).unwrap();
        log.assert_is(&recovered, log.states.len() - 1, "garbage");
        let tail = recovered.torn_tail.unwrap();
        assert_eq!((tail.offset, tail.bytes_dropped), (end as u64, garbage.len() as u64));
    }
    let recovered = log.open_with(&[&log.bytes, &[0; 5000][..]].concat()).unwrap();
    log.assert_is(&recovered, log.states.len() - 1, "zeros");
    assert_eq!(recovered.torn_tail, None, "zeros are space");
}

#[test]
fn n06_a_frame_that_lies_at_another_place_is_never_read_as_one() {
    // The last frame once more, behind itself: every checksum over its bytes alone is right.
    let log = written();
    let misplaced = [&log.bytes, &log.bytes[log.last_frame()]].concat();
    let (offset, damage) = corrupt_at(log.open_with(&misplaced), &log.file(), "misplaced");
    assert_eq!(offset, log.bytes.len() as u64);
    assert_eq!(damage, Damage::FrameHeader(Evidence::NothingMissing));
}

#[test]
fn n06_a_frame_of_another_segment_is_never_read_as_one_of_this() {
    let (dir, _) = rotated();
    let (second, third) = (segment(dir.path(), 2), segment(dir.path(), 3));
    let (other, mut bytes) = (fs::read(second).unwrap(), fs::read(&third).unwrap());
    bytes.truncate(40);
    bytes.extend(&other[40..]);
    fs::write(&third, &bytes).unwrap();
    let found = corrupt_at(open(dir.path()), &third, "misdirected");
    assert_eq!(found, (0, Damage::Torn(Evidence::SegmentFollows)), "nothing in it is a frame");
}

#[test]
fn a_lost_header_before_whole_frames_is_damage() {
    let log = written();
    let mut bytes = log.bytes.clone();
    bytes[..40].fill(0);
    assert_eq!(corrupt_at(log.open_with(&bytes), &log.file(), "lost header"), (0, Damage::Magic));
}

/// Four segments, with 1 KiB values.
fn rotated() -> (TempDir, Vec<Entry<Bytes>>) {
    let dir = scratch();
    let options = WalOptions { segment_bytes: 4096, ..options() };
    let (mut wal, _) = Wal::open(dir.path(), options).unwrap();
    let mut entries = Vec::new();
    for index in 1..=14 {
        let batch = batch(1, 1, index, &[&format!("{index} {}", "v".repeat(1000))]);
        wal.append(&batch).unwrap();
        wal.sync().unwrap();
        entries.extend_from_slice(&batch.entries);
    }
    let segments: Vec<_> = wal.segments().map(|s| (s.sequence, s.highest.0)).collect();
    assert_eq!(segments, [(1, 4), (2, 8), (3, 12), (4, 14)]);
    (dir, entries)
}

#[test]
fn segments_are_read_back_in_order_and_continued() {
    let (dir, entries) = rotated();
    let (mut wal, recovered) = Wal::open(dir.path(), options()).unwrap();
    assert_eq!(recovered.entries, entries);
    let segments: Vec<_> = wal.segments().map(|s| (s.sequence, s.highest.0)).collect();
    assert_eq!(segments, [(1, 4), (2, 8), (3, 12), (4, 14)]);
    wal.append(&batch(2, 1, 9, &["new nine"])).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let recovered = open(dir.path()).unwrap();
    assert_eq!(recovered.entries.len(), 9);
    assert_eq!(recovered.entries[..8], entries[..8]);
}

#[test]
fn an_unfinished_new_segment_is_removed_and_reported() {
    let (dir, entries) = rotated();
    let file = segment(dir.path(), 5);
    // What a fifth segment would start with: the fourth one's beginning is as long, if not the same.
    let start = fs::read(segment(dir.path(), 4)).unwrap()[..52].to_vec();
    for cut in 0..40 {
        fs::write(&file, &start[..cut]).unwrap();
        let recovered = open(dir.path()).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        assert_eq!(recovered.entries, entries);
        let tail = recovered.torn_tail.unwrap();
        assert_eq!(
            (tail.file.as_path(), tail.offset, tail.bytes_dropped),
            (file.as_path(), 0, written_len(&start[..cut]) as u64)
        );
        assert!(!file.exists());
    }
    // The fourth one's own first bytes: cut anywhere, what the first three hold is there.
    let (third, fourth) = (segment(dir.path(), 3), segment(dir.path(), 4));
    let (before, whole) = (fs::read(&third).unwrap(), fs::read(&fourth).unwrap());
    for cut in 0..written_len(&whole) {
        fs::write(&third, &before).unwrap(); // a start without the fourth has counted its boot in here
        fs::write(&fourth, &whole[..cut]).unwrap();
        let recovered = open(dir.path()).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        assert!(recovered.entries.len() >= 12, "cut at {cut}");
        assert_eq!(recovered.entries[..], entries[..recovered.entries.len()], "cut at {cut}");
    }
    fs::write(&third, &before).unwrap();
    fs::write(&fourth, &whole).unwrap();
    // Space for it, of which nothing was written.
    fs::write(&file, [0; 1024]).unwrap();
    assert_eq!(open(dir.path()).unwrap().entries, entries);
    // But a header of another segment is not unfinished.
    fs::write(&file, &start).unwrap();
    assert_eq!(corrupt_at(open(dir.path()), &file, "renamed"), (0, Damage::SegmentNumber(4)));
}

#[test]
fn a_torn_or_missing_segment_in_the_middle_is_refused() {
    let (dir, entries) = rotated();
    let second = segment(dir.path(), 2);
    let whole = fs::read(&second).unwrap();
    let mut silent = Vec::new();
    for cut in 0..written_len(&whole) {
        fs::write(&second, &whole[..cut]).unwrap();
        match open(dir.path()) {
            Err(WalError::Corrupt { file, .. }) if file == second => {}
            // Cut exactly between two frames, the segment looks whole: the next one's checkpoint knows better.
            Err(WalError::Corrupt { file, offset: 40, reason: Damage::Misfit(_) }) => {
                assert_eq!(file, segment(dir.path(), 3), "cut at {cut}");
                silent.push(cut);
            }
            other => panic!("cut at {cut}: {:?}", other.map(|recovered| recovered.boot)),
        }
    }
    assert_eq!(silent.len(), 4, "one for each frame of an entry: {silent:?}");

    fs::remove_file(&second).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::MissingSegment { file }) if file == second));
    fs::write(&second, &whole).unwrap();
    assert_eq!(open(dir.path()).unwrap().entries, entries);
}

#[test]
fn a_data_directory_has_one_owner() {
    let dir = scratch();
    let (wal, _) = Wal::open(dir.path(), options()).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::Locked { dir: named }) if named == dir.path()));
    drop(wal);
    let other = Wal::open(dir.path(), WalOptions::new(NodeId(2)));
    assert!(matches!(other, Err(WalError::WrongOwner { node: NodeId(1), cluster: 0, .. })));
    let other = Wal::open(dir.path(), WalOptions { cluster: 7, ..options() });
    assert!(matches!(other, Err(WalError::WrongOwner { .. })));
    assert_eq!(open(dir.path()).unwrap().boot, 2, "refused starts are not boots");

    let file = segment(dir.path(), 1);
    let mut foreign = fs::read(&file).unwrap();
    foreign[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    fs::write(&file, &foreign).unwrap();
    assert_eq!(corrupt_at(open(dir.path()), &file, "foreign"), (0, Damage::Magic));
}

#[test]
fn every_boot_has_its_own_number() {
    let dir = scratch();
    for boot in 1..=5 {
        let recovered = open(dir.path()).unwrap();
        assert_eq!(recovered.boot, boot);
        // A boot that did not finish is not counted, and does not stop the next one.
        OpenOptions::new().append(true).open(segment(dir.path(), 1)).unwrap().write_all(&[1, 2, 3]).unwrap();
    }
}

#[test]
fn impossible_batches_are_refused_and_change_nothing() {
    let dir = scratch();
    let (mut wal, _) = Wal::open(dir.path(), options()).unwrap();
    wal.append(&batch(2, 1, 1, &["one"])).unwrap();
    assert!(matches!(wal.append(&batch(2, 1, 3, &["gap"])), Err(WalError::InvalidBatch(_))));
    assert!(matches!(wal.append(&batch(1, 1, 2, &["old term"])), Err(WalError::InvalidBatch(_))));
    let huge = "h".repeat(kv_server::wal::MAX_FRAME_BYTES);
    assert!(matches!(wal.append(&batch(2, 1, 2, &[&huge])), Err(WalError::BatchTooLarge { .. })));
    wal.append(&batch(2, 1, 2, &["two"])).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let recovered = open(dir.path()).unwrap();
    assert_eq!(recovered.entries, *batch(2, 1, 1, &["one", "two"]).entries);
}

#[test]
fn entries_of_every_kind_and_a_lost_tail_are_recovered() {
    let dir = scratch();
    let (mut wal, _) = Wal::open(dir.path(), options()).unwrap();
    let members = Membership::new([1, 2, 3].map(NodeId)).with_learners([NodeId(4)]);
    let payloads =
        [Payload::Noop, Payload::Membership(Arc::new(members)), Payload::Command(Bytes::from_static(b"c"))];
    let entry = |(index, payload)| Entry { index: Index(index), term: Term(1), payload };
    let lost_tail = Some(Position { index: Index(7), term: Term(1) });
    let hard_state = HardState { lost_tail, ..HardState::new(Term(2), None) };
    let written = Batch::new(Some(hard_state), (1..).zip(payloads).map(entry).collect());
    wal.append(&written).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let recovered = open(dir.path()).unwrap();
    assert_eq!((recovered.hard_state, &recovered.entries[..]), (hard_state, &written.entries[..]));
}

#[test]
fn a_log_of_another_version_is_named_and_not_read() {
    const HEADER: usize = 40;
    let dir = scratch();
    drop(Wal::open(dir.path(), options()).unwrap());
    let file = segment(dir.path(), 1);
    let mut bytes = fs::read(&file).unwrap();
    assert_eq!(bytes[8..12], 3u32.to_le_bytes(), "a change of format takes the next version");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::UnsupportedVersion { found: 1, known: 3, .. })));
}

#[test]
fn a_group_past_its_limit_is_split_and_loses_nothing() {
    // With small segments the split comes in the middle of a group just where the next segment is due.
    for segment_bytes in [64 << 20, 1 << 20] {
        let dir = scratch();
        let (mut wal, _) = Wal::open(dir.path(), WalOptions { segment_bytes, ..options() }).unwrap();
        let big = "b".repeat(3 << 20);
        let mut entries = Vec::new();
        for index in 1..=7 {
            let batch = batch(1, 1, index, &[&big]);
            wal.append(&batch).unwrap();
            entries.extend_from_slice(&batch.entries);
        }
        let written: u64 = wal.segments().map(|segment| segment.bytes).sum();
        assert!(written > 12 << 20, "two at a time, and the last ones wait");
        wal.sync().unwrap();
        drop(wal);
        assert_eq!(open(dir.path()).unwrap().entries, entries);
    }
}

#[test]
fn a_file_grows_by_more_than_a_frame_at_a_time() {
    let dir = scratch();
    let (mut wal, _) = Wal::open(dir.path(), WalOptions { ahead_bytes: 1000, ..options() }).unwrap();
    let mut lengths = Vec::new();
    for index in 1..=30 {
        wal.append(&batch(1, 1, index, &[&"v".repeat(60)])).unwrap();
        wal.sync().unwrap();
        lengths.push(fs::metadata(segment(dir.path(), 1)).unwrap().len());
    }
    assert!(wal.segments().last().unwrap().bytes > 2000);
    lengths.dedup();
    assert!(lengths.len() <= 4, "{lengths:?}");
}

#[cfg(feature = "mutants")]
#[test]
fn mutant_log_tail_unchecked_reads_a_torn_record_as_valid() {
    use kv_server::wal::mutant::{ServerMutant, ServerMutantSwitch};

    let log = written();
    let last = log.last_frame();
    let mut bytes = log.bytes.clone();
    let sector = (last.end / SECTOR - 1) * SECTOR;
    bytes[sector..sector + SECTOR].fill(0);
    let mutant = ServerMutantSwitch::on(ServerMutant::LogTailUnchecked);
    fs::write(log.file(), &bytes).unwrap();
    let (_, recovered) = Wal::open(log.dir.path(), WalOptions { mutant, ..options() }).unwrap();
    let before = &log.states[log.states.len() - 2].2;
    let after = &log.states[log.states.len() - 1].2;
    assert!(&recovered.entries != before && &recovered.entries != after, "an entry that nobody ever wrote");
    log.assert_is(&log.open_with(&bytes).unwrap(), log.states.len() - 2, "without the mutant");
}
