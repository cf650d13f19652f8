//! What must always hold, and what must happen at least once.

/// What every reachable state must satisfy, and every transition that leads to one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Law {
    /// Figure 3: at most one leader is ever elected in a term.
    ElectionSafety,
    /// Figure 3: a leader never overwrites or deletes entries in its log.
    LeaderAppendOnly,
    /// Figure 3: logs with an entry of the same index and term are identical up to it, commands included.
    LogMatching,
    /// Figure 3: what was ever committed in a term is in the logs with which all leaders of later terms are elected,
    /// those that were elected before the commitment included.
    LeaderCompleteness,
    /// Figure 3: no two servers ever apply different entries at one index, whatever crashed since.
    StateMachineSafety,
    /// What is committed is on the stable storage of a quorum of the members in force where it is committed, and no disk
    /// that held it ever loses it: so without changes of the members a majority holds it for ever. (What a broken disk has
    /// lost counts as long as its server remembers that and votes accordingly.)
    DurableCommit,
    /// Between crashes a server's term, its vote within a term, its commit index and, within a term, a leader's match
    /// indexes never go back.
    Monotonicity,
    /// A read is served at an index that includes everything that was committed anywhere before it was asked for.
    LinearizableReads,
    /// No server sees safety broken and halts.
    NoHalt,
    /// Correct servers never send each other what no correct server could have sent.
    NoSuspicion,
    /// A server starts from whatever a crash leaves on its disk.
    LegalRestart,
    /// The core does not panic.
    NoPanic,
    /// A leader is elected by votes that a quorum of the members it knows has on stable storage.
    ElectionByQuorum,
    /// No log holds more than one membership that was never committed (§6, diss. 4.1).
    OneChangeAtATime,
    /// The members in force at a server are those of the latest membership in its log, committed or not (§6).
    LatestMembers,
    /// A leader changes the members only after an entry of its own term is committed (Ongaro, raft-dev 2015).
    OwnCommitFirst,
    /// Every quorum of the members before a change has a server in common with every quorum of those after it.
    QuorumsMeet,
    /// What is installed is a snapshot whose parts are all on stable storage; and what a state machine is given is there.
    WholeSnapshots,
    /// A snapshot stands for committed entries, and names the members as of the last one.
    TrueSnapshots,
    /// Were the faults to stop here, a new command would be committed, and applied by every member, within the bound of
    /// election timeouts: by each of the fair schedules of `fair`.
    Liveness,
    /// What the clients of one register see is linearizable: all of it, as judged by the checker of recorded histories.
    LinearizableHistory,
}

/// What must be possible, so that no law holds for want of behaviour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Witness {
    /// A leader is elected.
    Elected,
    /// A leader is elected in a later term than the first leader's.
    SecondLeader,
    /// A leader commits an entry of its own term.
    OwnTermCommitted,
    /// A leader commits an entry of an earlier term, by one of its own after it.
    OlderTermCommitted,
    /// A command, not only a no-op, is applied.
    CommandApplied,
    /// A follower cuts off entries that conflict with its leader's.
    Truncated,
    /// A message is lost.
    MessageLost,
    /// A message arrives twice.
    MessageDuplicated,
    /// A crash loses a write that was not durable.
    WriteLost,
    /// A leader is elected after a crash.
    ElectedAfterCrash,
    /// An entry is applied after a crash.
    AppliedAfterCrash,
    /// A read is served.
    ReadServed,
    /// A read is given up because leadership was lost.
    ReadAborted,
    /// A leader that does not hear from a quorum steps down.
    SteppedDown,
    /// A change of the members is committed.
    MembersChanged,
    /// A leader enters a joint membership.
    JointEntered,
    /// The membership that a joint one leads to is committed.
    JointLeft,
    /// A leader that is no voter any more lays down its office.
    LeaderLeft,
    /// A membership is committed in which a learner has become a voter.
    LearnerPromoted,
    /// A server takes a snapshot and lets go of its log.
    Compacted,
    /// A follower installs its leader's snapshot.
    SnapshotInstalled,
    /// That, after a crash.
    InstalledAfterCrash,
    /// The server that its leader told to campaign is elected.
    Transferred,
    /// A follower serves a read, at the index that its leader named.
    ReadForwarded,
    /// A server that lost the end of its log has it again.
    Repaired,
    /// A client gets what was put.
    PutSeen,
}

impl Law {
    /// All of them.
    pub const ALL: [Law; 21] = [
        Law::ElectionSafety,
        Law::LeaderAppendOnly,
        Law::LogMatching,
        Law::LeaderCompleteness,
        Law::StateMachineSafety,
        Law::DurableCommit,
        Law::Monotonicity,
        Law::LinearizableReads,
        Law::NoHalt,
        Law::NoSuspicion,
        Law::LegalRestart,
        Law::NoPanic,
        Law::ElectionByQuorum,
        Law::OneChangeAtATime,
        Law::LatestMembers,
        Law::OwnCommitFirst,
        Law::QuorumsMeet,
        Law::WholeSnapshots,
        Law::TrueSnapshots,
        Law::Liveness,
        Law::LinearizableHistory,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Law::ElectionSafety => "election safety",
            Law::LeaderAppendOnly => "leader append-only",
            Law::LogMatching => "log matching",
            Law::LeaderCompleteness => "leader completeness",
            Law::StateMachineSafety => "state machine safety",
            Law::DurableCommit => "durability at commit",
            Law::Monotonicity => "monotonicity",
            Law::LinearizableReads => "linearizable reads",
            Law::NoHalt => "no halt",
            Law::NoSuspicion => "no suspicion",
            Law::LegalRestart => "legal restart",
            Law::NoPanic => "no panic",
            Law::ElectionByQuorum => "election by a quorum",
            Law::OneChangeAtATime => "one change at a time",
            Law::LatestMembers => "latest members in force",
            Law::OwnCommitFirst => "own commit before a change",
            Law::QuorumsMeet => "successive quorums meet",
            Law::WholeSnapshots => "whole snapshots",
            Law::TrueSnapshots => "true snapshots",
            Law::Liveness => "liveness",
            Law::LinearizableHistory => "linearizable history",
        }
    }
}

impl Witness {
    /// All of them.
    pub const ALL: [Witness; 26] = [
        Witness::Elected,
        Witness::SecondLeader,
        Witness::OwnTermCommitted,
        Witness::OlderTermCommitted,
        Witness::CommandApplied,
        Witness::Truncated,
        Witness::MessageLost,
        Witness::MessageDuplicated,
        Witness::WriteLost,
        Witness::ElectedAfterCrash,
        Witness::AppliedAfterCrash,
        Witness::ReadServed,
        Witness::ReadAborted,
        Witness::SteppedDown,
        Witness::MembersChanged,
        Witness::JointEntered,
        Witness::JointLeft,
        Witness::LeaderLeft,
        Witness::LearnerPromoted,
        Witness::Compacted,
        Witness::SnapshotInstalled,
        Witness::InstalledAfterCrash,
        Witness::Transferred,
        Witness::ReadForwarded,
        Witness::Repaired,
        Witness::PutSeen,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Witness::Elected => "a leader is elected",
            Witness::SecondLeader => "a second leader is elected",
            Witness::OwnTermCommitted => "an entry commits in its own term",
            Witness::OlderTermCommitted => "an entry of an older term commits",
            Witness::CommandApplied => "a command is applied",
            Witness::Truncated => "a log is truncated",
            Witness::MessageLost => "a message is lost",
            Witness::MessageDuplicated => "a message arrives twice",
            Witness::WriteLost => "a crash loses a write",
            Witness::ElectedAfterCrash => "a leader is elected after a crash",
            Witness::AppliedAfterCrash => "an entry is applied after a crash",
            Witness::ReadServed => "a read is served",
            Witness::ReadAborted => "a read is given up",
            Witness::SteppedDown => "a leader without a quorum steps down",
            Witness::MembersChanged => "a change of members commits",
            Witness::JointEntered => "a joint membership is entered",
            Witness::JointLeft => "a joint membership is left",
            Witness::LeaderLeft => "a leader removes itself",
            Witness::LearnerPromoted => "a learner becomes a voter",
            Witness::Compacted => "a log is compacted",
            Witness::SnapshotInstalled => "a snapshot is installed",
            Witness::InstalledAfterCrash => "a snapshot is installed after a crash",
            Witness::Transferred => "leadership is transferred",
            Witness::ReadForwarded => "a follower serves a read",
            Witness::Repaired => "a lost end of a log is repaired",
            Witness::PutSeen => "a client gets what was put",
        }
    }
}

/// A set of laws, or of witnesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Flags(pub(crate) u32);

impl Flags {
    pub(crate) const NONE: Flags = Flags(0);

    pub(crate) fn law(law: Law) -> Self {
        Flags(1 << law as u8)
    }

    pub(crate) fn witness(witness: Witness) -> Self {
        Flags(1 << witness as u8)
    }

    pub(crate) fn add(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Adds `flag` where `is` says so.
    pub(crate) fn add_if(&mut self, is: bool, flag: Flags) {
        if is {
            self.add(flag);
        }
    }

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Flags {
    /// Whether all of `others` are in it.
    pub(crate) fn contains(self, others: Flags) -> bool {
        self.0 & others.0 == others.0
    }
}
