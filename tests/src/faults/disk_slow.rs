//! Disks whose syncs take long.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, disks};
use crate::cluster::ClusterOptions;
use crate::disk::DiskCounts;
use crate::schedule::Victims;

/// The longest delay that may be asked for, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// Every sync on the disks of these servers takes this much longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSlow {
    /// Whose.
    pub victims: Victims,
    /// By how much, in milliseconds.
    pub delay_ms: u64,
}

fn slow(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    DiskSlow { victims, delay_ms: draw.rng.random_range(20..=400) }.into()
}

impl Family for DiskSlow {
    const NAME: &'static str = "disk-slow";
    const ABOUT: &'static str = "a disk whose syncs take long";
    const SORT: Sort = Sort::Disks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "disk-slow-one", least_nodes: 1, draw: |draw| slow(draw.some(1), draw) },
        Recipe { name: "disk-slow-leader", least_nodes: 1, draw: |draw| slow(Victims::Leader, draw) },
        Recipe {
            name: "disk-slow-majority",
            least_nodes: 1,
            draw: |draw| slow(draw.some(draw.majority()), draw),
        },
    ];
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

    fn check(&self, nodes: u64) -> Result<(), String> {
        if self.delay_ms > MAX_DELAY_MS {
            return Err(format!("a sync is slowed down by {MAX_DELAY_MS} ms at most"));
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("slow the syncs of {whom} by {} ms", self.delay_ms)
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        _: &mut Effect,
    ) -> anyhow::Result<Vec<DiskCounts>> {
        disks::change(scene, on, |faults| faults.slow_sync_ms = self.delay_ms).await
    }

    async fn heal(&self, held: Vec<DiskCounts>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let done = disks::change_back(&held, scene, on, effect, |faults| faults.slow_sync_ms = 0).await;
        effect.effective = done.slowed_syncs > 0;
    }
}
