//! Clocks that go too fast or too slowly, the monotonic one too; healed by the right pace.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability, clocks};
use crate::clock::{FASTEST_PPM, SLOWEST_PPM};
use crate::cluster::ClusterOptions;
use crate::schedule::Victims;

/// The clocks of these servers drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockDrift {
    /// Whose.
    pub victims: Victims,
    /// By so many millionths: a million is twice the right pace, minus half a million is half of it.
    pub ppm: i64,
}

fn drift(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    let ppm = if draw.rng.random() {
        draw.rng.random_range(10_000..=2_000_000)
    } else {
        -draw.rng.random_range(10_000..=700_000)
    };
    ClockDrift { victims, ppm }.into()
}

impl Family for ClockDrift {
    const NAME: &'static str = "clock-drift";
    const ABOUT: &'static str = "clocks that go too fast or too slowly";
    const SORT: Sort = Sort::Clocks;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "clock-drift-one", least_nodes: 1, draw: |draw| drift(draw.some(1), draw) },
        Recipe { name: "clock-drift-leader", least_nodes: 1, draw: |draw| drift(Victims::Leader, draw) },
        Recipe { name: "clock-drift-all", least_nodes: 1, draw: |draw| drift(Victims::All, draw) },
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
        if !(SLOWEST_PPM..=FASTEST_PPM).contains(&self.ppm) {
            return Err(format!("a drift lies between {SLOWEST_PPM} and {FASTEST_PPM} millionths"));
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("let the clocks of {whom} drift by {:+} millionths", self.ppm)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Vec<u64>> {
        clocks::change(scene, on, |clock| clock.drift(self.ppm))
    }

    async fn heal(&self, held: Vec<u64>, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        clocks::set_right(&held, scene, on, effect);
    }
}
