//! The named worlds that are explored.

use crate::bounds::Bounds;
use crate::property::Witness;

/// A world worth exploring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How large it is.
    pub bounds: Bounds,
    /// What must be possible in it.
    pub reaches: &'static [Witness],
    /// How many states it has, up to the names of servers, where that was counted. A change of the core that changes
    /// behaviour changes this.
    pub states: Option<u64>,
    /// How often it is explored.
    pub set: Set,
}

/// When a scenario is explored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Set {
    /// With every `cargo test`, and in CI.
    Test,
    /// In CI.
    Ci,
    /// When asked for by name.
    Nightly,
}

impl Set {
    /// `test`, `ci` or `nightly`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Set::Test => "test",
            Set::Ci => "ci",
            Set::Nightly => "nightly",
        }
    }
}

const TWO_TERMS: &[Witness] = &[
    Witness::Elected,
    Witness::SecondLeader,
    Witness::OwnTermCommitted,
    Witness::OlderTermCommitted,
    Witness::Truncated,
    Witness::MessageLost,
];

const CRASH: &[Witness] = &[
    Witness::SecondLeader,
    Witness::OlderTermCommitted,
    Witness::WriteLost,
    Witness::ElectedAfterCrash,
    Witness::AppliedAfterCrash,
];

const SMALL: Bounds = Bounds::SMALLEST;

/// All scenarios, the small ones first.
#[must_use]
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

/// The scenario of this name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "single",
        about: "one server alone, whose disk is slow, and which crashes twice",
        bounds: Bounds { servers: 1, terms: 3, proposals: 1, slow_writes: 2, crashes: 2, reads: 1, ..SMALL },
        reaches: &[Witness::Elected, Witness::WriteLost, Witness::AppliedAfterCrash, Witness::ReadServed],
        states: Some(1_130),
        set: Set::Test,
    },
    Scenario {
        name: "base-t1",
        about: "one term: an election, a no-op, a command; two messages in flight, in either order",
        bounds: Bounds { log: 2, proposals: 1, in_flight: 2, ..SMALL },
        reaches: &[
            Witness::Elected,
            Witness::OwnTermCommitted,
            Witness::CommandApplied,
            Witness::MessageLost,
        ],
        states: Some(231_363),
        set: Set::Test,
    },
    Scenario {
        name: "base-t2",
        about: "two terms: leaders follow each other, logs diverge and are repaired",
        bounds: Bounds { terms: 2, log: 2, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(14_028),
        set: Set::Test,
    },
    Scenario {
        name: "base-t2-command",
        about: "two terms and a command",
        bounds: Bounds { terms: 2, log: 3, proposals: 1, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(145_851),
        set: Set::Test,
    },
    Scenario {
        name: "duplicate",
        about: "two terms, a command, and a message arrives twice",
        bounds: Bounds { terms: 2, log: 2, proposals: 1, duplicates: 1, ..SMALL },
        reaches: &[
            Witness::SecondLeader,
            Witness::OlderTermCommitted,
            Witness::CommandApplied,
            Witness::MessageDuplicated,
        ],
        states: Some(137_169),
        set: Set::Test,
    },
    Scenario {
        name: "slow-disks",
        about: "one term; two writes of each server are under way, and one server crashes and loses what was not durable",
        bounds: Bounds { proposals: 1, crashes: 1, slow_writes: 2, ..SMALL },
        reaches: &[
            Witness::WriteLost,
            Witness::CommandApplied,
            Witness::ElectedAfterCrash,
            Witness::AppliedAfterCrash,
        ],
        states: Some(398_494),
        set: Set::Test,
    },
    Scenario {
        name: "reads",
        about: "two terms and a read",
        bounds: Bounds { terms: 2, log: 2, reads: 1, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::ReadServed, Witness::ReadAborted],
        states: Some(102_195),
        set: Set::Test,
    },
    Scenario {
        name: "pre-vote",
        about: "two terms with pre-vote and stickiness",
        bounds: Bounds { terms: 2, log: 2, pre_vote: true, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(152_567),
        set: Set::Test,
    },
    Scenario {
        name: "four",
        about: "four servers elect in one term, and two messages arrive twice",
        bounds: Bounds { servers: 4, log: 1, in_flight: 2, duplicates: 2, ..SMALL },
        reaches: &[Witness::Elected, Witness::OwnTermCommitted, Witness::MessageDuplicated],
        states: Some(199_928),
        set: Set::Test,
    },
    Scenario {
        name: "together-t1",
        about: "one term; a message arrives twice, a server with a slow disk crashes, a read is asked for",
        bounds: Bounds { log: 2, duplicates: 1, crashes: 1, slow_writes: 1, reads: 1, ..SMALL },
        reaches: &[
            Witness::MessageDuplicated,
            Witness::WriteLost,
            Witness::ElectedAfterCrash,
            Witness::ReadServed,
        ],
        states: Some(212_723),
        set: Set::Test,
    },
    Scenario {
        name: "base-t3",
        about: "three terms",
        bounds: Bounds { terms: 3, log: 3, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(212_908),
        set: Set::Ci,
    },
    Scenario {
        name: "base-t4",
        about: "four terms, entries travel one by one: enough for the paper's Figure 8",
        bounds: Bounds { terms: 4, log: 2, append_entries: 1, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(818_947),
        set: Set::Ci,
    },
    Scenario {
        name: "reorder",
        about: "two terms; two messages are in flight and overtake each other",
        bounds: Bounds { terms: 2, log: 3, in_flight: 2, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(653_502),
        set: Set::Ci,
    },
    Scenario {
        name: "duplicate-twice",
        about: "two terms, a command, and two messages arrive twice",
        bounds: Bounds { terms: 2, log: 3, proposals: 1, duplicates: 2, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::OlderTermCommitted, Witness::MessageDuplicated],
        states: Some(529_901),
        set: Set::Ci,
    },
    Scenario {
        name: "crash",
        about: "two terms, slow disks, and one server crashes and loses what was not durable",
        bounds: Bounds { terms: 2, log: 3, crashes: 1, slow_writes: 1, ..SMALL },
        reaches: CRASH,
        states: Some(711_942),
        set: Set::Ci,
    },
    Scenario {
        name: "reads-twice",
        about: "two terms and two reads",
        bounds: Bounds { terms: 2, log: 2, reads: 2, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::ReadServed, Witness::ReadAborted],
        states: Some(426_388),
        set: Set::Ci,
    },
    Scenario {
        name: "check-quorum",
        about: "one term with pre-vote, stickiness and check-quorum",
        bounds: Bounds { log: 1, pre_vote: true, contact_timer: true, ..SMALL },
        reaches: &[Witness::Elected, Witness::OwnTermCommitted, Witness::SteppedDown],
        states: Some(95_701),
        set: Set::Ci,
    },
    Scenario {
        name: "together",
        about: "two terms; a message arrives twice, a server with a slow disk crashes, a read is asked for",
        bounds: Bounds { terms: 2, log: 2, duplicates: 1, crashes: 1, slow_writes: 1, reads: 1, ..SMALL },
        reaches: &[
            Witness::SecondLeader,
            Witness::MessageDuplicated,
            Witness::WriteLost,
            Witness::ElectedAfterCrash,
            Witness::ReadServed,
        ],
        states: Some(9_824_487),
        set: Set::Ci,
    },
    Scenario {
        name: "base-t3-command",
        about: "three terms and a command",
        bounds: Bounds { terms: 3, log: 3, proposals: 1, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(1_619_226),
        set: Set::Ci,
    },
    Scenario {
        name: "pre-vote-crash",
        about: "two terms with pre-vote, a slow disk, and a crash",
        bounds: Bounds { terms: 2, log: 2, pre_vote: true, crashes: 1, slow_writes: 1, ..SMALL },
        reaches: &[
            Witness::SecondLeader,
            Witness::WriteLost,
            Witness::ElectedAfterCrash,
            Witness::AppliedAfterCrash,
        ],
        states: Some(10_808_388),
        set: Set::Ci,
    },
    Scenario {
        name: "production-t1",
        about: "one term with everything a server runs with: pre-vote, check-quorum, a slow disk, a crash, a read",
        bounds: Bounds {
            log: 2,
            pre_vote: true,
            contact_timer: true,
            crashes: 1,
            slow_writes: 1,
            reads: 1,
            ..SMALL
        },
        reaches: &[
            Witness::SteppedDown,
            Witness::WriteLost,
            Witness::ElectedAfterCrash,
            Witness::AppliedAfterCrash,
            Witness::ReadServed,
        ],
        states: Some(7_916_424),
        set: Set::Ci,
    },
    Scenario {
        name: "reorder-command",
        about: "two terms and a command; two messages are in flight",
        bounds: Bounds { terms: 2, log: 3, proposals: 1, in_flight: 2, ..SMALL },
        reaches: TWO_TERMS,
        states: Some(10_162_832),
        set: Set::Nightly,
    },
    Scenario {
        name: "crash-twice",
        about: "two terms, slow disks, two crashes",
        bounds: Bounds { terms: 2, log: 3, crashes: 2, slow_writes: 1, ..SMALL },
        reaches: CRASH,
        states: Some(2_195_767),
        set: Set::Ci,
    },
    Scenario {
        name: "crash-t3",
        about: "three terms, slow disks, one crash",
        bounds: Bounds { terms: 3, log: 3, crashes: 1, slow_writes: 1, ..SMALL },
        reaches: CRASH,
        states: Some(13_487_313),
        set: Set::Nightly,
    },
    Scenario {
        name: "crash-reorder",
        about: "two terms, slow disks, one crash, two messages in flight",
        bounds: Bounds { terms: 2, log: 2, in_flight: 2, crashes: 1, slow_writes: 1, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::WriteLost, Witness::ElectedAfterCrash],
        states: None,
        set: Set::Nightly,
    },
    Scenario {
        name: "check-quorum-t2",
        about: "two terms with pre-vote, stickiness and check-quorum",
        bounds: Bounds { terms: 2, log: 2, pre_vote: true, contact_timer: true, ..SMALL },
        reaches: &[Witness::SecondLeader, Witness::OlderTermCommitted, Witness::SteppedDown],
        states: Some(2_976_731),
        set: Set::Ci,
    },
    Scenario {
        name: "five",
        about: "five servers elect in one term",
        bounds: Bounds { servers: 5, log: 1, in_flight: 2, ..SMALL },
        reaches: &[Witness::Elected, Witness::OwnTermCommitted, Witness::MessageLost],
        states: Some(1_830_444),
        set: Set::Nightly,
    },
];
