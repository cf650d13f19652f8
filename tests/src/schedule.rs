//! The plan of a run's faults, as data: made completely before the run starts, from the seed alone, stored as
//! `schedule.json`, and the same for the same seed and flags.
//!
//! What a plan cannot know beforehand is who leads. A fault aimed at the leader therefore names a *role*
//! ([`Victims::Leader`]); the nemesis resolves it when the fault fires, and records whom it hit.

mod plan;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use plan::plan;

/// A server's number in the cluster, counted from 1.
pub type NodeId = u64;

/// One directed link: what `from` sends to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkId {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}->n{}", self.from, self.to)
    }
}

/// Every directed link of a cluster of `nodes` servers.
#[must_use]
pub fn all_links(nodes: u64) -> Vec<LinkId> {
    let pairs = (1..=nodes).flat_map(|from| (1..=nodes).map(move |to| LinkId { from, to }));
    pairs.filter(|link| link.from != link.to).collect()
}

/// Whom a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victims {
    /// Whoever leads when the fault fires; `otherwise` when nobody is known to.
    Leader {
        /// The victim where no server says that it leads.
        otherwise: NodeId,
    },
    /// These servers, drawn when the plan was made.
    Nodes(Vec<NodeId>),
}

impl Victims {
    /// The servers meant, given who leads now.
    #[must_use]
    pub fn resolve(&self, leader: Option<NodeId>) -> Vec<NodeId> {
        match self {
            Victims::Leader { otherwise } => vec![leader.unwrap_or(*otherwise)],
            Victims::Nodes(nodes) => nodes.clone(),
        }
    }

    /// Whether the victim depends on who leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self, Victims::Leader { .. })
    }
}

/// Which links a partition cuts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing passes between these servers and the others, either way.
    Halves(Vec<NodeId>),
    /// Nothing passes to or from the victims.
    Isolate(Victims),
    /// What the victims send is cut; they still hear the others.
    Outbound(Victims),
    /// What the victims should hear is cut; the others still hear them.
    Inbound(Victims),
    /// Just these links, each in its one direction.
    OneWay(Vec<LinkId>),
}

impl Shape {
    /// The directed links to cut in a cluster of `nodes`, given who leads now.
    #[must_use]
    pub fn links(&self, nodes: u64, leader: Option<NodeId>) -> Vec<LinkId> {
        let links = all_links(nodes).into_iter();
        match self {
            Shape::Halves(side) => {
                links.filter(|link| side.contains(&link.from) != side.contains(&link.to)).collect()
            }
            Shape::Isolate(victims) => {
                let hit = victims.resolve(leader);
                links.filter(|link| hit.contains(&link.from) || hit.contains(&link.to)).collect()
            }
            Shape::Outbound(victims) => {
                let hit = victims.resolve(leader);
                links.filter(|link| hit.contains(&link.from)).collect()
            }
            Shape::Inbound(victims) => {
                let hit = victims.resolve(leader);
                links.filter(|link| hit.contains(&link.to)).collect()
            }
            Shape::OneWay(only) => only.clone(),
        }
    }

    fn needs_leader(&self) -> bool {
        match self {
            Shape::Isolate(victims) | Shape::Outbound(victims) | Shape::Inbound(victims) => {
                victims.is_leader()
            }
            Shape::Halves(_) | Shape::OneWay(_) => false,
        }
    }
}

/// One kind of trouble, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL; healed by starting the servers again on the same data.
    Kill(Victims),
    /// SIGSTOP; healed by SIGCONT.
    Pause(Victims),
    /// Links whose bytes freeze; healed by letting them flow again, none lost.
    Partition(Shape),
    /// Links whose bytes arrive later, in order.
    Latency {
        /// The slow links.
        links: Vec<LinkId>,
        /// The delay added to every chunk, in milliseconds.
        delay_ms: u64,
        /// The most by which the delay varies up or down, in milliseconds.
        jitter_ms: u64,
    },
    /// Leadership is handed over to this server. There is nothing to heal.
    Transfer(NodeId),
    /// These servers take a snapshot and let go of their whole log, so that whoever lags needs the snapshot. There is nothing
    /// to heal.
    Compact(Victims),
    /// These servers leave the cluster, one after the other, and go on running; healed by taking them in again.
    Members(Victims),
}

impl Fault {
    /// The family, as `--nemesis` names it and as the history's `f` says.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::Pause(_) => Kind::Pause,
            Fault::Partition(_) => Kind::Partition,
            Fault::Latency { .. } => Kind::Latency,
            Fault::Transfer(_) => Kind::Transfer,
            Fault::Compact(_) => Kind::Compact,
            Fault::Members(_) => Kind::Members,
        }
    }

    /// Whether who leads must be asked before the fault can fire.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        match self {
            Fault::Kill(victims)
            | Fault::Pause(victims)
            | Fault::Compact(victims)
            | Fault::Members(victims) => victims.is_leader(),
            Fault::Partition(shape) => shape.needs_leader(),
            Fault::Latency { .. } | Fault::Transfer(_) => false,
        }
    }
}

/// The families of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SIGKILL and restart.
    Kill,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// Cut links.
    Partition,
    /// Slow links.
    Latency,
    /// Leadership handed over.
    Transfer,
    /// Snapshots taken, logs let go of.
    Compact,
    /// Servers that leave and come back.
    Members,
}

/// What a fault is done to. Two faults of a sort never overlap: they would heal each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Processes.
    Processes,
    /// Links between them.
    Links,
    /// Nothing: the cluster is asked for something that a healthy one does.
    Verbs,
}

impl Kind {
    /// Every family.
    pub const ALL: [Kind; 7] = [
        Kind::Kill,
        Kind::Pause,
        Kind::Partition,
        Kind::Latency,
        Kind::Transfer,
        Kind::Compact,
        Kind::Members,
    ];

    /// The name used on the command line, in histories and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Partition => "partition",
            Kind::Latency => "latency",
            Kind::Transfer => "transfer",
            Kind::Compact => "compact",
            Kind::Members => "members",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn sort(self) -> Sort {
        match self {
            Kind::Kill | Kind::Pause => Sort::Processes,
            Kind::Partition | Kind::Latency => Sort::Links,
            Kind::Transfer | Kind::Compact | Kind::Members => Sort::Verbs,
        }
    }

    /// Whether no other fault may overlap it. A server cannot be taken in again while too many others are down.
    #[must_use]
    pub fn is_alone(self) -> bool {
        self == Kind::Members
    }
}

/// One fault with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// When it is injected, in milliseconds since the clients started.
    pub at_ms: u64,
    /// How long it lasts before it is healed, in milliseconds.
    pub duration_ms: u64,
    /// What happens.
    pub fault: Fault,
}

/// The whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The seed it was made from.
    pub seed: u64,
    /// The number of servers it was made for.
    pub nodes: u64,
    /// How long clients run, in milliseconds.
    pub time_limit_ms: u64,
    /// The faults, in order of time.
    pub faults: Vec<Planned>,
}

impl Schedule {
    /// How long the clients run.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        Duration::from_millis(self.time_limit_ms)
    }
}

/// One way to make trouble: the leaves that `--nemesis` chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Recipe {
    KillOne,
    KillMinority,
    KillMajority,
    KillAll,
    KillLeader,
    PauseOne,
    PauseLeader,
    PauseMinority,
    Halves,
    IsolateLeader,
    IsolateOne,
    OneWayPair,
    LeaderMute,
    LeaderDeaf,
    SlowSome,
    SlowAll,
    TransferAnywhere,
    CompactSome,
    CompactAll,
    RemoveOne,
    RemoveLeader,
}

/// The faults a run may use, from `--nemesis kill,pause,partition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nemeses {
    names: Vec<&'static str>,
    recipes: Vec<Recipe>,
}

/// Every name `--nemesis` accepts, with what it stands for.
const NAMES: &[(&str, &[Recipe])] = &[
    ("kill", KILL),
    ("pause", PAUSE),
    (
        "partition",
        &[
            Recipe::Halves,
            Recipe::IsolateLeader,
            Recipe::IsolateOne,
            Recipe::OneWayPair,
            Recipe::LeaderMute,
            Recipe::LeaderDeaf,
        ],
    ),
    ("halves", &[Recipe::Halves]),
    ("isolate", &[Recipe::IsolateLeader, Recipe::IsolateOne]),
    ("one-way", &[Recipe::OneWayPair, Recipe::LeaderMute, Recipe::LeaderDeaf]),
    ("latency", &[Recipe::SlowSome, Recipe::SlowAll]),
    ("transfer", &[Recipe::TransferAnywhere]),
    ("compact", &[Recipe::CompactSome, Recipe::CompactAll]),
    ("members", &[Recipe::RemoveOne, Recipe::RemoveLeader]),
];
const KILL: &[Recipe] =
    &[Recipe::KillOne, Recipe::KillMinority, Recipe::KillMajority, Recipe::KillAll, Recipe::KillLeader];
const PAUSE: &[Recipe] = &[Recipe::PauseOne, Recipe::PauseLeader, Recipe::PauseMinority];

impl Nemeses {
    /// Every family.
    #[must_use]
    pub fn all() -> Nemeses {
        let mut all = Nemeses { names: Vec::new(), recipes: Vec::new() };
        for kind in Kind::ALL {
            all.add(kind.name());
        }
        all
    }

    /// No faults.
    #[must_use]
    pub fn none() -> Nemeses {
        Nemeses { names: Vec::new(), recipes: Vec::new() }
    }

    /// Reads a comma-separated list of names; `all` and `none` are names too.
    ///
    /// # Errors
    /// A sentence that lists the known names.
    pub fn parse(text: &str) -> Result<Nemeses, String> {
        let mut chosen = Nemeses::none();
        for name in text.split(',').map(str::trim) {
            match name {
                "none" => {}
                "all" => Nemeses::all().names.iter().for_each(|name| {
                    chosen.add(name);
                }),
                _ if chosen.add(name) => {}
                _ => {
                    let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                    return Err(format!(
                        "unknown fault {name:?}: expected {}, all or none",
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(chosen)
    }

    /// The names chosen, for titles and results.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn add(&mut self, wanted: &str) -> bool {
        let Some((name, recipes)) = NAMES.iter().find(|(name, _)| *name == wanted) else { return false };
        if !self.names.contains(name) {
            self.names.push(name);
        }
        for recipe in *recipes {
            if !self.recipes.contains(recipe) {
                self.recipes.push(*recipe);
            }
        }
        true
    }
}

impl fmt::Display for Nemeses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() { f.write_str("none") } else { f.write_str(&self.names.join(",")) }
    }
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Victims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victims::Leader { .. } => f.write_str("the leader"),
            Victims::Nodes(nodes) => f.write_str(&list(nodes)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(victims) => write!(f, "kill {victims}"),
            Fault::Pause(victims) => write!(f, "pause {victims}"),
            Fault::Partition(Shape::Halves(side)) => write!(f, "partition {} from the rest", list(side)),
            Fault::Partition(Shape::Isolate(victims)) => write!(f, "isolate {victims}"),
            Fault::Partition(Shape::Outbound(victims)) => write!(f, "cut what {victims} sends"),
            Fault::Partition(Shape::Inbound(victims)) => write!(f, "cut what {victims} hears"),
            Fault::Partition(Shape::OneWay(links)) => {
                let links: Vec<String> = links.iter().map(ToString::to_string).collect();
                write!(f, "cut {}", links.join(", "))
            }
            Fault::Latency { links, delay_ms, jitter_ms } => {
                write!(f, "slow {} links by {delay_ms}±{jitter_ms} ms", links.len())
            }
            Fault::Transfer(to) => write!(f, "hand leadership over to n{to}"),
            Fault::Compact(victims) => write!(f, "compact {victims}"),
            Fault::Members(victims) => write!(f, "remove {victims}"),
        }
    }
}
