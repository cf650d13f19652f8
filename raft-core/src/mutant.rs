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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MutantSwitch {
    #[cfg(feature = "mutants")]
    on: Option<Mutant>,
}

impl MutantSwitch {
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
