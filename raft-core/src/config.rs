//! What a node is told about itself at start.

use crate::error::StartError;
use crate::membership::Membership;
use crate::mutant::MutantSwitch;
use crate::types::NodeId;

/// Identity, founding members, policies and limits of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// The members with which the cluster was founded, the same on all of them; none on a server that joins later, which
    /// learns the members from the log. What a snapshot or the log says takes precedence.
    pub founders: Option<Membership>,
    /// Whether an election is preceded by a pre-vote (diss. 9.6). On by default.
    pub pre_vote: bool,
    /// Whether a leader that does not hear from a quorum steps down (diss. 6.2), and whether servers that hear from a leader
    /// refuse their vote to others (stickiness, diss. 4.2.3). On by default.
    pub check_quorum: bool,
    /// Reads from a leader's lease (diss. 6.4.1) instead of by asking a quorum. Off by default: they rest on clocks. All
    /// servers of a cluster must agree on this, and have the same election timeout. Needs `check_quorum`, and
    /// [`Clocked`](crate::Clocked), which keeps the time.
    pub lease: Option<Lease>,
    /// A follower forwards proposals to its leader instead of refusing them. Off by default.
    pub forward: bool,
    /// Of servers with equal logs, those with a higher priority refuse the others their vote. Equal by default.
    pub priority: u8,
    /// A leader says at once what is committed, instead of with its next append or heartbeat. Off by default: it costs a
    /// message to every peer for every batch, and saves followers the rest of a heartbeat interval.
    pub announce_commits: bool,
    /// Entries are handed to the state machine only when they are durable here, not only committed. Needed by a state machine
    /// that keeps its state through crashes and reports [`Recovered::applied`](crate::Recovered): it must never be ahead
    /// of its own log. Off by default.
    pub apply_durable: bool,
    /// How much of everything.
    pub limits: Limits,
    /// A seeded bug, in builds that have them.
    #[doc(hidden)]
    pub mutant: MutantSwitch,
}

/// Under which conditions a leader serves reads without asking anybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lease {
    /// How wrong any server's clock may measure a duration, in millionths: with 1000, what is a second lasts 999 to 1001
    /// milliseconds by any clock. The clock must go on while the machine is suspended. At most half a million.
    pub drift_ppm: u32,
}

impl Lease {
    /// The largest drift that makes sense.
    pub const MAX_DRIFT_PPM: u32 = 500_000;
}

impl Config {
    /// The usual configuration of server `id` in a cluster founded by `voters`.
    pub fn new(id: NodeId, voters: impl IntoIterator<Item = NodeId>) -> Self {
        Config { founders: Some(Membership::new(voters)), ..Config::joining(id) }
    }

    /// The usual configuration of a server that joins an existing cluster: it waits until that cluster's leader, told to add
    /// it, speaks to it.
    #[must_use]
    pub fn joining(id: NodeId) -> Self {
        Config {
            id,
            founders: None,
            pre_vote: true,
            check_quorum: true,
            lease: None,
            forward: false,
            priority: 0,
            announce_commits: false,
            apply_durable: false,
            limits: Limits::default(),
            mutant: MutantSwitch::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        if let Some(founders) = &self.founders {
            if founders.voters().is_empty() {
                return Err(StartError::NoVoters);
            }
            if !founders.is_legal() || founders.is_joint() {
                return Err(StartError::IllegalFounders);
            }
            if !founders.contains(self.id) {
                return Err(StartError::NotAMember { id: self.id });
            }
        }
        match self.lease {
            Some(_) if !self.check_quorum => return Err(StartError::LeaseWithoutCheckQuorum),
            Some(Lease { drift_ppm }) if drift_ppm > Lease::MAX_DRIFT_PPM => {
                return Err(StartError::Drift { drift_ppm });
            }
            _ => {}
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
    /// Bytes of entries under way to one peer that is replicating; a single larger append still goes when none is.
    pub inflight_bytes: usize,
    /// Entries a leader may hold uncommitted; further proposals are refused.
    pub uncommitted_entries: usize,
    /// Bytes a leader may hold uncommitted; a single larger proposal is still taken when nothing else is pending.
    pub uncommitted_bytes: usize,
    /// Reads waiting for a confirmation.
    pub pending_reads: usize,
    /// Proposals forwarded and not yet answered.
    pub pending_forwards: usize,
    /// Entries handed out to be applied and not yet reported applied.
    pub unapplied_entries: usize,
    /// Bytes of entries handed out to be applied and not yet reported applied; a single larger entry still goes, alone.
    pub unapplied_bytes: usize,
    /// Writes handed out and not yet reported durable; while so many are, messages are ignored as if lost.
    pub outstanding_writes: usize,
    /// How many entries a learner may lack and still be promoted.
    pub promotion_lag: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            append_entries: 1024,
            append_bytes: 1 << 20,
            inflight_appends: 64,
            inflight_bytes: 16 << 20,
            uncommitted_entries: 16_384,
            uncommitted_bytes: 64 << 20,
            pending_reads: 16_384,
            pending_forwards: 4096,
            unapplied_entries: 16_384,
            unapplied_bytes: 64 << 20,
            outstanding_writes: 4096,
            promotion_lag: 1024,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), StartError> {
        let all = [
            ("append_entries", self.append_entries),
            ("append_bytes", self.append_bytes),
            ("inflight_appends", self.inflight_appends),
            ("inflight_bytes", self.inflight_bytes),
            ("uncommitted_entries", self.uncommitted_entries),
            ("uncommitted_bytes", self.uncommitted_bytes),
            ("pending_reads", self.pending_reads),
            ("pending_forwards", self.pending_forwards),
            ("unapplied_entries", self.unapplied_entries),
            ("unapplied_bytes", self.unapplied_bytes),
            ("outstanding_writes", self.outstanding_writes),
            ("promotion_lag", self.promotion_lag),
        ];
        match all.iter().find(|(_, value)| *value == 0) {
            Some(&(name, _)) => Err(StartError::ZeroLimit { name }),
            None => Ok(()),
        }
    }
}
