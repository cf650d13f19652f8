//! How a plan is drawn from its seed.

use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Fault, Kind, Nemeses, NodeId, Planned, Recipe, Schedule, Shape, Sort, Victims, all_links};
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
        faults.push(Planned { at_ms, duration_ms, fault });
        // Two of a sort would heal each other.
        let may_join = |kind: Kind| kind.sort() != first.sort() && !kind.is_alone() && !first.is_alone();
        if rng.random_ratio(1, OVERLAP_ONE_IN)
            && let Some(fault) = deck.draw(&mut rng, may_join)
        {
            let at_ms = rng.random_range(at_ms..=over);
            let duration_ms = pace.scaled(rng.random_range(FAULT_MS));
            if at_ms + duration_ms <= end {
                over = over.max(at_ms + duration_ms);
                faults.push(Planned { at_ms, duration_ms, fault });
            }
        }
        at_ms = over + pace.scaled(rng.random_range(QUIET_MS));
    }
    faults.sort_by_key(|planned| planned.at_ms);
    Schedule { seed, nodes, time_limit_ms, faults }
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
    families: Vec<(Kind, Vec<Recipe>, Vec<Recipe>)>,
    turn: Vec<Kind>,
}

impl Deck {
    fn new(nodes: u64, nemeses: &Nemeses) -> Deck {
        let mut families: Vec<(Kind, Vec<Recipe>, Vec<Recipe>)> = Vec::new();
        for recipe in &nemeses.recipes {
            let kind = recipe.kind();
            // One server has no links, and nobody to hand over to or to leave behind.
            if nodes < 2 && kind.sort() != Sort::Processes && kind != Kind::Compact {
                continue;
            }
            match families.iter_mut().find(|(known, ..)| *known == kind) {
                Some((_, recipes, _)) => recipes.push(*recipe),
                None => families.push((kind, vec![*recipe], Vec::new())),
            }
        }
        Deck { nodes, families, turn: Vec::new() }
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng, wanted: impl Fn(Kind) -> bool) -> Option<Fault> {
        if !self.turn.iter().any(|kind| wanted(*kind)) {
            self.turn.extend(self.families.iter().map(|(kind, ..)| *kind).filter(|kind| wanted(*kind)));
            self.turn.shuffle(rng);
        }
        let position = self.turn.iter().position(|kind| wanted(*kind))?;
        let kind = self.turn.remove(position);
        let (_, recipes, left) = self.families.iter_mut().find(|(known, ..)| *known == kind)?;
        if left.is_empty() {
            left.clone_from(recipes);
            left.shuffle(rng);
        }
        let recipe = left.pop()?;
        Some(recipe.cook(self.nodes, rng))
    }
}

impl Recipe {
    fn kind(self) -> Kind {
        match self {
            Recipe::KillOne
            | Recipe::KillMinority
            | Recipe::KillMajority
            | Recipe::KillAll
            | Recipe::KillLeader => Kind::Kill,
            Recipe::PauseOne | Recipe::PauseLeader | Recipe::PauseMinority => Kind::Pause,
            Recipe::Halves
            | Recipe::IsolateLeader
            | Recipe::IsolateOne
            | Recipe::OneWayPair
            | Recipe::LeaderMute
            | Recipe::LeaderDeaf => Kind::Partition,
            Recipe::SlowSome | Recipe::SlowAll => Kind::Latency,
            Recipe::TransferAnywhere => Kind::Transfer,
            Recipe::CompactSome | Recipe::CompactAll => Kind::Compact,
            Recipe::RemoveOne | Recipe::RemoveLeader => Kind::Members,
        }
    }

    fn cook(self, nodes: u64, rng: &mut ChaCha8Rng) -> Fault {
        let majority = nodes / 2 + 1;
        let minority = (nodes - majority).max(1);
        let leader = |rng: &mut ChaCha8Rng| Victims::Leader { otherwise: rng.random_range(1..=nodes) };
        let some = |count: u64, rng: &mut ChaCha8Rng| Victims::Nodes(pick(nodes, count, rng));
        match self {
            Recipe::KillOne => Fault::Kill(some(1, rng)),
            Recipe::KillMinority => Fault::Kill(some(minority, rng)),
            Recipe::KillMajority => Fault::Kill(some(majority, rng)),
            Recipe::KillAll => Fault::Kill(Victims::Nodes((1..=nodes).collect())),
            Recipe::KillLeader => Fault::Kill(leader(rng)),
            Recipe::PauseOne => Fault::Pause(some(1, rng)),
            Recipe::PauseLeader => Fault::Pause(leader(rng)),
            Recipe::PauseMinority => Fault::Pause(some(minority, rng)),
            Recipe::Halves => Fault::Partition(Shape::Halves(pick(nodes, minority, rng))),
            Recipe::IsolateLeader => Fault::Partition(Shape::Isolate(leader(rng))),
            Recipe::IsolateOne => Fault::Partition(Shape::Isolate(some(1, rng))),
            Recipe::OneWayPair => {
                let links = all_links(nodes);
                let count = rng.random_range(1..=(links.len() / 3).max(1));
                Fault::Partition(Shape::OneWay(sample(&links, count, rng)))
            }
            Recipe::LeaderMute => Fault::Partition(Shape::Outbound(leader(rng))),
            Recipe::LeaderDeaf => Fault::Partition(Shape::Inbound(leader(rng))),
            Recipe::SlowSome | Recipe::SlowAll => {
                let links = all_links(nodes);
                let count = if self == Recipe::SlowAll { links.len() } else { (links.len() / 3).max(1) };
                let delay_ms = rng.random_range(30..=300);
                let jitter_ms = rng.random_range(0..=delay_ms);
                Fault::Latency { links: sample(&links, count, rng), delay_ms, jitter_ms }
            }
            Recipe::TransferAnywhere => Fault::Transfer(rng.random_range(1..=nodes)),
            Recipe::CompactSome => Fault::Compact(some(majority, rng)),
            Recipe::CompactAll => Fault::Compact(Victims::Nodes((1..=nodes).collect())),
            Recipe::RemoveOne => Fault::Members(some(1, rng)),
            Recipe::RemoveLeader => Fault::Members(leader(rng)),
        }
    }
}

fn pick(nodes: u64, count: u64, rng: &mut ChaCha8Rng) -> Vec<NodeId> {
    let everyone: Vec<NodeId> = (1..=nodes).collect();
    sample(&everyone, usize::try_from(count).unwrap_or(usize::MAX), rng)
}

fn sample<T: Copy + Ord>(all: &[T], count: usize, rng: &mut ChaCha8Rng) -> Vec<T> {
    let mut chosen: Vec<T> = all.sample(rng, count).copied().collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::LinkId;
    use super::*;
    use std::collections::BTreeSet;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let one = plan(42, 5, MINUTE, &Nemeses::all());
        assert_eq!(one, plan(42, 5, MINUTE, &Nemeses::all()));
        assert_ne!(one.faults, plan(43, 5, MINUTE, &Nemeses::all()).faults);
    }

    #[test]
    fn a_plan_survives_being_written_down() {
        let one = plan(7, 5, MINUTE, &Nemeses::all());
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(one, serde_json::from_str(&text).unwrap());
    }

    #[test]
    fn every_family_and_every_leader_fault_comes_up() {
        for seed in 0..20 {
            let plan = plan(seed, 5, MINUTE, &Nemeses::all());
            let kinds: BTreeSet<Kind> = plan.faults.iter().map(|planned| planned.fault.kind()).collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}: {kinds:?}");
        }
        let long = plan(1, 5, Duration::from_secs(3_600), &Nemeses::all());
        assert!(
            long.faults.iter().any(|p| matches!(&p.fault, Fault::Kill(Victims::Nodes(n)) if n.len() == 5))
        );
        assert!(long.faults.iter().any(|p| matches!(&p.fault, Fault::Pause(Victims::Leader { .. }))));
        assert!(long.faults.iter().any(|p| matches!(&p.fault, Fault::Partition(Shape::Inbound(_)))));
        assert!(long.faults.iter().any(|p| matches!(&p.fault, Fault::Members(Victims::Leader { .. }))));
    }

    #[test]
    fn only_chosen_faults_come_up_and_none_means_none() {
        let chosen = Nemeses::parse("halves,pause").unwrap();
        for planned in plan(3, 5, MINUTE, &chosen).faults {
            assert!(
                matches!(planned.fault, Fault::Pause(_) | Fault::Partition(Shape::Halves(_))),
                "{planned:?}"
            );
        }
        assert!(plan(3, 5, MINUTE, &Nemeses::none()).faults.is_empty());
        assert!(Nemeses::parse("kill,quake").unwrap_err().contains("quake"));
    }

    #[test]
    fn faults_of_a_sort_never_overlap_and_all_end_before_the_calm() {
        for (seed, nodes, secs) in [(1, 1, 60), (2, 2, 60), (3, 3, 5), (4, 5, 600), (5, 7, 1), (6, 9, 60)] {
            let plan = plan(seed, nodes, Duration::from_secs(secs), &Nemeses::all());
            assert!(!plan.faults.is_empty(), "seed {seed}");
            for sort in [Sort::Processes, Sort::Links, Sort::Verbs] {
                let mut free_at = 0;
                for p in plan.faults.iter().filter(|p| p.fault.kind().sort() == sort) {
                    assert!(p.at_ms >= free_at, "seed {seed}: {p:?} starts before {free_at}");
                    free_at = p.at_ms + p.duration_ms;
                    assert!(free_at < secs * 1_000, "seed {seed}: {p:?}");
                }
            }
            for alone in plan.faults.iter().filter(|p| p.fault.kind().is_alone()) {
                let overlap = |p: &&Planned| {
                    p.at_ms < alone.at_ms + alone.duration_ms && alone.at_ms < p.at_ms + p.duration_ms
                };
                assert_eq!(plan.faults.iter().filter(overlap).count(), 1, "seed {seed}: {alone:?}");
            }
        }
    }

    #[test]
    fn partitions_cut_exactly_the_links_they_name() {
        let link = |from, to| LinkId { from, to };
        let halves = Shape::Halves(vec![1, 2]).links(3, None);
        assert_eq!(halves, [link(1, 3), link(2, 3), link(3, 1), link(3, 2)]);
        let mute = Shape::Outbound(Victims::Leader { otherwise: 1 });
        assert_eq!(mute.links(3, Some(2)), [link(2, 1), link(2, 3)]);
        assert_eq!(mute.links(3, None), [link(1, 2), link(1, 3)]);
        let deaf = Shape::Inbound(Victims::Nodes(vec![3])).links(3, Some(2));
        assert_eq!(deaf, [link(1, 3), link(2, 3)]);
        assert_eq!(Shape::Isolate(Victims::Nodes(vec![1])).links(3, None).len(), 4);
    }
}
