//! Connections that are reset, again and again. What was on its way is lost with them.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::family::check_links;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::link::{Link, Traffic};
use crate::schedule::{LinkId, NodeId, all_links};

/// The shortest time between two resets.
const LEAST_MS: u64 = 10;

/// The connections of these links are reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resets {
    /// The links.
    pub links: Vec<LinkId>,
    /// The time between two resets, in milliseconds.
    pub every_ms: u64,
}

fn reset(links: Vec<LinkId>, draw: &mut Drawing<'_>) -> Fault {
    Resets { links, every_ms: draw.rng.random_range(50..=1_000) }.into()
}

impl Family for Resets {
    const NAME: &'static str = "resets";
    const ABOUT: &'static str = "connections between servers that are reset (RST) again and again";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "reset-some", least_nodes: 2, draw: |draw| reset(draw.a_third_of_the_links(), draw) },
        Recipe { name: "reset-all", least_nodes: 2, draw: |draw| reset(all_links(draw.nodes), draw) },
    ];
    /// What resets.
    type Held = AbortOnDropHandle<()>;

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        Some(&mut self.links)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if self.every_ms < LEAST_MS {
            return Err(format!("between two resets there are at least {LEAST_MS} ms"));
        }
        check_links(&self.links, nodes)
    }

    fn links(&self, _: &[NodeId], _: u64) -> Vec<LinkId> {
        self.links.clone()
    }

    fn words(&self, _: &str) -> String {
        format!("reset the connections of {} links every {} ms", self.links.len(), self.every_ms)
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        _: &mut Effect,
    ) -> anyhow::Result<AbortOnDropHandle<()>> {
        let (cluster, links) = (Arc::clone(scene.cluster), on.links.clone());
        let period = Duration::from_millis(self.every_ms);
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                links.iter().filter_map(|id| cluster.link(*id)).for_each(Link::reset);
                tokio::time::sleep(period).await;
            }
        })))
    }

    async fn heal(&self, held: AbortOnDropHandle<()>, _: &Scene<'_>, _: &Targets, _: &mut Effect) {
        held.abort();
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        traffic.reset_connections > 0
    }
}
