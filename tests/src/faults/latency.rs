//! Links whose bytes arrive later, in order.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::family::check_links;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::link::{self, Traffic};
use crate::schedule::{LinkId, NodeId, all_links};

/// The longest delay that may be asked for, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// What these links carry arrives later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The slow links.
    pub links: Vec<LinkId>,
    /// The delay added to every chunk, in milliseconds.
    pub delay_ms: u64,
    /// The most by which the delay varies up or down, in milliseconds.
    #[serde(default)]
    pub jitter_ms: u64,
}

fn slow(links: Vec<LinkId>, draw: &mut Drawing<'_>) -> Fault {
    let delay_ms = draw.rng.random_range(30..=300);
    let jitter_ms = draw.rng.random_range(0..=delay_ms);
    Latency { links, delay_ms, jitter_ms }.into()
}

impl Family for Latency {
    const NAME: &'static str = "latency";
    const ABOUT: &'static str = "links that are slow";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "slow-some", least_nodes: 2, draw: |draw| slow(draw.a_third_of_the_links(), draw) },
        Recipe { name: "slow-all", least_nodes: 2, draw: |draw| slow(all_links(draw.nodes), draw) },
    ];
    type Held = ();

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        Some(&mut self.links)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if self.delay_ms.max(self.jitter_ms) > MAX_DELAY_MS {
            return Err(format!("a delay is at most {MAX_DELAY_MS} ms"));
        }
        check_links(&self.links, nodes)
    }

    fn links(&self, _: &[NodeId], _: u64) -> Vec<LinkId> {
        self.links.clone()
    }

    fn words(&self, _: &str) -> String {
        format!("slow {} links by {}±{} ms", self.links.len(), self.delay_ms, self.jitter_ms)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<()> {
        let latency = link::Latency {
            delay: Duration::from_millis(self.delay_ms),
            jitter: Duration::from_millis(self.jitter_ms),
        };
        scene.each_link(&on.links, |link| link.slow(Some(latency)));
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, _: &mut Effect) {
        scene.each_link(&on.links, |link| link.slow(None));
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        traffic.delayed_bytes > 0
    }
}
