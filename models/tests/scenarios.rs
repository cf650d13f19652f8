//! The published scenarios have the published number of states, and both searches agree on them.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use models::{
    Bounds, Engine, Kind, Options, Report, Set, Verdict, Witness, check, explore, scenario, scenario_table,
    scenarios,
};

fn with(engine: Engine, symmetric: bool) -> Options {
    Options { engine, symmetric, threads: 2, ..Options::default() }
}

fn search(name: &str, options: &Options) -> Report {
    check(scenario(name).expect("a known scenario"), options, |_| {}).expect("sensible bounds")
}

#[test]
fn the_test_set_is_exhausted_with_the_published_number_of_states() {
    let (mut counted, mut published) = (Vec::new(), Vec::new());
    for scenario in scenarios().iter().filter(|scenario| scenario.set == Set::Test) {
        let report = search(scenario.name, &with(Engine::Stateright, true));
        println!("{:16} {:8} states {:5.1} s", scenario.name, report.unique_states, report.seconds);
        assert_eq!(report.verdict, Verdict::Holds, "{report:#?}");
        assert!(report.exhausted);
        if let Some(settling) = report.settling {
            assert_eq!(settling.states, report.unique_states, "every state was asked");
            assert!((1..=u64::from(scenario.bounds.settles)).contains(&settling.longest), "{settling:?}");
        }
        assert_eq!(report.settling.is_some(), scenario.bounds.settles > 0);
        assert_eq!(report.histories.is_some(), scenario.bounds.clients);
        assert!(report.histories.is_none_or(|judged| judged > 5), "{:?}", report.histories);
        counted.push((scenario.name, Some(report.unique_states)));
        published.push((scenario.name, scenario.states));
    }
    assert_eq!(counted, published);
}

/// `BLESS=1` writes the table anew.
#[test]
fn the_documentation_has_every_scenario_and_claims_no_count_that_is_missing() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/SCENARIOS.md");
    let table = scenario_table();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &table).expect("it can be written");
    }
    let published = std::fs::read_to_string(file).expect("the table is there");
    let stale = table.lines().zip(published.lines()).find(|(now, then)| now != then);
    assert_eq!(stale, None, "BLESS=1 cargo test -p models --test scenarios");
    assert_eq!(table, published);
    for scenario in scenarios() {
        assert_eq!(scenario.states.is_none(), scenario.set == Set::Open, "{}", scenario.name);
    }
    let nightly = scenarios().iter().filter(|scenario| scenario.set <= Set::Nightly);
    assert!(nightly.filter_map(|scenario| scenario.states).sum::<u64>() >= 100_000_000);
}

#[test]
fn both_searches_agree_with_symmetry_and_without() {
    for name in [
        "single",
        "base-t2",
        "duplicate",
        "learner",
        "replace",
        "snapshots",
        "snapshot-joins",
        "forwarded-crash",
        "register",
    ] {
        for symmetric in [true, false] {
            let one = search(name, &with(Engine::Stateright, symmetric));
            let other = search(name, &with(Engine::Layered, symmetric));
            assert_eq!(one.unique_states, other.unique_states, "{name} {symmetric}");
            assert_eq!(one.generated_states, other.generated_states, "{name} {symmetric}");
            assert_eq!(one.findings, other.findings, "{name} {symmetric}");
            assert_eq!(
                (one.settling, one.histories),
                (other.settling, other.histories),
                "{name} {symmetric}"
            );
            assert!(one.exhausted && other.exhausted);
            println!("{name} symmetric {symmetric}: {} states", one.unique_states);
        }
    }
}

#[test]
fn a_search_that_was_cut_short_is_no_pass() {
    for engine in [Engine::Stateright, Engine::Layered] {
        for threads in [1, 2] {
            let plain = Options { threads, ..with(engine, true) };
            let limits = [
                Options { max_states: Some(1000), ..plain.clone() },
                Options { time_limit: Some(Duration::ZERO), ..plain.clone() },
                Options { max_memory: Some(1), ..plain.clone() },
            ];
            for options in limits {
                let report = search("base-t4", &options);
                assert!(!report.exhausted, "{options:?}");
                assert!(report.stopped_by.is_some());
                assert_eq!(report.verdict, Verdict::Unknown);
                assert!(report.unique_states < 1_000_000);
            }
        }
    }
}

#[test]
fn what_is_never_reached_is_a_violation() {
    // With one server nothing is ever truncated.
    let bounds = Bounds { servers: 1, ..Bounds::SMALLEST };
    let wanted = [Witness::Elected, Witness::Truncated];
    for engine in [Engine::Stateright, Engine::Layered] {
        let report = explore("alone", bounds, &wanted, &with(engine, true), |_| {}).expect("sensible bounds");
        assert!(report.exhausted);
        assert_eq!(report.verdict, Verdict::Violated);
        let missing: Vec<_> = report.findings.iter().filter(|f| f.verdict == Verdict::Violated).collect();
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].kind, missing[0].name), (Kind::Sometimes, Witness::Truncated.name()));
    }
}

#[test]
fn election_timeouts_are_counted() {
    let bounds = scenario("base-t2").expect("a known scenario").bounds;
    for engine in [Engine::Stateright, Engine::Layered] {
        let within = |settles: u8| {
            let mut bounds = bounds;
            bounds.settles = settles;
            explore("timeouts", bounds, &[], &with(engine, true), |_| {}).expect("sensible bounds")
        };
        let longest = within(8).settling.expect("liveness is asked about").longest;
        let in_time = within(longest as u8);
        assert_eq!((in_time.verdict, in_time.exhausted), (Verdict::Holds, true));
        let report = within(longest as u8 - 1);
        let story = report.counterexample.expect("one less is not enough");
        assert_eq!((report.verdict, story.law.as_str()), (Verdict::Violated, "liveness"));
        assert!(!story.afterwards.is_empty());
        // Where it is not asked about, nothing is said about it.
        let report = within(0);
        assert_eq!((report.settling, report.verdict), (None, Verdict::Holds));
        assert!(report.findings.iter().all(|finding| finding.name != "liveness"));
    }
}

#[test]
fn bounds_out_of_range_are_named() {
    let refused = |bounds: Bounds| bounds.check().expect_err("out of range").to_string();
    assert_eq!(
        refused(Bounds { servers: 9, ..Bounds::SMALLEST }),
        "bound `servers` is 9, but must lie in 1..=5"
    );
    assert!(refused(Bounds { in_flight: 0, ..Bounds::SMALLEST }).contains("`in_flight`"));
    assert!(scenarios().iter().all(|scenario| scenario.bounds.check().is_ok()));
}
