//! Reading survives anything, and what is written is read back.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::generate::{Dice, Plan, Workload, generate};
use checker::history::{Keys, Writer};
use checker::{
    CheckOptions, Event, Format, History, Kind, Model, ModelName, ModelOptions, Process, ReadOptions, Value,
};
use proptest::prelude::*;

fn written(history: &History, format: Format, keys: Keys) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).keys(keys);
    for event in history.events() {
        writer.write(&event).expect("a vector takes all");
    }
    writer.into_inner()
}

/// A value of any kind, as EDN has them.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::float),
        any::<String>().prop_map(|text| Value::string(&text)),
        "[a-z][a-z0-9./-]{0,8}".prop_map(|text| Value::keyword(&text)),
        "[a-z!?*][a-z0-9]{0,8}x".prop_map(|text| Value::Symbol(text.into())),
        any::<char>().prop_filter("printable", |c| c.is_alphanumeric()).prop_map(Value::Char),
        "[1-9][0-9]{19,30}".prop_map(|text| Value::Big(text.into())),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::vector),
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| Value::List(items.into())),
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::set),
            prop::collection::btree_map(inner.clone(), inner.clone(), 0..4)
                .prop_map(|map| Value::map(map.into_iter().collect())),
            ("[a-z]{1,5}", inner)
                .prop_map(|(tag, value)| Value::Tagged(std::sync::Arc::new((tag.into(), value)))),
        ]
    })
}

/// A small valid history as text.
fn valid(seed: u64, format: Format) -> Vec<u8> {
    let plan = Plan { operations: 12, unknown: 100, ..Plan::new(Workload::KeyValue, seed) };
    written(&generate(&plan).history(), format, Keys::Member)
}

/// What histories are made of.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "#{",
    "#_",
    "#tag ",
    ";",
    "\n",
    "\t",
    " ",
    ",",
    ":",
    "\"",
    "\\",
    "\\u12",
    "{:process 0 :type :invoke :f :read}\n",
    "{:process 0, :type :ok, :f :read, :value nil}",
    ":process",
    ":type",
    ":invoke",
    ":ok",
    ":info",
    ":fail",
    ":f",
    ":read",
    ":write",
    ":enqueue",
    ":dequeue",
    ":add",
    ":cas",
    ":nemesis",
    "{\"process\":1,\"type\":\"invoke\",\"f\":\"add\",\"value\":3}\n",
    "{\"process\":1,\"type\":\"ok\",\"f\":\"add\"",
    "\"process\":",
    "\"type\":",
    "\"f\":",
    "\"value\":",
    "\"key\":",
    "null",
    "nil",
    "true",
    "0",
    "-1",
    "1e9",
    "1N",
    "##Inf",
    "0\t:invoke\t:write\t4\n",
    "0\t:ok\t:write\t4\n",
    "INFO  x - 3\t:info\t:cas\t[1 2]\n",
    "99999999999999999999",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_is_written_is_read_back(seed: u64, edn: bool) {
        let plan = Plan { operations: 40, unknown: 100, ..Plan::new(Workload::KeyValue, seed) };
        let history = generate(&plan).history();
        let format = if edn { Format::Edn } else { Format::JsonLines };
        let back = History::read(&*written(&history, format, Keys::Member), "h", &ReadOptions::default());
        let back = back.expect("what we wrote");
        prop_assert_eq!(back.format, Some(format));
        prop_assert_eq!(&back.operations, &history.operations);
        let tuples = History::read(&*written(&history, Format::Edn, Keys::Tuple), "h", &ReadOptions::default());
        let tuples = tuples.expect("what we wrote");
        prop_assert!(tuples.has_key_tuples());
        prop_assert_eq!(tuples.independent().expect("tuples").operations, history.operations);
    }

    #[test]
    fn every_edn_value_is_read_back(value in values()) {
        let text = value.to_string();
        let back = Value::from_edn(&text);
        prop_assert_eq!(back.map_err(|error| error.to_string()), Ok(value), "{}", text);
    }

    #[test]
    fn json_of_a_value_is_json(value in values()) {
        let text = value.to_json();
        // What was no JSON (a keyword, a key that is not a string) has become some, and stays as it is.
        let ours = Value::from_json(&text).expect("JSON");
        prop_assert_eq!(Value::from_json(&ours.to_json()).expect("JSON"), ours);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn readers_survive_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [None, Some(Format::Edn), Some(Format::JsonLines), Some(Format::LogLines)] {
            let _ = History::read(&*bytes, "h", &ReadOptions { format, ..ReadOptions::default() });
        }
    }

    #[test]
    fn readers_survive_what_looks_like_a_history(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        let text = pieces.concat();
        for format in [None, Some(Format::Edn), Some(Format::JsonLines), Some(Format::LogLines)] {
            if let Ok(history) = History::read(text.as_bytes(), "h", &ReadOptions { format, ..ReadOptions::default() }) {
                // What was accepted is a history: it can be judged, or says what does not fit.
                for name in ModelName::ALL {
                    if let Ok(model) = Model::new(name, &ModelOptions::default(), &history) {
                        let _ = model.check(&history, &CheckOptions::default());
                    }
                }
            }
        }
    }

    #[test]
    fn readers_survive_damaged_histories(seed: u64, kind in 0_usize..3, damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        let format = [Format::Edn, Format::JsonLines, Format::LogLines][kind];
        let mut text = valid(seed, format);
        let mut dice = Dice::new(seed);
        for (place, byte) in damage {
            // What is left of a short text may be nothing.
            let at = usize::from(place) % text.len().max(1);
            match dice.below(4) {
                _ if text.is_empty() => text.push(byte),
                0 => text[at] = byte,
                1 => text.truncate(at.max(1)),
                2 => drop(text.remove(at)),
                _ => text.insert(at, b"[]{}()\"\\#:,;_ \n"[usize::from(byte) % 15]),
            }
        }
        for format in [None, Some(format)] {
            if let Err(error) = History::read(&*text, "h", &ReadOptions { format, ..ReadOptions::default() }) {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(error.line <= text.split(|byte| *byte == b'\n').count() as u64);
            }
        }
    }
}

/// Names that are no keywords were once written as if they were.
#[test]
fn odd_names_are_read_back_or_refused() {
    for name in ["a b", "", ":x", "a]", "a\"b", "a;b", "tab\there", "line\nend", "é"] {
        let event = Event::new(1, Kind::Invoke, name, Value::Int(1));
        let mut nemesis = Event::new(1, Kind::Info, name, Value::Nil);
        nemesis.process = Process::Named("nemesis".into());
        for format in [Format::Edn, Format::JsonLines, Format::LogLines] {
            let mut writer = Writer::new(Vec::new(), format);
            let written = writer.write(&event).and_then(|()| writer.write(&nemesis));
            if format == Format::LogLines && (name.is_empty() || name.contains(['\t', '\n'])) {
                assert_eq!(
                    written.expect_err("refused").kind(),
                    std::io::ErrorKind::InvalidInput,
                    "{name:?}"
                );
                continue;
            }
            written.expect("a vector takes all");
            let back = History::read(
                &*writer.into_inner(),
                "h",
                &ReadOptions { format: Some(format), ..ReadOptions::default() },
            );
            let back = back.unwrap_or_else(|error| panic!("{format} {name:?}: {error}"));
            assert_eq!((&*back.operations.get(0).unwrap().f, &*back.annotations[0].1.f), (name, name));
        }
    }
}

/// A value at the end of a log line once lost what looks blank to Unicode.
#[test]
fn a_log_line_ends_where_its_line_ends() {
    let history =
        History::read("0\t:invoke\t:write\t:a\u{2003}\r\n".as_bytes(), "h", &ReadOptions::default());
    assert_eq!(history.expect("a line").operations.get(0).unwrap().input, Value::keyword("a\u{2003}"));
}
