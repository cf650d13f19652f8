//! The laws that compare servers with each other and with history.

use raft_core::{Index, Membership};

use super::Cluster;
use crate::filed::Filed;
use crate::ghost::{Ghost, logs_match};
use crate::members::{brings_members, is_quorum, members_number, payload_number};
use crate::property::{Flags, Law};
use crate::reaction::{Applied, Elected};
use crate::state::State;
use crate::world::Outcome;

impl Cluster {
    pub(super) fn compare(&self, before: &State, state: &mut State, changed: u8, outcome: &Outcome) {
        let Some(ghost) = self.ghost(state) else { return };
        let place = usize::from(changed);
        let (Some(earlier), Some(own)) = (self.servers(before).nth(place), self.servers(state).nth(place))
        else {
            return;
        };
        if outcome.log_changed {
            let differs =
                self.servers(state).any(|other| !logs_match((own.gone, &own.log), (other.gone, &other.log)));
            state.broken.add_if(differs, Flags::law(Law::LogMatching));
        }
        if outcome.disk_changed {
            let holds = |filed: &Filed, index| ghost.is_on(index, &filed.server.disk);
            let mut committed = (1..=ghost.committed_to()).map(Index);
            let is_lost = committed.any(|index| holds(earlier, index) && !holds(own, index));
            state.broken.add_if(is_lost, Flags::law(Law::DurableCommit));
        }
        if let Some(elected) = &outcome.elected {
            let is_forged = !self.have_voted(state, elected);
            state.broken.add_if(is_forged, Flags::law(Law::ElectionByQuorum));
        }
        if !outcome.snapshots.is_empty() {
            let founders = members_number(&self.bounds().founders());
            let is_false = outcome.snapshots.iter().any(|snapshot| !ghost.is_true(snapshot, founders));
            state.broken.add_if(is_false, Flags::law(Law::TrueSnapshots));
        }
        if self.bounds().changes_members() {
            let (open, is_latest) = self.members_of(ghost, own);
            state.broken.add_if(open > 1, Flags::law(Law::OneChangeAtATime));
            state.broken.add_if(!is_latest, Flags::law(Law::LatestMembers));
        }
    }

    /// Whether an entry that is committed just now is on the disks of a quorum.
    pub(super) fn is_durable(&self, state: &State, applied: &Applied) -> bool {
        let entry = &applied.entry;
        let payload = payload_number(entry);
        let holds = |filed: &&Filed| filed.server.disk.holds(entry.index, entry.term, payload);
        let holders: Vec<_> = self.servers(state).filter(holds).map(|filed| filed.server.id).collect();
        applied.by.iter().any(|members| is_quorum(members, |id| holders.contains(&id)))
    }

    /// Whether the disks of those whose votes were counted know of them, or of a later term.
    fn have_voted(&self, state: &State, elected: &Elected) -> bool {
        elected.voters.iter().all(|voter| {
            let hard = self.servers(state).find(|s| s.server.id == *voter).map(|s| s.server.disk.hard_state);
            hard.is_some_and(|hard| {
                (hard.term, hard.voted_for) == (elected.term, Some(elected.leader))
                    || hard.term > elected.term
            })
        })
    }

    /// How many memberships that were never committed a server's log holds, and whether the members in force are those of the
    /// latest one in it.
    fn members_of(&self, ghost: &Ghost, filed: &Filed) -> (usize, bool) {
        let all = || filed.log.iter().enumerate().filter(|(_, (_, payload))| brings_members(*payload));
        let open = all().filter(|(place, entry)| !ghost.has_committed(filed.gone + *place, **entry)).count();
        let founders = self.bounds().founders();
        let before = || match filed.gone {
            // Who joins later knows of no members before it hears of them.
            0 if !founders.contains(filed.server.id) => members_number(&Membership::default()),
            gone => ghost.members_at(Index(gone as u64), members_number(&founders)),
        };
        let latest = all().next_back().map_or_else(before, |(_, (_, payload))| *payload);
        (open, filed.members.is_none_or(|members| members == latest))
    }
}
