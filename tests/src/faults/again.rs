//! What families of processes have in common when they heal.

use tokio_util::task::AbortOnDropHandle;

use super::{Effect, Kind, Scene, Targets};
use crate::schedule::NodeId;

/// The fault that gave these servers a right to end by themselves is over; another one may still be on. Then starts them.
pub(super) async fn start_unexcused(kind: Kind, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
    for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
        if let Err(error) = node.let_fall(kind, false).await {
            effect.errors.push(format!("{error:#}"));
        }
    }
    start_again(scene, on, effect).await;
}

/// Notes whether a server did, or had done to it, what was asked.
pub(super) fn note(effect: &mut Effect, node: NodeId, result: Result<(), String>) {
    match result {
        Ok(()) => effect.effective = true,
        Err(error) => effect.errors.push(format!("n{node}: {error}")),
    }
}

/// Starts the servers that are down, whatever ended them under the fault. One that fell by itself before stays down, so that
/// the finding is not covered up.
pub(super) async fn start_again(scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
    for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
        let started = async {
            if node.fallen().await?.is_none() {
                node.start().await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = started.await {
            effect.errors.push(format!("{error:#}"));
        }
    }
}

/// Waits for the end of what a fault does over time, now that it was asked to end: it would otherwise undo the healing.
pub(super) async fn end(task: AbortOnDropHandle<anyhow::Result<()>>, effect: &mut Effect) {
    if let Ok(Err(error)) = task.await {
        effect.errors.push(format!("{error:#}"));
    }
}
