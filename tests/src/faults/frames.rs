//! Whole messages between servers that are lost, doubled, swapped or damaged, where the protocol's frames are known. A server
//! must detect each one that was damaged.

use anyhow::bail;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::family::check_links;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::link::{FrameFaults, Traffic};
use crate::schedule::{LinkId, NodeId, all_links};

/// What these links carry meets faults, frame by frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    /// The links.
    pub links: Vec<LinkId>,
    /// How many frames in a thousand meet which fault.
    pub faults: FrameFaults,
}

fn hit(draw: &mut Drawing<'_>, kind: fn(u16) -> FrameFaults) -> Fault {
    let rate = draw.rng.random_range(5..=200);
    let seed = draw.rng.random_range(0..1_000_000);
    let all = draw.rng.random_ratio(1, 2);
    let links = if all { all_links(draw.nodes) } else { draw.a_third_of_the_links() };
    Frames { links, faults: FrameFaults { seed, ..kind(rate) } }.into()
}

const NONE: FrameFaults =
    FrameFaults { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, first: false, seed: 0 };

impl Family for Frames {
    const NAME: &'static str = "frames";
    const ABOUT: &'static str = "messages between servers that are lost, duplicated, reordered or corrupted";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "lose", least_nodes: 2, draw: |draw| hit(draw, |lost| FrameFaults { lost, ..NONE }) },
        Recipe {
            name: "duplicate",
            least_nodes: 2,
            draw: |draw| hit(draw, |duplicated| FrameFaults { duplicated, ..NONE }),
        },
        Recipe {
            name: "reorder",
            least_nodes: 2,
            draw: |draw| hit(draw, |reordered| FrameFaults { reordered, ..NONE }),
        },
        Recipe {
            name: "corrupt",
            least_nodes: 2,
            draw: |draw| hit(draw, |corrupted| FrameFaults { corrupted, first: true, ..NONE }),
        },
    ];
    type Held = ();

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        Some(&mut self.links)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if !(1..=1_000).contains(&self.faults.per_mille()) {
            return Err("of a thousand frames, 1 to 1000 must meet a fault".to_owned());
        }
        check_links(&self.links, nodes)
    }

    fn links(&self, _: &[NodeId], _: u64) -> Vec<LinkId> {
        self.links.clone()
    }

    fn words(&self, _: &str) -> String {
        let FrameFaults { lost, duplicated, reordered, corrupted, .. } = self.faults;
        let rates =
            [("lose", lost), ("duplicate", duplicated), ("reorder", reordered), ("corrupt", corrupted)];
        let rates = rates.into_iter().filter(|(_, rate)| *rate > 0);
        let what: Vec<String> = rates.map(|(what, rate)| format!("{what} {rate}")).collect();
        format!("{} of 1000 messages on {} links", what.join(", "), self.links.len())
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<()> {
        for (id, link) in on.links.iter().filter_map(|id| Some((id, scene.cluster.link(*id)?))) {
            if !link.hit_frames(Some(self.faults)) {
                bail!("the messages on {id} cannot be told apart: this protocol's frames are not known");
            }
        }
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, _: &mut Effect) {
        scene.each_link(&on.links, |link| {
            let _ = link.hit_frames(None);
        });
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        let Traffic { lost_frames, duplicated_frames, reordered_frames, corrupted_frames, .. } = traffic;
        lost_frames + duplicated_frames + reordered_frames + corrupted_frames > 0
    }
}
