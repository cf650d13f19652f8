//! The five properties of the paper's Figure 3 and their neighbours, over everything that ever happened, after every step.

use std::collections::BTreeMap;

use raft_core::{
    AppendOutcome, AppendResponse, Body, Breach, Entry, Event, HardState, Index, NodeId, Outbound, Position,
    Raft, ReadId, RoleKind, Round, Term,
};

use crate::cluster::{Command, Server};

/// What an observer outside of time remembers.
pub struct Ghost {
    /// Election safety: who led each term.
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry known to be committed, and the earliest term in which somebody knew it.
    committed: BTreeMap<Index, (Entry<Command>, Term)>,
    /// State-machine safety: what was executed at each index, by whoever was first.
    executed: BTreeMap<Index, Entry<Command>>,
    /// The newest confirmation round that the leader of each term has begun.
    rounds: BTreeMap<Term, Round>,
    seen: Vec<Option<Seen>>,
    /// How often a log lost entries while its server was up.
    pub truncations: usize,
    /// How often a server came back with entries on its disk.
    pub restarts_with_log: usize,
    /// The first violation.
    pub violation: Option<String>,
}

/// A server as it was after the last step.
struct Seen {
    hard: HardState,
    commit: Index,
    applied: Index,
    last: Position,
    executed: Index,
    leading: Option<Leading>,
}

struct Leading {
    term: Term,
    log: Vec<Entry<Command>>,
    matched: Vec<(NodeId, Index)>,
}

impl Ghost {
    pub fn new(servers: usize) -> Self {
        Ghost {
            leaders: BTreeMap::new(),
            committed: BTreeMap::new(),
            executed: BTreeMap::new(),
            rounds: BTreeMap::new(),
            seen: (0..servers).map(|_| None).collect(),
            truncations: 0,
            restarts_with_log: 0,
            violation: None,
        }
    }

    /// The highest index known to be committed.
    pub fn committed(&self) -> Index {
        self.committed.keys().next_back().copied().unwrap_or_default()
    }

    pub fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub fn on_event(&mut self, id: NodeId, event: &Event) {
        match event {
            Event::Halted(
                breach @ (Breach::TwoLeaders { .. } | Breach::CommittedEntryContradicted { .. }),
            ) => {
                self.violated(format!("{id:?} halted: {breach:?}"));
            }
            Event::Suspect { from, reason } => {
                self.violated(format!("{id:?} suspects correct peer {from:?}: {reason:?}"));
            }
            _ => {}
        }
    }

    /// K01: what rests on a write is said only when the platter holds it.
    pub fn on_send(&mut self, server: &Server, outbound: &Outbound<Command>) {
        let Some(raft) = &server.raft else { return };
        let disk = &server.disk;
        let term = outbound.message.term;
        let vote_on_disk = |vote| disk.hard_state == HardState { term, voted_for: Some(vote) };
        let is_durable = match &outbound.message.body {
            Body::VoteRequest { .. } => vote_on_disk(raft.id()),
            Body::VoteResponse { granted: true } => vote_on_disk(outbound.to),
            Body::Append(_) => disk.hard_state.term == term,
            Body::AppendResponse(AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. }) => {
                let matched = usize::try_from(matched.0).unwrap();
                disk.hard_state.term == term
                    && disk.entries.len() >= matched
                    && raft.entries().take(matched).eq(disk.entries.iter().take(matched))
            }
            _ => true,
        };
        if !is_durable {
            self.violated(format!("{:?} says what its disk does not know: {outbound:?}", raft.id()));
        }
    }

    /// R01: an echo confirms a round of the very term it speaks in. Rounds are counted anew in each term; one carried over
    /// into another would confirm reads that came after it.
    pub fn on_round(&mut self, outbound: &Outbound<Command>) {
        let term = outbound.message.term;
        match &outbound.message.body {
            Body::Append(append) => {
                let newest = self.rounds.entry(term).or_default();
                *newest = (*newest).max(append.round);
            }
            Body::AppendResponse(response)
                if response.round > self.rounds.get(&term).copied().unwrap_or_default() =>
            {
                self.violated(format!("an echo of a round that nobody began in {term:?}: {outbound:?}"));
            }
            _ => {}
        }
    }

    /// Linearizability of reads: a read sees everything that was committed when it was asked for (§8).
    pub fn on_read(&mut self, id: NodeId, read: ReadId, floor: Option<Index>, index: Index) {
        match floor {
            None => self.violated(format!("{id:?} answered {read:?}, which nobody waits for")),
            Some(floor) if index < floor => {
                self.violated(format!(
                    "stale read: {id:?} serves {read:?} at {index:?}, {floor:?} was committed before"
                ));
            }
            Some(_) => {}
        }
    }

    /// State-machine safety: "no other server will ever apply a different log entry for the same index"; each server
    /// executes in order, once per boot (D23).
    pub fn on_apply(&mut self, id: NodeId, entry: &Entry<Command>) {
        let first = self.executed.entry(entry.index).or_insert_with(|| entry.clone());
        if first != entry {
            let what = format!("state-machine safety: {id:?} executes {entry:?}, before it was {first:?}");
            self.violated(what);
        }
        let slot = usize::try_from(id.0 - 1).unwrap();
        let before = self.seen[slot].as_ref().map_or(Index::ZERO, |seen| seen.executed);
        if entry.index != before.next() {
            self.violated(format!("{id:?} executes {:?} after {before:?}", entry.index));
        }
        if let Some(seen) = &mut self.seen[slot] {
            seen.executed = entry.index;
        }
    }

    pub fn on_crash(&mut self, id: NodeId) {
        self.seen[usize::try_from(id.0 - 1).unwrap()] = None;
    }

    /// Looks at every server after a step.
    pub fn observe(&mut self, servers: &[Server]) {
        let up: Vec<&Raft<Command>> = servers.iter().filter_map(|server| server.raft.as_ref()).collect();
        for raft in &up {
            self.monotony(raft);
            if raft.role() == RoleKind::Leader {
                self.election_safety(raft);
            }
        }
        self.durability_at_commit(servers, &up);
        for raft in up.iter().filter(|raft| raft.role() == RoleKind::Leader) {
            self.leader_append_only(raft);
            self.leader_completeness(raft);
        }
        for (i, a) in up.iter().enumerate() {
            for b in up.iter().skip(i + 1) {
                self.log_matching(a, b);
            }
        }
    }

    /// "At most one leader can be elected in a given term" (§5.2).
    fn election_safety(&mut self, raft: &Raft<Command>) {
        let first = *self.leaders.entry(raft.term()).or_insert(raft.id());
        if first != raft.id() {
            self.violated(format!("election safety: {first:?} and {:?} lead {:?}", raft.id(), raft.term()));
        }
    }

    /// "A leader never overwrites or deletes entries in its log" (§5.3); and what it knows of others never shrinks.
    fn leader_append_only(&mut self, raft: &Raft<Command>) {
        let log: Vec<_> = raft.entries().cloned().collect();
        let matched: Vec<_> = raft.match_indexes().collect();
        let slot = usize::try_from(raft.id().0 - 1).unwrap();
        if let Some(before) = self.seen[slot].as_ref().and_then(|seen| seen.leading.as_ref())
            && before.term == raft.term()
        {
            if !log.starts_with(&before.log) {
                self.violated(format!(
                    "leader append-only: {:?} changed its log in {:?}",
                    raft.id(),
                    raft.term()
                ));
            } else if before.matched.iter().zip(&matched).any(|(old, new)| new.1 < old.1) {
                self.violated(format!("match index of {:?} went back in {:?}", raft.id(), raft.term()));
            }
        }
        if let Some(seen) = &mut self.seen[slot] {
            seen.leading = Some(Leading { term: raft.term(), log, matched });
        }
    }

    /// "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through
    /// the given index" (§5.3).
    fn log_matching(&mut self, a: &Raft<Command>, b: &Raft<Command>) {
        let mut must_match = false;
        let pairs: Vec<_> = a.entries().zip(b.entries()).collect();
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
    fn leader_completeness(&mut self, raft: &Raft<Command>) {
        let missing = self
            .committed
            .values()
            .find(|(entry, term)| *term < raft.term() && raft.entry(entry.index) != Some(entry));
        if let Some((entry, term)) = missing {
            let what = format!(
                "leader completeness: {:?} leads {:?} without {entry:?}, committed in {term:?}",
                raft.id(),
                raft.term()
            );
            self.violated(what);
        }
    }

    /// What is committed stands on the platters of a majority. Stronger than Figure 3, and seen at once.
    fn durability_at_commit(&mut self, servers: &[Server], up: &[&Raft<Command>]) {
        for raft in up {
            let mut index = raft.commit();
            while index > Index::ZERO && !self.committed.contains_key(&index) {
                let Some(entry) = raft.entry(index).cloned() else {
                    return self.violated(format!("{:?} commits {index:?} and does not have it", raft.id()));
                };
                let holds = |server: &&Server| server.disk.entries.contains(&entry);
                if servers.iter().filter(holds).count() <= servers.len() / 2 {
                    self.violated(format!(
                        "durability: {:?} commits {entry:?}, a majority does not have it on disk",
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
    fn monotony(&mut self, raft: &Raft<Command>) {
        let slot = usize::try_from(raft.id().0 - 1).unwrap();
        let (hard, commit, applied, last) = (raft.hard_state(), raft.commit(), raft.applied(), raft.last());
        if self.seen[slot].is_none() && last.index > Index::ZERO {
            self.restarts_with_log += 1;
        }
        let fresh = Seen { hard, commit, applied, last, executed: Index::ZERO, leading: None };
        let seen = self.seen[slot].get_or_insert(fresh);
        if raft.entry(seen.last.index).map(Entry::position).unwrap_or_default() != seen.last {
            self.truncations += 1;
        }
        let went_back = hard.term < seen.hard.term || commit < seen.commit || applied < seen.applied;
        let vote_changed = hard.term == seen.hard.term
            && seen.hard.voted_for.is_some()
            && hard.voted_for != seen.hard.voted_for;
        let before = seen.hard;
        (seen.hard, seen.commit, seen.applied, seen.last) = (hard, commit, applied, last);
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
