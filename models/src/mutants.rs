//! Which seeded bug shows itself in which world. A law that has never been seen to fail proves nothing.

use raft_core::Mutant;

use crate::bounds::Bounds;
use crate::members::{Group, Target};
use crate::property::Law;

/// The world in which a seeded bug is caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hunt {
    /// The bug.
    pub mutant: Mutant,
    /// The world.
    pub bounds: Bounds,
    /// The laws that count. Not those that look inside one server where a law of Figure 3 is to be seen broken.
    pub laws: &'static [Law],
}

/// The laws about what clients and other servers can see.
const VISIBLE: &[Law] = &[
    Law::ElectionSafety,
    Law::LogMatching,
    Law::LeaderCompleteness,
    Law::StateMachineSafety,
    Law::DurableCommit,
    Law::LinearizableReads,
    Law::LegalRestart,
    Law::NoPanic,
];

const SMALL: Bounds = Bounds::SMALLEST;

const LEASES: &str =
    "3 servers, 2 terms, log 2, 1 in flight, 1 reads, with leases and a clock for each server";

/// Why there is no world in which a seeded bug is hunted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scenario yet: it takes {takes}")]
pub struct NoScenario {
    takes: &'static str,
    believed: &'static str,
}

impl NoScenario {
    /// The smallest world that is believed to show it.
    #[must_use]
    pub fn believed(&self) -> &'static str {
        self.believed
    }
}

/// Where the seeded bugs of the core are hunted: those of them for which a world is known.
#[must_use]
pub fn hunts() -> Vec<Hunt> {
    Mutant::ALL.iter().filter_map(|mutant| hunt(*mutant).ok()).collect()
}

/// Where this seeded bug is hunted.
///
/// # Errors
/// Says why no world that can be searched is known to show it.
pub fn hunt(mutant: Mutant) -> Result<Hunt, NoScenario> {
    let two = Bounds { terms: 2, log: 3, ..SMALL };
    let missing = |takes, believed| Err(NoScenario { takes, believed });
    let mut laws = VISIBLE;
    let bounds = match mutant {
        Mutant::CommitOlderTerm => Bounds { terms: 4, log: 2, append_entries: 1, ..SMALL },
        Mutant::ForgetVote => Bounds { crashes: 1, ..SMALL },
        Mutant::ForgetTerm => Bounds { crashes: 1, ..two },
        Mutant::ClearVoteOnStepDown => {
            // Other guards of the core stand between it and two leaders: no small world that shows those is known.
            laws = &[Law::Monotonicity];
            Bounds { in_flight: 2, ..SMALL }
        }
        Mutant::TwoVotes => Bounds { in_flight: 2, ..SMALL },
        Mutant::CountDuplicateVote => Bounds { servers: 4, duplicates: 2, in_flight: 2, ..SMALL },
        Mutant::StaleVoteResponse => Bounds { in_flight: 2, ..two },
        Mutant::VoteWithoutLogCheck => two,
        Mutant::TruncateOnStaleAppend => Bounds { proposals: 1, in_flight: 2, ..two },
        Mutant::AckBeyondAppend => Bounds { terms: 3, reads: 1, ..two },
        Mutant::NoPrevTermCheck => Bounds { terms: 3, ..two },
        Mutant::HeartbeatCommitUnclamped => Bounds { terms: 3, reads: 1, ..two },
        Mutant::QuorumHalf => SMALL,
        Mutant::MatchRegress => {
            laws = &[Law::Monotonicity];
            Bounds { proposals: 1, in_flight: 2, ..SMALL }
        }
        Mutant::ReadBeforeOwnCommit => Bounds { reads: 1, ..two },
        Mutant::ReadWithoutQuorum => Bounds { reads: 1, ..two },
        Mutant::AckBeforeFsync => Bounds { crashes: 1, slow_writes: 1, ..SMALL },
        Mutant::ActBeforeTermDurable => Bounds { crashes: 1, slow_writes: 2, ..SMALL },
        Mutant::StaleAckAba => Bounds { terms: 3, slow_writes: 2, ..two },
        Mutant::ApplyBeforePersist => Bounds { servers: 1, slow_writes: 2, ..SMALL },
        // The property suite sees the wrong echo itself.
        Mutant::EchoStaleRound => {
            return missing(
                "a leader elected twice, a late append, a later leader that commits, and a read: no small world",
                "3 servers, 4 terms, log 4, 2 in flight, 1 reads",
            );
        }
        Mutant::ReconfigureBeforeOwnCommit => {
            // Two leaders by it take four servers, three terms and two messages in flight: nine million states did not
            // get there.
            laws = &[Law::OwnCommitFirst];
            Bounds { changes: [Some(Target::voters(&[1, 2])), None], ..SMALL }
        }
        Mutant::TwoPendingChanges => {
            Bounds { changes: [Some(Target::voters(&[1, 2])), Some(Target::voters(&[1]))], ..two }
        }
        Mutant::JointOneMajority => Bounds { changes: [Some(Target::voters(&[1])), None], ..two },
        Mutant::ConfigNotRolledBack => {
            // Two leaders by it take a second change, and a third term.
            laws = &[Law::LatestMembers];
            Bounds { changes: [Some(Target::voters(&[1, 2])), None], ..two }
        }
        Mutant::LearnerCounts => Bounds { learners: Group::of(&[3]), ..SMALL },
        Mutant::SnapshotDropsConfig => {
            // Two leaders by it take a second change.
            laws = &[Law::LatestMembers];
            Bounds {
                outsiders: Group::of(&[3]),
                changes: [Some(Target::voters(&[1, 2, 3])), None],
                snapshots: 1,
                ..SMALL
            }
        }
        Mutant::AppendAfterCompaction => {
            // Followers refuse to believe it: all that comes of it is that they never catch up.
            laws = &[Law::NoSuspicion];
            Bounds { servers: 2, snapshots: 1, ..two }
        }
        Mutant::ReadContextReuse => Bounds {
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
        Mutant::LeaseSurvivesTransfer
        | Mutant::LeaseIgnoresDrift
        | Mutant::LeaseSurvivesPause
        | Mutant::LeaseForgottenAtRestart
        | Mutant::LeaseForgottenWithTerm => return missing("leases, and clocks", LEASES),
        Mutant::VoteWithLostTail => Bounds { lost_tails: 1, ..two },
        Mutant::PrevoteDeadlock => {
            laws = &[Law::Liveness];
            Bounds {
                servers: 2,
                terms: 2,
                log: 1,
                in_flight: 2,
                pre_vote: true,
                contact_timer: true,
                settles: 12,
                ..SMALL
            }
        }
    };
    Ok(Hunt { mutant, bounds, laws })
}
