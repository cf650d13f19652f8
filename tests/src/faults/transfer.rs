//! Leadership is handed over. There is nothing to heal.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// Leadership is handed over to this server, or from it to the most suitable other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer(pub Victims);

impl Family for Transfer {
    const NAME: &'static str = "transfer";
    const ABOUT: &'static str = "leadership is handed over";
    const SORT: Sort = Sort::Verbs;
    const RECIPES: &'static [Recipe] =
        &[Recipe { name: "transfer", least_nodes: 2, draw: |draw| Transfer(draw.some(1)).into() }];
    type Held = ();

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("hand leadership over to {whom}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let endpoints = scene.cluster.endpoints();
        for &node in &on.nodes {
            super::note(effect, node, scene.cluster.system().hand_over(&endpoints, node).await);
        }
        Ok(())
    }

    async fn heal(&self, (): (), _: &Scene<'_>, _: &Targets, _: &mut Effect) {}
}
