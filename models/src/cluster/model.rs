//! The cluster as stateright wants it.

use std::sync::atomic::Ordering;

use stateright::{Model, Property};

use super::{Action, Cluster};
use crate::bounds::Bounds;
use crate::ghost::Ghost;
use crate::property::{Flags, Law};
use crate::state::{Network, State};
use crate::story::{Occurrence, Step};
use crate::world::Stimulus;

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let world = self.world();
        let (servers, ghost) = match (world.fresh(), world.remember(Ghost::new())) {
            (Ok(servers), Ok(ghost)) => (servers, ghost),
            (Err(defect), _) | (_, Err(defect)) => {
                self.fail(defect);
                return Vec::new();
            }
        };
        let mut state = State {
            servers: [0; Bounds::MAX_SERVERS],
            network: Network::EMPTY,
            ghost,
            crashes: 0,
            duplicates: 0,
            proposals: 0,
            reads: 0,
            changes: 0,
            snapshots: 0,
            transfers: 0,
            lost_tails: 0,
            floors: [0; Bounds::MAX_READS as usize],
            broken: Flags::NONE,
            print: 0,
        };
        state.servers.iter_mut().zip(servers).for_each(|(place, server)| *place = server);
        state.print = self.fingerprint(&state);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.shared.expanded.fetch_add(1, Ordering::Relaxed);
        // What comes after a broken law proves nothing.
        if !state.broken.is_empty() || self.shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        for (server, filed) in (0..).zip(self.servers(state)) {
            self.stimuli(state, filed, &mut |stimulus| self.add(state, server, stimulus, false, actions));
        }
        let mut previous = None;
        for &message in state.network.as_slice() {
            if previous.replace(message) == Some(message) {
                continue;
            }
            let to = self.world().message(message).map_or(0, |posted| posted.envelope.to.0 as u8);
            let Some(server) = to.checked_sub(1) else { continue };
            self.add(state, server, Stimulus::Receive(message), false, actions);
            if state.duplicates < self.bounds().duplicates {
                self.add(state, server, Stimulus::Receive(message), true, actions);
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let (next, seen) = self.apply(state, action, &mut Vec::new())?;
        if self.is_within_bounds(&next) && !Flags(self.shared.seen.load(Ordering::Relaxed)).contains(seen) {
            self.shared.seen.fetch_or(seen.0, Ordering::Relaxed);
        }
        Some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.is_within_bounds(state)
    }

    fn format_action(&self, action: &Action) -> String {
        let (server, event) = (Cluster::id_of(*action).0, Occurrence::of(self.world(), *action));
        Step { server, event, lost: Vec::new(), after: Vec::new() }.to_string()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // The checker takes plain functions, so each law needs its own.
        macro_rules! laws {
            ($($law:ident),*) => { vec![$(Property::always(
                Law::$law.name(), |cluster: &Cluster, state: &State| cluster.holds(state, Law::$law))),*] };
        }
        laws!(
            ElectionSafety,
            LeaderAppendOnly,
            LogMatching,
            LeaderCompleteness,
            StateMachineSafety,
            DurableCommit,
            Monotonicity,
            LinearizableReads,
            NoHalt,
            NoSuspicion,
            LegalRestart,
            NoPanic,
            ElectionByQuorum,
            OneChangeAtATime,
            LatestMembers,
            OwnCommitFirst,
            QuorumsMeet,
            WholeSnapshots,
            TrueSnapshots,
            Liveness,
            LinearizableHistory
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::members::{Group, Target};

    /// The core treats all names alike: asked of every step of a small world with crashes.
    #[test]
    fn images_of_servers_do_the_images_of_what_they_do() {
        is_symmetric(Bounds { log: 2, crashes: 1, slow_writes: 1, reads: 1, ..Bounds::SMALLEST });
    }

    #[test]
    fn images_of_members_do_the_images_of_what_they_do() {
        let outsiders = Group::of(&[4]);
        let changes = [Some(Target::voters(&[1, 2, 3, 4])), Some(Target::voters(&[1]))];
        is_symmetric(Bounds { servers: 4, outsiders, changes, ..Bounds::SMALLEST });
    }

    #[test]
    fn images_of_snapshots_do_the_images_of_what_they_do() {
        is_symmetric(Bounds { log: 2, proposals: 1, snapshots: 1, snapshot_parts: 2, ..Bounds::SMALLEST });
    }

    #[test]
    fn images_of_transfers_and_requests_do_the_images_of_what_they_do() {
        let reads = Bounds { reads: 1, forwarded_reads: true, rounds: 2, ..Bounds::SMALLEST };
        is_symmetric(Bounds { terms: 2, log: 2, transfers: 1, lost_tails: 1, ..reads });
    }

    fn is_symmetric(bounds: Bounds) {
        let cluster = Cluster::new(bounds).unwrap();
        assert!(cluster.world().permutations.len() > 1);
        let mut seen = BTreeSet::new();
        let mut pending = cluster.init_states();
        let mut actions = Vec::new();
        let mut steps = BTreeSet::new();
        while let Some(state) = pending.pop() {
            cluster.actions(&state, &mut actions);
            for action in actions.drain(..) {
                let server = state.servers[usize::from(action.server)];
                if steps.insert((server, format!("{:?}", action.stimulus))) {
                    assert!(cluster.world().is_symmetric_at(server, action.stimulus), "{action:?}");
                }
                let next = cluster.next_state(&state, action).unwrap();
                if cluster.within_boundary(&next) && seen.len() < 60_000 && seen.insert(next.print) {
                    pending.push(next);
                }
            }
        }
        assert!(steps.len() > 500, "{}", steps.len());
        assert_eq!(cluster.defect(), None);
    }
}
