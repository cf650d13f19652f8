//! Servers that can open no file and take no connection any longer; healed by giving the limit back.

use serde::{Deserialize, Serialize};

use super::{Effect, Family, Kind, Recipe, Scene, Sort, Targets, Usability};
use crate::cluster::{Limit, Limited, limits_are_usable};
use crate::logs;
use crate::schedule::{NodeId, Victims};

/// The limit: what every server has open from the first, so that nothing more can be opened whatever is closed.
const FEW: u64 = 4;
/// How the system says that there are too many.
const COMPLAINT: &str = "os error 24";

/// These servers have no file descriptor left. Connections to them are reset, so that they feel it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors(pub Victims);

/// The limits to give back, and how long each log was.
#[derive(Debug, Default)]
pub struct Bound {
    limits: Vec<(NodeId, Limit)>,
    logs: Vec<(NodeId, u64)>,
}

impl Family for Descriptors {
    const NAME: &'static str = "descriptors";
    const ABOUT: &'static str =
        "no file descriptor left (prlimit), and connections reset, so that it is felt";
    const SORT: Sort = Sort::Processes;
    const RECIPES: &'static [Recipe] = &[
        Recipe { name: "descriptors-one", least_nodes: 2, draw: |draw| Descriptors(draw.some(1)).into() },
        Recipe {
            name: "descriptors-minority",
            least_nodes: 2,
            draw: |draw| Descriptors(draw.some(draw.minority())).into(),
        },
        Recipe { name: "descriptors-leader", least_nodes: 2, draw: |_| Descriptors(Victims::Leader).into() },
    ];
    type Held = Bound;

    fn usable() -> Usability {
        limits_are_usable().map_or_else(Usability::Missing, |()| Usability::Usable)
    }

    fn victims(&self) -> Option<&Victims> {
        Some(&self.0)
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        Some(&mut self.0)
    }

    fn words(&self, whom: &str) -> String {
        format!("leave {whom} without file descriptors")
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) -> anyhow::Result<Bound> {
        let mut held = Bound::default();
        for node in on.nodes.iter().filter_map(|id| scene.cluster.node(*id)) {
            held.logs.push((node.id(), logs::length(node.log())));
            // One that must open a file and cannot is right to end.
            node.let_fall(Kind::Descriptors, true).await?;
            match node.limit(Limited::OpenFiles, FEW).await? {
                Some(limit) => held.limits.push((node.id(), limit)),
                None => effect.errors.push(format!("n{} was not running", node.id())),
            }
        }
        scene.cluster.links().filter(|(id, _)| on.nodes.contains(&id.to)).for_each(|(_, link)| link.reset());
        Ok(held)
    }

    async fn heal(&self, held: Bound, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        for (id, limit) in held.limits {
            let Some(node) = scene.cluster.node(id) else { continue };
            if let Err(error) = node.unlimit(limit).await {
                effect.errors.push(format!("{error:#}"));
            }
        }
        for (id, from) in held.logs {
            let Some(node) = scene.cluster.node(id) else { continue };
            effect.effective |= logs::says_since(node.log(), from, COMPLAINT);
        }
        super::start_unexcused(Kind::Descriptors, scene, on, effect).await;
    }
}
