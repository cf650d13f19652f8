//! The laws across servers where snapshots leave gaps, by facts that are made up.

use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{Index, Membership, NodeId, Position, SnapshotMeta, Term};

use super::across::judge;
use super::chain::Link;
use super::facts::{Applied, Commit, Election, Facts, Seen};
use super::stored::Kept;

fn at(index: u64, term: u64) -> Position {
    Position { index: Index(index), term: Term(term) }
}

fn link(index: u64, term: u64) -> Link {
    Link { term: Term(term), hash: 100 * index + term }
}

fn members() -> Membership {
    Membership::new([1, 2, 3].map(NodeId))
}

/// A server that has applied, in term 2, entries of term 1 with these indices.
fn server(id: u64, applied: impl IntoIterator<Item = u64>) -> Facts {
    let mut facts = Facts::new(PathBuf::from(format!("n{id}")));
    (facts.id, facts.founders, facts.inputs) = (Some(NodeId(id)), Some(members()), 1);
    for index in applied {
        let applied = Applied { link: link(index, 1), in_term: Term(2), record: index };
        facts.applied.insert(Index(index), applied);
    }
    facts
}

fn snapshot(last: Position, members: Membership) -> SnapshotMeta {
    SnapshotMeta { last, membership: Arc::new(members) }
}

fn broken(all: Vec<Facts>) -> Vec<String> {
    judge(all).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_applied_after_a_gap_is_compared() {
    let all = || vec![server(1, 1..=9), server(2, 7..=9), server(3, (1..=2).chain(6..=8))];
    assert_eq!(broken(all()), Vec::<String>::new());
    let mut all = all();
    all[1].applied.get_mut(&Index(8)).unwrap().link.hash += 1;
    assert_eq!(broken(all), ["n2:8: state machine safety: applies another entry 8 than n1:8"]);
}

#[test]
fn a_leader_has_what_was_committed_above_its_snapshot() {
    // Nobody has applied entries 4 to 7: a snapshot stood for them.
    let elected = |term, base, log: &[(u64, u64)]| {
        let log = log.iter().map(|(term, last)| (Term(*term), Index(*last))).collect();
        let mut all = vec![server(1, 1..=3), server(2, 8..=9), server(3, [])];
        all[2].elections.push(Election { term: Term(term), record: 5, base, log });
        broken(all)
    };
    assert_eq!(elected(3, at(7, 1), &[(1, 9)]), Vec::<String>::new());
    assert_eq!(elected(3, at(9, 1), &[]), Vec::<String>::new(), "its snapshot stands for it");
    assert_eq!(elected(3, at(12, 2), &[]), Vec::<String>::new(), "and for more");
    assert_eq!(elected(2, at(7, 1), &[]), Vec::<String>::new(), "committed in the same term");
    let lacks = "n3:5: leader completeness: elected in term 3 without entry 9 of term 1, which was committed in term 2";
    assert_eq!(elected(3, at(7, 1), &[(1, 8)]), [lacks]);
    assert_eq!(elected(3, at(7, 1), &[(1, 8), (2, 9)]), [lacks]);
    assert_eq!(elected(3, at(9, 2), &[]), [lacks], "its snapshot ends with another entry");
}

#[test]
fn what_a_leader_sends_a_snapshot_of_is_committed() {
    let mut all = vec![server(1, 1..=3), server(2, []), server(3, [])];
    all[1].stand(&snapshot(at(8, 1), members()), Some(Term(2)), 6);
    let log = vec![(Term(1), Index(7))];
    all[2].elections.push(Election { term: Term(3), record: 5, base: Position::default(), log });
    let lacks = "n3:5: leader completeness: elected in term 3 without entry 8 of term 1, which was committed in term 2";
    assert_eq!(broken(all), [lacks]);
}

#[test]
fn a_snapshot_holds_what_it_stands_for() {
    let committed = |covered, is_durable| {
        let mut all = vec![server(1, 1..=6), server(2, []), server(3, [])];
        let members = Arc::new(members());
        let entries = (4..=6).map(|index| link(index, 1)).collect();
        all[0].commits.push(Commit { first: Index(4), entries, members, record: 7 });
        for index in 4..=6 {
            let seen = Seen { hash: link(index, 1).hash, record: 1, is_durable };
            all[0].entries.insert((Index(index), Term(1)), seen);
        }
        all[1].keep(&Kept { snapshot: Some(at(covered, 1)), entries: None });
        broken(all)
    };
    assert_eq!(committed(6, true), Vec::<String>::new());
    let lacks = |entry, by: u64| {
        let by = [NodeId(by)];
        format!("n1:7: durability at commit: commits entry {entry}, which only the disks of {by:?} ever held")
    };
    assert_eq!(committed(5, true), [lacks(6, 1)]);
    assert_eq!(committed(6, false), [lacks(4, 2)]);
}

#[test]
fn a_snapshot_names_the_members_of_its_last_entry_as_far_as_anybody_knows() {
    let fewer = || Membership::new([1, 2].map(NodeId));
    // Entry 4 brings other members; 6 and 7 nobody has applied.
    let all = |last, members| {
        let mut all = vec![server(1, (1..=5).chain(8..=9)), server(2, []), server(3, [])];
        all[0].memberships.insert(Index(4), Arc::new(fewer()));
        all[1].stand(&snapshot(last, members), None, 3);
        all
    };
    assert_eq!(broken(all(at(3, 1), members())), Vec::<String>::new());
    assert_eq!(broken(all(at(5, 1), fewer())), Vec::<String>::new());
    assert_eq!(broken(all(at(8, 1), members())), Vec::<String>::new(), "nobody knows");
    let is_untrue = |all, place: &str| {
        let found = broken(all);
        let start = format!("{place}: true snapshots: ");
        assert!(found.len() == 1 && found[0].starts_with(&start), "{found:?}");
    };
    for (last, named) in [(at(3, 1), fewer()), (at(4, 1), members()), (at(5, 1), members())] {
        is_untrue(all(last, named), "n2:3");
    }
    is_untrue(all(at(5, 2), fewer()), "n2:3");
    // From a snapshot on it is known again.
    let mut known = all(at(8, 1), members());
    known[2].stand(&snapshot(at(9, 1), fewer()), None, 4);
    is_untrue(known, "n3:4");
    // Two snapshots of what nobody has applied.
    let mut two = all(at(7, 1), members());
    two[2].stand(&snapshot(at(7, 2), members()), None, 4);
    is_untrue(two, "n3:4");
}
