//! What all families of clock faults share: servers with the shim, and whether that made a difference.

use anyhow::Context;

use super::{Effect, Scene, Targets, Usability};
use crate::clock::{ClockFile, find_shim, trial};
use crate::cluster::{Cluster, ClusterOptions};
use crate::schedule::NodeId;

/// Whether a program can be told a wrong time here.
pub(super) fn usable() -> Usability {
    trial().map_or_else(Usability::Missing, |()| Usability::Usable)
}

/// Gives every server the shim.
pub(super) fn prepare(options: &mut ClusterOptions) -> anyhow::Result<()> {
    if options.clock_shim.is_none() {
        options.clock_shim = Some(find_shim()?);
    }
    Ok(())
}

/// The clock of one server.
pub(super) fn clock(cluster: &Cluster, id: NodeId) -> anyhow::Result<&ClockFile> {
    let clock = cluster.node(id).and_then(|node| node.clock());
    clock.with_context(|| format!("n{id} was not started with the clock shim"))
}

/// Does something to the clocks of the servers hit; returns how often they had been told an untruth before.
pub(super) fn change(
    scene: &Scene<'_>,
    on: &Targets,
    change: impl Fn(&ClockFile) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let clocks = on.nodes.iter().map(|id| clock(scene.cluster, *id));
    clocks
        .map(|clock| {
            let clock = clock?;
            let before = clock.altered()?;
            change(clock)?;
            Ok(before)
        })
        .collect()
}

/// Sets the clocks right, and sees whether anybody has looked at them meanwhile.
pub(super) fn set_right(before: &[u64], scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
    settle(change(scene, on, ClockFile::set_right), before, effect);
}

/// Sees whether anybody has looked at the clocks meanwhile, and leaves them as they are.
pub(super) fn see(before: &[u64], scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
    settle(change(scene, on, |_| Ok(())), before, effect);
}

fn settle(after: anyhow::Result<Vec<u64>>, before: &[u64], effect: &mut Effect) {
    match after {
        Ok(after) => effect.effective = after.iter().zip(before).any(|(after, before)| after > before),
        Err(error) => effect.errors.push(format!("{error:#}")),
    }
}
