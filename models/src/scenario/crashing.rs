//! Base Raft with three servers, a network that loses messages, and a crash of one server, at any time. In a name, `t` is how
//! many terms there are, `l` how many entries a log may have (the no-ops with which leaders begin are entries), and `k` how
//! many messages are in flight at once. Disks are as fast as they can be, so that a crash loses what is in memory and nothing
//! else; `crash` and its like have slow ones.

use super::{Scenario, Set};
use crate::bounds::Bounds;
use crate::property::Witness;

const CRASH: Bounds = Bounds { crashes: 1, ..Bounds::SMALLEST };

/// Where a log has room for one entry only, nothing of an older term is ever committed: nothing of the own one follows it.
const SHORT: &[Witness] = &[
    Witness::SecondLeader,
    Witness::OwnTermCommitted,
    Witness::Truncated,
    Witness::MessageLost,
    Witness::ElectedAfterCrash,
    Witness::AppliedAfterCrash,
];

const LONG: &[Witness] = &[
    Witness::SecondLeader,
    Witness::OwnTermCommitted,
    Witness::OlderTermCommitted,
    Witness::Truncated,
    Witness::MessageLost,
    Witness::ElectedAfterCrash,
    Witness::AppliedAfterCrash,
];

pub(super) const CRASHING: &[Scenario] = &[
    Scenario {
        name: "t2-l3-k1",
        about: "one crash: two terms, and a command, which fills the log",
        bounds: Bounds { terms: 2, log: 3, proposals: 1, ..CRASH },
        reaches: LONG,
        states: Some(1_070_950),
        set: Set::Ci,
    },
    Scenario {
        name: "t3-l3-k1",
        about: "one crash: three terms, whose no-ops fill the log",
        bounds: Bounds { terms: 3, log: 3, ..CRASH },
        reaches: LONG,
        states: Some(1_697_670),
        set: Set::Ci,
    },
    Scenario {
        name: "t4-l1-k1",
        about: "one crash: four terms",
        bounds: Bounds { terms: 4, log: 1, ..CRASH },
        reaches: SHORT,
        states: Some(615_965),
        set: Set::Ci,
    },
    Scenario {
        name: "t2-l2-k2",
        about: "one crash: two terms; two messages overtake each other",
        bounds: Bounds { terms: 2, log: 2, in_flight: 2, ..CRASH },
        reaches: LONG,
        states: Some(5_100_914),
        set: Set::Ci,
    },
    Scenario {
        name: "t3-l1-k2",
        about: "one crash: three terms; two messages overtake each other",
        bounds: Bounds { terms: 3, log: 1, in_flight: 2, ..CRASH },
        reaches: SHORT,
        states: Some(6_517_256),
        set: Set::Ci,
    },
    Scenario {
        name: "t4-l1-k1-slow",
        about: "four terms, slow disks, and a crash that loses what was not durable",
        bounds: Bounds { terms: 4, log: 1, slow_writes: 1, ..CRASH },
        reaches: &[
            Witness::SecondLeader,
            Witness::Truncated,
            Witness::WriteLost,
            Witness::ElectedAfterCrash,
            Witness::AppliedAfterCrash,
        ],
        states: Some(6_896_524),
        set: Set::Nightly,
    },
    Scenario {
        name: "five-crash",
        about: "five servers elect in one term, and one of them crashes",
        bounds: Bounds { servers: 5, log: 1, in_flight: 2, ..CRASH },
        reaches: &[Witness::Elected, Witness::ElectedAfterCrash, Witness::AppliedAfterCrash],
        states: None,
        set: Set::Open,
    },
];
