//! What a leader makes of the answers to its appends (§5.3).

use crate::entry::Command;
use crate::event::{Event, Suspicion};
use crate::io::Effects;
use crate::message::{AppendOutcome, AppendResponse};
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::replication::Mode;
use crate::types::NodeId;

impl<P: Command> Raft<P> {
    pub(crate) fn on_append_response(
        &mut self,
        from: NodeId,
        response: AppendResponse,
        effects: &mut Effects<P>,
    ) {
        let (last, base) = (self.log.last().index, self.log.base().index);
        let regresses = self.has_mutant(Mutant::MatchRegress);
        let Some(progress) = self.progress_mut(from) else { return };
        progress.active = true;
        match response.outcome {
            AppendOutcome::Accepted { matched } if matched > last => {
                let reason = Suspicion::AcknowledgedBeyondLog;
                return effects.events.push(Event::Suspect { from, reason });
            }
            AppendOutcome::Accepted { matched } if regresses => {
                progress.matched = matched;
                progress.next = matched.next();
            }
            AppendOutcome::Accepted { matched } => progress.acknowledge(matched, base),
            AppendOutcome::Rejected { refused, hint } => {
                let candidate = self.log.last_at_most(hint.index.min(refused), hint.term).index;
                if let Some(progress) = self.progress_mut(from) {
                    progress.reject(refused, candidate);
                }
            }
        }
        self.note_round(from, response.round, effects);
        self.advance_commit(effects);
        self.replicate(from, effects);
        self.go_on_with_transfer(from, effects);
    }

    /// The host could not deliver something. The next heartbeat repeats the probe, or goes on with the snapshot; until then a
    /// dead peer costs nothing.
    pub(crate) fn peer_unreachable(&mut self, peer: NodeId) {
        let Some(progress) = self.progress_mut(peer) else { return };
        match &mut progress.mode {
            Mode::Probe { .. } => {}
            Mode::Replicate(_) => {
                progress.probe_from(progress.matched.next());
                progress.mode = Mode::Probe { waiting: true };
            }
            Mode::Snapshot(shipping) => shipping.lose(),
        }
    }
}
