//! Whom a fault hits: a role, which is resolved when the fault fires, or servers by name.

use std::fmt;
use std::str::FromStr;

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::NodeId;

/// Whom a fault hits. In a file it is one word, as its `Display` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Victims {
    /// `leader`: whoever leads when the fault fires; a random one when nobody is known to.
    Leader,
    /// `follower[1]`: of those who do not lead, in order of their numbers, the first, second, …
    Follower(u64),
    /// `minority`: as many random ones as can be missing while the others are a majority, at least one.
    Minority,
    /// `majority`: as many random ones as a majority has.
    Majority,
    /// `all`.
    All,
    /// `random[2]`: so many random ones.
    Random(u64),
    /// `n1,n3`: these.
    Nodes(Vec<NodeId>),
}

/// Whom a fault hits, now that it fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The servers, in order.
    pub nodes: Vec<NodeId>,
    /// The same in words, the role among them.
    pub whom: String,
}

/// The largest minority of so many servers, but at least one of them.
fn minority(nodes: u64) -> u64 {
    (nodes - (nodes / 2 + 1).min(nodes)).max(1)
}

impl Victims {
    /// The servers meant in a cluster of `nodes`, given who leads now.
    #[must_use]
    pub fn resolve(&self, nodes: u64, leader: Option<NodeId>, rng: &mut ChaCha8Rng) -> Resolved {
        let everyone: Vec<NodeId> = (1..=nodes).collect();
        let mut some = |count: u64| {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let mut some: Vec<NodeId> = everyone.sample(rng, count).copied().collect();
            some.sort_unstable();
            some
        };
        let unled = |hit: &[NodeId]| format!("{} (nobody leads)", list(hit));
        match (self, leader) {
            (Victims::Leader, Some(leader)) => {
                Resolved { nodes: vec![leader], whom: format!("the leader n{leader}") }
            }
            (Victims::Leader, None) => {
                let hit = some(1);
                Resolved { whom: unled(&hit), nodes: hit }
            }
            (Victims::Follower(which), leader) => {
                let others = everyone.iter().copied().filter(|id| Some(*id) != leader);
                let hit: Vec<NodeId> =
                    others.skip(usize::try_from(which - 1).unwrap_or(usize::MAX)).take(1).collect();
                let whom = match leader {
                    Some(_) => format!("the follower {}", list(&hit)),
                    None => unled(&hit),
                };
                Resolved { nodes: hit, whom }
            }
            (Victims::Nodes(named), _) => Resolved { nodes: named.clone(), whom: list(named) },
            (role, _) => {
                let hit = some(match role {
                    Victims::Minority => minority(nodes),
                    Victims::Majority => nodes / 2 + 1,
                    Victims::Random(count) => *count,
                    _ => nodes,
                });
                Resolved { whom: list(&hit), nodes: hit }
            }
        }
    }

    /// Whether the victim depends on who leads.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        matches!(self, Victims::Leader | Victims::Follower(_))
    }

    /// Whether a cluster of `nodes` has them.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, nodes: u64) -> Result<(), String> {
        let fits = match self {
            Victims::Follower(which) => (1..nodes.max(1)).contains(which),
            Victims::Random(count) => (1..=nodes).contains(count),
            Victims::Nodes(named) => !named.is_empty() && named.iter().all(|id| (1..=nodes).contains(id)),
            Victims::Leader | Victims::Minority | Victims::Majority | Victims::All => true,
        };
        if fits { Ok(()) } else { Err(format!("a cluster of {nodes} has no {self}")) }
    }

    /// In words, as long as nobody is known to be meant.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Victims::Leader => "the leader".to_owned(),
            Victims::Follower(which) => format!("follower {which}"),
            Victims::Minority => "a minority".to_owned(),
            Victims::Majority => "a majority".to_owned(),
            Victims::All => "all servers".to_owned(),
            Victims::Random(count) => format!("{count} random servers"),
            Victims::Nodes(nodes) => list(nodes),
        }
    }
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Victims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victims::Leader => f.write_str("leader"),
            Victims::Follower(which) => write!(f, "follower[{which}]"),
            Victims::Minority => f.write_str("minority"),
            Victims::Majority => f.write_str("majority"),
            Victims::All => f.write_str("all"),
            Victims::Random(count) => write!(f, "random[{count}]"),
            Victims::Nodes(nodes) => f.write_str(&list(nodes)),
        }
    }
}

impl FromStr for Victims {
    type Err = String;

    fn from_str(text: &str) -> Result<Victims, String> {
        let numbered = |role: &str| {
            let number = text.strip_prefix(role)?.strip_prefix('[')?.strip_suffix(']')?;
            number.trim().parse::<u64>().ok().filter(|number| *number > 0)
        };
        let node = |name: &str| name.trim().strip_prefix('n')?.parse::<NodeId>().ok();
        match text.trim() {
            "leader" => Ok(Victims::Leader),
            "minority" => Ok(Victims::Minority),
            "majority" => Ok(Victims::Majority),
            "all" => Ok(Victims::All),
            _ => {
                let follower = || numbered("follower").map(Victims::Follower);
                let random = || numbered("random").map(Victims::Random);
                let nodes = || text.split(',').map(node).collect::<Option<Vec<_>>>().map(Victims::Nodes);
                follower().or_else(random).or_else(nodes).ok_or_else(|| {
                    format!(
                        "nobody is called {text:?}: expected leader, follower[1], minority, majority, all, \
                         random[2] or servers by name (n1,n3)"
                    )
                })
            }
        }
    }
}

impl TryFrom<String> for Victims {
    type Error = String;

    fn try_from(text: String) -> Result<Victims, String> {
        text.parse()
    }
}

impl From<Victims> for String {
    fn from(victims: Victims) -> String {
        victims.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn hit(role: &str, nodes: u64, leader: Option<NodeId>, seed: u64) -> Resolved {
        let victims: Victims = role.parse().unwrap();
        assert_eq!(victims.to_string(), role);
        assert_eq!(victims.check(nodes), Ok(()));
        victims.resolve(nodes, leader, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn roles_are_resolved_by_who_leads_and_by_the_seed() {
        assert_eq!(hit("leader", 5, Some(3), 1).nodes, [3]);
        assert_eq!(hit("leader", 5, Some(3), 1).whom, "the leader n3");
        let unled = hit("leader", 5, None, 1);
        assert!(unled.nodes.len() == 1 && unled.whom.contains("nobody leads"), "{unled:?}");
        assert_eq!(hit("follower[1]", 5, Some(1), 1).nodes, [2]);
        assert_eq!(hit("follower[4]", 5, Some(3), 1).nodes, [5]);
        assert_eq!(hit("follower[2]", 5, Some(3), 1).whom, "the follower n2");
        for (nodes, minority, majority) in [(1, 1, 1), (2, 1, 2), (3, 1, 2), (4, 1, 3), (5, 2, 3), (9, 4, 5)]
        {
            assert_eq!(hit("minority", nodes, None, 1).nodes.len(), minority, "{nodes}");
            assert_eq!(hit("majority", nodes, None, 1).nodes.len(), majority, "{nodes}");
            assert_eq!(hit("all", nodes, None, 1).nodes.len() as u64, nodes);
        }
        assert_eq!(hit("random[2]", 5, None, 7), hit("random[2]", 5, None, 7));
        assert!((0..20).any(|seed| hit("random[2]", 5, None, seed) != hit("random[2]", 5, None, 7)));
        assert_eq!(hit("n1,n3", 3, Some(2), 1).nodes, [1, 3]);
    }

    #[test]
    fn who_does_not_exist_is_refused() {
        for (role, nodes) in [("n6", 5), ("follower[5]", 5), ("follower[1]", 1), ("random[4]", 3), ("n0", 3)]
        {
            assert!(role.parse::<Victims>().unwrap().check(nodes).is_err(), "{role} of {nodes}");
        }
        for text in ["", "boss", "follower", "follower[0]", "follower[x]", "n1,,n2", "random[]"] {
            assert!(text.parse::<Victims>().is_err(), "{text:?}");
        }
    }
}
