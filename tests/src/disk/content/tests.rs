use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn file(folder: &tempfile::TempDir, bytes: &[u8]) -> File {
    let path = folder.path().join("f");
    std::fs::write(&path, bytes).unwrap();
    File::options().read(true).write(true).open(path).unwrap()
}

fn durable(folder: &tempfile::TempDir) -> Vec<u8> {
    std::fs::read(folder.path().join("f")).unwrap()
}

fn all(content: &Content) -> Vec<u8> {
    content.read(0, 1 << 20).unwrap()
}

/// Does one thing to the content and to plain bytes alike.
fn disturb(random: &mut ChaCha8Rng, content: &mut Content, bytes: &mut Vec<u8>) {
    let at = random.random_range(0..6_000);
    if random.random_range(0..4) == 0 {
        content.set_len(at as u64);
        bytes.resize(at, 0);
        return;
    }
    let data = vec![random.random::<u8>(); random.random_range(1..3_000)];
    content.write(at as u64, &data).unwrap();
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(&data);
}

#[test]
fn what_shows_is_what_was_written_and_a_crash_goes_back_to_the_last_sync() {
    for seed in 0..150 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = vec![7; random.random_range(0..4_000)];
        let mut content = Content::of(file(&folder, &bytes)).unwrap();
        let mut synced = bytes.clone();
        for step in 0..30 {
            disturb(&mut random, &mut content, &mut bytes);
            assert_eq!(all(&content), bytes, "seed {seed}, step {step}");
            let (from, size) = (random.random_range(0..6_000), random.random_range(0..2_000));
            let expected = &bytes[from.min(bytes.len())..(from + size).min(bytes.len())];
            assert_eq!(content.read(from as u64, size).unwrap(), expected, "seed {seed}, step {step}");
            if random.random_range(0..5) == 0 {
                content.sync().unwrap();
                synced.clone_from(&bytes);
            }
            assert_eq!(durable(&folder), synced, "seed {seed}, step {step}: durable is what was synced");
        }
        content.crash(Spared::Nothing, &mut Draw::new(seed)).unwrap();
        assert_eq!(durable(&folder), synced, "seed {seed}");
    }
}

#[test]
fn a_crash_that_spares_some_leaves_every_sector_as_it_was_before_or_after() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let mut content = Content::of(file(&folder, &[1; 8 * SECTOR])).unwrap();
        content.write(100, &[2; 6 * SECTOR]).unwrap();
        let written = all(&content);
        let lost = content.crash(Spared::Some, &mut Draw::new(seed)).unwrap();
        let mut lost_sectors = 0;
        for (sector, after) in durable(&folder).chunks(SECTOR).zip(written.chunks(SECTOR)) {
            let is_old = sector.iter().all(|byte| *byte == 1);
            assert!(is_old || sector == after, "seed {seed}: {sector:?}");
            lost_sectors += u64::from(is_old && sector != after);
            old += u64::from(is_old && sector != after);
            new += u64::from(!is_old);
        }
        assert_eq!(lost.bytes, lost_sectors * SECTOR_BYTES, "seed {seed}");
    }
    assert!(old > 100 && new > 100, "{old} old and {new} new sectors");
}

#[test]
fn a_torn_write_is_there_in_part_and_what_came_before_it_is_lost() {
    for seed in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let mut content = Content::of(file(&folder, &[1; 10 * SECTOR])).unwrap();
        content.write(0, &[2; 2 * SECTOR]).unwrap();
        content.write(4 * SECTOR_BYTES, &[3; 4 * SECTOR]).unwrap();
        assert!(content.crash(Spared::OfLastWrite, &mut Draw::new(seed)).unwrap().torn, "seed {seed}");
        let after = durable(&folder);
        assert_eq!(after.iter().filter(|byte| **byte == 2).count(), 0, "seed {seed}");
        let torn = after.iter().filter(|byte| **byte == 3).count();
        assert!(torn > 0 && torn < 4 * SECTOR && torn.is_multiple_of(SECTOR), "seed {seed}: {torn} bytes");
    }
}

#[test]
fn a_single_sector_cannot_be_torn_and_a_growing_write_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::of(file(&folder, b"old")).unwrap();
    content.write(0, b"new").unwrap();
    assert_eq!(
        content.crash(Spared::OfLastWrite, &mut Draw::new(1)).unwrap(),
        Lost { bytes: 512, torn: false }
    );
    assert_eq!(durable(&folder), b"old");
    let mut content = Content::of(file(&folder, b"old")).unwrap();
    content.write(SECTOR_BYTES, &[9; 3 * SECTOR]).unwrap();
    assert!(content.crash(Spared::OfLastWrite, &mut Draw::new(1)).unwrap().torn);
    assert_eq!(durable(&folder).len(), 4 * SECTOR, "with its new length");
}

#[test]
fn what_a_failed_sync_gave_up_shows_until_the_crash_though_the_next_sync_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = Content::of(file(&folder, &[1; 3 * SECTOR])).unwrap();
    content.write(0, &[2; 2 * SECTOR]).unwrap();
    content.give_up();
    content.write(0, &[3; SECTOR]).unwrap();
    content.sync().unwrap();
    let shows = [[3; SECTOR], [2; SECTOR], [1; SECTOR]].concat();
    assert_eq!(all(&content), shows);
    assert_eq!(durable(&folder), [[3; SECTOR], [1; SECTOR], [1; SECTOR]].concat());
    assert_eq!(content.crash(Spared::Some, &mut Draw::new(1)).unwrap().bytes, SECTOR_BYTES);
    assert_eq!(durable(&folder), [[3; SECTOR], [1; SECTOR], [1; SECTOR]].concat());
}
