//! stateright's explorer: walking a world by hand in a web browser.

use std::net::{SocketAddr, TcpListener};

use raft_core::MutantSwitch;
use stateright::{Model, Property};

use crate::bounds::{Bounds, BoundsError};
use crate::cluster::{Action, Cluster};
use crate::property::Law;
use crate::state::State;
use crate::story::{Step, view};

/// Why the explorer cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// It shows everything to everyone who can reach it.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The bounds make no sense.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
}

/// Serves the explorer of a world until the process ends. `ready` is told where, once that address is known to be free (with port
/// 0 it is a free one).
///
/// # Errors
/// An address that is not of this machine's own or cannot be had, or bounds out of range.
pub fn browse(
    bounds: Bounds,
    mutant: MutantSwitch,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), BrowserError> {
    if !address.ip().is_loopback() {
        return Err(BrowserError::NotLoopback(address));
    }
    let cluster = Cluster::with(bounds, mutant, true)?;
    // stateright panics where it cannot listen, so we ask first.
    let trial = TcpListener::bind(address).and_then(|trial| trial.local_addr());
    let address = trial.map_err(|source| BrowserError::Address { address, source })?;
    ready(address);
    let _ = Shown(cluster).checker().serve(address);
    Ok(())
}

/// A cluster whose states can be read.
struct Shown(Cluster);

#[derive(Clone)]
struct Legible {
    state: State,
    lines: Vec<String>,
}

impl std::hash::Hash for Legible {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
    }
}

impl std::fmt::Debug for Legible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl Shown {
    fn legible(&self, state: State) -> Legible {
        let mut lines: Vec<String> = self.0.servers(&state).map(view).collect();
        lines.extend(self.0.in_flight(&state).map(|sent| format!("in flight: {sent}")));
        let broken = Law::ALL.into_iter().filter(|law| !self.0.holds(&state, *law));
        lines.extend(broken.map(|law| format!("BROKEN: {}", law.name())));
        Legible { state, lines }
    }
}

impl Model for Shown {
    type State = Legible;
    type Action = Action;

    fn init_states(&self) -> Vec<Legible> {
        self.0.init_states().into_iter().map(|state| self.legible(state)).collect()
    }

    fn actions(&self, state: &Legible, actions: &mut Vec<Action>) {
        self.0.actions(&state.state, actions);
    }

    fn next_state(&self, state: &Legible, action: Action) -> Option<Legible> {
        self.0.next_state(&state.state, action).map(|next| self.legible(next))
    }

    fn within_boundary(&self, state: &Legible) -> bool {
        self.0.within_boundary(&state.state)
    }

    fn format_action(&self, action: &Action) -> String {
        self.0.format_action(action)
    }

    fn format_step(&self, before: &Legible, action: Action) -> Option<String> {
        let step = Step::of(&self.0, &before.state, action).to_string();
        Some(self.next_state(before, action).map_or(step.clone(), |next| format!("{step}\n{next:?}")))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every law", |shown: &Shown, legible: &Legible| {
            Law::ALL.into_iter().all(|law| shown.0.holds(&legible.state, law))
        })]
    }
}
