//! The plan of a run's faults, as data: made completely before the run starts, stored as `schedule.json`, and the same for
//! the same seed and flags. A person may write one, too (`plumbline run --schedule FILE`):
//!
//! ```json
//! {
//!   "version": 1,
//!   "nodes": 5,
//!   "plan": {"sequence": [
//!     {"until": {"condition": "leader"}},
//!     {"until": {"condition": "election", "step": {"inject": {"fault": {"partition": {"isolate": "leader"}}}}}},
//!     {"inject": {"duration_ms": 2000, "fault": {"kill": "minority"}}}
//!   ]}
//! }
//! ```
//!
//! A plan is a tree of [`Step`]s. What it cannot know beforehand is who leads: a fault therefore names a *role*
//! ([`Victims`]), which is resolved when it fires; whom it hit is in the results.

mod file;
mod nemeses;
mod plan;
mod step;
mod victims;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::{Draft, VERSION};
pub use nemeses::Nemeses;
pub use plan::{Pace, plan};
pub use step::{Choice, Condition, Every, Mix, Planned, Step, Until};
pub use victims::{Resolved, Victims};

pub use crate::faults::{Fault, Kind, Sort};

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

/// The whole plan of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The version of this format: [`VERSION`].
    pub version: u32,
    /// The seed: operations and faults are drawn from streams of their own.
    pub seed: u64,
    /// The number of servers it was made for.
    pub nodes: u64,
    /// How long clients run, in milliseconds.
    pub time_limit_ms: u64,
    /// The other options of `plumbline run` that it was made with, so that `plumbline replay` finds everything here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What happens.
    pub plan: Step,
}

impl Schedule {
    /// A schedule in which these faults happen, each at its time.
    #[must_use]
    pub fn of(seed: u64, nodes: u64, time_limit: Duration, faults: Vec<Planned>) -> Schedule {
        let mut plan = Step::Parallel(faults.into_iter().map(Step::Inject).collect());
        plan.number();
        let time_limit_ms = crate::units::millis(time_limit);
        Schedule { version: VERSION, seed, nodes, time_limit_ms, options: Vec::new(), plan }
    }

    /// How long the clients run.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        Duration::from_millis(self.time_limit_ms)
    }

    /// Every fault of the plan, in the order in which it is written.
    #[must_use]
    pub fn faults(&self) -> Vec<&Planned> {
        self.plan.faults()
    }

    /// Whether it can be carried out at all: on a cluster of this size, and by this machine.
    ///
    /// # Errors
    /// A sentence that names the fault, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.plan.check()?;
        for planned in self.faults() {
            let place = || format!("fault {} of the schedule ({})", planned.number, planned.fault);
            planned.fault.check(self.nodes).map_err(|why| format!("{}: {why}", place()))?;
            if let crate::faults::Usability::Missing(why) = planned.fault.kind().usable() {
                return Err(format!("{} cannot be injected on this machine: {why}", place()));
            }
        }
        Ok(())
    }
}
