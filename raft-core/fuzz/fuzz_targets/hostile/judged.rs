//! What must hold of a node and its disk after every step, whatever the node was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::{
    AppendOutcome, Apply, Body, Effects, Entry, Index, Input, LostTail, Membership, Moment, NodeId, Outbound,
    Payload, Position, Raft, ReadId, Refused, RoleKind, Term, Ticket,
};

use crate::disk::Disk;
use crate::members::ME;
use crate::node::Node;

/// What is remembered of a node's present life, to judge it by.
pub struct Judge {
    /// The last entry that was handed out for execution.
    handed: Index,
    /// Reads that were taken and not decided yet, and at a leader what was committed then.
    pub(crate) reads: Vec<(ReadId, Option<Index>)>,
    /// Proposals that were forwarded and not answered yet.
    pub(crate) proposals: Vec<Ticket>,
    /// The latest ticket.
    pub(crate) ticket: Option<Ticket>,
    /// The members as of the last entry that is compacted away.
    pub(crate) at_base: Arc<Membership>,
    /// Up to where the log is known to be that of the present term's leader.
    verified: Index,
    /// The last index and the bytes of every append that is under way to a peer that is replicating.
    pub(crate) inflight: BTreeMap<NodeId, Vec<(Index, usize)>>,
}

/// No entry of a generated sequence is near it, but a hostile snapshot may be: a few go beyond the limit then.
const FAR: u64 = Index::LIMIT.0 + (1 << 20);

impl Judge {
    pub fn new(node: &Raft<u8>, disk: &Disk) -> Self {
        let at_base = match &disk.snapshot {
            Some(snapshot) => Arc::clone(&snapshot.membership),
            None => Arc::new(node.config().founders.clone().unwrap_or_default()),
        };
        let base = disk.snapshot_index();
        Judge {
            handed: if disk.applied < base { Index::ZERO } else { disk.applied },
            reads: Vec::new(),
            proposals: Vec::new(),
            ticket: None,
            at_base,
            verified: Index::ZERO,
            inflight: BTreeMap::new(),
        }
    }

    pub fn handed(&self) -> Index {
        self.handed
    }

    /// After a start.
    pub fn start(&mut self, node: &Raft<u8>, effects: &Effects<u8>, disk: &Disk) {
        assert_eq!(node.role(), RoleKind::Follower, "a node starts as a follower (A04)");
        assert_eq!(node.snapshot().map(|snapshot| &**snapshot), disk.snapshot.as_ref());
        assert!(node.commit() >= disk.snapshot_index() && node.term() >= disk.hard.term);
        self.remembers_what_was_lost(node, disk);
        self.says_what_the_disk_knows(node, effects, disk);
        self.hands_out_the_log(node, effects, disk);
        self.follows_its_log(node);
    }

    /// A log that ends earlier than it did is one to make up for (N02).
    fn remembers_what_was_lost(&self, node: &Raft<u8>, disk: &Disk) {
        let is_behind = |lost| !node.last().is_up_to_date_with(lost);
        let is_less = match disk.lost {
            None => false,
            Some(LostTail::UpTo(lost)) => is_behind(lost),
            Some(LostTail::Unknown) => true,
        };
        assert!(!is_less || node.term() > disk.hard.term, "no new term without {:?}", disk.lost);
        let is_less = is_less || disk.hard.lost_tail.is_some_and(is_behind);
        assert_eq!(node.hard_state().lost_tail.is_some(), is_less, "{:?}, {:?}", disk.lost, disk.hard);
    }

    #[allow(clippy::too_many_arguments, reason = "everything that there is to judge by")]
    pub fn step(
        &mut self,
        before: &Raft<u8>,
        input: &Input<u8>,
        result: Result<(), Refused>,
        node: &Raft<u8>,
        effects: &Effects<u8>,
        disk: &Disk,
        writes: usize,
    ) {
        if before.has_halted() || is_from_stranger(before, input) {
            let mut effects = effects.clone();
            let events = std::mem::take(&mut effects.events);
            assert!(*node == *before && effects == Effects::default(), "{input:?} had effects: {effects:?}");
            assert!(events.is_empty() || !before.has_halted(), "a halted node has news");
        }
        self.goes_back_on_nothing(before, node);
        self.cuts_off_what_conflicts(before, input, node);
        self.believes_its_leader(before, input, node, effects);
        self.votes_for_good_logs(before, input, node);
        self.stays_small(before, input, node, effects, writes);
        self.says_what_the_disk_knows(node, effects, disk);
        self.hands_out_the_log(node, effects, disk);
        self.decides_reads(before, input, result, node, effects);
        self.answers_proposals(before, input, result, node, effects);
        self.notes_compaction(before, node, effects);
        self.follows_its_log(node);
        self.keeps_windows(before, node, effects);
        self.ships_what_it_has(node, effects);
    }

    fn goes_back_on_nothing(&self, before: &Raft<u8>, node: &Raft<u8>) {
        assert!(
            node.term() >= before.term()
                && node.commit() >= before.commit()
                && node.applied() >= before.applied()
                && node.base().index >= before.base().index
        );
        let snapshot = |node: &Raft<u8>| node.snapshot().map(|snapshot| snapshot.last.index);
        assert!(snapshot(node) >= snapshot(before), "back to an older snapshot");
        let (was, is) = (before.hard_state(), node.hard_state());
        let changes_its_vote =
            was.term == is.term && was.voted_for.is_some() && is.voted_for != was.voted_for;
        assert!(!changes_its_vote, "{was:?} becomes {is:?}");
        assert!(node.term() <= Term(Term::LIMIT.0 + 8) && node.last().index.0 <= FAR);
        let known = before.entries().filter(|e| e.index <= before.commit() && e.index > node.base().index);
        for entry in known {
            assert_eq!(node.entry(entry.index), Some(entry), "a committed entry has changed");
        }
        assert!(
            node.applied() <= node.commit()
                && node.commit() <= node.last().index
                && node.durable() <= node.last().index
                && node.base().index <= node.commit()
        );
        let lost = node.hard_state().lost_tail;
        assert!(
            lost.is_none() || node.role() == RoleKind::Follower,
            "campaigns with a log that lost its end"
        );
    }

    /// "If an existing entry conflicts with a new one": else nothing is deleted (D07).
    fn cuts_off_what_conflicts(&self, before: &Raft<u8>, input: &Input<u8>, node: &Raft<u8>) {
        if node.last().index >= before.last().index {
            return;
        }
        let Input::Receive { message, .. } = input else { panic!("the log is cut off by {input:?}") };
        let conflicts = match &message.body {
            Body::Append(append) => append
                .entries
                .iter()
                .any(|entry| before.entry(entry.index).is_some_and(|existing| existing.term != entry.term)),
            body => matches!(body, Body::Snapshot(_)),
        };
        assert!(conflicts, "{message:?} cuts off the log after {:?}", node.last());
    }

    /// Nothing is acknowledged or taken for committed that was not compared with the leader's log (D13).
    fn believes_its_leader(
        &mut self,
        before: &Raft<u8>,
        input: &Input<u8>,
        node: &Raft<u8>,
        effects: &Effects<u8>,
    ) {
        if node.term() != before.term() || node.role() != RoleKind::Follower {
            self.verified = Index::ZERO;
        }
        if let Input::Receive { message, .. } = input
            && message.term == node.term()
            && !node.has_halted()
        {
            match &message.body {
                Body::Append(append) if holds(node, append.prev) => {
                    let checked = append.prev.index.plus(append.entries.len());
                    // What is compacted away was committed, and so is the leader's, too.
                    self.verified = self.verified.max(checked).max(node.base().index);
                }
                Body::Snapshot(chunk) if chunk.snapshot.last.index <= node.commit() => {
                    self.verified = self.verified.max(chunk.snapshot.last.index);
                }
                _ => {}
            }
        }
        if node.role() == RoleKind::Follower && before.role() == RoleKind::Follower {
            assert!(node.commit() <= before.commit().max(self.verified), "committed on hearsay");
        }
        for Outbound { message, .. } in &effects.send {
            if let Body::AppendResponse(response) = &message.body
                && let AppendOutcome::Accepted { matched } = response.outcome
            {
                assert!(matched <= self.verified, "{message:?}, compared up to {:?}", self.verified);
            }
        }
    }

    /// §5.4.1, and as if a lost tail were still there (N03).
    fn votes_for_good_logs(&self, before: &Raft<u8>, input: &Input<u8>, node: &Raft<u8>) {
        let Input::Receive { from, message } = input else { return };
        let vote = |node: &Raft<u8>| (node.term(), node.hard_state().voted_for);
        if vote(node) == vote(before) || node.hard_state().voted_for != Some(*from) {
            return;
        }
        let Body::VoteRequest { last, .. } = &message.body else { panic!("a vote for {message:?}") };
        let lost = before.hard_state().lost_tail.unwrap_or_default();
        assert!(last.is_up_to_date_with(before.last()) && last.is_up_to_date_with(lost), "{message:?}");
    }

    /// Per step nothing grows by more than what came in, and no list exceeds its limit.
    fn stays_small(
        &self,
        before: &Raft<u8>,
        input: &Input<u8>,
        node: &Raft<u8>,
        effects: &Effects<u8>,
        writes: usize,
    ) {
        let limits = node.config().limits;
        let brought = match input {
            Input::Propose(commands) => commands.len(),
            Input::Receive { message, .. } => match &message.body {
                Body::Append(append) => append.entries.len(),
                Body::Proposal { commands, .. } => commands.len(),
                _ => 0,
            },
            _ => 0,
        };
        let length = |node: &Raft<u8>| node.last().index.distance_from(node.base().index);
        assert!(length(node) <= length(before) + brought as u64 + 2, "{brought} entries came in");
        let members = |node: &Raft<u8>| node.membership().members().count();
        let peers = members(node) + members(before) + 1;
        let sent = effects.send.len();
        assert!(sent <= peers * (limits.inflight_appends + 4), "{sent} messages to {peers}");
        let writes = writes + effects.writes.len();
        assert!(writes <= limits.outstanding_writes + 4, "{writes} writes are outstanding");
        assert!(effects.events.len() <= 8 && effects.timers.len() <= 8, "{effects:?}");
        assert!(effects.snapshots.len() <= peers, "{:?}", effects.snapshots);
        for Outbound { message, .. } in &effects.send {
            if let Body::Append(append) = &message.body {
                let (count, bytes) = (append.entries.len(), bytes_of(&append.entries));
                assert!(count <= limits.append_entries, "an append of {count}");
                assert!(count <= 1 || bytes <= limits.append_bytes, "an append of {bytes} bytes");
            }
        }
    }

    /// What would be forgotten in a crash is not said (K01).
    fn says_what_the_disk_knows(&self, node: &Raft<u8>, effects: &Effects<u8>, disk: &Disk) {
        for Outbound { to, message } in &effects.send {
            let voted_for = match message.body {
                Body::VoteRequest { .. } => Some(ME),
                Body::VoteResponse { granted: true } => Some(*to),
                _ => None,
            };
            let is_known = disk.hard.term == message.term && disk.hard.voted_for == voted_for;
            assert!(voted_for.is_none() || is_known, "{message:?} with {:?}", disk.hard);
            match &message.body {
                Body::Append(_) | Body::Snapshot(_) | Body::TimeoutNow | Body::ReadResponse { .. } => {
                    assert!(disk.hard.term >= message.term, "{message:?} with {:?}", disk.hard);
                }
                Body::AppendResponse(response) => {
                    if let AppendOutcome::Accepted { matched } = response.outcome {
                        let holds = node.entries().take_while(|e| e.index <= matched).all(|e| disk.holds(e));
                        assert!(holds && disk.covers(matched), "{message:?}");
                    }
                }
                _ => {}
            }
        }
    }

    /// Each entry once, in order, not before it is committed, and not too many at a time; a snapshot where it takes the place
    /// of those that were not handed out, and not before it is stored (F18).
    fn hands_out_the_log(&mut self, node: &Raft<u8>, effects: &Effects<u8>, disk: &Disk) {
        for apply in &effects.apply {
            match apply {
                Apply::Entry(entry) => {
                    assert_eq!(entry.index, self.handed.next());
                    assert!(node.entry(entry.index) == Some(entry) && entry.index <= node.commit());
                    assert!(!node.config().apply_durable || disk.holds(entry), "{entry:?} is not durable");
                }
                Apply::Snapshot(snapshot) => {
                    assert!(snapshot.last.index >= self.handed, "{snapshot:?} after {:?}", self.handed);
                    assert_eq!(disk.snapshot.as_ref(), Some(&**snapshot), "a snapshot that is not stored");
                    assert!(snapshot.last.index <= node.commit());
                }
            }
            self.handed = apply.index();
        }
        let limits = node.config().limits;
        let unapplied = node.entries().filter(|e| e.index > node.applied() && e.index <= self.handed);
        let unapplied: Vec<_> = unapplied.cloned().collect();
        assert!(unapplied.len() <= limits.unapplied_entries, "{} entries are unapplied", unapplied.len());
        let is_alone = unapplied.len() <= 1;
        assert!(is_alone || bytes_of(&unapplied) <= limits.unapplied_bytes, "{unapplied:?} are unapplied");
    }

    /// Whoever holds a lease leads, and has told nobody to campaign.
    pub fn keeps_what_the_clock_says(&self, node: &Node, now: Moment) {
        if node.holds_lease(now) {
            let raft = node.raft();
            assert!(raft.role() == RoleKind::Leader && raft.transferring_to().is_none());
            assert!(raft.config().check_quorum && raft.config().lease.is_some());
        }
    }

    /// A node's size, but for its log, is bounded by its limits.
    pub fn holds_little(&self, node: &Raft<u8>, bytes: usize) {
        let limits = node.config().limits;
        let entries: Vec<_> = node.entries().collect();
        let log = postcard::to_stdvec(&entries).map_or(0, |bytes| bytes.len());
        let peer = 128 + 16 * limits.inflight_appends;
        let pending = 32 * (limits.pending_reads + limits.pending_forwards + limits.outstanding_writes + 4);
        let bound = 2048 + 2 * log + 2 * Membership::MAX_MEMBERS * peer + pending;
        assert!(bytes <= bound, "{bytes} bytes, {log} of them the log");
    }
}

/// Whether the log holds this entry, or lets go of it once it was committed.
fn holds(node: &Raft<u8>, position: Position) -> bool {
    let own = node.entry(position.index).map(Entry::position);
    position.index < node.base().index || position == node.base() || own == Some(position)
}

/// As [`raft_core::Limits`] count them.
pub fn bytes_of(entries: &[Entry<u8>]) -> usize {
    let size = |entry: &Entry<u8>| match &entry.payload {
        Payload::Noop => 16,
        Payload::Command(_) => 17,
        Payload::Membership(m) => {
            16 + 8 * (m.voters().len() + m.outgoing().len() + m.learners().len() + m.demoted().len())
        }
    };
    entries.iter().map(size).sum()
}

fn is_from_stranger(node: &Raft<u8>, input: &Input<u8>) -> bool {
    let Input::Receive { from, message } = input else { return false };
    let is_from_member = matches!(
        message.body,
        Body::PreVoteResponse { .. }
            | Body::VoteResponse { .. }
            | Body::AppendResponse(_)
            | Body::SnapshotResponse { .. }
            | Body::SnapshotRequest { .. }
            | Body::TransferRequest { .. }
            | Body::ReadRequest { .. }
            | Body::Proposal { .. }
    );
    *from == ME || (is_from_member && !node.membership().contains(*from))
}
