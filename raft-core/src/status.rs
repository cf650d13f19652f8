//! Looking at a node from outside.

use crate::entry::{Command, Entry};
use crate::raft::Raft;
use crate::replication::Mode;
use crate::role::RoleKind;
use crate::types::{HardState, Index, NodeId, Position, Term};

/// What a leader knows of a peer, and does for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerStatus {
    /// The peer.
    pub id: NodeId,
    /// Figure 2, matchIndex.
    pub matched: Index,
    /// Figure 2, nextIndex.
    pub next: Index,
    /// It was heard of since the last look at the quorum.
    pub is_active: bool,
    /// How entries get there.
    pub sending: Sending,
}

/// How entries get to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sending {
    /// Where the logs agree is being found out.
    Probe,
    /// One append after the other.
    Replicate,
    /// A snapshot first.
    Snapshot,
}

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

    /// The last entry that was compacted away; index 0 if none was.
    #[must_use]
    pub fn base(&self) -> Position {
        self.log.base()
    }

    /// The index of the entry that brought the present membership; at most that of [`base`](Self::base) if it is gone.
    #[must_use]
    pub fn membership_index(&self) -> Index {
        self.log.membership_index()
    }

    /// To whom leadership is being handed over.
    #[must_use]
    pub fn transferring_to(&self) -> Option<NodeId> {
        self.leadership()?.transfer.as_ref().map(|transfer| transfer.to)
    }

    /// What the leader does for each other member, in ascending order of id; empty unless leader.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> + '_ {
        let peers = self.leadership().map_or(&[][..], |leadership| leadership.peers.as_slice());
        peers.iter().map(|(id, progress)| PeerStatus {
            id: *id,
            matched: progress.matched,
            next: progress.next,
            is_active: progress.active,
            sending: match &progress.mode {
                Mode::Probe { .. } => Sending::Probe,
                Mode::Replicate(_) => Sending::Replicate,
                Mode::Snapshot(_) => Sending::Snapshot,
            },
        })
    }

    /// The log, from its first entry in memory.
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
        self.peers().map(|peer| (peer.id, peer.matched))
    }

    /// Whether the node has stopped because it saw safety broken.
    #[must_use]
    pub fn has_halted(&self) -> bool {
        self.halted
    }
}
