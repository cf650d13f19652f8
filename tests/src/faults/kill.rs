//! SIGKILL; healed by starting the servers again on the same data.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// These servers are killed, all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill(pub Victims);

impl Family for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str = "kill -9, and later a start on the same data";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "kill-one", least_nodes: 1, draw: |draw| Kill(draw.some(1)).into() },
        Recipe {
            name: "kill-minority",
            least_nodes: 1,
            draw: |draw| Kill(draw.some(draw.minority())).into(),
        },
        Recipe {
            name: "kill-majority",
            least_nodes: 1,
            draw: |draw| Kill(draw.some(draw.majority())).into(),
        },
        Recipe { name: "kill-all", least_nodes: 1, draw: |_| Kill(Victims::All).into() },
        Recipe { name: "kill-leader", least_nodes: 1, draw: |_| Kill(Victims::Leader).into() },
    ];
    type Held = ();

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("kill {whom}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let victims = on.nodes.iter().filter_map(|id| scene.cluster.node(*id));
        let blows = victims.map(async |node| (node.id(), node.kill().await));
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
            // One that fell by itself stays down, so that the finding is not covered up.
            if matches!(node.fallen().await, Ok(Some(_))) {
                continue;
            }
            if let Err(error) = node.start().await {
                effect.errors.push(format!("{error:#}"));
            }
        }
    }
}
