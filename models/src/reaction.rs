//! What comes of something that happens to a server: what its host does with the core's effects, and the laws that one
//! server can break by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::{
    Apply, Body, Effects, Entry, Event, Index, Input, Membership, Message, NodeId, Payload, Position, Raft,
    ReadChunk, ReadId, ReadOutcome, Refused, RoleKind, SnapshotMeta, Term, Timer, Write,
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
    /// The last entry of its snapshot.
    pub(crate) base: Position,
    /// The terms of the entries after that one with which it was elected.
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
    /// What snapshots stand for that it took, or starts from now.
    pub(crate) snapshots: Vec<SnapshotMeta>,
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
            snapshots: Vec::new(),
            reads: Vec::new(),
            dropped_reads: Vec::new(),
            elected: None,
            broken: Flags::NONE,
            seen: Flags::NONE,
        }
    }

    /// Hands an input to the core and does what it wants. Returns whether the input was accepted.
    pub(crate) fn run(&mut self, raft: &mut Raft<u8>, input: Input<u8>, bounds: &Bounds) -> bool {
        let mut effects = Effects::default();
        let is_accepted = self.step(raft, input, &mut effects, bounds).is_ok();
        if is_accepted {
            self.go_on(raft, effects, bounds);
        }
        is_accepted
    }

    /// The host's part: executes what is committed at once, reads what is to be read of its snapshot at once, and, where
    /// disks are fast, makes writes durable at once.
    pub(crate) fn go_on(&mut self, raft: &mut Raft<u8>, effects: Effects<u8>, bounds: &Bounds) {
        let mut inputs = VecDeque::new();
        self.take(raft, effects, bounds, &mut inputs);
        loop {
            if inputs.is_empty()
                && bounds.slow_writes == 0
                && let Some(write) = self.server.queue.pop_front()
            {
                inputs.push_back(self.store(write));
            }
            let Some(input) = inputs.pop_front() else { return };
            let mut effects = Effects::default();
            // None of these is ever refused.
            let _ = self.step(raft, input, &mut effects, bounds);
            self.take(raft, effects, bounds, &mut inputs);
        }
    }

    /// One step of the core, judged.
    fn step(
        &mut self,
        raft: &mut Raft<u8>,
        input: Input<u8>,
        effects: &mut Effects<u8>,
        bounds: &Bounds,
    ) -> Result<(), Refused> {
        let before = raft.clone();
        let cause = Cause::of(&input);
        raft.step(input, effects)?;
        for event in &effects.events {
            self.broken.add_if(matches!(event, Event::Halted(_)), Flags::law(Law::NoHalt));
            self.seen.add_if(matches!(event, Event::Repaired { .. }), Flags::witness(Witness::Repaired));
            let is_suspect = match event {
                Event::Suspect { .. } => true,
                // Where the members never change, nobody is a stranger.
                Event::Stranger { .. } => !bounds.changes_members(),
                _ => false,
            };
            self.broken.add_if(is_suspect, Flags::law(Law::NoSuspicion));
        }
        for apply in &effects.apply {
            if let Apply::Entry(entry) = apply {
                let by = cause.members_that_commit(&before, raft, entry.index);
                self.note_applied(raft, entry);
                self.applied.push(Applied { entry: entry.clone(), by });
            }
        }
        self.judge_step(&before, raft, &cause);
        Ok(())
    }

    /// What the core wants done; what it is to be told then is added to `inputs`.
    fn take(
        &mut self,
        raft: &Raft<u8>,
        effects: Effects<u8>,
        bounds: &Bounds,
        inputs: &mut VecDeque<Input<u8>>,
    ) {
        let leads = raft.role() == RoleKind::Leader;
        self.sends.extend(effects.send.into_iter().map(|sent| (sent.to, sent.message)));
        self.server.queue.extend(effects.writes);
        for outcome in effects.reads {
            let (ReadOutcome::Ready { id, .. } | ReadOutcome::Aborted { id }) = outcome;
            let is_ready = matches!(outcome, ReadOutcome::Ready { .. });
            self.seen.add_if(is_ready && !leads, Flags::witness(Witness::ReadForwarded));
            let witness = if is_ready { Witness::ReadServed } else { Witness::ReadAborted };
            self.seen.add(Flags::witness(witness));
            self.server.reads.retain(|waiting| *waiting != id);
            self.reads.push(outcome);
        }
        inputs.extend(effects.apply.last().map(|last| Input::Applied(last.index())));
        for apply in effects.apply {
            if let Apply::Snapshot(snapshot) = apply {
                // The state machine reads what is on the disk.
                let is_there = self.server.disk.snapshot.as_ref() == Some(&*snapshot);
                self.broken.add_if(!is_there, Flags::law(Law::WholeSnapshots));
                self.snapshots.push((*snapshot).clone());
            }
        }
        for ReadChunk { to, last, offset } in effects.snapshots {
            inputs.push_back(match self.server.disk.read(last, offset, bounds.snapshot_parts) {
                Some((data, done)) => Input::SnapshotChunk { to, last, offset, data, done },
                None => Input::SnapshotUnavailable { to },
            });
        }
    }

    /// A write becomes durable: what the core is to be told.
    pub(crate) fn store(&mut self, write: Write<u8>) -> Input<u8> {
        let (batch, ack) = write.split();
        let is_whole = self.server.disk.store(&batch);
        self.broken.add_if(!is_whole, Flags::law(Law::WholeSnapshots));
        let installs = batch.install.is_some() && batch.chunk.is_some();
        self.seen.add_if(installs, Flags::witness(Witness::SnapshotInstalled));
        Input::Durable(ack)
    }

    /// The host stores a snapshot of what is applied: what the core is to be told. Nothing, if that is nothing new.
    pub(crate) fn take_snapshot(&mut self, raft: &Raft<u8>) -> Option<Input<u8>> {
        let snapshot = raft.snapshot_meta(raft.applied()).ok()?;
        let last = snapshot.last.index;
        if raft.snapshot().is_some_and(|latest| latest.last.index >= last) {
            return None;
        }
        self.seen.add(Flags::witness(Witness::Compacted));
        self.server.disk.compact(snapshot.clone());
        self.snapshots.push(snapshot.clone());
        Some(Input::Compact { snapshot, through: last })
    }

    /// The laws that one server can break by itself, and what is worth noting.
    pub(crate) fn judge(&mut self, before: &Raft<u8>, after: &Raft<u8>, happening: &Happening) {
        let led = before.role() == RoleKind::Leader;
        let leads = after.role() == RoleKind::Leader;
        let same_term = before.term() == after.term();
        let goes_on = led && leads && same_term;

        let is_kept =
            |entry: &Entry<u8>| entry.index <= after.base().index || after.entry(entry.index) == Some(entry);
        let keeps_log = before.entries().all(is_kept);
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
        let term = match after.entry(committed) {
            Some(entry) => entry.term,
            None => after.base().term,
        };
        let has_own = committed > Index::ZERO && term == after.term();
        self.broken.add_if(!has_own, Flags::law(Law::OwnCommitFirst));
    }

    fn note_election(&mut self, before: &Raft<u8>, after: &Raft<u8>, cause: &Cause) {
        self.seen.add(Flags::witness(Witness::Elected));
        let term = after.term();
        let log = after.entries().map(|entry| entry.term).filter(|&entry| entry < term).collect();
        let candidate = serde_json::to_value(before).unwrap_or_default();
        let is_told = candidate.pointer("/role/Candidate/by_transfer").and_then(serde_json::Value::as_bool);
        self.seen.add_if(is_told == Some(true), Flags::witness(Witness::Transferred));
        let mut voters = votes(&candidate);
        voters.push(after.id());
        if let Cause::Vote(from) = cause {
            voters.push(*from);
        }
        let is_by_quorum = is_quorum(before.membership(), |id| voters.contains(&id));
        self.broken.add_if(!is_by_quorum, Flags::law(Law::ElectionByQuorum));
        self.elected = Some(Elected { leader: after.id(), term, base: after.base(), log, voters });
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
fn votes(candidate: &serde_json::Value) -> Vec<NodeId> {
    let votes = candidate.pointer("/role/Candidate/votes").and_then(serde_json::Value::as_array);
    let granted = |vote: &serde_json::Value| {
        vote.pointer("/1")?.as_bool()?.then_some(NodeId(vote.pointer("/0")?.as_u64()?))
    };
    votes.into_iter().flatten().filter_map(granted).collect()
}
