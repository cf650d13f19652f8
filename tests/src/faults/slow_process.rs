//! Processes that run only a part of the time; healed by letting them run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::cluster::DutyCycle;
use crate::schedule::Victims;

/// How long the longest stretch is in which a process stands still and runs once.
const PERIOD: Duration = Duration::from_millis(100);

/// These servers run a part of the time only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowProcess {
    /// The servers.
    pub victims: Victims,
    /// Which part, in hundredths.
    pub per_cent: u8,
}

fn slow(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    SlowProcess { victims, per_cent: draw.rng.random_range(5..=30) }.into()
}

/// What keeps the victims slow, and how often they were stopped.
#[derive(Debug)]
pub struct Slowed {
    tasks: Vec<AbortOnDropHandle<()>>,
    stops: Arc<AtomicU64>,
}

impl Family for SlowProcess {
    const NAME: &'static str = "slow-process";
    const ABOUT: &'static str = "processes that run a part of the time only (SIGSTOP and SIGCONT in turn)";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "slow-process-one", least_nodes: 1, draw: |draw| slow(draw.some(1), draw) },
        Recipe { name: "slow-process-leader", least_nodes: 1, draw: |draw| slow(Victims::Leader, draw) },
        Recipe {
            name: "slow-process-minority",
            least_nodes: 1,
            draw: |draw| slow(draw.some(draw.minority()), draw),
        },
    ];
    type Held = Slowed;

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if !(1..=99).contains(&self.per_cent) {
            return Err("a slow process runs 1 to 99 hundredths of the time".to_owned());
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("let {whom} run {} % of the time", self.per_cent)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Slowed> {
        let stops = Arc::new(AtomicU64::new(0));
        let cycle = DutyCycle::per_cent(self.per_cent, PERIOD);
        let tasks = on.nodes.iter().map(|id| {
            let (id, cluster, stops) = (*id, Arc::clone(scene.cluster), Arc::clone(&stops));
            AbortOnDropHandle::new(tokio::spawn(async move {
                if let Some(node) = cluster.node(id) {
                    cycle.keep(node, &stops).await;
                }
            }))
        });
        Ok(Slowed { tasks: tasks.collect(), stops })
    }

    async fn heal(&self, held: Slowed, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for task in held.tasks {
            // Ended before its victim is let run, or it would stop it once more.
            task.abort();
            let _ = task.await;
        }
        effect.effective = held.stops.load(Ordering::Relaxed) > 0;
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            if let Err(error) = node.resume().await {
                effect.errors.push(format!("{error:#}"));
            }
        }
    }
}
