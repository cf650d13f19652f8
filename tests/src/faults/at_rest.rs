//! What a server has on its disk is damaged while it is down, and it is started again. It must refuse, or come up with all
//! that was synced. Healed by putting back exactly what was there, if nobody has written it since, and starting it.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Kind, Recipe, Scene, Sort, Targets};
use crate::cluster::{Damage, DamagedFile};
use crate::schedule::{NodeId, Victims};
use crate::system::{Capability, require};

/// How long a server may take until it refuses, or is up.
const PATIENCE: Duration = Duration::from_secs(10);

/// These servers are killed, one file of each is damaged, and they are started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtRest {
    /// The servers.
    pub victims: Victims,
    /// What is done to the file.
    pub damage: Damage,
    /// Decides which file and which byte.
    pub seed: u64,
}

fn rot(victims: Victims, damage: Damage, draw: &mut Drawing<'_>) -> Fault {
    AtRest { victims, damage, seed: draw.rng.random_range(0..1_000_000) }.into()
}

impl Family for AtRest {
    const NAME: &'static str = "at-rest";
    const ABOUT: &'static str =
        "files of a server that is down are damaged, and restored at the end: it must refuse to start";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "flip", least_nodes: 2, draw: |draw| rot(draw.some(1), Damage::Flip, draw) },
        Recipe {
            name: "flip",
            least_nodes: 2,
            draw: |draw| rot(draw.some(draw.minority()), Damage::Flip, draw),
        },
        Recipe { name: "truncate", least_nodes: 2, draw: |draw| rot(draw.some(1), Damage::Truncate, draw) },
    ];
    type Held = Vec<(NodeId, DamagedFile)>;

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn words(&self, whom: &str) -> String {
        match self.damage {
            Damage::Flip => format!("flip a bit on the disk of {whom}"),
            Damage::Truncate => format!("truncate a file on the disk of {whom}"),
        }
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        effect: &mut Effect,
    ) -> anyhow::Result<Self::Held> {
        let system = scene.cluster.system().as_ref();
        require(system, "damage to files", &[Capability::CheckedFiles])?;
        let mut held = Vec::new();
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            let id = node.id();
            if self.damage == Damage::Truncate {
                // Only a whole file may be cut short: a snapshot is one. Where none can be had now, there may be an older one.
                let _ = system.compact(node.client_address()).await;
            }
            node.kill().await?;
            node.let_fall(Kind::AtRest, true).await?;
            let Some(damaged) = node.damage(self.damage, self.seed.wrapping_add(id)).await? else {
                effect.errors.push(format!("n{id} has no file that can be damaged so"));
                continue;
            };
            let place = format!("{} damaged at byte {}", damaged.path.display(), damaged.offset);
            held.push((id, damaged));
            node.start().await?;
            if node.comes_up(PATIENCE).await? {
                effect.errors.push(format!("n{id} started with {place}"));
            } else {
                effect.effective = true;
            }
        }
        Ok(held)
    }

    async fn heal(&self, held: Self::Held, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for (id, damaged) in held {
            let Some(node) = scene.cluster.node(id) else { continue };
            // One that went on with what it has must not be taken back to an older state.
            if node.pid().await.is_none()
                && let Err(error) = damaged.restore()
            {
                effect.errors.push(format!("n{id}: {error:#}"));
            }
        }
        super::start_unexcused(Kind::AtRest, scene, on, effect).await;
    }
}
