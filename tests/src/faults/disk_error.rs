//! Disks that refuse: errors on writes, syncs and reads, now and then, or a disk that is full. A server may end over it, as
//! long as it comes back once the disk is sound; healed by a sound disk and a start.

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Kind, Recipe, Scene, Sort, Targets, Usability, disks};
use crate::cluster::ClusterOptions;
use crate::disk::{DiskCounts, DiskError as Error, DiskFaults, Refusal, When};
use crate::schedule::Victims;

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Writes, and new files.
    Write,
    /// Syncs. What a sync that failed should have written no later one writes.
    Sync,
    /// Reads.
    Read,
}

/// The disks of these servers refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskError {
    /// Whose.
    pub victims: Victims,
    /// What.
    pub on: On,
    /// With which error.
    pub error: Error,
    /// How often.
    pub when: When,
}

fn failing(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    let on = [On::Write, On::Sync].choose(draw.rng).copied().unwrap_or(On::Sync);
    let share = draw.rng.random_range(20_000..=300_000);
    let when = if draw.rng.random() { When::Next(1) } else { When::PerMillion(share) };
    DiskError { victims, on, error: Error::Io, when }.into()
}

fn full(victims: Victims) -> Fault {
    DiskError { victims, on: On::Write, error: Error::NoSpace, when: When::Always }.into()
}

impl DiskError {
    fn set(&self, faults: &mut DiskFaults, refusal: Option<Refusal>) {
        match self.on {
            On::Write => faults.write = refusal,
            On::Sync => faults.sync = refusal,
            On::Read => faults.read = refusal,
        }
    }
}

impl Family for DiskError {
    const NAME: &'static str = "disk-error";
    const ABOUT: &'static str = "a disk that refuses writes and syncs, or is full";
    const SORT: Sort = Sort::Disks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "disk-error-one", least_nodes: 1, draw: |draw| failing(draw.some(1), draw) },
        Recipe { name: "disk-error-leader", least_nodes: 1, draw: |draw| failing(Victims::Leader, draw) },
        Recipe {
            name: "disk-error-minority",
            least_nodes: 1,
            draw: |draw| failing(draw.some(draw.minority()), draw),
        },
        Recipe { name: "disk-full", least_nodes: 1, draw: |draw| full(draw.some(draw.minority())) },
    ];
    type Held = Vec<DiskCounts>;

    fn usable() -> Usability {
        disks::usable()
    }

    fn prepare(&self, options: &mut ClusterOptions) -> anyhow::Result<()> {
        disks::prepare(options)
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn words(&self, whom: &str) -> String {
        let error = match self.error {
            Error::Io => "EIO",
            Error::NoSpace => "ENOSPC",
        };
        let on = match self.on {
            On::Write => "writes",
            On::Sync => "syncs",
            On::Read => "reads",
        };
        match self.when {
            When::Next(count) => format!("{error} for the next {count} {on} on the disk of {whom}"),
            When::PerMillion(share) => {
                format!("{error} for {share} in a million {on} on the disk of {whom}")
            }
            When::Always => format!("{error} for all {on} on the disk of {whom}"),
        }
    }

    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        _: &mut Effect,
    ) -> anyhow::Result<Vec<DiskCounts>> {
        disks::let_fall(Kind::DiskError, scene, on).await?;
        let refusal = Refusal { error: self.error, when: self.when };
        disks::change(scene, on, |faults| self.set(faults, Some(refusal))).await
    }

    async fn heal(&self, held: Vec<DiskCounts>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let back = |faults: &mut DiskFaults| self.set(faults, None);
        let done = disks::change_back(&held, scene, on, effect, back).await;
        effect.effective = done.write_errors + done.sync_errors + done.read_errors > 0;
        if effect.effective {
            disks::await_ends(scene, on).await;
        }
        super::start_unexcused(Kind::DiskError, scene, on, effect).await;
    }
}
