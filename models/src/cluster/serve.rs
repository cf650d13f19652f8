//! What a step means to the clients, where what they see is remembered.

use raft_core::ReadOutcome;

use super::{Action, Cluster};
use crate::clients::Clients;
use crate::filed::Filed;
use crate::ghost::Ghost;
use crate::members::{brings_members, payload_number};
use crate::property::{Flags, Law, Witness};
use crate::state::State;
use crate::world::{Outcome, Stimulus};

impl Cluster {
    /// Whether a client notices anything of a step that leads to this state.
    pub(super) fn is_noticed(&self, state: &State, action: Action, outcome: &Outcome) -> bool {
        let waits = |ghost: &Ghost| ghost.clients.waits_for(Cluster::id_of(action));
        self.bounds().clients
            && (matches!(action.stimulus, Stimulus::Propose(_) | Stimulus::Read(_))
                || !outcome.applied.is_empty()
                || !outcome.reads.is_empty()
                || !outcome.dropped_reads.is_empty()
                || self.ghost(state).is_some_and(waits))
    }

    /// What was asked for, and what is answered.
    pub(super) fn serve(
        &self,
        ghost: &mut Ghost,
        state: &mut State,
        action: Action,
        outcome: &Outcome,
        seen: &mut Flags,
    ) {
        let server = Cluster::id_of(action);
        let clients = &mut ghost.clients;
        match action.stimulus {
            Stimulus::Propose(number) => clients.ask_put(number, server),
            Stimulus::Read(id) => clients.ask_get(id),
            _ => {}
        }
        outcome.dropped_reads.iter().for_each(|id| clients.drop_get(id.0 as u8));
        let Some(filed) = self.world().server(outcome.server) else { return };
        let mut is_answered = false;
        for applied in &outcome.applied {
            if let Some(number) = put(payload_number(&applied.entry)) {
                is_answered |= clients.answer_put(number, server);
            }
        }
        if !filed.is_leader {
            clients.give_up(server);
        }
        let value = value_at(filed, &ghost.committed_payloads());
        for read in &outcome.reads {
            is_answered |= self.answer(&mut ghost.clients, *read, filed, value, seen);
        }
        if is_answered {
            match self.shared.judge.is_linearizable(&ghost.clients) {
                Ok(is) => state.broken.add_if(!is, Flags::law(Law::LinearizableHistory)),
                Err(defect) => self.fail(defect),
            }
        }
    }

    fn answer(
        &self,
        clients: &mut Clients,
        read: ReadOutcome,
        filed: &Filed,
        value: Option<u8>,
        seen: &mut Flags,
    ) -> bool {
        let applied = filed.server.raft.as_ref().map(raft_core::Raft::applied);
        match read {
            ReadOutcome::Ready { id, index } if applied.is_some_and(|applied| applied >= index) => {
                clients.answer_get(id.0 as u8, value);
                seen.add_if(value.is_some(), Flags::witness(Witness::PutSeen));
                true
            }
            // It is given up; or it would wait for what is not applied here yet, and is taken for given up.
            ReadOutcome::Ready { id, .. } | ReadOutcome::Aborted { id } => {
                clients.drop_get(id.0 as u8);
                false
            }
        }
    }

    /// How many different histories of clients were judged, where that is asked for.
    pub(crate) fn histories(&self) -> Option<usize> {
        self.is_judged_by(Law::LinearizableHistory).then(|| self.shared.judge.judged())
    }

    /// What the clients have seen, where that is remembered.
    pub(crate) fn seen_by_clients(&self, state: &State) -> Vec<String> {
        self.ghost(state).map(|ghost| ghost.clients.lines()).unwrap_or_default()
    }
}

/// The number that an entry puts.
fn put(payload: u32) -> Option<u8> {
    u8::try_from(payload).ok().filter(|_| !brings_members(payload))
}

/// What the register of a server holds: the last put that it has applied, in its log or in its snapshot.
fn value_at(filed: &Filed, committed: &[u32]) -> Option<u8> {
    let applied = filed.server.raft.as_ref().map_or(0, |raft| raft.applied().0 as usize);
    let own = filed.log.iter().map(|(_, payload)| *payload).take(applied.saturating_sub(filed.gone));
    let gone = committed.iter().copied().take(filed.gone);
    gone.chain(own).filter_map(put).next_back()
}
