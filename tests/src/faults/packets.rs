//! Single packets that do not arrive: each server is in a network namespace of its own. Unlike the links' other faults, which
//! are those of the harness' proxies, these are a real network's: a SYN is lost, TCP retries by its own clock, and what one side
//! sends is cut while what it hears is not. They do for systems, too, whose members advertise one address each.

use anyhow::Context;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::partition::Partition;
use super::{Drawing, Effect, Family, Fault, Recipe, Scene, Sort, Targets, Usability};
use crate::cluster::{Cluster, ClusterOptions};
use crate::link::Traffic;
use crate::netns::{Namespaces, PacketFault};
use crate::schedule::{LinkId, NodeId, Victims};

/// What happens to the packets of these links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packets {
    /// Which links, as in a partition that does not flap.
    pub shape: Partition,
    /// What happens to their packets.
    pub fault: PacketFault,
}

fn dropped(shape: Partition) -> Fault {
    Packets { shape, fault: PacketFault::Drop }.into()
}

fn harmed(shape: Partition, draw: &mut Drawing<'_>) -> Fault {
    let fault = match draw.rng.random_range(0..3) {
        0 => PacketFault::Lose { per_mille: draw.rng.random_range(20..=400) },
        1 => PacketFault::Limit { kib_per_second: draw.rng.random_range(1..=30) },
        _ => PacketFault::Reset,
    };
    Packets { shape, fault }.into()
}

impl Family for Packets {
    const NAME: &'static str = "packets";
    const ABOUT: &'static str =
        "packets that are dropped, lost now and then, limited or answered with resets, in network namespaces";
    const SORT: Sort = Sort::Links;
    const BY_NAME_ONLY: bool = true;
    const RECIPES: &'static [Recipe] = &[
        Recipe {
            name: "drop-halves",
            least_nodes: 2,
            draw: |draw| dropped(Partition::Halves(draw.some(draw.minority()))),
        },
        Recipe {
            name: "drop-leader",
            least_nodes: 2,
            draw: |_| dropped(Partition::Isolate(Victims::Leader)),
        },
        Recipe { name: "drop-one", least_nodes: 2, draw: |draw| dropped(Partition::Isolate(draw.some(1))) },
        Recipe { name: "drop-out", least_nodes: 2, draw: |_| dropped(Partition::Outbound(Victims::Leader)) },
        Recipe { name: "drop-in", least_nodes: 2, draw: |_| dropped(Partition::Inbound(Victims::Leader)) },
        Recipe {
            name: "harm-some",
            least_nodes: 2,
            draw: |draw| harmed(Partition::OneWay(draw.a_third_of_the_links()), draw),
        },
        Recipe {
            name: "harm-leader",
            least_nodes: 2,
            draw: |draw| harmed(Partition::Isolate(Victims::Leader), draw),
        },
    ];
    /// How many packets the fault had hit on these links before.
    type Held = u64;

    fn usable() -> Usability {
        // A thread of its own: this may be asked inside a runtime, where another one can neither run nor end.
        let trial = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(Namespaces::missing()),
                Err(error) => Some(format!("cannot start a runtime: {error}")),
            }
        });
        match trial.join() {
            Ok(None) => Usability::Usable,
            Ok(Some(why)) => Usability::Missing(why),
            Err(_) => Usability::Missing("the trial panicked".to_owned()),
        }
    }

    fn prepare(&self, options: &mut ClusterOptions) -> anyhow::Result<()> {
        options.namespaces = true;
        Ok(())
    }

    fn victims(&self) -> Option<&Victims> {
        self.shape.victims()
    }

    fn victims_mut(&mut self) -> Option<&mut Victims> {
        self.shape.victims_mut()
    }

    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        self.shape.links_mut()
    }

    fn check(&self, nodes: u64) -> Result<(), String> {
        if matches!(self.shape, Partition::Flapping(_)) {
            return Err("packets do not flap: let the fault be repeated (\"every\")".to_owned());
        }
        match self.fault {
            PacketFault::Lose { per_mille: 0 } => Err("\"per_mille\" is at least 1".to_owned()),
            PacketFault::Lose { per_mille } if per_mille > 1_000 => {
                Err("\"per_mille\" is at most 1000".to_owned())
            }
            PacketFault::Limit { kib_per_second: 0 } => Err("\"kib_per_second\" is at least 1".to_owned()),
            _ => self.shape.check(nodes),
        }
    }

    fn links(&self, victims: &[NodeId], nodes: u64) -> Vec<LinkId> {
        self.shape.links(victims, nodes)
    }

    fn words(&self, whom: &str) -> String {
        let what = match self.fault {
            PacketFault::Drop => "drop all packets".to_owned(),
            PacketFault::Lose { per_mille } => format!("lose {per_mille} of 1000 packets"),
            PacketFault::Limit { kib_per_second } => format!("drop packets beyond {kib_per_second} KiB/s"),
            PacketFault::Reset => "answer packets with resets".to_owned(),
        };
        format!("{what}: {}", self.shape.words(whom))
    }

    async fn inject(&self, scene: &Scene<'_>, on: &Targets, _: &mut Effect) -> anyhow::Result<u64> {
        let network = network(scene.cluster)?;
        let before = hit(network, &on.links).await?;
        for link in &on.links {
            network.set(*link, Some(self.fault)).await?;
        }
        Ok(before)
    }

    async fn heal(&self, before: u64, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
        let healing = async {
            let network = network(scene.cluster)?;
            for link in &on.links {
                network.set(*link, None).await?;
            }
            hit(network, &on.links).await
        };
        match healing.await {
            Ok(after) => effect.effective |= after > before,
            Err(error) => effect.errors.push(format!("{error:#}")),
        }
    }

    fn had_effect(&self, effect: &Effect, _: &Traffic) -> bool {
        effect.effective
    }
}

fn network(cluster: &Cluster) -> anyhow::Result<&Namespaces> {
    cluster.network().context("the servers are not in network namespaces")
}

async fn hit(network: &Namespaces, links: &[LinkId]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for link in links {
        sum += network.packets(*link).await?.hit;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whether_it_is_usable_may_be_asked_anywhere() {
        assert!(!matches!(Packets::usable(), Usability::Missing(why) if why.contains("panicked")));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let packets = |fault| Packets { shape: Partition::Isolate(Victims::Nodes(vec![1])), fault };
        assert_eq!(packets(PacketFault::Reset).check(3), Ok(()));
        for fault in [
            PacketFault::Lose { per_mille: 0 },
            PacketFault::Lose { per_mille: 1_001 },
            PacketFault::Limit { kib_per_second: 0 },
        ] {
            assert!(packets(fault).check(3).is_err(), "{fault:?}");
        }
    }
}
