//! How a plan is drawn from its seed.

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
/// How long the quiet between two faults lasts.
const QUIET_MS: std::ops::RangeInclusive<u64> = 1_000..=4_000;
/// One fault in so many is joined by one of another sort that overlaps it.
const OVERLAP_ONE_IN: u32 = 4;

/// Draws the faults of a run: the same seed, cluster size, length and choice of faults give the same plan.
#[must_use]
pub fn plan(seed: u64, nodes: u64, time_limit: Duration, nemeses: &Nemeses) -> Schedule {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(FAULT_STREAM);
    let time_limit_ms = millis(time_limit);
    let pace = Pace { time_limit_ms };
    let mut deck = Deck::new(nodes, nemeses);
    let mut faults: Vec<Planned> = Vec::new();
    let end = time_limit_ms.saturating_sub(pace.scaled(CALM_END_MS));
    let mut at_ms = pace.scaled(WARM_UP_MS);
    while let Some(fault) = deck.draw(&mut rng, |_| true) {
        let duration_ms = pace.scaled(rng.random_range(FAULT_MS));
        let mut over = at_ms + duration_ms;
        if over > end {
            break;
        }
        let first = fault.kind();
        faults.push(timed(at_ms, duration_ms, fault));
        // Two of a sort would heal each other.
        let may_join = |kind: Kind| kind.sort() != first.sort() && !kind.is_alone() && !first.is_alone();
        if rng.random_ratio(1, OVERLAP_ONE_IN)
            && let Some(fault) = deck.draw(&mut rng, may_join)
        {
            let at_ms = rng.random_range(at_ms..=over);
            let duration_ms = pace.scaled(rng.random_range(FAULT_MS));
            if at_ms + duration_ms <= end {
                over = over.max(at_ms + duration_ms);
                faults.push(timed(at_ms, duration_ms, fault));
            }
        }
        at_ms = over + pace.scaled(rng.random_range(QUIET_MS));
    }
    faults.sort_by_key(|planned| planned.at_ms);
    Schedule::of(seed, nodes, time_limit, faults)
}

fn timed(at_ms: u64, duration_ms: u64, fault: Fault) -> Planned {
    Planned { at_ms, duration_ms: Some(duration_ms), number: 0, fault }
}

struct Pace {
    time_limit_ms: u64,
}

impl Pace {
    fn scaled(&self, ms: u64) -> u64 {
        if self.time_limit_ms >= FULL_PACE_MS { ms } else { (ms * self.time_limit_ms / FULL_PACE_MS).max(1) }
    }
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
        let one = plan(42, 5, MINUTE, &Nemeses::all());
        assert_eq!(one, plan(42, 5, MINUTE, &Nemeses::all()));
        assert_ne!(one.plan, plan(43, 5, MINUTE, &Nemeses::all()).plan);
    }

    #[test]
    fn every_family_and_every_leader_fault_comes_up() {
        for seed in 0..20 {
            let plan = plan(seed, 5, 5 * MINUTE, &Nemeses::all());
            let kinds: BTreeSet<Kind> = plan.faults().iter().map(|planned| planned.fault.kind()).collect();
            let all = Kind::ALL.iter().filter(|kind| !kind.is_by_name_only()).count();
            assert_eq!(kinds.len(), all, "seed {seed}: {kinds:?}");
        }
        let long = plan(1, 5, Duration::from_secs(3_600), &Nemeses::all());
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Kill(Kill(Victims::All)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Pause(Pause(Victims::Leader)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Partition(Partition::Inbound(_)))));
        assert!(long.faults().iter().any(|p| matches!(&p.fault, Fault::Members(Members(Victims::Leader)))));
    }

    #[test]
    fn only_chosen_faults_come_up_and_none_means_none() {
        let chosen = Nemeses::parse("halves,pause").unwrap();
        for planned in plan(3, 5, MINUTE, &chosen).faults() {
            assert!(
                matches!(planned.fault, Fault::Pause(_) | Fault::Partition(Partition::Halves(_))),
                "{planned:?}"
            );
        }
        assert!(plan(3, 5, MINUTE, &Nemeses::none()).faults().is_empty());
        assert!(Nemeses::parse("kill,quake").unwrap_err().contains("quake"));
    }

    #[test]
    fn faults_of_a_sort_never_overlap_and_all_end_before_the_calm() {
        for (seed, nodes, secs) in [(1, 1, 60), (2, 2, 60), (3, 3, 5), (4, 5, 600), (5, 7, 1), (6, 9, 60)] {
            let plan = plan(seed, nodes, Duration::from_secs(secs), &Nemeses::all());
            assert!(!plan.faults().is_empty(), "seed {seed}");
            for sort in [Sort::Processes, Sort::Links, Sort::Verbs] {
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
}
