//! G: what a change of the members leads to.

use std::sync::Arc;

use proptest::prelude::*;
use raft_core::{Change, ChangeError, Index, Input, Membership, NodeId, Refused, Transition};

use crate::membership::{change, leader, listed};
use crate::node::accepted;
use crate::snapshots::members;

use Change::{Learner, Promote, Remove, Voter};
use Transition::{Auto, Explicit};

#[test]
fn g01_change_table() {
    let n = NodeId;
    // Voters 1 2 3, learner 4 (caught up), learner 5 (not). (changes, voters, learners, is joint; or the error)
    type Outcome = Result<(&'static [u64], &'static [u64], bool), ChangeError>;
    let table: Vec<(Vec<Change>, Outcome)> = vec![
        (vec![Voter(n(6))], Ok((&[1, 2, 3, 6], &[4, 5], false))),
        (vec![Learner(n(6))], Ok((&[1, 2, 3], &[4, 5, 6], false))),
        (vec![Promote(n(4))], Ok((&[1, 2, 3, 4], &[5], false))),
        (vec![Voter(n(5))], Ok((&[1, 2, 3, 5], &[4], false))),
        (vec![Learner(n(2))], Ok((&[1, 3], &[2, 4, 5], false))),
        (vec![Remove(n(3))], Ok((&[1, 2], &[4, 5], false))),
        (vec![Remove(n(1))], Ok((&[2, 3], &[4, 5], false))),
        (vec![Remove(n(4)), Remove(n(5)), Learner(n(6))], Ok((&[1, 2, 3], &[6], false))),
        (vec![Voter(n(6)), Remove(n(4))], Ok((&[1, 2, 3, 6], &[5], false))),
        (vec![Voter(n(6)), Remove(n(3))], Ok((&[1, 2, 6], &[4, 5], true))),
        (vec![Remove(n(2)), Remove(n(3))], Ok((&[1], &[4, 5], true))),
        (vec![], Err(ChangeError::Nothing)),
        (vec![Voter(n(6)), Remove(n(6))], Err(ChangeError::Repeated(n(6)))),
        (vec![Remove(n(2)), Learner(n(2))], Err(ChangeError::Repeated(n(2)))),
        (vec![Voter(n(2))], Err(ChangeError::AlreadyVoter(n(2)))),
        (vec![Learner(n(4))], Err(ChangeError::AlreadyLearner(n(4)))),
        (vec![Remove(n(9))], Err(ChangeError::NotAMember(n(9)))),
        (vec![Promote(n(2))], Err(ChangeError::NotALearner(n(2)))),
        (vec![Promote(n(9))], Err(ChangeError::NotALearner(n(9)))),
        (vec![Promote(n(5))], Err(ChangeError::NotCaughtUp(n(5)))),
        (vec![Promote(n(4)), Promote(n(5))], Err(ChangeError::NotCaughtUp(n(5)))),
        (vec![Remove(n(1)), Remove(n(2)), Remove(n(3))], Err(ChangeError::NoVoters)),
        ((6..66).map(|id| Learner(n(id))).collect(), Err(ChangeError::TooManyMembers)),
    ];
    for (changes, outcome) in table {
        let mut node = leader(members(&[1, 2, 3]).with_learners([n(4), n(5)]));
        node.input(Input::Propose(vec![1, 2]));
        (2..5).for_each(|peer| drop(node.hear(peer, 1, accepted(3, 0))));
        let before = node.raft.clone();
        let result = change(&mut node, &changes, Auto);
        match outcome {
            Err(error) => {
                assert_eq!(result, Err(Refused::Change(error)), "{changes:?}");
                assert_eq!(node.raft, before, "{changes:?}: refused, and nothing has happened");
            }
            Ok((voters, learners, is_joint)) => {
                assert_eq!(result, Ok(()), "{changes:?}");
                let now = Arc::clone(node.raft.membership());
                assert_eq!((now.voters(), now.is_joint()), (&listed(voters)[..], is_joint), "{changes:?}");
                let still: &[u64] = if is_joint { &[1, 2, 3] } else { &[] };
                assert_eq!(now.outgoing(), listed(still));
                assert_eq!(now.learners(), listed(learners), "{changes:?}");
                assert_eq!(node.raft.membership_index(), Index(4), "in force as soon as it is in the log");
            }
        }
    }
}

/// Applies changes one by one, each a simple change of its own, as far as they make sense.
fn one_by_one(start: &Membership, changes: &[Change]) -> Result<Membership, ChangeError> {
    changes.iter().try_fold(start.clone(), |membership, change| {
        let next = membership.changed(std::slice::from_ref(change), Auto)?;
        assert!(!next.is_joint(), "one vote at most comes or goes");
        Ok(next)
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let id = || (1..9u64).prop_map(NodeId);
    prop_oneof![id().prop_map(Voter), id().prop_map(Promote), id().prop_map(Learner), id().prop_map(Remove),]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::with_source_file(file!()) })]

    #[test]
    fn g10_a_chain_of_simple_changes_and_one_joint_change_lead_to_the_same_members(
        voters in proptest::collection::btree_set(1..9u64, 1..5),
        learners in proptest::collection::btree_set(1..9u64, 0..4),
        changes in proptest::collection::vec(any_change(), 1..6),
        explicit in any::<bool>(),
    ) {
        let start = members(&voters.into_iter().collect::<Vec<_>>()).with_learners(learners.into_iter().map(NodeId));
        prop_assert!(start.is_legal());
        let at_once = start.changed(&changes, if explicit { Explicit } else { Auto });
        let chain = one_by_one(&start, &changes);
        let ids: std::collections::BTreeSet<NodeId> = changes.iter().map(|change| change.id()).collect();
        match (at_once, chain) {
            (Ok(entered), Ok(chained)) => {
                prop_assert!(entered.is_legal());
                prop_assert!(entered.is_joint() || !explicit);
                prop_assert!(entered.is_joint() || changes.len() == 1 || entered == chained);
                let outgoing = if entered.is_joint() { start.voters() } else { &[] };
                prop_assert_eq!(entered.outgoing(), outgoing);
                let left = if entered.is_joint() { entered.left().unwrap() } else { entered };
                prop_assert!(left.is_legal());
                prop_assert_eq!(left, chained);
            }
            // In a chain each server may be named often, and the last voter may go only if another came before.
            (Err(ChangeError::Repeated(_)), _) => prop_assert!(ids.len() < changes.len()),
            (Ok(entered), Err(error)) => {
                prop_assert_eq!(error, ChangeError::NoVoters);
                prop_assert!(!entered.voters().is_empty());
            }
            (Err(one), Err(other)) => prop_assert!(one == other || other == ChangeError::NoVoters),
            (Err(error), Ok(_)) => prop_assert!(false, "only at once it is refused: {}", error),
        }
    }
}
