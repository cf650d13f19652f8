//! The law that is about what would come: whether a fair schedule without faults gets somewhere from here.

use super::{Action, Cluster};
use crate::check::Settling;
use crate::fair::Deed;
use crate::property::Law;
use crate::state::State;
use crate::story::{Occurrence, Step, view};
use crate::world::Posted;

impl Cluster {
    /// Whether a law holds in a state and in the step that led there. Of liveness that is found out only now.
    pub(crate) fn holds(&self, state: &State, law: Law) -> bool {
        if law == Law::Liveness { self.settles(state) } else { state.holds(law) }
    }

    /// What the fair schedule came to, where this law is asked about.
    pub(crate) fn settling(&self) -> Option<Settling> {
        let fair = self.shared.fair.as_ref().filter(|_| self.is_judged_by(Law::Liveness))?;
        Some(Settling { states: fair.asked(), longest: fair.longest() })
    }

    fn settles(&self, state: &State) -> bool {
        let Some(fair) = self.shared.fair.as_ref() else { return true };
        if !self.is_judged_by(Law::Liveness) {
            return true;
        }
        fair.note_asked();
        // What comes after a broken law proves nothing.
        if !state.broken.is_empty() {
            return true;
        }
        fair.settles(self.servers(state), self.posted(state)).unwrap_or_else(|defect| {
            self.fail(defect);
            true
        })
    }

    /// What comes after a state in which this law is broken: of liveness, what a schedule does that gets nowhere.
    pub(crate) fn tell_after(&self, state: &State, law: Law) -> Vec<Step> {
        let Some(fair) = self.shared.fair.as_ref().filter(|_| law == Law::Liveness) else {
            return Vec::new();
        };
        let deeds = fair.tell(self.servers(state), self.posted(state)).unwrap_or_default();
        let step = |deed: Deed| {
            let action = Action { server: deed.server, stimulus: deed.stimulus, again: false, lost: 0 };
            let servers = deed.after.into_iter().take(self.bounds().servers);
            let after = servers.filter_map(|number| fair.world().server(number)).map(view).collect();
            let event = Occurrence::of(fair.world(), action);
            Step { server: Cluster::id_of(action).0, event, lost: Vec::new(), after }
        };
        deeds.into_iter().map(step).collect()
    }

    fn posted<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Posted> {
        state.network.as_slice().iter().filter_map(|number| self.world().message(*number))
    }
}
