//! What a node is told about itself at start.

use crate::error::StartError;
use crate::membership::Membership;
use crate::mutant::MutantSwitch;
use crate::types::NodeId;

/// Identity, members and limits of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// The members of its cluster, itself among them.
    pub membership: Membership,
    /// Whether an election is preceded by a pre-vote (diss. 9.6). On by default.
    pub pre_vote: bool,
    /// How much of everything.
    pub limits: Limits,
    /// A seeded bug, in builds that have them.
    #[doc(hidden)]
    pub mutant: MutantSwitch,
}

impl Config {
    /// The usual configuration of server `id` in a cluster of `voters`.
    pub fn new(id: NodeId, voters: impl IntoIterator<Item = NodeId>) -> Self {
        Config {
            id,
            membership: Membership::new(voters),
            pre_vote: true,
            limits: Limits::default(),
            mutant: MutantSwitch::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.membership.voters().is_empty() {
            return Err(StartError::NoVoters);
        }
        if !self.membership.contains(self.id) {
            return Err(StartError::NotAMember { id: self.id });
        }
        self.limits.check()
    }
}

/// Bounds on everything that could grow. All are at least 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Entries in one append.
    pub append_entries: usize,
    /// Bytes of entries in one append; a single larger entry still travels, alone.
    pub append_bytes: usize,
    /// Appends under way to one peer that is replicating.
    pub inflight_appends: usize,
    /// Entries a leader may hold uncommitted; further proposals are refused.
    pub uncommitted_entries: usize,
    /// Bytes a leader may hold uncommitted; a single larger proposal is still taken when nothing else is pending.
    pub uncommitted_bytes: usize,
    /// Reads waiting for a confirmation.
    pub pending_reads: usize,
    /// Entries handed out to be applied and not yet reported applied.
    pub unapplied_entries: usize,
    /// Writes handed out and not yet reported durable; while so many are, messages are ignored as if lost.
    pub outstanding_writes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            append_entries: 1024,
            append_bytes: 1 << 20,
            inflight_appends: 64,
            uncommitted_entries: 16_384,
            uncommitted_bytes: 64 << 20,
            pending_reads: 16_384,
            unapplied_entries: 16_384,
            outstanding_writes: 4096,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), StartError> {
        let all = [
            ("append_entries", self.append_entries),
            ("append_bytes", self.append_bytes),
            ("inflight_appends", self.inflight_appends),
            ("uncommitted_entries", self.uncommitted_entries),
            ("uncommitted_bytes", self.uncommitted_bytes),
            ("pending_reads", self.pending_reads),
            ("unapplied_entries", self.unapplied_entries),
            ("outstanding_writes", self.outstanding_writes),
        ];
        match all.iter().find(|(_, value)| *value == 0) {
            Some(&(name, _)) => Err(StartError::ZeroLimit { name }),
            None => Ok(()),
        }
    }
}
