//! Seeded bugs: each a mistake that some real Raft once made. A check counts only if it has been seen to fail on its
//! mutants.
//!
//! Without the feature `mutants` there is no way to switch one on, and every question about one is the constant `false`.

use std::fmt;
use std::str::FromStr;

macro_rules! mutants {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The seeded bugs of the core.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum Mutant { $($(#[$doc])* $variant,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$variant),*];

            /// Its name on a command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Mutant::$variant => $name),* }
            }
        }
    };
}

mutants! {
    /// An entry of an earlier term is committed by counting replicas (§5.4.2, Figure 8; LogCabin #44, CCF #4485).
    CommitOlderTerm = "commit-older-term";
    /// The vote is not persisted (stateright's raft example; NodeDB #161).
    ForgetVote = "forget-vote";
    /// The term is not persisted (PySyncObj #202, TiKV #3572).
    ForgetTerm = "forget-term";
    /// Stepping down within a term clears the vote (hazelcast #16645).
    ClearVoteOnStepDown = "clear-vote-on-step-down";
    /// A second candidate gets a vote in the same term (camunda #1068, akka-raft #47).
    TwoVotes = "two-votes";
    /// A repeated vote response counts again (butane #18).
    CountDuplicateVote = "count-duplicate-vote";
    /// A vote given in an earlier term counts in this one.
    StaleVoteResponse = "stale-vote-response";
    /// A vote goes to a candidate whose log is older (hydro #3082).
    VoteWithoutLogCheck = "vote-without-log-check";
    /// A repeated or late append cuts off what came after it (CCF #5991, #6016).
    TruncateOnStaleAppend = "truncate-on-stale-append";
    /// A follower acknowledges its own last index instead of what was checked (CCF #6001).
    AckBeyondAppend = "ack-beyond-append";
    /// The term of the preceding entry is not compared (etcd-io/raft #31).
    NoPrevTermCheck = "no-prev-term-check";
    /// A heartbeat's commit index is followed beyond what was checked (cockroach #122100, camunda #30354).
    HeartbeatCommitUnclamped = "heartbeat-commit-unclamped";
    /// Half of the voters pass for a majority.
    QuorumHalf = "quorum-half";
    /// A late reply moves a match index backwards (raft.tla #18, CCF #2835).
    MatchRegress = "match-regress";
    /// A leader that has not committed in its own term serves reads at its commit index (etcd #7331, TiKV #6340).
    ReadBeforeOwnCommit = "read-before-own-commit";
    /// A leader serves reads without confirming that it still leads (d-engine #381).
    ReadWithoutQuorum = "read-without-quorum";
    /// The refusal of a late append echoes its round into a later term, where the same leader counts anew (this project's own
    /// first version).
    EchoStaleRound = "echo-stale-round";
    /// An append is acknowledged before its write is durable (etcd #10166, #16220).
    AckBeforeFsync = "ack-before-fsync";
    /// A candidate campaigns in a term that its own disk does not know yet.
    ActBeforeTermDurable = "act-before-term-durable";
    /// An old acknowledgement marks rewritten entries durable (etcd-io/raft's append ABA race).
    StaleAckAba = "stale-ack-aba";
    /// The members change before the leader has committed in its own term (Ongaro, raft-dev 2015: the single-server bug).
    ReconfigureBeforeOwnCommit = "reconfigure-before-own-commit";
    /// A second change of the members begins before the first is committed (what etcd's pendingConf is for).
    TwoPendingChanges = "two-pending-changes";
    /// Of a joint membership only the new voters' majority is asked (§6).
    JointOneMajority = "joint-one-majority";
    /// A membership stays in force when its entry is cut off (§6).
    ConfigNotRolledBack = "config-not-rolled-back";
    /// The members are not taken over from a snapshot (async-raft #133, canonical/raft #250, openraft #1808).
    SnapshotDropsConfig = "snapshot-drops-config";
    /// The term of the last compacted entry is taken for 0 (RedisLabs/raft #49).
    AppendAfterCompaction = "append-after-compaction";
    /// Learners count in quorums (dragonboat #94).
    LearnerCounts = "learner-counts";
    /// An answer to an earlier forwarded read releases a later one (etcd #20418).
    ReadContextReuse = "read-context-reuse";
    /// A leader serves from its lease while it hands over leadership (raft-rs #234).
    LeaseSurvivesTransfer = "lease-survives-transfer";
    /// A lease lasts a whole election timeout by the leader's clock, however wrong that is (TiKV #1593).
    LeaseIgnoresDrift = "lease-ignores-drift";
    /// A lease is counted from when it was confirmed, not from when it was asked for: a pause in between is forgotten
    /// (openraft #1749).
    LeaseSurvivesPause = "lease-survives-pause";
    /// A server that restarts has forgotten that it heard from a leader and votes at once, within that leader's lease.
    LeaseForgottenAtRestart = "lease-forgotten-at-restart";
    /// A server that hears of a later term forgets that it has just echoed its leader's round, and votes within that leader's
    /// lease (this project's own first version).
    LeaseForgottenWithTerm = "lease-forgotten-with-term";
    /// A pre-vote's refusal does not tell the newer term: a server with a shorter log and a higher term blocks elections
    /// (openraft #1796, canonical/raft #279, etcd-io/raft #159).
    PrevoteDeadlock = "prevote-deadlock";
    /// A single voter executes what is not durable yet (etcd #14370).
    ApplyBeforePersist = "apply-before-persist";
    /// A server that lost the end of its log votes as if it never had it (Alagappan et al., "Protocol-Aware Recovery").
    VoteWithLostTail = "vote-with-lost-tail";
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No seeded bug has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no seeded bug is called {0:?}")]
pub struct UnknownMutant(pub String);

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let found = Mutant::ALL.iter().copied().find(|m| m.name() == name);
        found.ok_or_else(|| UnknownMutant(name.to_owned()))
    }
}

/// Which seeded bug is on, if any. Without the feature `mutants` it is empty and can only be off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MutantSwitch {
    #[cfg(feature = "mutants")]
    on: Option<Mutant>,
}

impl MutantSwitch {
    /// No bug.
    pub const OFF: MutantSwitch = MutantSwitch {
        #[cfg(feature = "mutants")]
        on: None,
    };

    /// A switch with this bug on.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn on(mutant: Mutant) -> Self {
        MutantSwitch { on: Some(mutant) }
    }

    /// Whether this bug is on.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn is(self, mutant: Mutant) -> bool {
        self.on == Some(mutant)
    }

    /// Whether this bug is on: never, in this build.
    #[cfg(not(feature = "mutants"))]
    #[must_use]
    #[inline(always)]
    pub const fn is(self, _: Mutant) -> bool {
        false
    }
}

/// As the bug's name or none, whether this build has bugs or not: what one build writes, the other one can read, or says why not.
#[cfg(feature = "serde")]
impl serde::Serialize for MutantSwitch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let on = Mutant::ALL.iter().find(|mutant| self.is(**mutant));
        on.map(|mutant| mutant.name()).serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for MutantSwitch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(MutantSwitch::OFF) };
        #[cfg(feature = "mutants")]
        return name.parse().map(MutantSwitch::on).map_err(D::Error::custom);
        #[cfg(not(feature = "mutants"))]
        Err(D::Error::custom(format_args!("the seeded bug {name:?} is on, and this build has none")))
    }
}
