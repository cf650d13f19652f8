//! When entries are committed: Figure 2, "rules for leaders", and §5.4.2.

use crate::entry::Command;
use crate::io::Effects;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::types::Index;

impl<P: Command> Raft<P> {
    /// Figure 2: "if there exists an N such that a majority of matchIndex[i] >= N, and log[N].term == currentTerm: set
    /// commitIndex = N". Entries of earlier terms are committed only by one of this term after them (§5.4.2, Figure 8).
    pub(crate) fn advance_commit(&mut self, effects: &mut Effects<P>) {
        if self.commit == self.log.last().index {
            return;
        }
        let own = self.own_match();
        let Some(leadership) = self.leadership() else { return };
        let me = self.config.id;
        let reached = |voter| match voter == me {
            true => own,
            false => leadership.peer(voter).map_or(Index::ZERO, |progress| progress.matched),
        };
        let candidate = self.log.membership().reached_by(self.config.mutant, reached);
        if candidate <= self.commit {
            return;
        }
        let is_own_term = self.log.term_at(candidate) == Some(self.hard.term);
        if !(is_own_term || self.has_mutant(Mutant::CommitOlderTerm)) {
            return;
        }
        let after = self.commit.max(leadership.opening.previous());
        let freed = self.log.bytes_between(after, candidate);
        self.commit = candidate;
        if let Some(leadership) = self.leadership_mut() {
            leadership.uncommitted_bytes = leadership.uncommitted_bytes.saturating_sub(freed);
        }
        if self.config.announce_commits {
            self.broadcast_heartbeats(effects);
        }
        self.confirm_reads(effects);
        self.finish_change(effects);
    }

    /// The leader's own log counts like any other, as far as it is durable (diss. 10.2.1); if it has a vote at all (§6).
    fn own_match(&self) -> Index {
        let voters = self.log.membership().voters();
        if self.has_mutant(Mutant::ApplyBeforePersist) && voters.len() == 1 {
            return self.log.last().index;
        }
        self.durability.log_end()
    }
}
