//! What comes of something that happens to a server: what its host does with the core's effects, and the laws that one
//! server can break by itself.

use std::sync::Arc;

use raft_core::{
    Apply, Body, Effects, Entry, Event, Index, Input, Membership, Message, NodeId, Payload, Raft, ReadId,
    ReadOutcome, RoleKind, Term, Timer,
};

use crate::bounds::Bounds;
use crate::members::{is_quorum, quorums_meet};
use crate::property::{Flags, Law, Witness};
use crate::server::{Happening, Server};

/// A leader's election, for the history.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Elected {
    pub(crate) leader: NodeId,
    pub(crate) term: Term,
    /// The terms of the entries it was elected with.
    pub(crate) log: Vec<Term>,
    /// Whose votes it counted.
    pub(crate) voters: Vec<NodeId>,
}

/// An entry that is applied.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Applied {
    pub(crate) entry: Entry<u8>,
    /// The members by one quorum of which it may have been committed here.
    pub(crate) by: Vec<Arc<Membership>>,
}

/// What comes of it.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) server: Server,
    pub(crate) sends: Vec<(NodeId, Message<u8>)>,
    pub(crate) applied: Vec<Applied>,
    pub(crate) reads: Vec<ReadOutcome>,
    /// Reads that died with the server.
    pub(crate) dropped_reads: Vec<ReadId>,
    pub(crate) elected: Option<Elected>,
    pub(crate) broken: Flags,
    pub(crate) seen: Flags,
}

impl Reaction {
    pub(crate) fn of(server: Server) -> Self {
        Reaction {
            server,
            sends: Vec::new(),
            applied: Vec::new(),
            reads: Vec::new(),
            dropped_reads: Vec::new(),
            elected: None,
            broken: Flags::NONE,
            seen: Flags::NONE,
        }
    }

    /// The host's part: hands over the input; executes what is committed at once; and, where disks are fast, makes writes
    /// durable at once. Returns whether the input was accepted.
    pub(crate) fn run(&mut self, raft: &mut Raft<u8>, input: Input<u8>, bounds: &Bounds) -> bool {
        let mut next = Some(input);
        let mut is_first = true;
        while let Some(input) = next.take() {
            let mut effects = Effects::default();
            let before = raft.clone();
            let cause = Cause::of(&input);
            if raft.step(input, &mut effects).is_err() && is_first {
                return false;
            }
            is_first = false;
            self.sends.extend(effects.send.into_iter().map(|sent| (sent.to, sent.message)));
            self.server.queue.extend(effects.writes);
            for event in &effects.events {
                self.broken.add_if(matches!(event, Event::Halted(_)), Flags::law(Law::NoHalt));
                let is_suspect = match event {
                    Event::Suspect { .. } => true,
                    // Where the members never change, nobody is a stranger.
                    Event::Stranger { .. } => !bounds.changes_members(),
                    _ => false,
                };
                self.broken.add_if(is_suspect, Flags::law(Law::NoSuspicion));
            }
            for outcome in effects.reads {
                let (ReadOutcome::Ready { id, .. } | ReadOutcome::Aborted { id }) = outcome;
                let is_ready = matches!(outcome, ReadOutcome::Ready { .. });
                let witness = if is_ready { Witness::ReadServed } else { Witness::ReadAborted };
                self.seen.add(Flags::witness(witness));
                self.server.reads.retain(|waiting| *waiting != id);
                self.reads.push(outcome);
            }
            self.judge_step(&before, raft, &cause);
            let applied_to = effects.apply.last().map(Apply::index);
            for step in effects.apply {
                match step {
                    Apply::Entry(entry) => {
                        let by = cause.members_that_commit(&before, raft, entry.index);
                        self.note_applied(raft, &entry);
                        self.applied.push(Applied { entry, by });
                    }
                    // Nobody here ever takes one.
                    Apply::Snapshot(_) => self.broken.add(Flags::law(Law::StateMachineSafety)),
                }
            }
            if let Some(last) = applied_to {
                next = Some(Input::Applied(last));
            } else if bounds.slow_writes == 0
                && let Some(write) = self.server.queue.pop_front()
            {
                let (batch, ack) = write.split();
                self.server.disk.store(&batch);
                next = Some(Input::Durable(ack));
            }
        }
        true
    }

    /// The laws that one server can break by itself, and what is worth noting.
    pub(crate) fn judge(&mut self, before: &Raft<u8>, after: &Raft<u8>, happening: &Happening) {
        let led = before.role() == RoleKind::Leader;
        let leads = after.role() == RoleKind::Leader;
        let same_term = before.term() == after.term();
        let goes_on = led && leads && same_term;

        let keeps_log = before.entries().all(|entry| after.entry(entry.index) == Some(entry));
        self.broken.add_if(goes_on && !keeps_log, Flags::law(Law::LeaderAppendOnly));
        self.seen.add_if(!keeps_log, Flags::witness(Witness::Truncated));

        let vote = before.hard_state().voted_for;
        let revotes = same_term && vote.is_some() && after.hard_state().voted_for != vote;
        let matched = |id| after.match_indexes().find(|(peer, _)| *peer == id).map(|(_, matched)| matched);
        let forgets_match = before.match_indexes().any(|(id, b)| matched(id).is_some_and(|a| a < b));
        let goes_back = after.term() < before.term()
            || after.commit() < before.commit()
            || revotes
            || (goes_on && forgets_match);
        self.broken.add_if(goes_back, Flags::law(Law::Monotonicity));

        let stepped_down =
            led && !leads && same_term && matches!(happening, Happening::Timer(Timer::Contact));
        self.seen.add_if(stepped_down, Flags::witness(Witness::SteppedDown));
    }

    /// What is worth noting of an entry that is applied.
    fn note_applied(&mut self, raft: &Raft<u8>, entry: &Entry<u8>) {
        let is_command = matches!(entry.payload, Payload::Command(_));
        self.seen.add_if(is_command, Flags::witness(Witness::CommandApplied));
        if raft.role() != RoleKind::Leader {
            return;
        }
        let is_own = entry.term == raft.term();
        let witness = if is_own { Witness::OwnTermCommitted } else { Witness::OlderTermCommitted };
        self.seen.add(Flags::witness(witness));
        let Payload::Membership(members) = &entry.payload else { return };
        let earlier = raft.entries().filter(|e| e.index < entry.index);
        let latest = earlier.filter_map(|e| match &e.payload {
            Payload::Membership(members) => Some(members.as_ref()),
            _ => None,
        });
        let Some(before) = latest.last().or(raft.config().founders.as_ref()) else { return };
        self.seen.add_if(!members.is_joint(), Flags::witness(Witness::MembersChanged));
        self.seen.add_if(before.is_joint(), Flags::witness(Witness::JointLeft));
        let is_promoted = members.voters().iter().any(|id| before.learners().contains(id));
        self.seen.add_if(is_promoted, Flags::witness(Witness::LearnerPromoted));
    }

    /// The laws about one step of the core: who elects, and who changes the members.
    fn judge_step(&mut self, before: &Raft<u8>, after: &Raft<u8>, cause: &Cause) {
        let same_term = before.term() == after.term();
        let led = before.role() == RoleKind::Leader && same_term;
        let leads = after.role() == RoleKind::Leader;
        if leads && !led {
            self.note_election(before, after, cause);
        }
        let leaves =
            led && !leads && !before.membership().is_joint() && !after.membership().is_voter(after.id());
        self.seen.add_if(leaves, Flags::witness(Witness::LeaderLeft));
        if !(leads && after.membership_index() > before.last().index) {
            return;
        }
        // It was appended here and now.
        let (old, new) = (before.membership(), after.membership());
        self.broken.add_if(!quorums_meet(old, new), Flags::law(Law::QuorumsMeet));
        self.seen.add_if(new.is_joint(), Flags::witness(Witness::JointEntered));
        // A request asks for what is committed already; a joint membership is left when it is.
        let committed = if matches!(cause, Cause::Request) { before.commit() } else { after.commit() };
        let has_own = after.entry(committed).is_some_and(|entry| entry.term == after.term());
        self.broken.add_if(!has_own, Flags::law(Law::OwnCommitFirst));
    }

    fn note_election(&mut self, before: &Raft<u8>, after: &Raft<u8>, cause: &Cause) {
        self.seen.add(Flags::witness(Witness::Elected));
        let term = after.term();
        let log = after.entries().map(|entry| entry.term).filter(|&entry| entry < term).collect();
        let mut voters = votes(before);
        voters.push(after.id());
        if let Cause::Vote(from) = cause {
            voters.push(*from);
        }
        let is_by_quorum = is_quorum(before.membership(), |id| voters.contains(&id));
        self.broken.add_if(!is_by_quorum, Flags::law(Law::ElectionByQuorum));
        self.elected = Some(Elected { leader: after.id(), term, log, voters });
    }
}

/// Why the core makes a step, as far as that matters.
enum Cause {
    /// Its host wants other members.
    Request,
    /// A vote arrives.
    Vote(NodeId),
    Other,
}

impl Cause {
    fn of(input: &Input<u8>) -> Self {
        match input {
            Input::ChangeMembership { .. } | Input::LeaveJoint => Cause::Request,
            Input::Receive { from, message: Message { body: Body::VoteResponse { granted: true }, .. } } => {
                Cause::Vote(*from)
            }
            _ => Cause::Other,
        }
    }

    /// By whose quorum an entry may have been committed in this step. Members that the host asks for count from the beginning
    /// of the step. A joint membership is left within the step that commits it: up to it its own quorum has to have
    /// everything, what comes after it may be committed by those it leads to.
    fn members_that_commit(&self, before: &Raft<u8>, after: &Raft<u8>, index: Index) -> Vec<Arc<Membership>> {
        let (old, new) = (before.membership(), after.membership());
        match self {
            Cause::Request => vec![Arc::clone(new)],
            _ if old == new || index <= before.membership_index() => vec![Arc::clone(old)],
            // A follower's members change with its log; whoever commits first leads.
            _ => vec![Arc::clone(old), Arc::clone(new)],
        }
    }
}

/// Whose votes a candidate has counted, besides its own.
fn votes(raft: &Raft<u8>) -> Vec<NodeId> {
    let value = serde_json::to_value(raft).unwrap_or_default();
    let votes = value.pointer("/role/Candidate/votes").and_then(serde_json::Value::as_array);
    let granted = |vote: &serde_json::Value| {
        vote.pointer("/1")?.as_bool()?.then_some(NodeId(vote.pointer("/0")?.as_u64()?))
    };
    votes.into_iter().flatten().filter_map(granted).collect()
}
