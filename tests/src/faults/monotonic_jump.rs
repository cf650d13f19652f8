//! Monotonic clocks that jump forwards, as after a machine was suspended whose clock went on. There is nothing to heal: they cannot go back.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, clocks};
use crate::cluster::ClusterOptions;
use crate::schedule::Victims;

/// The longest jump, in milliseconds: a year.
const MAX_JUMP_MS: u64 = 365 * 86_400_000;

/// The monotonic clocks of these servers jump forwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonotonicJump {
    /// Whose.
    pub victims: Victims,
    /// By so many milliseconds.
    pub by_ms: u64,
}

fn jump(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    MonotonicJump { victims, by_ms: draw.rng.random_range(100..=60_000) }.into()
}

impl Family for MonotonicJump {
    const NAME: &'static str = "monotonic-jump";
    const ABOUT: &'static str = "a monotonic clock that jumps forwards";
    const SORT: Sort = Sort::Clocks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "monotonic-jump-one", least_nodes: 1, draw: |draw| jump(draw.some(1), draw) },
        Recipe { name: "monotonic-jump-leader", least_nodes: 1, draw: |draw| jump(Victims::Leader, draw) },
        Recipe { name: "monotonic-jump-all", least_nodes: 1, draw: |draw| jump(Victims::All, draw) },
    ];
    type Held = Vec<u64>;

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
        if self.by_ms > MAX_JUMP_MS {
            return Err(format!("a clock jumps by {MAX_JUMP_MS} ms at most"));
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("let the monotonic clock of {whom} jump by {} ms", self.by_ms)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Vec<u64>> {
        let by = Duration::from_millis(self.by_ms);
        clocks::change(scene, on, |clock| clock.jump_monotonic(by))
    }

    async fn heal(&self, held: Vec<u64>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        clocks::see(&held, scene, on, effect);
    }
}
