//! Servers that go on with another build (`--server-also`); healed by going back to the one before.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::cluster::{ClusterOptions, Exit};
use crate::schedule::{NodeId, Victims};

/// How long a server has to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// These servers are restarted with the build that they did not run, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade(pub Victims);

impl Family for Upgrade {
    const NAME: &'static str = "upgrade";
    const ABOUT: &'static str =
        "servers restarted with the other of two builds, and back (needs --server-also PATH)";
    const SORT: Sort = Sort::Processes;
    const BY_NAME_ONLY: bool = true;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "upgrade-one", least_nodes: 1, draw: |draw| Upgrade(draw.some(1)).into() },
        Recipe { name: "upgrade-leader", least_nodes: 1, draw: |_| Upgrade(Victims::Leader).into() },
        Recipe { name: "upgrade-all", least_nodes: 1, draw: |_| Upgrade(Victims::All).into() },
    ];
    /// What each ran before.
    type Held = Vec<(NodeId, PathBuf)>;

    fn prepare(&self, options: &mut ClusterOptions) -> anyhow::Result<()> {
        if options.server_also.is_none() {
            bail!("there is only one build of the server: name a second one with --server-also PATH");
        }
        Ok(())
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("restart {whom} with the other build")
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        effect: &mut Effect,
    ) -> anyhow::Result<Self::Held> {
        let mut held = Vec::new();
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            let Some(other) = node.other_build().await else {
                bail!("n{} has only one build: name a second one with --server-also PATH", node.id());
            };
            let before = node.program().await;
            match node.change_build(other, STOP_PATIENCE).await? {
                Exit::NotRunning => effect.errors.push(format!("n{} was not running", node.id())),
                Exit::Clean | Exit::Failed(_) | Exit::Killed => effect.effective = true,
            }
            held.push((node.id(), before));
            node.comes_up(STOP_PATIENCE).await?;
        }
        Ok(held)
    }

    async fn heal(&self, held: Self::Held, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for (id, before) in held.into_iter().filter(|(id, _)| on.nodes.contains(id)) {
            let Some(node) = scene.cluster.node(id) else { continue };
            if let Err(error) = node.change_build(before, STOP_PATIENCE).await {
                effect.errors.push(format!("{error:#}"));
            }
        }
    }
}
