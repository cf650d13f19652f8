//! Servers leave the cluster and go on running; healed by taking them in again.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// These servers leave the cluster, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members(pub Victims);

impl Family for Members {
    const NAME: &'static str = "members";
    const ABOUT: &'static str = "servers that leave the cluster and come back";
    const SORT: Sort = Sort::Verbs;
    /// A server cannot be taken in again while too many others are down.
    const ALONE: bool = true;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "remove-one", least_nodes: 2, draw: |draw| Members(draw.some(1)).into() },
        Recipe { name: "remove-leader", least_nodes: 2, draw: |_| Members(Victims::Leader).into() },
    ];
    type Held = ();

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("remove {whom}")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let endpoints = scene.cluster.endpoints();
        for &node in &on.nodes {
            super::note(effect, node, scene.cluster.system().remove(&endpoints, node).await);
        }
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let endpoints = scene.cluster.endpoints();
        for &node in &on.nodes {
            if let Err(error) = scene.cluster.system().take_in(&endpoints, node).await {
                effect.errors.push(format!("n{node}: {error}"));
            }
        }
    }
}
