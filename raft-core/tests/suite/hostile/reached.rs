//! What sequences have led to: a property that holds because nothing happened proves nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;

use raft_core::{Effects, Event, Input, Raft, RoleKind};

use super::inputs;

const REACHED: [(&str, &[&str]); 10] = [
    ("receive ", &MESSAGES),
    ("send ", &MESSAGES),
    ("", &["Propose", "Read", "Durable", "StorageFailed", "Applied", "Unreachable", "Campaign", "StepDown"]),
    ("", &["TransferLeadership", "ForgetLeader", "SetCheckQuorum", "ChangeMembership", "LeaveJoint"]),
    ("", &["Compact", "SnapshotChunk", "SnapshotUnavailable", "RequestSnapshot", "timer Election"]),
    ("refused ", &["NotLeader", "Empty", "QuotaFull", "Halted", "Transferring", "ChangePending", "Compact"]),
    ("halted ", &["TwoLeaders", "CommittedEntryContradicted", "StorageFailed"]),
    ("start ", &["TermOutOfOrder", "IllegalMembership", "IllegalFounders", "Gap", "AppliedBeyondLog"]),
    ("", &["Stranger", "Overloaded", "SnapshotWanted", "TransferFailed", "Repaired", "Membership"]),
    (
        "",
        &["install", "apply", "read Ready", "read Aborted", "forwarded Appended", "leads a joint membership"],
    ),
];

const MESSAGES: [&str; 15] = [
    "PreVoteRequest",
    "PreVoteResponse",
    "VoteRequest",
    "VoteResponse",
    "Append",
    "AppendResponse",
    "Snapshot",
    "SnapshotResponse",
    "SnapshotRequest",
    "TimeoutNow",
    "TransferRequest",
    "ReadRequest",
    "ReadResponse",
    "Proposal",
    "ProposalResponse",
];

pub fn name_of(value: &impl Debug) -> String {
    format!("{value:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// What a sequence has led to.
#[derive(Default)]
pub struct Reached(BTreeMap<String, usize>);

impl Reached {
    pub fn note(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub fn note_step(&mut self, raft: &Raft<u8>, input: &Input<u8>, effects: &Effects<u8>) {
        self.note(inputs::kind(input));
        for outbound in &effects.send {
            self.note(format!("send {}", name_of(&outbound.message.body)));
        }
        for event in &effects.events {
            match event {
                Event::Suspect { reason, .. } => self.note(format!("suspect {reason:?}")),
                Event::Role { role, .. } => self.note(format!("become {role:?}")),
                Event::Halted(breach) => self.note(format!("halted {}", name_of(breach))),
                other => self.note(name_of(other)),
            }
        }
        let installs = effects.writes.iter().filter(|write| write.batch().install.is_some()).count();
        (0..installs).for_each(|_| self.note("install"));
        effects.apply.iter().for_each(|_| self.note("apply"));
        effects.reads.iter().for_each(|read| self.note(format!("read {}", name_of(read))));
        effects
            .forwarded
            .iter()
            .for_each(|answer| self.note(format!("forwarded {}", name_of(&answer.outcome))));
        if raft.role() == RoleKind::Leader && raft.membership().is_joint() {
            self.note("leads a joint membership");
        }
    }

    /// Every kind of input was tried, and everything that can come of one came of some.
    pub fn check(&self) {
        println!("{:#?}", self.0);
        for what in REACHED.iter().flat_map(|(prefix, names)| names.iter().map(move |name| (prefix, name))) {
            let name = format!("{}{}", what.0, what.1);
            let count = self.0.get(&name).copied().unwrap_or_default();
            assert!(count >= 3, "{name}: only {count} times");
        }
    }
}
