//! Servers that get no more memory; healed by starting those that ended, and giving the limit back to the others.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Kind, Recipe, Scene, Sort, Targets, Usability};
use crate::cluster::{Limit, Limited, data_size, limits_are_usable};
use crate::schedule::{NodeId, Victims};

/// These servers may grow a little, and no further. One that is refused memory ends by itself, which is no finding here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The servers.
    pub victims: Victims,
    /// By how much each may still grow, in KiB of writable memory.
    pub room_kib: u32,
}

fn little(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    Memory { victims, room_kib: draw.rng.random_range(0..=64) }.into()
}

impl Family for Memory {
    const NAME: &'static str = "memory";
    const ABOUT: &'static str = "no more memory (prlimit): a server that needs more ends by itself";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "memory-one", least_nodes: 1, draw: |draw| little(draw.some(1), draw) },
        Recipe { name: "memory-leader", least_nodes: 1, draw: |draw| little(Victims::Leader, draw) },
        Recipe { name: "memory-all", least_nodes: 1, draw: |draw| little(Victims::All, draw) },
    ];
    /// The limits to give back, each with the process that it is on.
    type Held = Vec<(NodeId, Option<u32>, Limit)>;

    fn usable() -> Usability {
        limits_are_usable().map_or_else(Usability::Missing, |()| Usability::Usable)
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn words(&self, whom: &str) -> String {
        format!("leave {whom} {} KiB more memory", self.room_kib)
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        effect: &mut Effect,
    ) -> anyhow::Result<Self::Held> {
        let mut held = Vec::new();
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            node.let_fall(Kind::Memory, true).await?;
            let Some(pid) = node.pid().await else {
                effect.errors.push(format!("n{} was not running", node.id()));
                continue;
            };
            let room = u64::from(self.room_kib) * 1024;
            // One that ends at this moment has no size any longer; it is started again at the end.
            let Ok(size) = data_size(pid) else { continue };
            if let Some(limit) = node.limit(Limited::Data, size + room).await? {
                held.push((node.id(), Some(pid), limit));
            }
        }
        // Those who connect anew are what it needs memory for.
        scene.cluster.links().filter(|(id, _)| on.nodes.contains(&id.to)).for_each(|(_, link)| link.reset());
        Ok(held)
    }

    async fn heal(&self, held: Self::Held, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for (id, pid, limit) in held {
            let Some(node) = scene.cluster.node(id) else { continue };
            let _ = node.fallen().await; // Sees whether it has ended.
            effect.effective |= node.pid().await != pid;
            if let Err(error) = node.unlimit(limit).await {
                effect.errors.push(format!("{error:#}"));
            }
        }
        super::start_unexcused(Kind::Memory, scene, on, effect).await;
    }
}
