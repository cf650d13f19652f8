//! SIGTERM, upon which a server must end in order; healed by starting it again on the same data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::cluster::Exit;
use crate::schedule::Victims;

/// How long a server has to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// These servers are asked to end, all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graceful(pub Victims);

impl Family for Graceful {
    const NAME: &'static str = "graceful";
    const ABOUT: &'static str =
        "SIGTERM, and later a start on the same data; a server that does not end in order is a finding";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "graceful-one", least_nodes: 1, draw: |draw| Graceful(draw.some(1)).into() },
        Recipe { name: "graceful-leader", least_nodes: 1, draw: |_| Graceful(Victims::Leader).into() },
        Recipe {
            name: "graceful-majority",
            least_nodes: 1,
            draw: |draw| Graceful(draw.some(draw.majority())).into(),
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
        format!("ask {whom} to end")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<()> {
        let victims = on.nodes.iter().filter_map(|id| scene.cluster.node(*id));
        let requests = victims.map(async |node| (node.id(), node.end(PATIENCE).await));
        for (id, exit) in futures::future::join_all(requests).await {
            match exit? {
                Exit::Clean => effect.effective = true,
                Exit::NotRunning => effect.errors.push(format!("n{id} was not running")),
                // The cluster remembers it, and the run tells it as a finding.
                Exit::Failed(_) | Exit::Killed => effect.effective = true,
            }
        }
        Ok(())
    }

    async fn heal(&self, (): (), scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        super::start_again(scene, on, effect).await;
    }
}
