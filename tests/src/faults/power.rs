//! Power failures: the process and what its disk had not made durable go at the same moment; healed by a start on what is
//! left.

use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, disks, kill};
use crate::cluster::ClusterOptions;
use crate::disk::Loss;
use crate::schedule::Victims;

/// The power of these servers is cut, of all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Whose.
    pub victims: Victims,
    /// What the disks lose of what was not synced.
    #[serde(default)]
    pub loss: Loss,
}

fn cut(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    let losses = [Loss::Everything, Loss::Torn, Loss::Some];
    Power { victims, loss: losses.choose(draw.rng).copied().unwrap_or_default() }.into()
}

impl Family for Power {
    const NAME: &'static str = "power";
    const ABOUT: &'static str = "a power failure: kill -9, and the disk loses what was not synced";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "power-one", least_nodes: 1, draw: |draw| cut(draw.some(1), draw) },
        Recipe { name: "power-minority", least_nodes: 1, draw: |draw| cut(draw.some(draw.minority()), draw) },
        Recipe { name: "power-majority", least_nodes: 1, draw: |draw| cut(draw.some(draw.majority()), draw) },
        Recipe { name: "power-all", least_nodes: 1, draw: |draw| cut(Victims::All, draw) },
        Recipe { name: "power-leader", least_nodes: 1, draw: |draw| cut(Victims::Leader, draw) },
    ];
    type Held = ();

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
        let loss = match self.loss {
            Loss::Everything => "all that was not synced is lost",
            Loss::Torn => "the last writes are torn",
            Loss::Some => "some of what was not synced is lost",
        };
        format!("cut the power of {whom}; {loss}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let cuts = disks::hit(scene, on)?.into_iter().map(async |(node, _)| node.cut_power(self.loss).await);
        for (id, cut) in on.nodes.iter().zip(futures::future::join_all(cuts).await) {
            let cut = cut?;
            effect.effective |= cut.killed || cut.lost.any_effect();
            if !cut.killed {
                effect.errors.push(format!("n{id} was not running"));
            }
        }
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        kill::Kill(self.victims.clone()).heal((), scene, on, effect).await;
    }
}
