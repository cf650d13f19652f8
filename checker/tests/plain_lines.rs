//! Plain lines of JSON and of EDN are read by a shorter way: it must lead to the same place, for good lines and bad ones.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::generate::{Dice, Plan, Workload, generate};
use checker::history::{Keys, Writer};
use checker::{Format, History, ReadError, ReadOptions};

/// How plain lines are written.
#[derive(Clone, Copy, Debug)]
enum Way {
    Json,
    Edn,
    /// With the keys in the values.
    Tuples,
}

impl Way {
    const ALL: [Way; 3] = [Way::Json, Way::Edn, Way::Tuples];

    fn format(self) -> Format {
        match self {
            Way::Json => Format::JsonLines,
            Way::Edn | Way::Tuples => Format::Edn,
        }
    }

    fn plain(self, workload: Workload, seed: u64) -> String {
        let plan = Plan { operations: 60, unknown: 100, values: seed % 3 * 5, ..Plan::new(workload, seed) };
        let mut writer = Writer::new(Vec::new(), self.format());
        if matches!(self, Way::Tuples) {
            writer = writer.keys(Keys::Tuple);
        }
        for event in generate(&plan).events {
            writer.write(&event).expect("a vector takes all");
        }
        String::from_utf8(writer.into_inner()).expect("histories are UTF-8")
    }

    fn read(self, text: &str) -> Result<History, ReadError> {
        let options = ReadOptions { format: Some(self.format()), ..ReadOptions::default() };
        History::read(text.as_bytes(), "h", &options)
    }
}

/// The same lines, each with a blank in front: those are read with care. (What goes on from the line before may be in a string.)
fn careful(text: &str) -> String {
    let blank = |line: &str| if line.starts_with(['{', '#']) { " " } else { "" };
    text.lines().map(|line| format!("{}{line}\n", blank(line))).collect()
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
    for way in Way::ALL {
        for workload in [Workload::CasRegister, Workload::KeyValue, Workload::FifoQueue, Workload::Set] {
            for seed in 0..20 {
                let text = way.plain(workload, seed);
                let (short, long) = (way.read(&text), way.read(&careful(&text)));
                assert_eq!(told(&short), told(&long), "{way:?} {workload:?} {seed}");
            }
        }
    }
}

#[test]
fn damaged_plain_lines_are_refused_as_others_are() {
    const JSON: &[&str] = &[
        "0", "00", "-", "9", "99999999", "\"", "\\", "\\n", "null", "[", "]", ",", "}", "{", " ", "\u{e9}",
        "\n", "1e3",
    ];
    const EDN: &[&str] = &[
        "0",
        "00",
        "-",
        "-0",
        "9",
        "9N",
        "1.5",
        "99999999",
        "\"",
        "\\",
        "\\n",
        "nil",
        "nila",
        "[",
        "]",
        ",",
        "}",
        "{",
        " ",
        "\u{e9}",
        "\n",
        ":",
        ":ok",
        ":okay",
        "#_",
        ";",
        " :key nil",
        ":f :x",
        ":process 1",
        "true",
        "#jepsen.history.Op",
    ];
    for way in Way::ALL {
        let pieces = if matches!(way, Way::Json) { JSON } else { EDN };
        let mut dice = Dice::new(1);
        let (mut good, mut bad) = (0, 0);
        for seed in 0..4000 {
            let mut text = way.plain(Workload::KeyValue, seed);
            let at = dice.index(text.len());
            let until = at + dice.index(3);
            let piece = pieces[dice.index(pieces.len())];
            text.replace_range(at..until.min(text.len()), piece);
            let (short, long) = (way.read(&text), way.read(&careful(&text)));
            assert_eq!(told(&short), told(&long), "{way:?} seed {seed}: `{piece}` at {at}");
            match (short, long) {
                (Err(short), Err(long)) => {
                    bad += 1;
                    // One column for the blank; none where all of the line counts, or its end.
                    assert!(short.column <= long.column && long.column <= short.column + 1, "seed {seed}");
                }
                _ => good += 1,
            }
        }
        println!("{way:?}: {good} good, {bad} bad");
        assert!(good > 100 && bad > 1000);
    }
}

#[test]
fn members_may_come_in_any_order_and_each_once() {
    let read = |text: &str| told(&Way::Edn.read(text));
    for line in [
        "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}",
        "{:type :invoke, :f :read, :value nil, :time 3, :process 0, :index 0}",
        "#jepsen.history.Op{:index 0, :time 3, :type :invoke, :process 0, :f :read, :value [\"k\" [1 2]]}",
        "{:process 0 :type :invoke :f :read :value [1 2]}",
        "{:process 0, :type :invoke, :f :read, :process 0}",
        "{:process 0, :type :invoke, :f :read, :key nil}",
        "{:process 0, :type :invoke, :value 1}",
        "{:process :nemesis, :type :info, :f :start}",
        "{:process 0, :type :invoke, :f :read, :value 1M}",
    ] {
        // A second event has its name known.
        let text = format!(
            "{{:process 9, :type :invoke, :f :read}}\n{{:process 8, :type :invoke, :f :append}}\n{line}\n"
        );
        assert_eq!(read(&text), read(&careful(&text)), "{line}");
    }
}

#[test]
fn lines_are_read_the_same_wherever_the_buffer_ends() {
    for way in Way::ALL {
        let text = way.plain(Workload::KeyValue, 1);
        let whole = way.read(&text).expect("good");
        assert!(told(&Ok(whole.clone())).contains("time: Some"));
        // So that each line comes to lie across the end of a buffer of 64 KiB once.
        for before in (65_000..65_536).step_by(7) {
            let padded = format!("{}\n{text}", " ".repeat(before));
            let history = way.read(&padded).expect("blank lines are passed over");
            assert_eq!(history.operations.len(), 60);
            assert_eq!(history.operations.get(0).expect("an operation").invoked.line, 2);
            assert_eq!(history.counts, whole.counts);
            let all =
                |history: &History| history.operations.iter().map(|op| format!("{op}")).collect::<Vec<_>>();
            assert_eq!(all(&history), all(&whole));
        }
    }
}
