//! SIGSTOP; healed by SIGCONT.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// These servers are stopped, all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause(pub Victims);

impl Family for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "SIGSTOP, and later SIGCONT";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "pause-one", least_nodes: 1, draw: |draw| Pause(draw.some(1)).into() },
        Recipe { name: "pause-leader", least_nodes: 1, draw: |_| Pause(Victims::Leader).into() },
        Recipe {
            name: "pause-minority",
            least_nodes: 1,
            draw: |draw| Pause(draw.some(draw.minority())).into(),
        },
    ];
    type Held = ();

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("pause {whom}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let victims = on.nodes.iter().filter_map(|id| scene.cluster.node(*id));
        let blows = victims.map(async |node| (node.id(), node.pause().await));
        for (id, hit) in futures::future::join_all(blows).await {
            match hit? {
                true => effect.effective = true,
                false => effect.errors.push(format!("n{id} was not running")),
            }
        }
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            if let Err(error) = node.resume().await {
                effect.errors.push(format!("{error:#}"));
            }
        }
    }
}
