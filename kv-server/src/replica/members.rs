//! Changes of the members and transfers of leadership, as an operator asks for them.

use bytes::Bytes;
use raft_core::{Change, Entry, Input, Moment, NodeId, Payload, Refused, Term, Transition};

use super::Replica;
use super::io::{Answers, ReplicaOutput, RequestId, answer};
use crate::protocol::{Answer, Failure, Role};

/// The change that is under way here, and who asked for it. The core has one at a time.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pending: Option<(Term, RequestId)>,
}

impl Changes {
    /// The members are new once their entry is committed; a joint membership is only half of the way (§6).
    pub(super) fn applied(&mut self, entry: &Entry<Bytes>, answers: &mut Answers) {
        let Payload::Membership(membership) = &entry.payload else { return };
        if let Some((_, id)) = self.pending.take_if(|(term, _)| *term == entry.term && !membership.is_joint())
        {
            answer(answers, id, Ok(Answer::MembersChanged));
        }
    }

    /// Another leader may finish it, or undo it.
    pub(super) fn abandon_unless(&mut self, office: Option<Term>, answers: &mut Answers) {
        if let Some((_, id)) = self.pending.take_if(|(term, _)| Some(*term) != office) {
            answer(answers, id, Err(Failure::OutcomeUnknown));
        }
    }
}

impl Replica {
    pub(super) fn change_members(
        &mut self,
        now: Moment,
        id: RequestId,
        changes: Vec<Change>,
        out: &mut ReplicaOutput,
    ) {
        let input = Input::ChangeMembership { changes, transition: Transition::Auto };
        match self.core.step(now, Some(input), &mut self.effects) {
            Ok(()) => self.changes.pending = Some((self.core.raft().term(), id)),
            Err(refused) => self.refuse_operator(id, refused, out),
        }
        self.settle(now, out);
    }

    pub(super) fn transfer(
        &mut self,
        now: Moment,
        id: RequestId,
        to: Option<NodeId>,
        out: &mut ReplicaOutput,
    ) {
        let raft = self.core.raft();
        // A follower's wish would travel to its leader and come back unanswered.
        let result = match raft.role() {
            Role::Leader => self.core.step(now, Some(Input::TransferLeadership(to)), &mut self.effects),
            _ => Err(Refused::NotLeader { leader: raft.leader() }),
        };
        match result {
            Ok(()) => out.answer(id, Ok(Answer::TransferBegun)),
            Err(refused) => self.refuse_operator(id, refused, out),
        }
        self.settle(now, out);
    }

    /// An operator is told at once, and asks again.
    fn refuse_operator(&self, id: RequestId, refused: Refused, out: &mut ReplicaOutput) {
        let failure = match refused {
            Refused::NotLeader { leader: Some(leader) } => {
                Failure::NotLeader { leader, address: self.addresses.get(&leader).copied() }
            }
            Refused::NotLeader { leader: None } => Failure::NoLeader,
            Refused::Halted => Failure::Stopping,
            other => Failure::Invalid { reason: other.to_string() },
        };
        out.answer(id, Err(failure));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raft_core::{Index, Membership, Transition};

    use super::*;

    #[test]
    fn a_joint_membership_is_only_half_of_the_way() {
        let id = RequestId { connection: 1, request: 2 };
        let mut changes = Changes { pending: Some((Term(3), id)) };
        let before = Membership::new([1, 2, 3].map(NodeId));
        let joint = before.changed(&[Change::Remove(NodeId(2)), Change::Remove(NodeId(3))], Transition::Auto);
        let joint = joint.unwrap();
        assert!(joint.is_joint());
        let entry = |term, membership| Entry {
            index: Index(9),
            term: Term(term),
            payload: Payload::Membership(Arc::new(membership)),
        };
        let mut answers = Answers::new();
        let after = Membership::new([NodeId(1)]);
        changes.applied(&entry(3, joint), &mut answers);
        changes.applied(&entry(2, after.clone()), &mut answers);
        assert!(answers.is_empty(), "half of the way, and another leader's");
        changes.applied(&entry(3, after), &mut answers);
        assert_eq!(answers.len(), 1);
    }
}
