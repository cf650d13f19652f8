//! Clocks that people read, of which some are suddenly wrong; healed by setting them right, which is a jump, too.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, clocks};
use crate::cluster::ClusterOptions;
use crate::schedule::Victims;

/// The longest jump, in milliseconds: a year.
const MAX_JUMP_MS: u64 = 365 * 86_400_000;

/// The clocks that these servers read the date from jump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockJump {
    /// Whose.
    pub victims: Victims,
    /// By so many milliseconds, backwards if it is less than nothing.
    pub by_ms: i64,
}

fn jump(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    let by_ms = draw.rng.random_range(100..=7_200_000) * if draw.rng.random() { 1 } else { -1 };
    ClockJump { victims, by_ms }.into()
}

impl Family for ClockJump {
    const NAME: &'static str = "clock-jump";
    const ABOUT: &'static str = "a wall clock that jumps, forwards or back";
    const SORT: Sort = Sort::Clocks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "clock-jump-one", least_nodes: 1, draw: |draw| jump(draw.some(1), draw) },
        Recipe { name: "clock-jump-leader", least_nodes: 1, draw: |draw| jump(Victims::Leader, draw) },
        Recipe { name: "clock-jump-all", least_nodes: 1, draw: |draw| jump(Victims::All, draw) },
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
        if self.by_ms.unsigned_abs() > MAX_JUMP_MS {
            return Err(format!("a clock jumps by {MAX_JUMP_MS} ms at most"));
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("set the clock of {whom} by {:+} ms", self.by_ms)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Vec<u64>> {
        clocks::change(scene, on, |clock| clock.jump_real(self.by_ms))
    }

    async fn heal(&self, held: Vec<u64>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        clocks::set_right(&held, scene, on, effect);
    }
}
