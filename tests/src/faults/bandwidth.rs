//! Links that are narrow.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::family::check_links;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::link::Traffic;
use crate::schedule::{LinkId, NodeId, all_links};

/// Through these links only so much passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// The narrow links.
    pub links: Vec<LinkId>,
    /// Bytes a second, for each.
    pub bytes_per_second: u64,
}

fn narrow(links: Vec<LinkId>, draw: &mut Drawing<'_>) -> Fault {
    Bandwidth { links, bytes_per_second: draw.rng.random_range(1_000..=30_000) }.into()
}

impl Family for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const ABOUT: &'static str = "links that are narrow";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe {
            name: "narrow-some",
            least_nodes: 2,
            draw: |draw| narrow(draw.a_third_of_the_links(), draw),
        },
        Recipe { name: "narrow-all", least_nodes: 2, draw: |draw| narrow(all_links(draw.nodes), draw) },
    ];
    type Held = ();

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        Some(&mut self.links)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if self.bytes_per_second == 0 {
            return Err(
                "a bandwidth is at least 1 byte a second; a \"partition\" lets nothing pass".to_owned()
            );
        }
        check_links(&self.links, nodes)
    }

    fn links(&self, _: &[NodeId], _: u64) -> Vec<LinkId> {
        self.links.clone()
    }

    fn words(&self, _: &str) -> String {
        format!("let {} bytes a second through each of {} links", self.bytes_per_second, self.links.len())
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<()> {
        scene.each_link(&on.links, |link| link.narrow(Some(self.bytes_per_second)));
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, _: &mut Effect) {
        scene.each_link(&on.links, |link| link.narrow(None));
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        traffic.throttled_bytes > 0
    }
}
