//! Links that are slow to take in a connection. Those that there are are reset once, so that new ones are needed.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::family::check_links;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::link::Traffic;
use crate::schedule::{LinkId, NodeId, all_links};

/// The longest delay that may be asked for, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// New connections over these links wait before anybody reads what comes over them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowAccept {
    /// The links.
    pub links: Vec<LinkId>,
    /// For how long, in milliseconds.
    pub delay_ms: u64,
}

fn late(links: Vec<LinkId>, draw: &mut Drawing<'_>) -> Fault {
    SlowAccept { links, delay_ms: draw.rng.random_range(100..=3_000) }.into()
}

impl Family for SlowAccept {
    const NAME: &'static str = "slow-accept";
    const ABOUT: &'static str = "connections that are reset once, and whose successors are taken in late";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "late-some", least_nodes: 2, draw: |draw| late(draw.a_third_of_the_links(), draw) },
        Recipe { name: "late-all", least_nodes: 2, draw: |draw| late(all_links(draw.nodes), draw) },
    ];
    type Held = ();

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        Some(&mut self.links)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if !(1..=MAX_DELAY_MS).contains(&self.delay_ms) {
            return Err(format!("a connection waits for 1 to {MAX_DELAY_MS} ms"));
        }
        check_links(&self.links, nodes)
    }

    fn links(&self, _: &[NodeId], _: u64) -> Vec<LinkId> {
        self.links.clone()
    }

    fn words(&self, _: &str) -> String {
        format!("take in connections over {} links {} ms late", self.links.len(), self.delay_ms)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<()> {
        let delay = Duration::from_millis(self.delay_ms);
        scene.each_link(&on.links, |link| {
            link.accept_late(Some(delay));
            link.reset();
        });
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, _: &mut Effect) {
        scene.each_link(&on.links, |link| link.accept_late(None));
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        traffic.late_connections > 0
    }
}
