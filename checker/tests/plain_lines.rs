//! JSON lines without blanks are read by a shorter way: it must lead to the same place, for good lines and bad ones.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::generate::{Dice, Plan, Workload, generate};
use checker::history::Writer;
use checker::{Format, History, ReadError, ReadOptions};

fn plain(workload: Workload, seed: u64) -> String {
    let plan = Plan { operations: 60, unknown: 100, values: seed % 3 * 5, ..Plan::new(workload, seed) };
    let mut writer = Writer::new(Vec::new(), Format::JsonLines);
    for event in generate(&plan).events {
        writer.write(&event).expect("a vector takes all");
    }
    String::from_utf8(writer.into_inner()).expect("JSON is UTF-8")
}

/// The same lines, each with a blank in front: those are read with care.
fn careful(text: &str) -> String {
    text.lines().map(|line| format!(" {line}\n")).collect()
}

fn read(text: &str) -> Result<History, ReadError> {
    let options = ReadOptions { format: Some(Format::JsonLines), ..ReadOptions::default() };
    History::read(text.as_bytes(), "h", &options)
}

/// What was read, or what is wrong and on which line.
fn told(read: &Result<History, ReadError>) -> String {
    match read {
        Ok(history) => format!("{:?} {:?} {:?}", history.operations, history.annotations, history.counts),
        Err(error) => format!("{} {}", error.line, error.problem),
    }
}

#[test]
fn plain_lines_are_read_as_others_are() {
    for workload in [Workload::CasRegister, Workload::KeyValue, Workload::FifoQueue, Workload::Set] {
        for seed in 0..20 {
            let text = plain(workload, seed);
            assert_eq!(told(&read(&text)), told(&read(&careful(&text))), "{workload:?} {seed}");
        }
    }
}

#[test]
fn damaged_plain_lines_are_refused_as_others_are() {
    const PIECES: [&str; 18] = [
        "0", "00", "-", "9", "99999999", "\"", "\\", "\\n", "null", "[", "]", ",", "}", "{", " ", "\u{e9}",
        "\n", "1e3",
    ];
    let mut dice = Dice::new(1);
    let (mut good, mut bad) = (0, 0);
    for seed in 0..4000 {
        let mut text = plain(Workload::KeyValue, seed);
        let at = dice.index(text.len());
        let until = at + dice.index(3);
        let piece = PIECES[dice.index(PIECES.len())];
        text.replace_range(at..until.min(text.len()), piece);
        let (short, long) = (read(&text), read(&careful(&text)));
        assert_eq!(told(&short), told(&long), "seed {seed}: `{piece}` at {at}");
        match (short, long) {
            (Err(short), Err(long)) => {
                bad += 1;
                // One column for the blank; none where all of the line counts, or its end.
                assert!(short.column <= long.column && long.column <= short.column + 1, "seed {seed}");
            }
            _ => good += 1,
        }
    }
    println!("{good} good, {bad} bad");
    assert!(good > 100 && bad > 1000);
}

#[test]
fn lines_are_read_the_same_wherever_the_buffer_ends() {
    let text = plain(Workload::KeyValue, 1);
    let whole = told(&read(&text));
    // So that each line comes to lie across the end of a buffer of 64 KiB once.
    for before in (65_000..65_536).step_by(7) {
        let padded = format!("{}\n{text}", " ".repeat(before));
        let history = read(&padded).expect("blank lines are passed over");
        assert_eq!(history.operations.len(), 60);
        let first = history.operations.get(0).expect("an operation");
        assert_eq!(first.invoked.line, 2);
        let shifted = History { operations: history.operations.only(&[0, 1, 2]), ..History::default() };
        assert_eq!(shifted.operations.len(), 3);
        assert_eq!(history.counts, read(&text).expect("good").counts);
        let key = |history: &History| history.operations.iter().map(|op| format!("{op}")).collect::<Vec<_>>();
        assert_eq!(key(&history), key(&read(&text).expect("good")));
    }
    assert!(whole.contains("time: Some"));
}
