//! The scenarios in which the members change, logs are compacted, leaders hand over, followers are asked for reads, and disks lose
//! what was durable.

use super::{Scenario, Set};
use crate::bounds::Bounds;
use crate::members::{Group, Target};
use crate::property::Witness;

const SNAPSHOT: &[Witness] =
    &[Witness::Elected, Witness::CommandApplied, Witness::Compacted, Witness::SnapshotInstalled];

const SMALL: Bounds = Bounds::SMALLEST;
const LIVE: Bounds = super::LIVE;

pub(super) const FEATURES: &[Scenario] = &[
    Scenario {
        name: "learner",
        about: "two voters and a learner that becomes a voter",
        bounds: Bounds {
            log: 3,
            learners: Group::of(&[3]),
            changes: [Some(Target::voters(&[1, 2, 3])), None],
            ..LIVE
        },
        reaches: &[Witness::MembersChanged, Witness::LearnerPromoted],
        states: Some(2_358),
        set: Set::Test,
    },
    Scenario {
        name: "shrink",
        about: "two terms; one of three voters is removed, whether it leads or not",
        bounds: Bounds { terms: 2, log: 3, changes: [Some(Target::voters(&[1, 2])), None], ..LIVE },
        reaches: &[Witness::SecondLeader, Witness::MembersChanged, Witness::LeaderLeft],
        states: Some(273_921),
        set: Set::Test,
    },
    Scenario {
        name: "joint",
        about: "two terms; two of three voters are removed in one change",
        bounds: Bounds { terms: 2, log: 4, changes: [Some(Target::voters(&[1])), None], ..LIVE },
        reaches: &[
            Witness::SecondLeader,
            Witness::MembersChanged,
            Witness::JointEntered,
            Witness::JointLeft,
            Witness::LeaderLeft,
        ],
        states: Some(221_601),
        set: Set::Test,
    },
    Scenario {
        name: "replace",
        about: "one of two voters is replaced by a server that joins",
        bounds: Bounds {
            log: 4,
            in_flight: 2,
            outsiders: Group::of(&[3]),
            changes: [Some(Target::voters(&[1, 3])), None],
            ..LIVE
        },
        reaches: &[Witness::MembersChanged, Witness::JointEntered, Witness::JointLeft, Witness::LeaderLeft],
        states: Some(18_718),
        set: Set::Test,
    },
    Scenario {
        name: "snapshots",
        about: "a leader compacts its log, and a server that lags is sent the snapshot in two parts",
        bounds: Bounds { log: 2, proposals: 1, snapshots: 1, snapshot_parts: 2, ..LIVE },
        reaches: SNAPSHOT,
        states: Some(24_573),
        set: Set::Test,
    },
    Scenario {
        name: "snapshots-t2",
        about: "two terms; leaders with compacted logs follow each other",
        bounds: Bounds { terms: 2, log: 3, snapshots: 1, ..LIVE },
        reaches: &[
            Witness::SecondLeader,
            Witness::OlderTermCommitted,
            Witness::Truncated,
            Witness::Compacted,
            Witness::SnapshotInstalled,
        ],
        states: Some(51_611),
        set: Set::Test,
    },
    Scenario {
        name: "snapshots-crash",
        about: "a server with a slow disk crashes, maybe while it installs a snapshot",
        bounds: Bounds { log: 2, snapshots: 1, snapshot_parts: 2, crashes: 1, slow_writes: 2, ..LIVE },
        reaches: &[Witness::WriteLost, Witness::SnapshotInstalled, Witness::InstalledAfterCrash],
        states: Some(38_803),
        set: Set::Test,
    },
    Scenario {
        name: "snapshot-joins",
        about: "a server that joins is sent a snapshot, which names the members",
        bounds: Bounds {
            log: 3,
            outsiders: Group::of(&[3]),
            changes: [Some(Target::voters(&[1, 2, 3])), None],
            snapshots: 2,
            snapshot_parts: 2,
            ..LIVE
        },
        reaches: &[Witness::MembersChanged, Witness::Compacted, Witness::SnapshotInstalled],
        states: Some(5_891),
        set: Set::Test,
    },
    Scenario {
        name: "forwarded-crash",
        about: "two servers; the one that asks crashes, and answers to its earlier life arrive late",
        bounds: Bounds {
            servers: 2,
            log: 1,
            in_flight: 2,
            crashes: 1,
            reads: 2,
            forwarded_reads: true,
            rounds: 2,
            ..LIVE
        },
        reaches: &[Witness::ReadForwarded, Witness::AppliedAfterCrash],
        states: Some(117_960),
        set: Set::Test,
    },
    Scenario {
        name: "joint-four",
        about: "one of three voters is replaced by a server that joins",
        bounds: Bounds {
            servers: 4,
            log: 3,
            outsiders: Group::of(&[4]),
            changes: [Some(Target::voters(&[2, 3, 4])), None],
            ..SMALL
        },
        reaches: &[Witness::MembersChanged, Witness::JointEntered, Witness::JointLeft, Witness::LeaderLeft],
        states: Some(553_990),
        set: Set::Ci,
    },
    Scenario {
        name: "joint-four-t2",
        about: "two terms; one of three voters is replaced by a server that joins",
        bounds: Bounds {
            servers: 4,
            terms: 2,
            log: 3,
            outsiders: Group::of(&[4]),
            changes: [Some(Target::voters(&[2, 3, 4])), None],
            ..SMALL
        },
        reaches: &[
            Witness::SecondLeader,
            Witness::MembersChanged,
            Witness::JointEntered,
            Witness::JointLeft,
            Witness::LeaderLeft,
        ],
        states: Some(18_256_612),
        set: Set::Nightly,
    },
    Scenario {
        name: "two-changes",
        about: "two terms; one of three voters is removed, and then another one",
        bounds: Bounds {
            terms: 2,
            log: 4,
            changes: [Some(Target::voters(&[1, 2])), Some(Target::voters(&[1]))],
            ..LIVE
        },
        reaches: &[Witness::SecondLeader, Witness::MembersChanged, Witness::LeaderLeft],
        states: Some(685_802),
        set: Set::Ci,
    },
    Scenario {
        name: "snapshots-twice",
        about: "two terms, and two snapshots in two parts",
        bounds: Bounds { terms: 2, log: 3, snapshots: 2, snapshot_parts: 2, ..LIVE },
        reaches: &[Witness::SecondLeader, Witness::Truncated, Witness::Compacted, Witness::SnapshotInstalled],
        states: Some(101_092),
        set: Set::Ci,
    },
    Scenario {
        name: "snapshots-reorder",
        about: "the parts of a snapshot and what follows it overtake each other, and one message arrives twice",
        bounds: Bounds { log: 2, in_flight: 2, duplicates: 1, snapshots: 1, snapshot_parts: 2, ..LIVE },
        reaches: &[Witness::Compacted, Witness::SnapshotInstalled, Witness::MessageDuplicated],
        states: Some(98_628),
        set: Set::Ci,
    },
    Scenario {
        name: "snapshot-members",
        about: "two terms; a member is removed, and a log is compacted before, meanwhile or after that",
        bounds: Bounds {
            terms: 2,
            log: 3,
            changes: [Some(Target::voters(&[1, 2])), None],
            snapshots: 1,
            ..LIVE
        },
        reaches: &[
            Witness::SecondLeader,
            Witness::MembersChanged,
            Witness::LeaderLeft,
            Witness::Compacted,
            Witness::SnapshotInstalled,
        ],
        states: Some(1_116_894),
        set: Set::Ci,
    },
    Scenario {
        name: "transfer",
        about: "two terms with pre-vote and stickiness; a leader hands over to another server",
        bounds: Bounds { terms: 2, log: 2, pre_vote: true, transfers: 1, ..LIVE },
        reaches: &[Witness::SecondLeader, Witness::OlderTermCommitted, Witness::Transferred],
        states: Some(645_435),
        set: Set::Ci,
    },
    Scenario {
        name: "forwarded-reads",
        about: "a read in one term, of the leader or of a follower, and a command meanwhile",
        bounds: Bounds { log: 2, proposals: 1, reads: 1, forwarded_reads: true, rounds: 2, ..SMALL },
        reaches: &[Witness::CommandApplied, Witness::ReadServed, Witness::ReadForwarded],
        states: Some(535_105),
        set: Set::Ci,
    },
    Scenario {
        name: "lost-tail",
        about: "three terms; a disk loses the last entry that it had made durable",
        bounds: Bounds { terms: 3, log: 2, lost_tails: 1, ..LIVE },
        reaches: &[Witness::SecondLeader, Witness::OlderTermCommitted, Witness::Repaired],
        states: Some(505_723),
        set: Set::Ci,
    },
    Scenario {
        name: "forwarded-twice",
        about: "two servers, two reads and a command; one message arrives twice",
        bounds: Bounds {
            servers: 2,
            log: 2,
            proposals: 1,
            in_flight: 2,
            duplicates: 1,
            reads: 2,
            forwarded_reads: true,
            rounds: 2,
            ..SMALL
        },
        reaches: &[Witness::CommandApplied, Witness::MessageDuplicated, Witness::ReadForwarded],
        states: Some(538_389),
        set: Set::Ci,
    },
    Scenario {
        name: "snapshots-crash-t2",
        about: "two terms; a server with a slow disk crashes, maybe while it installs a snapshot",
        bounds: Bounds { terms: 2, log: 2, snapshots: 1, crashes: 1, slow_writes: 1, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::WriteLost, Witness::InstalledAfterCrash],
        states: Some(2_555_884),
        set: Set::Nightly,
    },
    Scenario {
        name: "forwarded-t2",
        about: "two terms and a read, of the leader or of a follower",
        bounds: Bounds { terms: 2, log: 2, reads: 1, forwarded_reads: true, rounds: 2, ..LIVE },
        reaches: &[Witness::SecondLeader, Witness::ReadForwarded, Witness::ReadAborted],
        states: Some(563_342),
        set: Set::Ci,
    },
];
