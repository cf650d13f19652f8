//! The five properties of the paper's Figure 3 and their neighbours, over everything that ever happened, after every step.
//!
//! `figure3` is the paper's; `promises` is what may be said and when; `reads` and `members` speak for themselves.

mod figure3;
mod members;
mod promises;
mod reads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_core::{
    Breach, Entry, Event, HardState, Index, Membership, NodeId, Position, Raft, RoleKind, Round, Term,
};

use crate::cluster::{Command, Server, State};

/// What an observer outside of time remembers.
pub struct Ghost {
    /// Election safety: who led each term.
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry known to be committed, and the earliest term in which somebody knew it.
    committed: BTreeMap<Index, (Entry<Command>, Term)>,
    /// State-machine safety: what was executed at each index, by whoever was first, and what came of it.
    executed: BTreeMap<Index, (Entry<Command>, State)>,
    /// The newest confirmation round that the leader of each term has begun.
    rounds: BTreeMap<Term, Round>,
    founders: Membership,
    /// Pairs of successive memberships whose quorums were seen to intersect.
    intersecting: BTreeSet<String>,
    seen: Vec<Option<Seen>>,
    /// How often a log lost entries while its server was up.
    pub truncations: usize,
    /// How often a server came back with entries on its disk.
    pub restarts_with_log: usize,
    /// How often a snapshot was restored that came over the network.
    pub restored: usize,
    /// A server that does not lead has served a read.
    pub read_at_follower: bool,
    /// The first violation.
    pub violation: Option<String>,
    /// All of them.
    pub violations: Vec<String>,
}

/// A server as it was after the last step.
struct Seen {
    hard: HardState,
    commit: Index,
    applied: Index,
    last: Position,
    executed: Index,
    membership: Arc<Membership>,
    /// Where the log has it from.
    membership_index: Index,
    leading: Option<Leading>,
}

struct Leading {
    term: Term,
    log: Vec<Entry<Command>>,
    matched: Vec<(NodeId, Index)>,
}

impl Ghost {
    pub fn new(founders: Membership, servers: usize) -> Self {
        Ghost {
            leaders: BTreeMap::new(),
            committed: BTreeMap::new(),
            executed: BTreeMap::new(),
            rounds: BTreeMap::new(),
            founders,
            intersecting: BTreeSet::new(),
            seen: (0..servers).map(|_| None).collect(),
            truncations: 0,
            restarts_with_log: 0,
            restored: 0,
            read_at_follower: false,
            violation: None,
            violations: Vec::new(),
        }
    }

    /// The highest index known to be committed.
    pub fn committed(&self) -> Index {
        self.committed.keys().next_back().copied().unwrap_or_default()
    }

    pub fn violated(&mut self, what: String) {
        self.violation.get_or_insert_with(|| what.clone());
        self.violations.push(what);
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

    pub fn on_crash(&mut self, id: NodeId) {
        self.seen[slot(id)] = None;
    }

    /// Looks at every server after a step.
    pub fn observe(&mut self, servers: &[Server]) {
        let up: Vec<&Raft<Command>> = servers.iter().filter_map(|server| server.raft.as_ref()).collect();
        self.durability_at_commit(servers, &up);
        for raft in &up {
            self.monotony(raft);
            if raft.role() == RoleKind::Leader {
                self.election_safety(servers, raft);
            }
        }
        for raft in &up {
            self.members(raft);
        }
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
}

fn slot(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).unwrap()
}
