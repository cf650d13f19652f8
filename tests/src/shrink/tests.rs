//! The minimiser against artificial systems: pure functions of the schedule, with chance from a seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::schedule::{Fault, Nemeses, Pace, Planned, Step, Victims, plan};

const EFFORT: Effort = Effort { attempts: 15, needed: 3, most_runs: 3_000 };

fn minute(seed: u64) -> Schedule {
    // A ring needs four servers, so that it would be the smallest of its kind.
    let nemeses = Nemeses::parse("kill,pause,halves,isolate,one-way,flapping,latency,compact").unwrap();
    let made = plan(seed, 5, Duration::from_secs(120), &nemeses, Pace::default());
    let options = ["--keys=5", "--concurrency=10", "--rate=300"].map(str::to_owned).to_vec();
    Schedule { options, ..made }
}

fn option(schedule: &Schedule, name: &str) -> u64 {
    let prefix = format!("--{name}=");
    schedule.options.iter().find_map(|option| option.strip_prefix(&prefix)).unwrap().parse().unwrap()
}

/// Whether a fault of this family lasts so long and hits so many by name.
fn has(schedule: &Schedule, family: &str, least_ms: u64) -> bool {
    schedule.faults().iter().any(|planned| {
        planned.fault.kind().name() == family
            && planned.duration_ms.unwrap() >= least_ms
            && planned.at_ms + least_ms <= schedule.time_limit_ms
    })
}

/// Fails in two of three runs if there are a long kill and a long partition, three servers, two keys and three clients.
fn is_ill(schedule: &Schedule) -> bool {
    has(schedule, "kill", 400)
        && has(schedule, "partition", 300)
        && schedule.nodes >= 3
        && option(schedule, "keys") >= 2
        && option(schedule, "concurrency") >= 3
}

fn shrink(schedule: Schedule, effort: Effort, trial: &mut dyn Trial) -> Shrunk {
    Shrinker::new(schedule, effort, trial, &mut |_| {}).run().unwrap()
}

#[test]
fn a_chancy_failure_shrinks_to_just_what_it_needs() {
    for seed in 1..=10 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let start = minute(seed);
        assert!(start.faults().len() > 10 && is_ill(&start), "seed {seed}");
        let mut trial = |schedule: &Schedule| Ok(Some(is_ill(schedule) && rng.random_ratio(2, 3)));
        let found = shrink(start, EFFORT, &mut trial);
        let small = found.kept.last().unwrap();
        assert!(found.complete && is_ill(small), "seed {seed}");
        assert_eq!(small.faults().len(), 2, "seed {seed}: {small:?}");
        assert_eq!(
            (small.nodes, option(small, "keys"), option(small, "concurrency")),
            (3, 2, 3),
            "seed {seed}"
        );
        assert!(small.time_limit_ms < 10_000, "seed {seed}: {}", small.time_limit_ms);
        for planned in small.faults() {
            let least = if planned.fault.kind().name() == "kill" { 400 } else { 300 };
            assert!(planned.duration_ms.unwrap() < 2 * least, "seed {seed}: {planned:?}");
            let hit = planned.fault.victims().map_or(1, |victims| match victims {
                Victims::Nodes(named) => named.len(),
                Victims::All | Victims::Majority => 2,
                _ => 1,
            });
            assert_eq!(hit, 1, "seed {seed}: {planned:?}");
        }
        assert!(small.options.contains(&"--rate=300".to_owned()), "what is not shrunk stays");
        assert_eq!(small.check(), Ok(()), "seed {seed}");
    }
}

#[test]
fn what_fails_without_any_fault_loses_all_of_them() {
    let found = shrink(minute(3), EFFORT, &mut |_: &Schedule| Ok(Some(true)));
    assert!(found.kept.last().unwrap().faults().is_empty());
    assert_eq!((found.kept.last().unwrap().nodes, found.kept.last().unwrap().time_limit_ms), (1, 1_000));
}

#[test]
fn a_candidate_that_fails_too_seldom_is_not_kept() {
    // One in four with a kill alone, always with both: seven of eight are hardly reached by one in four.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let effort = Effort { attempts: 8, needed: 7, ..EFFORT };
    let mut trial = |schedule: &Schedule| {
        let kill = has(schedule, "kill", 100);
        Ok(Some(kill && (has(schedule, "pause", 100) || rng.random_ratio(1, 4))))
    };
    let found = shrink(minute(5), effort, &mut trial);
    let kinds: Vec<&str> =
        found.kept.last().unwrap().faults().iter().map(|planned| planned.fault.kind().name()).collect();
    assert!(kinds.len() == 2 && kinds.contains(&"kill") && kinds.contains(&"pause"), "{kinds:?}");
}

#[test]
fn when_the_runs_are_used_up_or_it_is_stopped_the_best_so_far_remains() {
    let effort = Effort { most_runs: 40, ..EFFORT };
    let found = shrink(minute(2), effort, &mut |schedule: &Schedule| Ok(Some(is_ill(schedule))));
    assert!(!found.complete && found.runs == 40 && is_ill(found.kept.last().unwrap()), "{}", found.runs);
    let mut left = 5;
    let mut trial = |schedule: &Schedule| {
        left -= 1;
        Ok((left > 0).then(|| is_ill(schedule)))
    };
    let found = shrink(minute(2), EFFORT, &mut trial);
    assert!(!found.complete && is_ill(found.kept.last().unwrap()));
}

#[test]
fn what_was_kept_by_luck_is_given_up_for_the_last_one_that_still_fails() {
    let kept: Vec<Schedule> = (1..=5).map(|seed| Schedule { seed, ..minute(1) }).collect();
    let whole = Rate { failed: 3, runs: 4 };
    let settled = |good: u64| {
        let measure =
            |schedule: &Schedule| Ok(Rate { failed: u32::from(schedule.seed <= good) * 2, runs: 4 });
        settle(kept.clone(), whole, 2, measure).unwrap().map(|(schedule, rate)| (schedule.seed, rate.failed))
    };
    assert_eq!(settled(5), Some((5, 2)));
    assert_eq!(settled(3), Some((3, 2)));
    assert_eq!(settled(0), Some((1, 3)), "the whole one, as it was measured");
}

#[test]
fn combinators_shrink_too() {
    let text = r#"{"sequence": [
        {"until": {"condition": "leader"}},
        {"flip-flop": [{"wait-ms": 500}, {"inject": {"duration_ms": 900, "fault": {"pause": "leader"}}}]},
        {"every": {"period_ms": 100, "step": {"parallel": [
            {"inject": {"duration_ms": 900, "fault": {"kill": "all"}}},
            {"inject": {"duration_ms": 900, "fault": {"compact": "all"}}}]}}}]}"#;
    let plan: Step = serde_json::from_str(text).unwrap();
    let start = Schedule { plan, ..minute(1) };
    let mut trial = |schedule: &Schedule| Ok(Some(has(schedule, "kill", 1)));
    let found = shrink(start, EFFORT, &mut trial);
    let faults: Vec<&Planned> = found.kept.last().unwrap().faults();
    assert_eq!(faults.len(), 1);
    assert!(matches!(&faults[0].fault, Fault::Kill(kill) if kill.0 == Victims::Random(1)), "{faults:?}");
    let text = serde_json::to_string(&found.kept.last().unwrap().plan).unwrap();
    assert!(!text.contains("flip-flop") && !text.contains("until"), "{text}");
}
