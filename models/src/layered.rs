//! A second opinion: a small breadth-first search of our own over the same model, layer by layer.
//!
//! It must agree with stateright on the number of states and on every verdict (the tests compare them). It always finds a
//! shortest counterexample and says in which layer it is.

use rustc_hash::FxHashMap;
use stateright::Model;

use crate::cluster::{Action, Cluster};
use crate::property::Law;
use crate::state::State;

/// What a search of this kind found.
pub(crate) struct Found {
    pub(crate) unique: u64,
    pub(crate) generated: u64,
    pub(crate) depth: u64,
    /// The first law that was seen broken, with the shortest way there.
    pub(crate) broken: Option<(Law, Vec<Action>)>,
}

/// Searches until a law is broken or no state is left; `report` hears of each layer and may stop the cluster.
pub(crate) fn search(cluster: &Cluster, mut report: impl FnMut(u64, u64, u64)) -> Found {
    let mut found = Found { unique: 0, generated: 0, depth: 0, broken: None };
    // Fingerprint to that of the state it was first reached from.
    let mut origins: FxHashMap<u64, u64> = FxHashMap::default();
    let mut layer = Vec::new();
    for state in cluster.init_states() {
        found.generated += 1;
        if cluster.within_boundary(&state) && origins.insert(state.print, 0).is_none() {
            layer.push(state);
        }
    }
    let mut actions = Vec::new();
    while !layer.is_empty() {
        found.depth += 1;
        let mut next_layer = Vec::new();
        for (place, state) in layer.iter().enumerate() {
            if let Some(law) = Law::ALL.into_iter().find(|law| !cluster.holds(state, *law)) {
                found.unique = origins.len() as u64;
                found.broken = Some((law, path(cluster, &origins, state.print)));
                return found;
            }
            cluster.actions(state, &mut actions);
            for action in actions.drain(..) {
                let Some(next) = cluster.next_state(state, action) else { continue };
                if !cluster.within_boundary(&next) {
                    continue;
                }
                found.generated += 1;
                if let std::collections::hash_map::Entry::Vacant(entry) = origins.entry(next.print) {
                    entry.insert(state.print);
                    next_layer.push(next);
                }
            }
            if place % 4096 == 0 {
                report(origins.len() as u64, found.generated, found.depth);
            }
        }
        layer = next_layer;
    }
    found.unique = origins.len() as u64;
    found
}

/// The actions that lead from the beginning to a state. Fingerprints stand for states under any names, so each step takes
/// an action that leads to a state of the right fingerprint; the names are those of the first step on.
fn path(cluster: &Cluster, origins: &FxHashMap<u64, u64>, last: u64) -> Vec<Action> {
    let mut prints = vec![last];
    let mut current = last;
    while let Some(&origin) = origins.get(&current).filter(|origin| **origin != 0) {
        prints.push(origin);
        current = origin;
    }
    let mut way = Vec::new();
    let Some(mut state): Option<State> = cluster.init_states().pop() else { return way };
    for print in prints.into_iter().rev().skip(1) {
        let mut actions = Vec::new();
        cluster.actions(&state, &mut actions);
        let step = actions.into_iter().find_map(|action| {
            let next = cluster.next_state(&state, action)?;
            (next.print == print && cluster.within_boundary(&next)).then_some((action, next))
        });
        let Some((action, next)) = step else { break };
        way.push(action);
        state = next;
    }
    way
}
