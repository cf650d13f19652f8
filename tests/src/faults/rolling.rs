//! All servers restarted, one after the other, each only when the one before is up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// How long a server has to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// These servers are asked to end (SIGTERM) and started again, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling(pub Victims);

/// What restarts, and how many it has.
#[derive(Debug)]
pub struct Restarting {
    task: AbortOnDropHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    restarts: Arc<AtomicU64>,
}

impl Family for Rolling {
    const NAME: &'static str = "rolling";
    const ABOUT: &'static str = "all servers restarted, one after the other (SIGTERM)";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] =
        &[Recipe { name: "rolling-all", least_nodes: 1, draw: |_| Rolling(Victims::All).into() }];
    type Held = Restarting;

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("restart {whom}, one after the other")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Restarting> {
        let (restarts, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let stopped = stop.clone();
        let (cluster, counted, ids) = (Arc::clone(scene.cluster), Arc::clone(&restarts), on.nodes.clone());
        let task = tokio::spawn(async move {
            for node in ids.into_iter().filter_map(|id| cluster.node(id)) {
                if stopped.is_cancelled() {
                    break;
                }
                node.restart(STOP_PATIENCE, &stopped).await?;
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Restarting { task: AbortOnDropHandle::new(task), stop, restarts })
    }

    async fn heal(&self, held: Restarting, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        held.stop.cancel();
        super::end(held.task, effect).await;
        effect.effective = held.restarts.load(Ordering::Relaxed) > 0;
        super::start_again(scene, on, effect).await;
    }
}
