//! Servers take a snapshot and let go of their whole log, so that whoever lags needs the snapshot. There is nothing to heal.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// These servers compact their logs, all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compact(pub Victims);

impl Family for Compact {
    const NAME: &'static str = "compact";
    const ABOUT: &'static str = "snapshots taken, logs let go of";
    const SORT: Sort = Sort::Verbs;
    const RECIPES: &'static [Recipe] = &[
        Recipe {
            name: "compact-some",
            least_nodes: 1,
            draw: |draw| Compact(draw.some(draw.majority())).into(),
        },
        Recipe { name: "compact-all", least_nodes: 1, draw: |_| Compact(Victims::All).into() },
    ];
    type Held = ();

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("compact {whom}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let victims = on.nodes.iter().filter_map(|id| scene.cluster.node(*id));
        let system = scene.cluster.system();
        let asked = victims.map(async |node| (node.id(), system.compact(node.client_address()).await));
        for (node, result) in futures::future::join_all(asked).await {
            super::note(effect, node, result);
        }
        Ok(())
    }

    async fn heal(&self, (): (), _: &Scene<'_>, _: &Targets, _: &mut Effect) {}
}
