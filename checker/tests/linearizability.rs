//! Verdicts against what is known: histories that are linearizable by construction, histories with one provable fault, and
//! a brute-force oracle that tries every order.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod oracle;

use oracle::small;

use checker::generate::{Plan, Workload, generate, history};
use checker::{
    Algorithm, CheckOptions, Event, History, Kind, Limits, Model, ModelName, ModelOptions, ReadOptions,
    Report, Unknown, Value, Verdict,
};
use proptest::prelude::*;
use std::time::Duration;

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Auto, Algorithm::Wgl, Algorithm::Linear, Algorithm::Competition];

fn check(workload: Workload, history: &History, algorithm: Algorithm) -> Report {
    let initial = (workload == Workload::Append).then(|| Value::string(""));
    let options = ModelOptions { initial, ..ModelOptions::default() };
    let model = Model::new(workload.model(), &options, history).expect("a suitable start");
    let limits = Limits { time: Duration::from_secs(20), ..Limits::default() };
    // The effort is bounded in steps, long before this; a busy machine must not change what is found.
    let explanation = Duration::from_secs(20);
    model
        .check(history, &CheckOptions { algorithm, limits, explanation, ..CheckOptions::default() })
        .expect("known operations")
}

fn verdict(report: &Report) -> Option<bool> {
    match &report.verdict {
        Verdict::Linearizable { .. } => Some(true),
        Verdict::NotLinearizable { .. } => Some(false),
        // What may as well never have happened contradicts nothing, by the definition; but nobody has looked at anything.
        Verdict::Unknown { reason: Unknown::NothingToCheck } if report.checked > 0 => Some(true),
        Verdict::Unknown { .. } => None,
    }
}

fn workloads() -> impl Strategy<Value = Workload> {
    proptest::sample::select(&Workload::ALL[..])
}

/// Whether the state keeps the order in which things came.
fn keeps_order(workload: Workload) -> bool {
    [
        Workload::Append,
        Workload::AppendList,
        Workload::Set,
        Workload::FifoQueue,
        Workload::UnorderedQueue,
        Workload::PriorityQueue,
        Workload::Stack,
    ]
    .contains(&workload)
}

prop_compose! {
    fn plans()(
        workload in workloads(),
        seed: u64,
        operations in 1_usize..120,
        clients in 1_usize..8,
        keys in 1_usize..4,
        values in prop_oneof![Just(0_u64), 1_u64..6],
        unknown in prop_oneof![Just(0_u64), 1_u64..100],
    ) -> Plan {
        // As many states as there are orders: keep few of them open.
        if keeps_order(workload) {
            let (operations, clients) = (operations.min(30), clients.min(3));
            Plan { workload, seed, operations, clients, keys, values, unknown: 0 }
        } else {
            Plan { workload, seed, operations, clients, keys, values, unknown }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_time: 20_000, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn histories_with_linearization_points_are_accepted(plan in plans()) {
        let generated = generate(&plan);
        let history = generated.history();
        prop_assert_eq!(history.operations.len(), plan.operations);
        for algorithm in ALGORITHMS {
            let report = check(plan.workload, &history, algorithm);
            // A plan may make nothing but failed operations.
            prop_assert!(verdict(&report) == Some(true) || report.checked == 0, "{algorithm}: {}", report.summary());
        }
    }

    #[test]
    fn one_change_that_cannot_be_is_refused(plan in plans(), choice: u64) {
        let plan = Plan { values: 0, ..plan };
        let Some(events) = generate(&plan).with_fault(choice) else { return Ok(()) };
        refused(plan.workload, &history(&events))?;
    }

    #[test]
    fn one_read_of_a_value_nobody_wrote_is_refused(plan in plans(), choice: u64) {
        let of_registers = [Workload::Register, Workload::CasRegister, Workload::KeyValue, Workload::WriteOnce];
        let workload = of_registers[usize::try_from(plan.seed % 4).expect("small")];
        let plan = Plan { workload, ..plan };
        let Some(events) = generate(&plan).with_phantom_read(choice) else { return Ok(()) };
        refused(plan.workload, &history(&events))?;
    }

    #[test]
    fn small_histories_are_judged_as_by_trying_every_order(seed: u64, workload in workloads(), unique: bool) {
        let history = history(&small(seed, workload, unique));
        let expected = oracle::linearizable(workload, &history);
        for algorithm in ALGORITHMS {
            let report = check(workload, &history, algorithm);
            if report.checked > 0 {
                prop_assert_eq!(verdict(&report), Some(expected), "{}: {}", algorithm, report.summary());
            }
        }
    }
}

/// Not linearizable by both algorithms, and what they call a conflict is one by the oracle's measure: those operations
/// alone, everything else optional, still have no order.
fn refused(workload: Workload, history: &History) -> Result<(), TestCaseError> {
    for algorithm in ALGORITHMS {
        let report = check(workload, history, algorithm);
        let Verdict::NotLinearizable { explanation } = &report.verdict else {
            return Err(TestCaseError::fail(format!("{algorithm}: {}", report.summary())));
        };
        // Strings that are appended in any order are as many states as there are orders: not each call is tried.
        // Each call is tried where an attempt is cheap: by the usual algorithms, and where states are few.
        let few = !keeps_order(workload) && workload != Workload::MultiRegister;
        let cheap = matches!(algorithm, Algorithm::Auto | Algorithm::Wgl) && few;
        prop_assert!(explanation.minimal || !cheap, "{}", explanation.render(history));
        prop_assert!(!explanation.conflict.is_empty());
        // Where optional operations do not make states without end, the judge has an answer.
        let few = matches!(workload, Workload::Register | Workload::CasRegister | Workload::KeyValue);
        prop_assert!(explanation.confirmed || !few, "{}", explanation.render(history));
        if explanation.prefix_complete && !explanation.ends.is_empty() {
            let known = |end: &checker::End| explanation.states.contains(&end.state);
            prop_assert!(
                !explanation.states_complete || explanation.ends.iter().all(known),
                "{}",
                explanation.render(history)
            );
        }
        let only = history.operations.only(&explanation.conflict);
        prop_assert!(!workload.has_keys() || only.iter().all(|op| op.key == explanation.key));
        if only.len() <= 6 {
            let alone = History { operations: only, ..History::default() };
            prop_assert!(!oracle::linearizable(workload, &alone), "{}", explanation.render(history));
        }
    }
    Ok(())
}

#[test]
fn the_oracle_sees_both_verdicts_often() {
    for workload in Workload::ALL {
        let linearizable = |seed| oracle::linearizable(workload, &history(&small(seed, workload, false)));
        let good = (0..400).filter(|seed| linearizable(*seed)).count();
        assert!((40..390).contains(&good), "{workload:?}: {good} of 400");
    }
}

#[test]
fn thousands_of_small_histories_agree_with_the_oracle() {
    // More on demand: PLUMBLINE_ORACLE_CASES=1000000 cargo test -p checker --release agree_with_the_oracle
    let cases = std::env::var("PLUMBLINE_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok());
    for seed in 0..cases.unwrap_or(20_000) {
        let unique = seed % 2 == 0;
        let workload = Workload::ALL[usize::try_from(seed / 2).expect("small") % Workload::ALL.len()];
        let history = history(&small(seed, workload, unique));
        let expected = oracle::linearizable(workload, &history);
        for algorithm in ALGORITHMS {
            let report = check(workload, &history, algorithm);
            assert!(
                report.checked == 0 || verdict(&report) == Some(expected),
                "seed {seed}, {workload:?}, unique {unique}, {algorithm}: {}",
                report.summary()
            );
        }
    }
}

#[test]
fn what_nil_reads_and_failed_cas_say_is_an_option() {
    use checker::{FailedCas, NilReads};
    let pair = Value::vector([Value::Int(0), Value::Int(1)]);
    let failed_cas = history(
        &[Event::new(0, Kind::Invoke, "cas", pair.clone()), Event::new(0, Kind::Fail, "cas", pair)]
            .map(|event| event.at_time(1)),
    );
    let nil_read = history(&[
        Event::new(0, Kind::Invoke, "read", Value::Nil),
        Event::new(0, Kind::Ok, "read", Value::Nil),
    ]);
    let judge = |history: &History, nil_reads, failed_cas| {
        let options = ModelOptions { initial: Some(Value::Int(0)), nil_reads, failed_cas };
        let model = Model::new(ModelName::CasRegister, &options, history).expect("a suitable start");
        verdict(&model.check(history, &CheckOptions::default()).expect("known operations"))
    };
    // Dropped, both say nothing: there is nothing to check.
    assert_eq!(judge(&failed_cas, NilReads::Auto, FailedCas::Drop), None);
    assert_eq!(judge(&failed_cas, NilReads::Auto, FailedCas::Auto), None);
    assert_eq!(judge(&failed_cas, NilReads::Auto, FailedCas::Observe), Some(false));
    assert_eq!(judge(&nil_read, NilReads::Any, FailedCas::Auto), None);
    assert_eq!(judge(&nil_read, NilReads::Auto, FailedCas::Auto), None);
    assert_eq!(judge(&nil_read, NilReads::Value, FailedCas::Auto), Some(false));
}

/// All clients append at once and the last read cannot be: every order of the appends is another state.
fn hard() -> History {
    let mut events = Vec::new();
    for client in 0..24 {
        events.push(Event::new(client, Kind::Invoke, "append", Value::string(&format!("{client} "))));
    }
    for client in 0..24 {
        events.push(Event::new(client, Kind::Ok, "append", Value::string(&format!("{client} "))));
    }
    events.push(Event::new(99, Kind::Invoke, "get", Value::Nil));
    events.push(Event::new(99, Kind::Ok, "get", Value::string("nobody wrote this")));
    history(&events.into_iter().map(|event| event.on_key(Value::Int(1))).collect::<Vec<_>>())
}

fn unknown(limits: Limits) -> checker::Unknown {
    let history = hard();
    let model =
        Model::new(ModelName::KeyValue, &ModelOptions::default(), &history).expect("a suitable start");
    let options = CheckOptions { limits, ..CheckOptions::default() };
    match model.check(&history, &options).expect("known operations").verdict {
        Verdict::Unknown { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_time_limit_holds() {
    let start = std::time::Instant::now();
    let limits = Limits { time: Duration::from_millis(500), ..Limits::default() };
    let checker::Unknown::Time(undecided) = unknown(limits) else { panic!("out of time") };
    assert!(undecided[0].progress.configurations > 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_memory_limit_holds() {
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    assert!(matches!(unknown(limits), checker::Unknown::Memory(_)));
}

#[test]
fn a_check_can_be_cancelled() {
    let limits = Limits::default();
    let cancel = limits.cancel.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || cancel.store(true, std::sync::atomic::Ordering::Relaxed));
        assert!(matches!(unknown(limits), checker::Unknown::Cancelled(_)));
    });
}

/// Two prunings, each sound alone, once made this illegal: a dead write is placed just before the next write, and an optional
/// write that changes nothing is not tried. Here the second is what hides the first.
#[test]
fn a_write_of_unknown_outcome_may_hide_one_that_nobody_saw() {
    let keyed = r#"{"process":0,"type":"invoke","f":"delete","key":"k","value":null}
{"process":1,"type":"invoke","f":"put","key":"k","value":9}
{"process":2,"type":"invoke","f":"cas","key":"k","value":[null,5]}
{"process":2,"type":"ok","f":"cas","key":"k","value":[null,5]}
{"process":1,"type":"ok","f":"put","key":"k","value":9}
{"process":3,"type":"invoke","f":"get","key":"k","value":null}
{"process":3,"type":"ok","f":"get","key":"k","value":5}
{"process":0,"type":"info","f":"delete","key":"k","value":null}
"#;
    let nil = r#"{"process":0,"type":"invoke","f":"write","value":null}
{"process":1,"type":"invoke","f":"write","value":9}
{"process":2,"type":"invoke","f":"cas","value":[null,5]}
{"process":2,"type":"ok","f":"cas","value":[null,5]}
{"process":1,"type":"ok","f":"write","value":9}
{"process":3,"type":"invoke","f":"read","value":null}
{"process":3,"type":"ok","f":"read","value":5}
{"process":0,"type":"info","f":"write","value":null}
"#;
    let zero = r#"{"process":9,"type":"invoke","f":"write","value":0}
{"process":9,"type":"ok","f":"write","value":0}
{"process":0,"type":"invoke","f":"write","value":0}
{"process":1,"type":"invoke","f":"write","value":9}
{"process":2,"type":"invoke","f":"cas","value":[0,5]}
{"process":2,"type":"ok","f":"cas","value":[0,5]}
{"process":1,"type":"ok","f":"write","value":9}
{"process":3,"type":"invoke","f":"read","value":null}
{"process":3,"type":"ok","f":"read","value":5}
{"process":0,"type":"info","f":"write","value":0}
"#;
    for (text, name) in
        [(keyed, ModelName::KeyValue), (nil, ModelName::CasRegister), (zero, ModelName::CasRegister)]
    {
        let history = History::read(text.as_bytes(), "history", &ReadOptions::default()).unwrap();
        let model = Model::new(name, &ModelOptions::default(), &history).unwrap();
        for algorithm in [Algorithm::Auto, Algorithm::Wgl] {
            let report =
                model.check(&history, &CheckOptions { algorithm, ..CheckOptions::default() }).unwrap();
            assert_eq!(verdict(&report), Some(true), "{algorithm:?}: {text}");
        }
    }
}

/// Many writes that may have landed or not, few values, and near the end a read of a value that nobody wrote: which of the
/// writes were used must not matter. (Porcupine gives no answer in 60 s.)
#[test]
fn many_lost_writes_are_no_reason_to_try_all_of_their_combinations() {
    let plan = Plan {
        operations: 1_000,
        clients: 10,
        values: 5,
        unknown: 50,
        ..Plan::new(Workload::CasRegister, 1)
    };
    let mut events = generate(&plan).events;
    let read =
        events.iter().rposition(|event| event.kind == Kind::Ok && &*event.f == "read").expect("a read");
    events[read].value = Value::Int(99);
    let report = check(Workload::CasRegister, &history(&events), Algorithm::Wgl);
    assert_eq!(verdict(&report), Some(false), "{}", report.summary());
}
