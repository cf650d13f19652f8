//! What a family of faults must know about itself.

use std::fmt;
use std::sync::Arc;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::Fault;
use crate::cluster::{Cluster, ClusterOptions};
use crate::link::{Link, Traffic};
use crate::schedule::{LinkId, NodeId, Victims, all_links};

/// What a fault is done to. In plans made from a seed, two faults of a sort never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Processes.
    Processes,
    /// Links between them.
    Links,
    /// What their disks do.
    Disks,
    /// What their clocks show.
    Clocks,
    /// Nothing: the cluster is asked for something that a healthy one does.
    Verbs,
}

/// Whether a fault can be injected on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usability {
    /// Yes.
    Usable,
    /// Yes, but not as well as elsewhere; why.
    Degraded(String),
    /// No, and why: to ask for it is an error.
    Missing(String),
}

/// One way in which a family makes trouble, drawn from a seed.
pub struct Recipe {
    /// The name by which `--nemesis` chooses just this one; several may share one.
    pub name: &'static str,
    /// The smallest cluster in which it makes sense.
    pub least_nodes: u64,
    /// Draws the fault.
    pub draw: fn(&mut Drawing<'_>) -> Fault,
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What faults are drawn with.
#[derive(Debug)]
pub struct Drawing<'a> {
    /// The cluster's size.
    pub nodes: u64,
    /// The stream of the faults.
    pub rng: &'a mut ChaCha8Rng,
}

impl<'a> Drawing<'a> {
    /// Draws for a cluster of this size.
    #[must_use]
    pub fn new(nodes: u64, rng: &'a mut ChaCha8Rng) -> Drawing<'a> {
        Drawing { nodes, rng }
    }

    /// How many servers a majority has.
    #[must_use]
    pub fn majority(&self) -> u64 {
        self.nodes / 2 + 1
    }

    /// How many may be missing, at least one.
    #[must_use]
    pub fn minority(&self) -> u64 {
        self.nodes.saturating_sub(self.majority()).max(1)
    }

    /// One server.
    pub fn node(&mut self) -> NodeId {
        self.rng.random_range(1..=self.nodes)
    }

    /// So many servers, by name.
    pub fn some(&mut self, count: u64) -> Victims {
        let everyone: Vec<NodeId> = (1..=self.nodes).collect();
        Victims::Nodes(self.sample(&everyone, usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// One link in three, at least one.
    pub fn a_third_of_the_links(&mut self) -> Vec<LinkId> {
        let links = all_links(self.nodes);
        self.sample(&links, (links.len() / 3).max(1))
    }

    /// So many of these, in order.
    pub fn sample<T: Copy + Ord>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut chosen: Vec<T> = all.sample(self.rng, count).copied().collect();
        chosen.sort_unstable();
        chosen
    }
}

/// What a fault is done to, by name: its roles are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Servers.
    pub nodes: Vec<NodeId>,
    /// Links.
    pub links: Vec<LinkId>,
}

/// What came of a fault so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Whether anything came of it: a process really died or stopped, bytes were really held back.
    pub effective: bool,
    /// What went wrong, if it is part of the game: a server that was not running, a cluster that refused.
    pub errors: Vec<String>,
}

/// Where faults are done.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The cluster.
    pub cluster: &'a Arc<Cluster>,
}

impl Scene<'_> {
    /// Does something to each of these links.
    pub fn each_link(&self, links: &[LinkId], act: impl Fn(&Link)) {
        links.iter().filter_map(|id| self.cluster.link(*id)).for_each(act);
    }
}

/// A family of faults. The implementing type is the data of one fault: what stands in a schedule, with the victims as roles.
#[expect(async_fn_in_trait, reason = "it is only called on the concrete types of the registry")]
pub trait Family: Sized {
    /// The name on the command line, in schedules and histories (its healing is `heal-NAME` there) and in results.
    const NAME: &'static str;
    /// One line for a person.
    const ABOUT: &'static str;
    /// What it is done to.
    const SORT: Sort;
    /// Whether no other fault may overlap it.
    const ALONE: bool = false;
    /// Whether it is only injected where it is asked for by name: `all` does not mean it, since it needs something that not
    /// every run has, or is more than a correct system survives.
    const BY_NAME_ONLY: bool = false;
    /// How it may be drawn.
    const RECIPES: &'static [Recipe];
    /// What must be kept from injecting to healing. Dropping it must end what it stands for: a run may come to nothing.
    type Held: Send;

    /// Whether it can be injected on this machine. Looks for real.
    #[must_use]
    fn usable() -> Usability {
        Usability::Usable
    }

    /// What the cluster needs in order that this fault can be injected later: called before the servers start.
    ///
    /// # Errors
    /// When that cannot be had.
    fn prepare(&self, _options: &mut ClusterOptions) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whom it hits.
    fn victims(&self) -> Option<&Victims> {
        None
    }

    /// Whom it hits, to be changed: a schedule that shrinks tries fewer.
    fn victims_mut(&mut self) -> Option<&mut Victims> {
        None
    }

    /// The links it hits by name, to be changed.
    fn links_mut(&mut self) -> Option<&mut Vec<LinkId>> {
        None
    }

    /// Whether a cluster of `nodes` has those it is to hit, and whether its numbers make sense.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn check(&self, nodes: u64) -> Result<(), String> {
        self.victims().map_or(Ok(()), |victims| victims.check(nodes))
    }

    /// The links to hit, when these servers are the victims in a cluster of `nodes`.
    fn links(&self, _victims: &[NodeId], _nodes: u64) -> Vec<LinkId> {
        Vec::new()
    }

    /// The fault in words, for a person, given the victims in words.
    fn words(&self, whom: &str) -> String;

    /// Does it.
    ///
    /// # Errors
    /// When it cannot be injected. That ends the run, which then says nothing: exit code 2.
    async fn inject(
        &self,
        scene: &Scene<'_>,
        on: &Targets,
        effect: &mut Effect,
    ) -> anyhow::Result<Self::Held>;

    /// Undoes it, on those targets that no other fault of the family still holds.
    async fn heal(&self, held: Self::Held, scene: &Scene<'_>, on: &Targets, effect: &mut Effect);

    /// Whether anything came of it, now that it is healed, given what its links did meanwhile.
    fn had_effect(&self, effect: &Effect, _traffic: &Traffic) -> bool {
        effect.effective
    }
}

/// Whether every named link exists in a cluster of `nodes`, and there is one.
///
/// # Errors
/// A sentence that names one that does not.
pub(super) fn check_links(links: &[LinkId], nodes: u64) -> Result<(), String> {
    let all = all_links(nodes);
    match links.iter().find(|link| !all.contains(link)) {
        Some(link) => Err(format!("a cluster of {nodes} has no link {link}")),
        None if links.is_empty() => Err("no link is named".to_owned()),
        None => Ok(()),
    }
}
