//! The follower's side of log replication: Figure 2, AppendEntries, receiver implementation (§5.3).

use crate::entries::Entries;
use crate::entry::Command;
use crate::event::Breach;
use crate::io::{Effects, Timer};
use crate::message::{Append, AppendOutcome, AppendResponse, Body};
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::{Following, Owed, Role};
use crate::types::{Index, NodeId, Position, Round};

impl<P: Command> Raft<P> {
    /// An append of the current term. Its acknowledgement leaves when what it rests on is durable (see `promises`).
    pub(crate) fn on_append(&mut self, from: NodeId, append: Append<P>, effects: &mut Effects<P>) {
        if !self.follow(from, effects) {
            return;
        }
        let Append { mut prev, mut entries, commit, round } = append;
        let base = self.log.base();
        if prev.index < base.index {
            // What is compacted away here was committed, so the leader has the same (§5.4): only the rest says anything new.
            let known = usize::try_from(base.index.distance_from(prev.index)).unwrap_or(usize::MAX);
            let contradicts = |entry: &crate::Entry<P>| entry.term != base.term;
            if known.checked_sub(1).and_then(|at_base| entries.get(at_base)).is_some_and(contradicts) {
                return self.halt(Breach::CommittedEntryContradicted { index: base.index }, effects);
            }
            (prev, entries) = (base, entries.skip(known));
        }
        if !self.matches(prev) {
            if prev.index <= self.commit {
                return self.halt(Breach::CommittedEntryContradicted { index: prev.index }, effects);
            }
            return self.refuse_append(from, prev, round, effects);
        }
        let is_heartbeat = entries.is_empty();
        let checked = prev.index.plus(entries.len());
        self.merge(&entries, checked, effects);
        if self.halted {
            return;
        }
        self.note_verified(prev.index, checked, commit, round);
        if is_heartbeat {
            self.repeat_late_read(from, effects);
            self.ask_for_snapshot(from, effects);
            if let Role::Follower(following) = &mut self.role {
                following.asked.grow_old(effects);
            }
        }
    }

    /// The log is the leader's up to `checked`; up to `agreed` it was so before.
    pub(crate) fn note_verified(&mut self, agreed: Index, checked: Index, commit: Index, round: Round) {
        let own_last = self.log.last().index;
        let claims_own_last = self.has_mutant(Mutant::AckBeyondAppend);
        let follows_blindly = self.has_mutant(Mutant::HeartbeatCommitUnclamped);
        let durable = self.durability.log_end();
        let Role::Follower(following) = &mut self.role else { return };
        let brings_nothing = checked <= following.verified || round > following.round;
        following.owed = following.owed.max(if brings_nothing { Owed::Now } else { Owed::WhenDurable });
        // What precedes the entries was agreed on by asking; the answer to them says so too.
        following.reported = following.reported.max(agreed.min(durable));
        following.verified = following.verified.max(if claims_own_last { own_last } else { checked });
        following.round = following.round.max(round);
        if follows_blindly {
            self.commit = self.commit.max(commit.min(own_last));
        }
        // "Set commitIndex = min(leaderCommit, index of last new entry)": what lies beyond was not compared (D13).
        self.raise_commit(commit);
    }

    /// Recognises the leader of the current term; a candidate gives up, its vote stays (A07). Of one term there is one
    /// leader (§5.2): another one stops everything (A09). Returns whether this server follows.
    pub(crate) fn follow(&mut self, leader: NodeId, effects: &mut Effects<P>) -> bool {
        if let Some(known) = self.leader.filter(|&known| known != leader) {
            let breach = Breach::TwoLeaders { term: self.hard.term, known, other: leader };
            self.halt(breach, effects);
            return false;
        }
        if !matches!(self.role, Role::Follower(_)) {
            self.become_follower(effects);
        }
        self.leader = Some(leader);
        self.in_contact = true;
        effects.timers.extend([Timer::Election, Timer::Contact]);
        true
    }

    /// Whether the log holds an entry with this index and term.
    fn matches(&self, prev: Position) -> bool {
        match self.log.term_at(prev.index) {
            Some(term) => term == prev.term || self.has_mutant(Mutant::NoPrevTermCheck),
            None => false,
        }
    }

    /// Takes over what is new among `entries`, which follow an entry that both logs hold. "If an existing entry conflicts
    /// with a new one, delete the existing entry and all that follow it"; if none does, nothing is deleted: what comes
    /// after a late, short append may well be newer than it (D07, CCF #5991).
    fn merge(&mut self, entries: &Entries<P>, checked: Index, effects: &mut Effects<P>) {
        let known = entries.iter().take_while(|e| self.log.term_at(e.index) == Some(e.term)).count();
        let new = entries.skip(known);
        let truncates_always = self.has_mutant(Mutant::TruncateOnStaleAppend);
        let Some(first) = new.first().map(|entry| entry.index) else {
            if truncates_always && checked < self.log.last().index && checked >= self.commit {
                self.log.truncate(checked.next(), self.config.mutant);
                self.durability.log_changed(checked.next(), Entries::none(), self.config.mutant);
            }
            return;
        };
        if first <= self.commit {
            return self.halt(Breach::CommittedEntryContradicted { index: first }, effects);
        }
        self.log.truncate(first, self.config.mutant);
        for entry in &new {
            self.log.push(entry.clone());
        }
        self.durability.log_changed(first, new, self.config.mutant);
    }

    /// "Reply false", with a hint that lets the leader skip whole terms. It rests on nothing, so it leaves at once.
    pub(crate) fn refuse_append(
        &self,
        leader: NodeId,
        prev: Position,
        round: Round,
        effects: &mut Effects<P>,
    ) {
        let nearest = prev.index.min(self.log.last().index);
        let hint = self.log.last_at_most(nearest, prev.term);
        let outcome = AppendOutcome::Rejected { refused: prev.index, hint };
        self.send(leader, Body::AppendResponse(AppendResponse { round, outcome }), effects);
    }

    /// Says how much of the leader's log is on stable storage here.
    pub(crate) fn accept_append(&mut self, leader: NodeId, matched: Index, effects: &mut Effects<P>) {
        let Role::Follower(Following { reported, round, owed, verified, .. }) = &mut self.role else {
            return;
        };
        *reported = matched.max(*reported);
        *owed = if matched < *verified { Owed::WhenDurable } else { Owed::Nothing };
        let response = AppendResponse { round: *round, outcome: AppendOutcome::Accepted { matched } };
        self.send(leader, Body::AppendResponse(response), effects);
    }
}
