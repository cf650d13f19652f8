//! Whoever asked for something gets an answer, once.

use raft_core::{
    Effects, ForwardOutcome, Input, Payload, Placed, Proposed, Raft, ReadOutcome, Refused, RoleKind,
};

use crate::judged::Judge;

impl Judge {
    /// Every read that was taken is decided once, in order (R02), at the latest when the leader is lost (R06); what a leader
    /// had committed when it took it must be applied before it is served (R01).
    pub fn decides_reads(
        &mut self,
        before: &Raft<u8>,
        input: &Input<u8>,
        result: Result<(), Refused>,
        node: &Raft<u8>,
        effects: &Effects<u8>,
    ) {
        if let (Input::Read(id), Ok(())) = (input, result) {
            let leads = before.role() == RoleKind::Leader;
            self.reads.push((*id, leads.then_some(before.commit())));
        }
        let mut is_in_order = true;
        for read in &effects.reads {
            let id = match *read {
                ReadOutcome::Ready { id, .. } | ReadOutcome::Aborted { id } => id,
            };
            let place = self.reads.iter().position(|(taken, _)| *taken == id);
            let place = place.unwrap_or_else(|| panic!("{read:?} was not taken, or is decided already"));
            is_in_order &= place == 0;
            let (_, commit) = self.reads.remove(place);
            if let (ReadOutcome::Ready { index, .. }, Some(commit)) = (read, commit) {
                assert!(commit <= *index && *index <= node.last().index, "{read:?} for {commit:?}");
                assert!(*index <= node.commit(), "{read:?} is not committed");
            }
        }
        // A lease serves at once, whatever waits.
        assert!(is_in_order || node.config().lease.is_some(), "{:?} are out of order", effects.reads);
        assert!(self.reads.is_empty() || serves(node), "reads outlive the leader: {:?}", self.reads);
        assert!(self.reads.len() <= node.config().limits.pending_reads, "{} are pending", self.reads.len());
    }

    /// A proposal stands where it is said to stand, or is answered once, at the latest when the leader is lost.
    pub fn answers_proposals(
        &mut self,
        before: &Raft<u8>,
        input: &Input<u8>,
        result: Result<(), Refused>,
        node: &Raft<u8>,
        effects: &Effects<u8>,
    ) {
        match (input, result, effects.proposed) {
            (Input::Propose(commands), Ok(()), Some(Proposed::Appended(Placed { term, first, last }))) => {
                assert!(
                    first == before.last().index.next() && last == before.last().index.plus(commands.len())
                );
                for (entry, command) in node.entries().filter(|e| e.index >= first).zip(commands) {
                    assert!(entry.term == term && entry.payload == Payload::Command(*command));
                }
            }
            (Input::Propose(_), Ok(()), Some(Proposed::Forwarded(ticket))) => {
                assert!(self.ticket < Some(ticket), "{ticket:?} was used before");
                self.ticket = Some(ticket);
                self.proposals.push(ticket);
            }
            (Input::Propose(_), Ok(()), None) => panic!("a proposal went nowhere"),
            (_, _, proposed) => assert_eq!(proposed, None, "nothing was proposed"),
        }
        for forwarded in &effects.forwarded {
            let place = self.proposals.iter().position(|ticket| *ticket == forwarded.ticket);
            let place = place.unwrap_or_else(|| panic!("{forwarded:?} was not asked for, or is answered"));
            self.proposals.remove(place);
            if let ForwardOutcome::Appended(Placed { term, first, last }) = forwarded.outcome {
                assert!(term == before.term() && first <= last);
            }
        }
        let is_asking = node.role() == RoleKind::Follower && node.leader().is_some();
        assert!(self.proposals.is_empty() || is_asking, "proposals outlive the leader: {:?}", self.proposals);
        assert!(self.proposals.len() <= node.config().limits.pending_forwards);
        let (led, leads) = (before.role() == RoleKind::Leader, node.role() == RoleKind::Leader);
        match effects.abandoned.as_slice() {
            [abandoned] => {
                assert!(led && abandoned.term == before.term(), "{abandoned:?}");
                assert!(abandoned.first > before.commit() && abandoned.last >= before.last().index);
            }
            [] => assert!(!led || leads || before.last().index <= node.commit(), "entries are abandoned"),
            several => panic!("one office was lost: {several:?}"),
        }
    }
}

/// Reads can still be answered.
fn serves(node: &Raft<u8>) -> bool {
    match node.role() {
        RoleKind::Leader => true,
        RoleKind::Follower => node.leader().is_some(),
        RoleKind::Candidate => false,
    }
}
