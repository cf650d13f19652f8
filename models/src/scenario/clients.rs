//! The scenarios in which clients put into one register and get from it, and what they see must be linearizable.

use super::{Scenario, Set};
use crate::bounds::Bounds;
use crate::property::Witness;

const CLIENTS: Bounds = Bounds { clients: true, ..Bounds::SMALLEST };

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "register",
        about: "two servers and two terms; clients put into a register twice and get from it twice",
        bounds: Bounds { servers: 2, terms: 2, log: 4, proposals: 2, reads: 2, ..CLIENTS },
        reaches: &[
            Witness::SecondLeader,
            Witness::OlderTermCommitted,
            Witness::ReadAborted,
            Witness::PutSeen,
        ],
        states: Some(80_102),
        set: Set::Test,
    },
    Scenario {
        name: "register-forwarded",
        about: "two servers; a put and two gets, of the leader or of a follower; one message arrives twice",
        bounds: Bounds {
            servers: 2,
            log: 2,
            proposals: 1,
            in_flight: 2,
            duplicates: 1,
            reads: 2,
            forwarded_reads: true,
            rounds: 2,
            ..CLIENTS
        },
        reaches: &[Witness::MessageDuplicated, Witness::ReadForwarded, Witness::PutSeen],
        states: Some(746_761),
        set: Set::Ci,
    },
    Scenario {
        name: "register-t2",
        about: "three servers and two terms; a put and a get",
        bounds: Bounds { terms: 2, log: 3, proposals: 1, reads: 1, ..CLIENTS },
        reaches: &[
            Witness::SecondLeader,
            Witness::OlderTermCommitted,
            Witness::Truncated,
            Witness::ReadAborted,
            Witness::PutSeen,
        ],
        states: Some(1_429_389),
        set: Set::Ci,
    },
];
