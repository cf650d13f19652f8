//! Links whose bytes freeze; healed by letting them flow again, none lost.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::family::check_links;
use super::{Effect, Family, Recipe, Scene, Sort, Targets};
use crate::link::{Link, Traffic};
use crate::schedule::{LinkId, NodeId, Victims, all_links};

/// The shortest time in which a flapping link is whole, or cut.
const LEAST_FLAP_MS: u64 = 10;

/// Which links are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partition {
    /// Nothing passes between these servers and the others, either way.
    Halves(Victims),
    /// Nothing passes to or from the victims.
    Isolate(Victims),
    /// What the victims send is cut; they still hear the others.
    Outbound(Victims),
    /// What the victims should hear is cut; the others still hear them.
    Inbound(Victims),
    /// Just these links, each in its one direction.
    OneWay(Vec<LinkId>),
    /// The others are two halves that reach each other only over the victims.
    Bridge(Victims),
    /// All in a ring, in this order (in the order of their numbers, if none is given): each hears just its neighbours, so many
    /// that all see a majority, and hardly two the same.
    Ring(Vec<NodeId>),
    /// Cut and whole again, in turn.
    Flapping(Flapping),
}

/// A partition that comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// How long the links are cut, in milliseconds.
    pub cut_ms: u64,
    /// How long they are whole in between, in milliseconds.
    pub whole_ms: u64,
    /// Which links.
    pub shape: Box<Partition>,
}

/// The links between servers that are not neighbours in a ring.
fn across_ring(order: &[NodeId], nodes: u64) -> Vec<LinkId> {
    let by_number: Vec<NodeId>;
    let order = if order.is_empty() {
        by_number = (1..=nodes).collect();
        &by_number
    } else {
        order
    };
    // A majority is the server itself and half of the rest on either side.
    let reach = (order.len() / 2).div_ceil(2);
    let place = |id: NodeId| order.iter().position(|known| *known == id);
    let far = |link: &LinkId| match (place(link.from), place(link.to)) {
        (Some(from), Some(to)) => {
            let distance = from.abs_diff(to);
            distance.min(order.len() - distance) > reach
        }
        _ => false,
    };
    all_links(nodes).into_iter().filter(far).collect()
}

impl Family for Partition {
    const NAME: &'static str = "partition";
    const ABOUT: &'static str = "links that are cut, in many shapes";
    const SORT: Sort = Sort::Links;
    const RECIPES: &'static [Recipe] = &[
        Recipe {
            name: "halves",
            least_nodes: 2,
            draw: |draw| Partition::Halves(draw.some(draw.minority())).into(),
        },
        Recipe { name: "isolate", least_nodes: 2, draw: |_| Partition::Isolate(Victims::Leader).into() },
        Recipe { name: "isolate", least_nodes: 2, draw: |draw| Partition::Isolate(draw.some(1)).into() },
        Recipe {
            name: "one-way",
            least_nodes: 2,
            draw: |draw| {
                let links = all_links(draw.nodes);
                let count = draw.rng.random_range(1..=(links.len() / 3).max(1));
                Partition::OneWay(draw.sample(&links, count)).into()
            },
        },
        Recipe { name: "one-way", least_nodes: 2, draw: |_| Partition::Outbound(Victims::Leader).into() },
        Recipe { name: "one-way", least_nodes: 2, draw: |_| Partition::Inbound(Victims::Leader).into() },
        Recipe { name: "bridge", least_nodes: 3, draw: |draw| Partition::Bridge(draw.some(1)).into() },
        Recipe { name: "bridge", least_nodes: 3, draw: |_| Partition::Bridge(Victims::Leader).into() },
        Recipe {
            name: "ring",
            least_nodes: 4,
            draw: |draw| {
                let mut order: Vec<NodeId> = (1..=draw.nodes).collect();
                order.shuffle(draw.rng);
                Partition::Ring(order).into()
            },
        },
        Recipe {
            name: "flapping",
            least_nodes: 2,
            draw: |draw| {
                let (cut_ms, whole_ms) = (draw.rng.random_range(50..=800), draw.rng.random_range(50..=800));
                let shape = Box::new(Partition::Isolate(Victims::Leader));
                Partition::Flapping(Flapping { cut_ms, whole_ms, shape }).into()
            },
        },
    ];
    /// What makes it flap, if it does.
    type Held = Option<AbortOnDropHandle<()>>;

    fn victims(&self) -> Option<&Victims> {
        match self {
            Partition::Halves(victims)
            | Partition::Isolate(victims)
            | Partition::Outbound(victims)
            | Partition::Inbound(victims)
            | Partition::Bridge(victims) => Some(victims),
            Partition::Flapping(flapping) => flapping.shape.victims(),
            Partition::OneWay(_) | Partition::Ring(_) => None,
        }
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        match self {
            Partition::Halves(victims)
            | Partition::Isolate(victims)
            | Partition::Outbound(victims)
            | Partition::Inbound(victims)
            | Partition::Bridge(victims) => Some(victims),
            Partition::Flapping(flapping) => flapping.shape.victims_mut(),
            Partition::OneWay(_) | Partition::Ring(_) => None,
        }
    }

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        match self {
            Partition::OneWay(links) => Some(links),
            Partition::Flapping(flapping) => flapping.shape.links_mut(),
            _ => None,
        }
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        match self {
            Partition::OneWay(links) => check_links(links, nodes),
            Partition::Ring(order) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if !order.is_empty() && sorted.iter().copied().ne(1..=nodes) {
                    return Err(format!("a ring of {nodes} servers names each of them once, or none"));
                }
                let is_cut = !across_ring(order, nodes).is_empty();
                if is_cut { Ok(()) } else { Err("a ring needs at least four servers".to_owned()) }
            }
            Partition::Flapping(Flapping { cut_ms, whole_ms, shape }) => {
                if matches!(**shape, Partition::Flapping(_)) {
                    return Err("what flaps cannot flap".to_owned());
                }
                if *cut_ms.min(whole_ms) < LEAST_FLAP_MS {
                    return Err(format!("\"cut_ms\" and \"whole_ms\" are at least {LEAST_FLAP_MS}"));
                }
                shape.check(nodes)
            }
            _ => self.victims().map_or(Ok(()), |victims| victims.check(nodes)),
        }
    }

    fn links(&self, hit: &[NodeId], nodes: u64) -> Vec<LinkId> {
        let links = all_links(nodes).into_iter();
        let among = |id: &NodeId| hit.contains(id);
        match self {
            Partition::Halves(_) => links.filter(|link| among(&link.from) != among(&link.to)).collect(),
            Partition::Isolate(_) => links.filter(|link| among(&link.from) || among(&link.to)).collect(),
            Partition::Outbound(_) => links.filter(|link| among(&link.from)).collect(),
            Partition::Inbound(_) => links.filter(|link| among(&link.to)).collect(),
            Partition::OneWay(only) => only.clone(),
            Partition::Ring(order) => across_ring(order, nodes),
            Partition::Bridge(_) => {
                let others: Vec<NodeId> = (1..=nodes).filter(|id| !among(id)).collect();
                let left: Vec<NodeId> = others.iter().copied().take(others.len() / 2).collect();
                let parted = |link: &LinkId| {
                    !among(&link.from)
                        && !among(&link.to)
                        && left.contains(&link.from) != left.contains(&link.to)
                };
                links.filter(parted).collect()
            }
            Partition::Flapping(flapping) => flapping.shape.links(hit, nodes),
        }
    }

    fn words(&self, whom: &str) -> String {
        match self {
            Partition::Halves(_) => format!("partition {whom} from the rest"),
            Partition::Isolate(_) => format!("isolate {whom}"),
            Partition::Outbound(_) => format!("cut what {whom} sends"),
            Partition::Inbound(_) => format!("cut what {whom} hears"),
            Partition::OneWay(links) => {
                let links: Vec<String> = links.iter().map(ToString::to_string).collect();
                format!("cut {}", links.join(", "))
            }
            Partition::Bridge(_) => format!("leave {whom} as the only bridge"),
            Partition::Ring(order) => {
                let order: Vec<String> = order.iter().map(|id| format!("n{id}")).collect();
                format!("leave a ring of majorities {}", order.join("-"))
            }
            Partition::Flapping(Flapping { cut_ms, whole_ms, shape }) => {
                format!("{}, {cut_ms} ms on and {whole_ms} ms off", shape.words(whom))
            }
        }
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<Self::Held> {
        scene.each_link(&on.links, Link::cut);
        let Partition::Flapping(Flapping { cut_ms, whole_ms, .. }) = self else { return Ok(None) };
        let (cluster, links) = (Arc::clone(scene.cluster), on.links.clone());
        let (cut, whole) = (Duration::from_millis(*cut_ms), Duration::from_millis(*whole_ms));
        Ok(Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let scene = Scene { cluster: &cluster };
            loop {
                tokio::time::sleep(cut).await;
                scene.each_link(&links, Link::mend);
                tokio::time::sleep(whole).await;
                scene.each_link(&links, Link::cut);
            }
        }))))
    }

    async fn heal(&self, flapping: Self::Held, scene: &Scene<'_>, on: &Targets, _: &mut Effect) {
        if let Some(flapping) = flapping {
            // It must be over, lest it cut what is mended here.
            flapping.abort();
            let _ = flapping.await;
        }
        scene.each_link(&on.links, Link::mend);
    }

    fn had_effect(&self, _: &Effect, traffic: &Traffic) -> bool {
        traffic.held_bytes + traffic.held_connections > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: NodeId, to: NodeId) -> LinkId {
        LinkId { from, to }
    }

    #[test]
    fn partitions_cut_exactly_the_links_they_name() {
        let halves = Partition::Halves(Victims::Minority).links(&[1, 2], 3);
        assert_eq!(halves, [link(1, 3), link(2, 3), link(3, 1), link(3, 2)]);
        let mute = Partition::Outbound(Victims::Leader);
        assert_eq!(mute.links(&[2], 3), [link(2, 1), link(2, 3)]);
        let deaf = Partition::Inbound(Victims::Leader);
        assert_eq!(deaf.links(&[3], 3), [link(1, 3), link(2, 3)]);
        assert_eq!(Partition::Isolate(Victims::Leader).links(&[1], 3).len(), 4);
        let bridge = Partition::Bridge(Victims::Leader).links(&[2], 3);
        assert_eq!(bridge, [link(1, 3), link(3, 1)]);
        assert_eq!(Partition::Bridge(Victims::Leader).links(&[3], 5).len(), 8);
    }

    #[test]
    fn in_a_ring_every_server_sees_a_majority_and_in_five_no_two_the_same() {
        for nodes in 4..=9 {
            let order: Vec<NodeId> = (1..=nodes).rev().collect();
            let ring = Partition::Ring(order);
            assert_eq!(ring.check(nodes), Ok(()));
            let cut = ring.links(&[], nodes);
            let views: Vec<Vec<NodeId>> = (1..=nodes)
                .map(|me| (1..=nodes).filter(|id| !cut.contains(&link(*id, me))).collect())
                .collect();
            assert!(views.iter().all(|view| view.len() as u64 > nodes / 2), "{nodes}: {views:?}");
            assert!(views.iter().all(|view| (view.len() as u64) < nodes), "{nodes}: {views:?}");
            let mut distinct = views.clone();
            distinct.sort();
            distinct.dedup();
            assert!(nodes != 5 || distinct.len() == 5, "{views:?}");
        }
        assert!(Partition::Ring(Vec::new()).check(3).is_err());
        assert!(Partition::Ring(vec![1, 2, 3, 3]).check(4).is_err());
    }
}
