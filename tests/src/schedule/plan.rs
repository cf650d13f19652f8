//! How a plan is drawn from its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Fault, Kind, Nemeses, Planned, Schedule};
use crate::faults::{Drawing, Recipe};
use crate::units::millis;

/// The stream of the seed that faults are drawn from. Operations have streams of their own (see
/// [`crate::generator`]), so that a run without faults, or with others, performs the same operations.
const FAULT_STREAM: u64 = 1;

/// Runs of at least this length use the full pace; shorter ones shrink every time in proportion, so that a
/// five-second smoke run still meets several faults.
const FULL_PACE_MS: u64 = 20_000;
/// Quiet before the first fault: the cluster elects its first leader.
const WARM_UP_MS: u64 = 2_000;
/// Quiet after the last fault: clients see the cluster recover.
const CALM_END_MS: u64 = 3_000;
/// How long one fault lasts.
const FAULT_MS: std::ops::RangeInclusive<u64> = 1_000..=5_000;

/// How densely faults are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long it is quiet between a fault and the next one in its lane, in the mean (in runs under 20 s, less in proportion).
    pub interval: Duration,
    /// How many lanes of faults there are: at most so many at a time, each of another sort. Nobody survives only single faults.
    pub at_once: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval: Duration::from_millis(2_500), at_once: 2 }
    }
}

impl Pace {
    /// From two fifths of the mean to eight fifths.
    fn quiet_ms(&self, rng: &mut ChaCha8Rng) -> u64 {
        let fifth = millis(self.interval) / 5;
        rng.random_range(2 * fifth..=8 * fifth)
    }
}

/// Draws the faults of a run: the same seed, cluster size, length, pace and choice of faults give the same plan.
#[must_use]
pub fn plan(seed: u64, nodes: u64, time_limit: Duration, nemeses: &Nemeses, pace: Pace) -> Schedule {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FAULT_STREAM);
    let time_limit_ms = millis(time_limit);
    let scaled = |ms: u64| {
        if time_limit_ms >= FULL_PACE_MS { ms } else { (ms * time_limit_ms / FULL_PACE_MS).max(1) }
    };
    let end = time_limit_ms.saturating_sub(scaled(CALM_END_MS));
    let mut deck = Deck::new(nodes, nemeses);
    let mut faults: Vec<Planned> = Vec::new();
    // When each lane is free. They begin one after the other.
    let mut lanes = BinaryHeap::new();
    let mut begin = scaled(WARM_UP_MS);
    for _ in 0..pace.at_once {
        lanes.push(Reverse(begin));
        begin += scaled(pace.quiet_ms(&mut rng));
    }
    // Always in the lane that is free first: whatever is planned by then began earlier.
    while let Some(Reverse(free)) = lanes.pop() {
        let company: Vec<&Planned> = faults.iter().filter(|planned| over(planned) >= free).collect();
        // Two of a sort would heal each other.
        let joins = |kind: Kind| company.iter().all(|one| one.fault.kind().sort() != kind.sort());
        let Some(fault) = deck.draw(&mut rng, |kind| kind.is_alone() || joins(kind)) else {
            let Some(first) = company.iter().map(|one| over(one)).min() else { break };
            lanes.push(Reverse(first + 1));
            continue;
        };
        let is_alone = fault.kind().is_alone();
        let others = company.iter().map(|one| over(one) + 1).max().filter(|_| is_alone);
        let at_ms = others.unwrap_or(free);
        let duration_ms = scaled(rng.random_range(FAULT_MS));
        if at_ms + duration_ms > end {
            break;
        }
        faults.push(Planned { at_ms, duration_ms: Some(duration_ms), number: 0, fault });
        let next = Reverse(at_ms + duration_ms + scaled(pace.quiet_ms(&mut rng)).max(1));
        if is_alone {
            lanes = lanes.iter().map(|_| next).collect();
        }
        lanes.push(next);
    }
    faults.sort_by_key(|planned| planned.at_ms);
    Schedule::of(seed, nodes, time_limit, faults)
}

/// When a drawn fault ends.
fn over(planned: &Planned) -> u64 {
    planned.at_ms + planned.duration_ms.unwrap_or(0)
}

/// Families and, within each, recipes are dealt without replacement, so that even a short run meets each family and a
/// long one meets every recipe equally often.
struct Deck {
    nodes: u64,
    families: Vec<Family>,
    turn: Vec<Kind>,
}

struct Family {
    kind: Kind,
    recipes: Vec<&'static Recipe>,
    left: Vec<&'static Recipe>,
}

impl Deck {
    fn new(nodes: u64, nemeses: &Nemeses) -> Deck {
        let mut families: Vec<Family> = Vec::new();
        for (kind, recipe) in nemeses.recipes(nodes) {
            match families.iter_mut().find(|family| family.kind == kind) {
                Some(family) => family.recipes.push(recipe),
                None => families.push(Family { kind, recipes: vec![recipe], left: Vec::new() }),
            }
        }
        Deck { nodes, families, turn: Vec::new() }
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng, wanted: impl Fn(Kind) -> bool) -> Option<Fault> {
        if !self.turn.iter().any(|kind| wanted(*kind)) {
            self.turn.extend(self.families.iter().map(|family| family.kind).filter(|kind| wanted(*kind)));
            self.turn.shuffle(rng);
        }
        let position = self.turn.iter().position(|kind| wanted(*kind))?;
        let kind = self.turn.remove(position);
        let family = self.families.iter_mut().find(|family| family.kind == kind)?;
        if family.left.is_empty() {
            family.left.clone_from(&family.recipes);
            family.left.shuffle(rng);
        }
        let recipe = family.left.pop()?;
        Some((recipe.draw)(&mut Drawing::new(self.nodes, rng)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sort, Victims};
    use super::*;
    use crate::faults::kill::Kill;
    use crate::faults::members::Members;
    use crate::faults::partition::Partition;
    use crate::faults::pause::Pause;
    use std::collections::BTreeSet;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let one = plan(42, 5, MINUTE, &Nemeses::all(), Pace::default());
        assert_eq!(one, plan(42, 5, MINUTE, &Nemeses::all(), Pace::default()));
        assert_ne!(one.plan, plan(43, 5, MINUTE, &Nemeses::all(), Pace::default()).plan);
    }

    #[test]
    fn every_family_and_every_leader_fault_comes_up() {
        for seed in 0..20 {
            let plan = plan(seed, 5, 5 * MINUTE, &Nemeses::all(), Pace::default());
            let kinds: BTreeSet<Kind> = plan.faults().iter().map(|planned| planned.fault.kind()).collect();
            let all = Kind::ALL.iter().filter(|kind| !kind.is_by_name_only()).count();
            assert_eq!(kinds.len(), all, "seed {seed}: {kinds:?}");
        }
        let long = plan(1, 5, Duration::from_secs(3_600), &Nemeses::all(), Pace::default());
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Kill(Kill(Victims::All)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Pause(Pause(Victims::Leader)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Partition(Partition::Inbound(_)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Members(Members(Victims::Leader)))));
    }

    #[test]
    fn only_chosen_faults_come_up_and_none_means_none() {
        let chosen = Nemeses::parse("halves,pause").unwrap();
        for planned in plan(3, 5, MINUTE, &chosen, Pace::default()).faults() {
            assert!(
                matches!(planned.fault, Fault::Pause(_) | Fault::Partition(Partition::Halves(_))),
                "{planned:?}"
            );
        }
        assert!(plan(3, 5, MINUTE, &Nemeses::none(), Pace::default()).faults().is_empty());
        assert!(Nemeses::parse("kill,quake").unwrap_err().contains("quake"));
    }

    #[test]
    fn faults_of_a_sort_never_overlap_and_all_end_before_the_calm() {
        for (seed, nodes, secs) in [(1, 1, 60), (2, 2, 60), (3, 3, 5), (4, 5, 600), (5, 7, 1), (6, 9, 60)] {
            let pace = Pace { at_once: usize::try_from(seed).unwrap(), ..Pace::default() };
            let plan = plan(seed, nodes, Duration::from_secs(secs), &Nemeses::all(), pace);
            assert!(!plan.faults().is_empty(), "seed {seed}");
            for sort in [Sort::Processes, Sort::Links, Sort::Disks, Sort::Clocks, Sort::Verbs] {
                let mut free_at = 0;
                for p in plan.faults().iter().filter(|p| p.fault.kind().sort() == sort) {
                    assert!(p.at_ms >= free_at, "seed {seed}: {p:?} starts before {free_at}");
                    free_at = p.at_ms + p.duration_ms.unwrap();
                    assert!(free_at < secs * 1_000, "seed {seed}: {p:?}");
                }
            }
            for alone in plan.faults().iter().filter(|p| p.fault.kind().is_alone()) {
                let overlap = |p: &&&Planned| {
                    p.at_ms < alone.at_ms + alone.duration_ms.unwrap()
                        && alone.at_ms < p.at_ms + p.duration_ms.unwrap()
                };
                assert_eq!(plan.faults().iter().filter(overlap).count(), 1, "seed {seed}: {alone:?}");
            }
        }
    }

    #[test]
    fn as_many_faults_at_a_time_as_were_asked_for_and_no_more() {
        for at_once in 1..=5 {
            let pace = Pace { interval: Duration::from_millis(500), at_once };
            let plan = plan(11, 5, Duration::from_secs(3_600), &Nemeses::all(), pace);
            let at_a_time = |p: &&Planned| {
                plan.faults().iter().filter(|one| one.at_ms <= p.at_ms && over(one) >= p.at_ms).count()
            };
            let most = plan.faults().iter().map(at_a_time).max();
            assert_eq!(most, Some(at_once));
        }
        let count = |ms| {
            let pace = Pace { interval: Duration::from_millis(ms), ..Pace::default() };
            plan(11, 5, Duration::from_secs(600), &Nemeses::all(), pace).faults().len()
        };
        assert!(count(500) > 4 * count(20_000), "{} and {}", count(500), count(20_000));
    }
}
