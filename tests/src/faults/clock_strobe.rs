//! Clocks that people read, set wrong and right again in quick turns; healed by leaving them right.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, clocks};
use crate::cluster::{Cluster, ClusterOptions};
use crate::schedule::{NodeId, Victims};

/// The longest jump, in milliseconds: a year.
const MAX_JUMP_MS: u64 = 365 * 86_400_000;

/// The clocks that these servers read the date from are set back and forth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStrobe {
    /// Whose.
    pub victims: Victims,
    /// By so many milliseconds, backwards if it is less than nothing.
    pub by_ms: i64,
    /// So often, in milliseconds.
    pub period_ms: u64,
}

fn strobe(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    let by_ms = draw.rng.random_range(1..=10_000) * if draw.rng.random() { 1 } else { -1 };
    ClockStrobe { victims, by_ms, period_ms: draw.rng.random_range(5..=500) }.into()
}

/// Ends the turns when it is dropped.
#[derive(Debug)]
pub struct Strobing {
    before: Vec<u64>,
    turns: JoinHandle<()>,
}

impl Drop for Strobing {
    fn drop(&mut self) {
        self.turns.abort();
    }
}

/// Sets one clock wrong and right until it is told to stop. A file that cannot be written shows when the clock is set right.
async fn turn(cluster: Arc<Cluster>, nodes: Vec<NodeId>, by_ms: i64, period: Duration) {
    let mut by_ms = by_ms;
    loop {
        for id in &nodes {
            if let Ok(clock) = clocks::clock(&cluster, *id) {
                let _ = clock.jump_real(by_ms);
            }
        }
        by_ms = -by_ms;
        tokio::time::sleep(period).await;
    }
}

impl Family for ClockStrobe {
    const NAME: &'static str = "clock-strobe";
    const ABOUT: &'static str = "a wall clock set wrong and right in quick turns";
    const SORT: Sort = Sort::Clocks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "clock-strobe-one", least_nodes: 1, draw: |draw| strobe(draw.some(1), draw) },
        Recipe { name: "clock-strobe-leader", least_nodes: 1, draw: |draw| strobe(Victims::Leader, draw) },
        Recipe { name: "clock-strobe-all", least_nodes: 1, draw: |draw| strobe(Victims::All, draw) },
    ];
    type Held = Strobing;

    fn usable() -> Usability {
        clocks::usable()
    }

    fn prepare(&self, options: &mut ClusterOptions) -> anyhow::Result<()> {
        clocks::prepare(options)
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if self.by_ms.unsigned_abs() > MAX_JUMP_MS {
            return Err(format!("a clock jumps by {MAX_JUMP_MS} ms at most"));
        }
        if self.period_ms == 0 {
            return Err("the period of a strobe is a millisecond at least".to_owned());
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("set the clock of {whom} by {:+} ms and back, every {} ms", self.by_ms, self.period_ms)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Strobing> {
        let before = clocks::change(scene, on, |_| Ok(()))?;
        let period = Duration::from_millis(self.period_ms);
        let turns = turn(Arc::clone(scene.cluster), on.nodes.clone(), self.by_ms, period);
        Ok(Strobing { before, turns: tokio::spawn(turns) })
    }

    async fn heal(&self, held: Strobing, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        held.turns.abort();
        clocks::set_right(&held.before, scene, on, effect);
    }
}
