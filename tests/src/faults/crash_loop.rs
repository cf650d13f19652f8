//! Servers that are killed again as soon as they are up; healed by leaving them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets};
use crate::schedule::Victims;

/// The most kills that may be asked for.
const MAX_TIMES: u64 = 1_000;

/// These servers crash again and again, each time as soon as they take connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashLoop {
    /// The servers.
    pub victims: Victims,
    /// How often each is killed, if there is time for it.
    pub times: u64,
}

fn crashes(victims: Victims, draw: &mut Drawing<'_>) -> Fault {
    CrashLoop { victims, times: draw.rng.random_range(2..=10) }.into()
}

/// What kills, and how often it did.
#[derive(Debug)]
pub struct Crashing {
    tasks: Vec<AbortOnDropHandle<anyhow::Result<()>>>,
    stop: CancellationToken,
    kills: Arc<AtomicU64>,
}

impl Family for CrashLoop {
    const NAME: &'static str = "crash-loop";
    const ABOUT: &'static str = "kill -9 again and again, each time as soon as the server is up";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "crash-loop-one", least_nodes: 1, draw: |draw| crashes(draw.some(1), draw) },
        Recipe {
            name: "crash-loop-majority",
            least_nodes: 1,
            draw: |draw| crashes(draw.some(draw.majority()), draw),
        },
        Recipe { name: "crash-loop-leader", least_nodes: 1, draw: |draw| crashes(Victims::Leader, draw) },
    ];
    type Held = Crashing;

    fn victims(&self) -> Option<&Victims> {
        Some(&self.victims)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.victims)
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if !(1..=MAX_TIMES).contains(&self.times) {
            return Err(format!("a crash loop has 1 to {MAX_TIMES} kills"));
        }
        self.victims.check(nodes)
    }

    fn words(&self, whom: &str) -> String {
        format!("kill {whom} {} times, each time as soon as it is up", self.times)
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Crashing> {
        let (kills, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let tasks = on.nodes.iter().map(|id| {
            let (id, times) = (*id, self.times);
            let (cluster, kills, stop) = (Arc::clone(scene.cluster), Arc::clone(&kills), stop.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                match cluster.node(id) {
                    Some(node) => node.loop_of_crashes(times, &kills, &stop).await,
                    None => Ok(()),
                }
            }))
        });
        Ok(Crashing { tasks: tasks.collect(), stop, kills })
    }

    async fn heal(&self, held: Crashing, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        held.stop.cancel();
        for task in held.tasks {
            super::end(task, effect).await;
        }
        effect.effective = held.kills.load(Ordering::Relaxed) > 0;
        super::start_again(scene, on, effect).await;
    }
}
