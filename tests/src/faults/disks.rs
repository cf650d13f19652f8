//! What all families of disk faults share: servers on fault disks, and changing what is wrong with those.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{Effect, Kind, Scene, Targets, Usability};
use crate::cluster::{ClusterOptions, Disks, Node};
use crate::disk::{DiskCounts, DiskFaults, FaultDisk, trial};

/// How long a server may take to end after its disk failed.
const END_PATIENCE: Duration = Duration::from_secs(2);
const END_TICK: Duration = Duration::from_millis(5);

/// Whether fault disks can be mounted here.
pub(super) fn usable() -> Usability {
    trial().map_or_else(Usability::Missing, |()| Usability::Usable)
}

/// Puts every server on a fault disk. The schedule's seed is filled in when the cluster starts.
pub(super) fn prepare(options: &mut ClusterOptions) -> anyhow::Result<()> {
    if options.disks.is_none() {
        options.disks = Some(Disks { program: program()?, seed: 0 });
    }
    Ok(())
}

/// The program that is the disk: this one.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    // It may have been built anew since we began: what we are is still there, under another name.
    if program.to_string_lossy().ends_with("/plumbline (deleted)") {
        return Ok(PathBuf::from(format!("/proc/{}/exe", std::process::id())));
    }
    match program.file_stem() {
        Some(name) if name == "plumbline" => Ok(program),
        _ => bail!("{} is not plumbline, which is its own fault disk", program.display()),
    }
}

/// The servers hit, each with its disk.
pub(super) fn hit<'a>(scene: &Scene<'a>, on: &Targets) -> anyhow::Result<Vec<(&'a Node, &'a FaultDisk)>> {
    let nodes = on.nodes.iter().filter_map(|id| scene.cluster.node(*id));
    nodes
        .map(|node| {
            let disk = node.disk();
            Ok((node, disk.with_context(|| format!("n{} is not on a fault disk", node.id()))?))
        })
        .collect()
}

/// Changes what is wrong with the disks of the servers hit; returns what the disks had done before.
pub(super) async fn change(
    scene: &Scene<'_>,
    on: &Targets,
    change: impl Fn(&mut DiskFaults),
) -> anyhow::Result<Vec<DiskCounts>> {
    let changes = hit(scene, on)?.into_iter().map(async |(_, disk)| disk.change(&change).await);
    futures::future::try_join_all(changes).await
}

/// Takes a change back, and says how much the disks have done since, all together.
pub(super) async fn change_back(
    before: &[DiskCounts],
    scene: &Scene<'_>,
    on: &Targets,
    effect: &mut Effect,
    back: impl Fn(&mut DiskFaults),
) -> DiskCounts {
    match change(scene, on, back).await {
        Ok(after) => {
            let all = after.iter().zip(before).map(|(after, before)| after.since(before));
            all.fold(DiskCounts::default(), |sum, one| sum.plus(&one))
        }
        Err(error) => {
            effect.errors.push(format!("{error:#}"));
            DiskCounts::default()
        }
    }
}

/// Lets servers end by themselves from now on: their disk fails.
pub(super) async fn let_fall(kind: Kind, scene: &Scene<'_>, on: &Targets) -> anyhow::Result<()> {
    for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
        node.let_fall(kind, true).await?;
    }
    Ok(())
}

/// Waits until servers whose disk gave errors have ended over it; some go on.
pub(super) async fn await_ends(scene: &Scene<'_>, on: &Targets) {
    let deadline = Instant::now() + END_PATIENCE;
    for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
        while is_running(node).await && Instant::now() < deadline {
            tokio::time::sleep(END_TICK).await;
        }
    }
}

async fn is_running(node: &Node) -> bool {
    // Asking whether it fell is what notices an end.
    let _ = node.fallen().await;
    node.pid().await.is_some()
}
