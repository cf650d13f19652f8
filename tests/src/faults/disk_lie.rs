//! Disks that say yes to a sync and do nothing, until the power fails and shows it. No system that counts on its disks can promise
//! to survive that on a majority, and Raft does not even on a minority: who has acknowledged an entry and forgotten it may
//! vote for someone who lacks it.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets, Usability, disks, kill};
use crate::cluster::ClusterOptions;
use crate::disk::{DiskCounts, Loss};
use crate::schedule::Victims;

/// The disks of these servers lie, and their power is cut at the end of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLie(pub Victims);

impl Family for DiskLie {
    const NAME: &'static str = "disk-lie";
    const ABOUT: &'static str = "a disk that says yes to a sync and does nothing, and then a power failure";
    const SORT: Sort = Sort::Processes;
    const BY_NAME_ONLY: bool = true;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "disk-lie-one", least_nodes: 1, draw: |draw| DiskLie(draw.some(1)).into() },
        Recipe {
            name: "disk-lie-minority",
            least_nodes: 1,
            draw: |draw| DiskLie(draw.some(draw.minority())).into(),
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
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("let the disk of {whom} lie about syncs, then cut its power")
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        _: &mut Effect,
    ) -> anyhow::Result<Vec<DiskCounts>> {
        disks::change(scene, on, |faults| faults.lying_sync = true).await
    }

    async fn heal(&self, held: Vec<DiskCounts>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let hit = match disks::hit(scene, on) {
            Ok(hit) => hit,
            Err(error) => return effect.errors.push(format!("{error:#}")),
        };
        let cuts = hit.into_iter().map(async |(node, _)| node.cut_power(Loss::Everything).await);
        for cut in futures::future::join_all(cuts).await {
            if let Err(error) = cut {
                effect.errors.push(format!("{error:#}"));
            }
        }
        let done = disks::change_back(&held, scene, on, effect, |faults| faults.lying_sync = false).await;
        // A lie that was made good by a later sync has cost nothing.
        effect.effective = done.lies > 0 && done.lost_bytes + done.lost_entries > 0;
        kill::Kill(self.0.clone()).heal((), scene, on, effect).await;
    }
}
