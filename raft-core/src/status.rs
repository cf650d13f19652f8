//! Looking at a node from outside.

use crate::entry::{Command, Entry};
use crate::raft::Raft;
use crate::role::{Role, RoleKind};
use crate::types::{HardState, Index, NodeId, Position, Term};

impl<P: Command> Raft<P> {
    /// This server.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &crate::Config {
        &self.config
    }

    /// Follower, candidate or leader.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }

    /// The current term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// Term and vote, as they will be on stable storage.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.hard
    }

    /// The leader, while it is being heard from.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.filter(|_| self.in_contact)
    }

    /// Figure 2, commitIndex.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Figure 2, lastApplied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Where the log ends, durable or not.
    #[must_use]
    pub fn last(&self) -> Position {
        self.log.last()
    }

    /// Up to where the log would survive a crash.
    #[must_use]
    pub fn durable(&self) -> Index {
        self.durability.log_end()
    }

    /// The log, from its first entry.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<P>> {
        self.log.iter()
    }

    /// The entry at `index`, if it is in the log.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<&Entry<P>> {
        self.log.get(index)
    }

    /// Up to where the other members' durable logs are known to be this leader's, in ascending order of id; empty unless
    /// leader.
    pub fn match_indexes(&self) -> impl Iterator<Item = (NodeId, Index)> + '_ {
        let peers = match &self.role {
            Role::Leader(leadership) => leadership.peers.as_slice(),
            _ => &[],
        };
        peers.iter().map(|(peer, progress)| (*peer, progress.matched))
    }

    /// Whether the node has stopped because it saw safety broken.
    #[must_use]
    pub fn has_halted(&self) -> bool {
        self.halted
    }
}
