//! Disks that read wrong: a server is killed and started while single bits are flipped on their way to it. It must notice,
//! and may refuse to start; but what looks like a write that was torn by the crash no server can tell from one, so that
//! this is more than a correct one survives.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Effect, Family, Kind, Recipe, Scene, Sort, Targets, Usability, disks};
use crate::cluster::ClusterOptions;
use crate::disk::{DiskCounts, When};
use crate::schedule::Victims;

/// These servers are killed and started on disks that flip bits; healed by a start on sound ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFlip {
    /// Whose.
    pub victims: Victims,
    /// How often a read comes back with one bit flipped.
    pub when: When,
}

impl Family for DiskFlip {
    const NAME: &'static str = "disk-flip";
    const ABOUT: &'static str = "kill -9 and a start on a disk that flips bits on reads";
    const SORT: Sort = Sort::Processes;
    const BY_NAME_ONLY: bool = true;
    const RECIPES: &'static [Recipe] = &[Recipe {
        name: "disk-flip-one",
        least_nodes: 1,
        draw: |draw| {
            let when = When::PerMillion(draw.rng.random_range(50_000..=1_000_000));
            DiskFlip { victims: draw.some(1), when }.into()
        },
    }];
    type Held = Vec<DiskCounts>;

    fn usable() -> Usability {
        disks::usable()
    }

    fn prepare(&self, options: &mut ClusterOptions) -> anyhow::Result<()> {
        disks::prepare(options)
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn words(&self, whom: &str) -> String {
        format!("start {whom} anew on a disk that flips bits on reads")
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        _: &mut Effect,
    ) -> anyhow::Result<Vec<DiskCounts>> {
        disks::let_fall(Kind::DiskFlip, scene, on).await?;
        let before = disks::change(scene, on, |faults| faults.flip = Some(self.when)).await?;
        for (node, _) in disks::hit(scene, on)? {
            if matches!(node.fallen().await, Ok(None)) {
                node.kill().await?;
                node.start().await?;
            }
        }
        Ok(before)
    }

    async fn heal(&self, held: Vec<DiskCounts>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let done = disks::change_back(&held, scene, on, effect, |faults| faults.flip = None).await;
        effect.effective = done.flipped_bits > 0;
        super::start_unexcused(Kind::DiskFlip, scene, on, effect).await;
    }
}
