//! Histories: what is read, and what is refused and where.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use checker::{
    Algorithm, CheckError, CheckOptions, Format, History, Kind, Model, ModelName, ModelOptions, Outcome,
    Problem, Process, ReadError, ReadOptions, Unknown, Value, Verdict,
};

fn read(text: &str) -> Result<History, ReadError> {
    History::read(text.as_bytes(), "h", &ReadOptions::default())
}

fn error(text: &str) -> String {
    read(text).map(|_| ()).expect_err(text).to_string()
}

/// JSON lines without quotes around the names: `p t f v`.
fn lines(events: &[(i64, &str, &str, &str)]) -> String {
    let line = |(process, kind, f, value): &(i64, &str, &str, &str)| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    events.iter().map(line).collect()
}

#[test]
fn what_is_malformed_is_refused_with_line_column_and_what_was_expected() {
    let cases: &[(&str, &str)] = &[
        ("", "h:1:1: no events: expected a history, found an empty file"),
        ("  ; nothing\n", "h:1:1: no events"),
        ("<html>", "h:1:1: expected a history: EDN, JSON lines or Jepsen's log lines, found `<`"),
        (
            "\u{feff}{}",
            "h:1:1: expected a history: EDN, JSON lines or Jepsen's log lines, found a byte order mark",
        ),
        // JSON lines
        ("{\"process\":0", "h:1:13: expected `,` or `}`, found the end of the line"),
        ("{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n{\"process\":", "h:2:12: expected a value"),
        ("{\"process\":0,\"type\":\"begin\",\"f\":\"read\"}", "h:1:21: expected a type"),
        ("{\"process\":0,\"f\":\"read\"}", "h:1:1: expected an event with \"type\""),
        ("{\"process\":0.5,\"type\":\"ok\"}", "h:1:12: expected a whole number, found `0.5`"),
        (
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"} x",
            "h:1:42: expected the end of the line, found `x`",
        ),
        ("{\"process\":0,\"type\":\"invoke\",\"f\":\"a", "h:1:36: expected `\"` at the end of the string"),
        (
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"r\",\"value\":[1,}",
            "h:1:49: expected a value, found `}`",
        ),
        // EDN
        ("[{:process 0, :type :invoke, :f :read", "h:1:38: expected a value, found the end of the file"),
        (
            "[{:process 0, :type :invoke, :f :read}",
            "h:1:39: expected an event or `]`, found the end of the file",
        ),
        ("{:process 0\n :type :begin, :f :read}", "h:2:8: expected a type: :invoke, :ok, :fail or :info"),
        ("{:process 0, :type :invoke}", "h:1:1: expected an event with :f, found none"),
        ("{:process 0, :type}", "h:1:19: expected a value, found `}`"),
        ("[{:process 0, :type :invoke, :f :read :value 1x}]", "h:1:46: expected a number, found `1x`"),
        ("[{:process 0, :type :invoke, :f :read :value \"x", "h:1:48: expected `\"`"),
        ("[{:process 0, :type :invoke, :f :read)]", "h:1:38: expected a value, found `)`"),
        ("[1]", "h:1:2: expected an event, `{…}`, found `1`"),
        // Log lines
        ("INFO  jepsen.util - 2\t:invoke\t:write\t4\n3\t:began\t:read\tnil", "h:2:3: expected a type"),
        ("0\t:invoke\tread\tnil", "h:1:11: expected the name of an operation"),
        ("x\t:invoke\t:read\tnil", "h:1:1: expected"),
        ("0\t:invoke\t:cas\t[1 2", "h:1:20: expected a value or `]`"),
    ];
    for (text, expected) in cases {
        let error = if text.starts_with('x') {
            let options = ReadOptions { format: Some(Format::LogLines), ..ReadOptions::default() };
            History::read(text.as_bytes(), "h", &options).map(|_| ()).expect_err(text).to_string()
        } else {
            error(text)
        };
        assert!(error.starts_with(expected), "{text}\n  expected {expected}\n  found    {error}");
    }
}

#[test]
fn what_cannot_have_happened_is_refused_where_it_shows() {
    let invoke = |process| (process, "invoke", "read", "null");
    let ok = |process| (process, "ok", "read", "1");
    let timed = |times: &[(i64, i64, &str)]| -> String {
        let line = |(time, process, kind): &(i64, i64, &str)| {
            format!("{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"read\"}}\n")
        };
        times.iter().map(line).collect()
    };
    let indexed = |index: [i64; 2]| -> String {
        let line = |(process, index): (usize, &i64)| {
            format!("{{\"index\":{index},\"process\":{process},\"type\":\"invoke\",\"f\":\"read\"}}\n")
        };
        index.iter().enumerate().map(line).collect()
    };
    let cases = [
        (lines(&[ok(3)]), "h:1:1: completion without invocation: process 3"),
        (
            lines(&[invoke(0), ok(0), ok(0)]),
            "h:3:1: duplicate completion: process 0's operation invoked on line 1",
        ),
        (
            lines(&[invoke(0), invoke(1), invoke(0)]),
            "h:3:1: two open operations of one process: process 0 invoked",
        ),
        (
            lines(&[invoke(0), (0, "info", "read", "null"), invoke(0)]),
            "h:3:1: two open operations of one process",
        ),
        (
            lines(&[invoke(0), (0, "ok", "write", "1")]),
            "h:2:1: completion of `write` where process 0 has `read`",
        ),
        (timed(&[(5, 0, "invoke"), (4, 0, "ok")]), "h:2:1: time runs backwards: 4 ns after 5 ns on line 1"),
        (
            timed(&[(5, 0, "invoke"), (4, 1, "invoke")]),
            "h:2:1: time runs backwards: 4 ns after 5 ns on line 1",
        ),
        (indexed([4, 4]), "h:2:1: index 4 after index 4"),
        (indexed([4, 2]), "h:2:1: index 2 after index 4"),
    ];
    for (text, expected) in cases {
        let error = error(&text);
        assert!(error.starts_with(expected), "{text}\n  expected {expected}\n  found    {error}");
    }
    // Jepsen's recorders of old disagree by a millisecond between processes, never within one.
    let edn = |time, process, kind| format!("{{:time {time} :process {process} :type :{kind} :f :read}}\n");
    assert!(read(&(edn(2_000_000, 0, "invoke") + &edn(1_000_000, 1, "invoke"))).is_ok());
    assert!(read(&(edn(2_000_000_000, 0, "invoke") + &edn(1_000_000, 1, "invoke"))).is_err());
    assert!(read(&(edn(2_000_000, 0, "invoke") + &edn(1_999_999, 0, "ok"))).is_err());
    let other_key = "{:process 0 :type :invoke :f :read :key 1} {:process 0 :type :ok :f :read :key 2}";
    assert!(matches!(read(other_key).expect_err("refused").problem, Problem::WrongKey { .. }));
}

#[test]
fn an_operation_the_specification_does_not_know_is_refused_with_its_line() {
    let history =
        read(&lines(&[(0, "invoke", "read", "null"), (1, "invoke", "explode", "null")])).expect("a history");
    for name in ModelName::ALL {
        let model = Model::new(name, &ModelOptions::default(), &history).expect("a start");
        let error = model.check(&history, &CheckOptions::default()).map(|_| ()).expect_err("refused");
        let CheckError::Unfit { unfit, .. } = &error else { panic!("{error}") };
        assert!(unfit.line <= 2, "{error}");
    }
    let short = read(&lines(&[(0, "invoke", "cas", "[1]")])).expect("a history");
    let model = Model::new(ModelName::CasRegister, &ModelOptions::default(), &short).expect("a start");
    let error = model.check(&short, &CheckOptions::default()).map(|_| ()).expect_err("refused");
    assert_eq!(error.to_string(), "h: line 1: `cas` of process 0: expected cas of [from to], found cas [1]");
}

#[test]
fn a_history_that_says_nothing_is_no_pass() {
    let history =
        read(&lines(&[(0, "invoke", "read", "null"), (0, "fail", "read", "null")])).expect("a history");
    let model = Model::new(ModelName::Register, &ModelOptions::default(), &history).expect("a start");
    let report = model.check(&history, &CheckOptions::default()).expect("known operations");
    assert!(matches!(report.verdict, Verdict::Unknown { reason: Unknown::NothingToCheck }));
    assert!(report.summary().contains("checked operations: 0"), "{}", report.summary());
    // What may as well never have happened cannot contradict anything.
    for kind in ["fail", "info", "invoke"] {
        let mut events = vec![(0, "invoke", "write", "1"), (0, kind, "write", "1")];
        events.truncate(if kind == "invoke" { 1 } else { 2 });
        let history = read(&lines(&events)).expect("a history");
        for algorithm in Algorithm::ALL {
            let options = CheckOptions { algorithm, ..CheckOptions::default() };
            let report = model.check(&history, &options).expect("known operations");
            let nothing = matches!(report.verdict, Verdict::Unknown { reason: Unknown::NothingToCheck });
            assert!(nothing, "{kind}: {}", report.summary());
        }
    }
}

/// An answer that says no is not the success that its `ok` says; taken as one, a lock would have been held.
#[test]
fn what_was_refused_is_no_ok() {
    for (model, f, input) in [
        (ModelName::Mutex, "acquire", "null"),
        (ModelName::Mutex, "release", "null"),
        (ModelName::ReentrantMutex, "acquire", "null"),
        (ModelName::FifoQueue, "offer", "1"),
        (ModelName::UnorderedQueue, "enqueue", "1"),
        (ModelName::PriorityQueue, "enqueue", "1"),
        (ModelName::Stack, "push", "1"),
    ] {
        let history = read(&lines(&[(0, "invoke", f, input), (0, "ok", f, "false")])).expect("a history");
        let model = Model::new(model, &ModelOptions::default(), &history).expect("a start");
        let error = model.check(&history, &CheckOptions::default()).expect_err("refused").to_string();
        assert!(error.contains("line 2") && error.contains("ends as fail"), "{error}");
    }
    // But a queue may hold it.
    let history = read(&lines(&[(0, "invoke", "enqueue", "false"), (0, "ok", "enqueue", "false")]));
    let history = history.expect("a history");
    let model = Model::new(ModelName::FifoQueue, &ModelOptions::default(), &history).expect("a start");
    let report = model.check(&history, &CheckOptions::default()).expect("a good answer");
    assert!(matches!(report.verdict, Verdict::Linearizable { .. }), "{}", report.summary());
}

#[test]
fn edn_as_jepsen_writes_it_is_read() {
    let text = "; a comment\n#_ {:discarded true}\n({:index 0, :time 12, :type :invoke, :process 0, :f :cas, :value [1 2], :extra #{1}}
        #jepsen.history.Op{:type :info, :process :nemesis, :f :start, :value \"cut \\\"n1\\\"\"} ; fault
        {:type :fail :process 0 :f :cas :value [1 2] :error [:x \\a 1.5 2N #inst \"2020\" #_hidden -7]}
        {:type :invoke, :process 1, :f :read, :value nil})";
    let history = read(text).expect("EDN");
    assert_eq!(history.format, Some(Format::Edn));
    assert_eq!((history.counts.invoke, history.counts.fail, history.counts.open), (2, 1, 1));
    assert_eq!(history.annotations.len(), 1);
    let (line, nemesis) = &history.annotations[0];
    assert_eq!((*line, &nemesis.process, nemesis.kind), (4, &Process::nemesis(), Kind::Info));
    assert_eq!(nemesis.value, Value::string("cut \"n1\""));
    assert_eq!(history.operations.get(0).unwrap().outcome, Outcome::Fail);
    assert_eq!(history.operations.get(0).unwrap().input, Value::vector([Value::Int(1), Value::Int(2)]));
}

#[test]
fn jepsen_s_log_lines_are_read_and_other_lines_of_the_log_passed_over() {
    let text = "INFO  jepsen.core - Running test\nINFO  jepsen.util - 2\t:invoke\t:write\t4\n\
                INFO  jepsen.util - :nemesis\t:info\t:start\t\"cut\"\n2\t:info\t:write\t:timed-out\n";
    let history = read(text).expect("log lines");
    assert_eq!(history.format, Some(Format::LogLines));
    assert_eq!((history.operations.len(), history.annotations.len()), (1, 1));
    assert_eq!(history.operations.get(0).unwrap().invoked.line, 2);
    assert_eq!(history.operations.get(0).unwrap().outcome, Outcome::Info);
}

/// As pages and editors show them, and as they are then copied.
#[test]
fn log_lines_whose_tabs_became_spaces_are_read() {
    let tabs = "INFO  jepsen.core - Running test 4\nINFO  jepsen.util - 2\t:invoke\t:cas\t[1 [2 3]]\n\
                INFO  jepsen.util - :nemesis\t:info\t:start\t\"cut n1\"\n\
                2\t:info\t:cas\t[1 [2 3]]\t:timed-out, it says\n4\t:invoke\t:read\tnil\n4\t:ok\t:read\t\"a \\\" b\"\n\
                5\t:invoke\t:read\n";
    let expected = read(tabs).expect("log lines");
    for gap in [" ", "    ", " \t ", "\t "] {
        let text = tabs.replace('\t', gap);
        let history = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(history.format, Some(Format::LogLines));
        assert_eq!(history.operations, expected.operations, "{text}");
        assert_eq!(history.annotations, expected.annotations, "{text}");
    }
    assert_eq!((expected.operations.len(), expected.annotations.len()), (3, 1));
    for (text, wrong) in [
        ("2 :invoke write 4", "h:1:11: expected the name of an operation"),
        ("2   :began  :write 4", "h:1:5: expected a type"),
        ("0 :invoke :cas [1 2", "h:1:20: expected a value or `]`"),
        ("INFO  jepsen.util - 2  :invoke  :write  1x", "h:1:41: expected a number, found `1x`"),
        ("INFO  jepsen.util - x  :invoke  :write  1", "h:1:21: expected process"),
        ("INFO  a - 2 :invoke :write 1\nINFO  a - 2 :OK :write 1", "h:2:13: expected a type"),
        ("INFO  a - 2 :invoke :write 1\nINFO  a - x :fail :write 1", "h:2:11: expected process"),
    ] {
        assert!(error(text).starts_with(wrong), "{text}: {}", error(text));
    }
}

#[test]
fn independent_tuples_give_keys() {
    let text = "{:process 0 :type :invoke :f :write :value [:k 3]} {:process 0 :type :ok :f :write :value [:k 3]}
                {:process 1 :type :invoke :f :read :value [:j nil]} {:process 1 :type :ok :f :read :value [:j nil]}";
    let history = read(text).expect("EDN");
    assert!(history.has_key_tuples());
    let history = history.independent().expect("tuples");
    assert_eq!(history.operations.get(0).unwrap().key, Some(Value::keyword("k")));
    assert_eq!(history.operations.get(1).unwrap().input, Value::Nil);
}

#[test]
fn json_escapes_and_numbers_are_read() {
    let text = r#" { "value" : "aA\n\ud83d\ude00\"" , "f":"w\u0072ite","x\"y":{"a":[{}]}, "process":-2,"type":"invoke" } "#;
    let history = read(text).expect("JSON");
    assert_eq!(history.operations.get(0).unwrap().input, Value::string("aA\n😀\""));
    assert_eq!(
        (&*history.operations.get(0).unwrap().f, history.operations.get(0).unwrap().process),
        ("write", -2)
    );
    for (text, value) in [
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9223372036854775808", Value::Big("9223372036854775808".into())),
        ("1.5e3", Value::float(1500.0)),
        ("[true,false,null]", Value::vector([Value::Bool(true), Value::Bool(false), Value::Nil])),
    ] {
        assert_eq!(Value::from_json(text).expect(text), value);
    }
}

#[test]
fn nesting_is_bounded_not_the_stack() {
    for (open, value) in
        [("[", "[{:process 0 :type :invoke :f :read :value "), ("#_ ", ""), ("#a ", "[{:process ")]
    {
        let text = format!("{value}{}", open.repeat(1_000_000));
        assert!(
            History::read(
                text.as_bytes(),
                "h",
                &ReadOptions { format: Some(Format::Edn), ..ReadOptions::default() }
            )
            .is_err()
        );
    }
    let deep = format!("{{\"process\":0,\"type\":\"invoke\",\"f\":\"r\",\"value\":{}", "[".repeat(1_000_000));
    assert!(error(&deep).contains("beyond the limit: nesting"), "{}", error(&deep));
}

/// Each of these once passed without having been looked at.
#[test]
fn what_would_be_passed_over_is_refused() {
    let named = r#"{"process":"1","type":"invoke","f":"read","value":null}"#;
    assert!(error(named).contains("a process: a number, or nemesis"), "{}", error(named));
    assert!(error(r#"{"process":0,"type":"invoke","f":"write","value":"\ud800"}"#).contains("surrogate"));
    let large = |text: &str| {
        let event = format!(r#"{{"process":0,"type":"invoke","f":"write","value":{text}}}"#);
        read(&event).unwrap().operations.get(0).unwrap().input.clone()
    };
    assert_ne!(large("1e400"), large("1e500"));
    let unfit = |text: &str| {
        let history = read(text).unwrap();
        let model = Model::new(ModelName::CasRegister, &ModelOptions::default(), &history).unwrap();
        model.check(&history, &CheckOptions::default()).unwrap_err().to_string()
    };
    let mixed = r#"{"process":0,"type":"invoke","f":"write","key":"a","value":1}
{"process":0,"type":"ok","f":"write","key":"a","value":1}
{"process":0,"type":"invoke","f":"read","value":null}
{"process":0,"type":"ok","f":"read","value":7}
"#;
    assert!(unfit(mixed).contains("a key, like those before it"), "{}", unfit(mixed));
    let refused = r#"{"process":0,"type":"invoke","f":"cas","value":[1,2]}
{"process":0,"type":"ok","f":"cas","value":false}
"#;
    assert!(unfit(refused).contains("ends as fail"), "{}", unfit(refused));
}

/// Which of two members counted was once up to the reader, and a name with an escape in it was passed over.
#[test]
fn a_member_said_twice_is_refused_however_it_is_written() {
    for text in [
        r#"{"process":0,"type":"ok","f":"read","value":1,"value":2}"#,
        r#"{"process":0,"type":"ok","f":"read","value":1,"val\u0075e":2}"#,
        "{:process 0 :type :ok :f :read :value 1 :value 2}",
    ] {
        let error = error(text);
        assert!(error.contains("expected each member once, found another `"), "{error}");
    }
    let escaped = read(r#"{"process":0,"type":"invoke","f":"write","val\u0075e":2}"#).expect("JSON");
    assert_eq!(escaped.operations.get(0).unwrap().input, Value::Int(2));
}

#[test]
fn numbers_are_those_of_json() {
    for text in ["01", "-01", "1.", ".5", "1.e5", "1e", "1e400.5", "+1", "0x10", "1e5e5"] {
        assert!(Value::from_json(text).is_err(), "{text}");
    }
    for text in
        ["0", "-0", "10", "1.5", "1e5", "1E+5", "0.5e-3", "-1.25", "123456789012345678901234567890", "1e400"]
    {
        let value = Value::from_json(text).expect(text);
        assert_eq!(Value::from_json(&value.to_json()).expect(text), value, "{text}");
    }
}
