//! The paper's Figure 3, and monotony.

use std::sync::Arc;

use raft_core::{Entry, Index, NodeId, Raft, SnapshotMeta};

use super::members::{is_on_a_quorum, is_quorum};
use super::{Ghost, Leading, Seen, slot};
use crate::cluster::{Command, Disk, Server, State};

impl Ghost {
    /// State-machine safety: "no other server will ever apply a different log entry for the same index"; each server
    /// executes in order, once per boot (D23), and comes to the same state.
    pub fn on_apply(&mut self, id: NodeId, entry: &Entry<Command>, state: State) {
        let first = self.executed.entry(entry.index).or_insert_with(|| (entry.clone(), state)).clone();
        if first != (entry.clone(), state) {
            let what =
                format!("state-machine safety: {id:?} executes {entry:?}, before it was {:?}", first.0);
            self.violated(what);
        }
        let before = self.seen[slot(id)].as_ref().map_or(Index::ZERO, |seen| seen.executed);
        if entry.index != Index(before.0 + 1) {
            self.violated(format!("{id:?} executes {:?} after {before:?}", entry.index));
        }
        if let Some(seen) = &mut self.seen[slot(id)] {
            seen.executed = entry.index;
        }
    }

    /// A snapshot holds what came of everything up to its last entry, and says who the members were then.
    pub fn on_restore(&mut self, id: NodeId, meta: &SnapshotMeta, state: State) {
        self.restored += 1;
        let expected = self.executed.get(&meta.last.index).map(|(entry, state)| (entry.position(), *state));
        if expected != Some((meta.last, state)) {
            self.violated(format!("{id:?} restores {meta:?} with {state:?}, which should be {expected:?}"));
        }
        if self.membership_at(meta.last.index).is_some_and(|members| members != *meta.membership) {
            self.violated(format!("{id:?} restores {meta:?} with wrong members"));
        }
        match &mut self.seen[slot(id)] {
            Some(seen) if seen.executed > meta.last.index => {
                let executed = seen.executed;
                self.violated(format!("{id:?} goes back from {executed:?} to {meta:?}"));
            }
            Some(seen) => seen.executed = meta.last.index,
            None => self.violated(format!("{id:?} restores {meta:?} while it is down")),
        }
    }

    /// "At most one leader can be elected in a given term" (§5.2).
    pub(super) fn election_safety(&mut self, servers: &[Server], raft: &Raft<Command>) {
        if !self.leaders.contains_key(&raft.term()) {
            self.has_won(servers, raft);
        }
        let first = *self.leaders.entry(raft.term()).or_insert(raft.id());
        if first != raft.id() {
            self.violated(format!("election safety: {first:?} and {:?} lead {:?}", raft.id(), raft.term()));
        }
    }

    /// A leader has the votes of a quorum, and they are on the voters' platters; unless these have gone on to later terms.
    fn has_won(&mut self, servers: &[Server], raft: &Raft<Command>) {
        let has_voted = |id: NodeId| {
            let hard = servers[slot(id)].disk.hard_state;
            hard.term > raft.term() || (hard.term == raft.term() && hard.voted_for == Some(raft.id()))
        };
        if !is_quorum(raft.membership(), has_voted) {
            self.violated(format!("{:?} leads {:?} without the votes of a quorum", raft.id(), raft.term()));
        }
    }

    /// "A leader never overwrites or deletes entries in its log" (§5.3), but for what it compacts; and what it knows of others
    /// never shrinks.
    pub(super) fn leader_append_only(&mut self, raft: &Raft<Command>) {
        let log: Vec<_> = raft.entries().cloned().collect();
        let matched: Vec<_> = raft.match_indexes().collect();
        let base = raft.base().index;
        if let Some(before) = self.seen[slot(raft.id())].as_ref().and_then(|seen| seen.leading.as_ref())
            && before.term == raft.term()
        {
            let mut kept = before.log.iter().filter(|entry| entry.index > base);
            let shrank = before
                .matched
                .iter()
                .any(|(id, old)| matched.iter().any(|(other, new)| other == id && new < old));
            if !kept.all(|entry| raft.entry(entry.index) == Some(entry)) {
                self.violated(format!(
                    "leader append-only: {:?} changed its log in {:?}",
                    raft.id(),
                    raft.term()
                ));
            } else if shrank {
                self.violated(format!("match index of {:?} went back in {:?}", raft.id(), raft.term()));
            }
        }
        if let Some(seen) = &mut self.seen[slot(raft.id())] {
            seen.leading = Some(Leading { term: raft.term(), log, matched });
        }
    }

    /// "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through
    /// the given index" (§5.3).
    pub(super) fn log_matching(&mut self, a: &Raft<Command>, b: &Raft<Command>) {
        let mut must_match = false;
        let both = a.entries().filter_map(|x| b.entry(x.index).map(|y| (x, y)));
        let pairs: Vec<_> = both.collect();
        for (x, y) in pairs.into_iter().rev() {
            must_match |= x.term == y.term;
            if must_match && x != y {
                let what = format!("log matching: {:?} has {x:?}, {:?} has {y:?}", a.id(), b.id());
                return self.violated(what);
            }
        }
    }

    /// "If a log entry is committed in a given term, then that entry will be present in the logs of the leaders for all
    /// higher-numbered terms" (§5.4).
    pub(super) fn leader_completeness(&mut self, raft: &Raft<Command>) {
        let base = raft.base();
        let is_missing = |entry: &Entry<Command>| match entry.index {
            index if index < base.index => false,
            index if index == base.index => entry.position() != base,
            index => raft.entry(index) != Some(entry),
        };
        let missing =
            self.committed.values().find(|(entry, term)| *term < raft.term() && is_missing(entry)).cloned();
        if let Some((entry, term)) = missing {
            let what = format!(
                "leader completeness: {:?} leads {:?} without {entry:?}, committed in {term:?}",
                raft.id(),
                raft.term()
            );
            self.violated(what);
        }
    }

    /// What is committed stands on the platters of a quorum of the members in force. Stronger than Figure 3, and seen at once.
    pub(super) fn durability_at_commit(&mut self, servers: &[Server], up: &[&Raft<Command>]) {
        let disks: Vec<&Disk> = servers.iter().map(|server| &server.disk).collect();
        for raft in up {
            let mut index = raft.commit();
            while index > Index::ZERO && !self.committed.contains_key(&index) {
                let Some(entry) = raft.entry(index).cloned() else {
                    return self.violated(format!("{:?} commits {index:?} and does not have it", raft.id()));
                };
                // A leader that commits the middle of a change appends its end in the same step: by those it leads to, what
                // comes after the middle may be committed, but not the middle itself.
                let seen = self.seen[slot(raft.id())].as_ref();
                let before = seen.map_or(raft.membership(), |seen| &seen.membership);
                let is_of_before = seen.is_some_and(|seen| index <= seen.membership_index);
                let by_present = !is_of_before && is_on_a_quorum(raft.membership(), &disks, &entry);
                if !by_present && !is_on_a_quorum(before, &disks, &entry) {
                    self.violated(format!(
                        "durability: {:?} commits {entry:?}, a quorum does not have it on disk",
                        raft.id()
                    ));
                }
                self.committed.insert(index, (entry, raft.term()));
                index = Index(index.0 - 1);
            }
            for (entry, term) in self.committed.values_mut() {
                if entry.index <= raft.commit() {
                    *term = (*term).min(raft.term());
                }
            }
        }
    }

    /// Terms, commit indexes and applied indexes never go back while a server is up (D22), and of one term there is one vote
    /// (A08, B03), across crashes too, as far as the platter knows.
    pub(super) fn monotony(&mut self, raft: &Raft<Command>) {
        let (hard, commit, applied, last) = (raft.hard_state(), raft.commit(), raft.applied(), raft.last());
        if self.seen[slot(raft.id())].is_none() && last.index > Index::ZERO {
            self.restarts_with_log += 1;
        }
        let membership = Arc::clone(raft.membership());
        let fresh = Seen {
            hard,
            commit,
            applied,
            last,
            executed: Index::ZERO,
            membership: Arc::clone(&membership),
            membership_index: raft.membership_index(),
            leading: None,
        };
        let seen = self.seen[slot(raft.id())].get_or_insert(fresh);
        let is_kept = seen.last.index <= raft.base().index
            || raft.entry(seen.last.index).is_some_and(|entry| entry.position() == seen.last);
        if !is_kept {
            self.truncations += 1;
        }
        let went_back = hard.term < seen.hard.term || commit < seen.commit || applied < seen.applied;
        let vote_changed = hard.term == seen.hard.term
            && seen.hard.voted_for.is_some()
            && hard.voted_for != seen.hard.voted_for;
        let before = seen.hard;
        (seen.hard, seen.commit, seen.applied, seen.last) = (hard, commit, applied, last);
        seen.membership = membership;
        seen.membership_index = raft.membership_index();
        if went_back {
            self.violated(format!(
                "{:?}: term, commit or applied went back to {hard:?} {commit:?} {applied:?}",
                raft.id()
            ));
        }
        if vote_changed {
            self.violated(format!(
                "{:?} changed its vote within a term: {before:?}, then {hard:?}",
                raft.id()
            ));
        }
    }
}
