//! The named worlds that are explored.

mod clients;
mod crashing;
mod features;
mod fixed;

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::bounds::Bounds;
use crate::property::Witness;

/// The smallest world, asked for liveness in each state (which takes as long again as the search). Whatever happened, eight
/// election timeouts without faults are enough: that is what it takes where a server repairs its log.
const LIVE: Bounds = Bounds { settles: 8, ..Bounds::SMALLEST };

/// A world worth exploring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How large it is.
    pub bounds: Bounds,
    /// What must be possible in it.
    pub reaches: &'static [Witness],
    /// How many states it has, up to the names of servers, where that was counted. A change of the core that changes
    /// behaviour changes this.
    pub states: Option<u64>,
    /// How often it is explored.
    pub set: Set,
}

/// When a scenario is explored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Set {
    /// With every `cargo test`, and in CI.
    Test,
    /// In CI.
    Ci,
    /// Every night, or when asked for by name.
    Nightly,
    /// When asked for by name: no search has come to its end so far.
    Open,
}

impl Set {
    /// `test`, `ci`, `nightly` or `open`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Set::Test => "test",
            Set::Ci => "ci",
            Set::Nightly => "nightly",
            Set::Open => "open",
        }
    }
}

static SCENARIOS: LazyLock<Vec<Scenario>> =
    LazyLock::new(|| [fixed::FIXED, crashing::CRASHING, features::FEATURES, clients::SCENARIOS].concat());

/// All scenarios.
#[must_use]
pub fn scenarios() -> &'static [Scenario] {
    &SCENARIOS
}

/// The scenario of this name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

const HEAD: &str = "\
| Scenario | Set | States | Bounds | What it is about, and what must be reached in it |
|---|---|--:|---|---|
";

/// The table of all scenarios.
#[must_use]
pub fn scenario_table() -> String {
    let mut text = HEAD.to_owned();
    for Scenario { name, about, bounds, reaches, states, set } in scenarios() {
        let states = states.map_or("not counted".to_owned(), |states| states.to_string());
        let reaches: Vec<_> = reaches.iter().map(|witness| witness.name()).collect();
        let (set, summary, reaches) = (set.name(), bounds.summary(), reaches.join(", "));
        let _ = writeln!(text, "| `{name}` | {set} | {states} | {summary} | {about} ({reaches}) |");
    }
    for set in [Set::Test, Set::Ci, Set::Nightly] {
        let of_set = || scenarios().iter().filter(|scenario| scenario.set <= set);
        let sum: u64 = of_set().filter_map(|scenario| scenario.states).sum();
        let _ = writeln!(text, "| **up to {}**, {} scenarios | | {sum} | | |", set.name(), of_set().count());
    }
    text
}
