//! The format: what is written is read again; what a crash leaves is told from damage; no bytes make a reader panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use raft_core::{
    Config, Effects, Entry, HardState, Index, Input, Moment, MutantSwitch, NodeId, Payload, Recovered, Term,
    Timing,
};
use trace::{Item, ReadError, Reader, Recorder, VERSION, Wrong};

const TIMING: Timing = Timing { election: Duration::from_millis(100), heartbeat: Duration::from_millis(20) };

/// Appends a life of a lone server to a file: it is elected, and takes commands. Each turn is a frame.
fn live(file: &mut Vec<u8>, boot: u64, log: u64, stops: bool) {
    let mut recorder = Recorder::new(file.len() as u64);
    let mut effects = Effects::default();
    let entry = |index| Entry {
        index: Index(index),
        term: Term(1),
        payload: Payload::Command(Bytes::from(vec![7; 100])),
    };
    let recovered = Recovered {
        boot,
        hard_state: HardState::new(Term(1), Some(NodeId(1))),
        entries: (1..=log).map(entry).collect(),
        ..Recovered::nothing()
    };
    let config = Config::new(NodeId(1), [NodeId(1)]);
    let mut clocked = recorder.start(config, recovered, TIMING, boot, Moment(5), &mut effects).unwrap();
    recorder.flush(file);
    for turn in 0..20 {
        let now = Moment(0) + Duration::from_millis(15 * turn);
        let acks: Vec<_> = effects.writes.drain(..).map(|write| write.split().1).collect();
        effects.clear();
        recorder.step(&mut clocked, now, None, &mut effects).unwrap();
        for ack in acks {
            recorder.step(&mut clocked, now, Some(Input::Durable(ack)), &mut effects).unwrap();
        }
        let _ = recorder.step(
            &mut clocked,
            now,
            Some(Input::Propose(vec![Bytes::from(vec![9; 50])])),
            &mut effects,
        );
        recorder.flush(file);
    }
    if stops {
        recorder.stop();
        recorder.flush(file);
    }
}

fn read(file: &[u8]) -> (Vec<Item<Bytes>>, Option<ReadError>) {
    let mut reader = Reader::<_, Bytes>::new(Cursor::new(file));
    let mut items = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(located)) => items.push(located.item),
            Ok(None) => return (items, None),
            Err(error) => {
                assert!(reader.read().unwrap().is_none(), "nothing after an error");
                return (items, Some(error));
            }
        }
    }
}

/// One letter an item.
fn outline(items: &[Item<Bytes>]) -> String {
    let letter = |item: &Item<Bytes>| match item {
        Item::Start(_) => 'S',
        Item::Step(_) => '.',
        Item::Stop => 'X',
        Item::Torn { .. } => 't',
    };
    items.iter().map(letter).collect::<String>().replace('.', "")
}

#[test]
fn lives_follow_each_other_and_nothing_is_lost() {
    let mut file = Vec::new();
    live(&mut file, 1, 0, false);
    live(&mut file, 2, 3_000, true);
    let (items, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(outline(&items), "SSX");
    let Some(Item::Start(start)) = items.iter().rfind(|item| matches!(item, Item::Start(_))) else {
        panic!()
    };
    assert_eq!(
        (start.recovered.entries.len(), start.recovered.boot, start.seed, start.now),
        (3_000, 2, 2, Moment(5))
    );
    assert_eq!(start.core, trace::core_version());
}

#[test]
fn a_file_cut_at_any_byte_has_a_torn_end_and_no_error() {
    let mut file = Vec::new();
    live(&mut file, 1, 2, false);
    let whole = read(&file).0.len();
    for end in 0..file.len() {
        let (items, error) = read(&file[..end]);
        assert!(error.is_none(), "cut at {end}: {error:?}");
        assert!(items.len() <= whole);
    }
    // And the life that begins after it is read.
    for cut in [1, 5, 11, 13, 20] {
        let mut torn = file[..file.len() - cut].to_vec();
        live(&mut torn, 2, 2, true);
        let (items, error) = read(&torn);
        assert!(error.is_none(), "{cut} bytes cut off: {error:?}");
        assert_eq!(outline(&items), "StSX", "{cut} bytes cut off");
    }
}

#[test]
fn every_flipped_bit_is_refused_with_its_place() {
    let mut file = Vec::new();
    live(&mut file, 1, 2, false);
    live(&mut file, 2, 2, true);
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        let (_, error) = read(&flipped);
        let error = error.unwrap_or_else(|| panic!("byte {at} of {} passes", file.len()));
        assert!(error.offset <= at as u64, "byte {at}: {error}");
    }
}

#[test]
fn a_frame_that_is_cut_out_or_repeated_is_refused() {
    let mut file = Vec::new();
    live(&mut file, 1, 2, true);
    let (one, other) = (file.len() / 3, file.len() / 2);
    let cut_out = [&file[..one], &file[other..]].concat();
    assert!(matches!(read(&cut_out).1.unwrap().wrong, Wrong::Head | Wrong::Content { .. }));
    let repeated = [&file[..], &file[..]].concat();
    assert!(matches!(read(&repeated).1.unwrap().wrong, Wrong::Head));
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut file = Vec::new();
    live(&mut file, 1, 0, true);
    let version = VERSION + 6;
    file[8..12].copy_from_slice(&version.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&0u64.to_le_bytes());
    hasher.update(&file[..12]);
    file[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    let error = read(&file).1.unwrap();
    assert!(matches!(error.wrong, Wrong::Version { found } if found == version), "{error}");
    assert!(error.to_string().contains("record 1 (byte 0): written in version 7"), "{error}");
    assert!(matches!(read(b"{\"history\": 1}, and more of it").1.unwrap().wrong, Wrong::NotATrace));
    assert!(read(b"").0.is_empty() && read(b"").1.is_none(), "an empty file holds nothing");
}

#[test]
fn a_configuration_is_the_same_whichever_build_writes_it() {
    let off = postcard::to_stdvec(&MutantSwitch::default()).unwrap();
    assert_eq!(off, [0], "none, as in a build without seeded bugs");
    for &mutant in raft_core::Mutant::ALL {
        let on = postcard::to_stdvec(&MutantSwitch::on(mutant)).unwrap();
        assert_eq!(postcard::from_bytes::<Option<&str>>(&on).unwrap(), Some(mutant.name()));
        assert_eq!(postcard::from_bytes::<MutantSwitch>(&on).unwrap(), MutantSwitch::on(mutant));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any bytes, bare, or as the content of a frame whose checksums are right: no panic, and no memory beyond the file's measure
    /// (a length is not believed before the bytes are there).
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), in_frame in any::<bool>()) {
        let mut file = Vec::new();
        if in_frame {
            live(&mut file, 1, 0, false);
            let offset = file.len() as u64;
            let len = u32::try_from(bytes.len()).unwrap();
            let mut head = crc32fast::Hasher::new();
            head.update(&offset.to_le_bytes());
            head.update(&len.to_le_bytes());
            file.extend(len.to_le_bytes());
            file.extend(head.finalize().to_le_bytes());
            file.extend(crc32fast::hash(&bytes).to_le_bytes());
        }
        file.extend(&bytes);
        let _ = read(&file);
    }
}
