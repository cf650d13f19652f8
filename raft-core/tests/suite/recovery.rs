//! K: what is left after a crash, wherever it came, is a legal start; what no crash leaves is a typed error.

use std::sync::Arc;

use proptest::prelude::*;
use raft_core::{
    Append, Apply, Batch, Body, Config, Effects, HardState, Index, Input, Membership, NodeId, Position, Raft,
    Recovered, RoleKind, Round, SnapshotMeta, StartError, Term, Timer,
};

use crate::cluster::Cluster;
use crate::node::{Node, accepted, append, at, entries, rejected};
use crate::snapshots::{members, whole};

fn start(recovered: Recovered<u64>) -> Result<Node, StartError> {
    start_with(recovered, |_| {})
}

/// Server 1 of three, with what it does at once.
fn start_with(recovered: Recovered<u64>, configure: impl Fn(&mut Config)) -> Result<Node, StartError> {
    let mut config = Config::new(NodeId(1), (1..=3).map(NodeId));
    configure(&mut config);
    let mut effects = Effects::default();
    let raft = Raft::start(config, recovered, &mut effects)?;
    Ok(Node { raft, effects, slow: true })
}

fn recovered(term: u64, first: u64, log: &[u64]) -> Recovered<u64> {
    let hard_state = HardState::new(Term(term), None);
    Recovered { boot: 2, hard_state, entries: entries(first, log), ..Recovered::nothing() }
}

fn snapshot(index: u64, term: u64) -> Option<SnapshotMeta> {
    Some(SnapshotMeta { last: at(index, term), membership: Arc::new(members(&[1, 2, 3])) })
}

/// What a batch makes of a stored state.
fn store(stored: &mut Recovered<u64>, batch: &Batch<u64>) {
    stored.hard_state = batch.hard_state.unwrap_or(stored.hard_state);
    if let Some(install) = &batch.install {
        stored.snapshot = Some((*install.snapshot).clone());
        let last = install.snapshot.last.index;
        stored.entries.retain(|entry| install.keeps_log && entry.index > last);
    }
    if let Some(first) = batch.entries.first() {
        stored.entries.retain(|entry| entry.index < first.index);
        stored.entries.extend(batch.entries.iter().cloned());
    }
}

#[test]
fn k07_a_crash_between_truncation_and_append_leaves_a_prefix_that_loses_nothing_promised() {
    let mut stored = recovered(1, 1, &[1, 1, 1]);
    let mut node = start(stored.clone()).unwrap();
    node.hear(2, 2, append(at(1, 1), &[2], 1));
    let (batch, _) = node.effects.writes.remove(0).split();
    // A host whose disk does one after the other.
    stored.hard_state = batch.hard_state.unwrap();
    stored.entries.truncate(1);
    let half = start(stored.clone()).unwrap();
    assert_eq!((half.raft.last(), half.raft.term()), (at(1, 1), Term(2)));
    assert!(half.raft.last().index >= node.raft.commit());
    store(&mut stored, &batch);
    assert_eq!(start(stored).unwrap().terms(), [1, 2]);
}

#[test]
fn k08_a_snapshot_is_stored_before_the_entries_that_follow_it() {
    let mut node = start(recovered(1, 1, &[1, 1])).unwrap();
    node.hear(2, 2, append(at(0, 0), &[], 0));
    node.flush();
    node.effects.clear();
    node.hear(2, 2, whole(9, 2, members(&[1, 2, 3])));
    let said = node.hear(2, 2, append(at(9, 2), &[2, 2], 11));
    assert_eq!(said, [], "nothing of it is durable");
    let writes: Vec<_> = node.effects.writes.drain(..).map(raft_core::Write::split).collect();
    let shape = |batch: &Batch<u64>| (batch.chunk.is_some(), batch.install.is_some(), batch.entries.len());
    let shapes: Vec<_> = writes.iter().map(|(batch, _)| shape(batch)).collect();
    assert_eq!(shapes, [(true, true, 0), (false, false, 2)]);
    assert!(writes[0].0.install.as_ref().is_some_and(|install| !install.keeps_log), "the old log goes");
    // (reported durable, said, applied up to)
    let table = [(vec![0], 9, 11), (vec![1], 11, 11), (vec![0, 1], 11, 11)];
    for (reported, matched, applied) in table {
        let mut node = node.clone();
        let mut said = Vec::new();
        for &write in &reported {
            said = node.input(Input::Durable(writes[write].1));
        }
        assert_eq!(said, [(2, accepted(matched, 0))], "{reported:?}");
        // What is committed may be executed before it is durable here; but not before the snapshot is.
        assert_eq!(node.effects.apply.first().map(Apply::index), Some(Index(9)));
        assert_eq!(node.effects.apply.last().map(Apply::index), Some(Index(applied)));
    }
    // And each prefix is a start.
    let mut stored = recovered(2, 1, &[1, 1]);
    for ((batch, _), last) in writes.iter().zip([at(9, 2), at(11, 2)]) {
        store(&mut stored, batch);
        let node = start(stored.clone()).unwrap();
        assert_eq!((node.raft.base(), node.raft.last()), (at(9, 2), last));
    }
}

/// What a snapshot replaces may have been another leader's: that it is durable proves nothing about this leader's log.
#[test]
fn k08_entries_that_a_snapshot_replaces_are_vouched_for_only_as_far_as_they_are_committed() {
    for committed in [0, 2] {
        let mut node = start(recovered(1, 1, &[1, 1, 1, 1])).unwrap();
        node.hear(3, 1, append(at(committed, committed.min(1)), &[], committed));
        // And one more entry is on its way to the disk.
        node.hear(3, 1, append(at(4, 1), &[1], committed));
        node.hear(2, 2, append(at(committed, committed.min(1)), &[], committed));
        let said = node.hear(2, 2, whole(9, 2, members(&[1, 2, 3])));
        assert!(said.iter().all(|(_, body)| !matches!(body, Body::AppendResponse(_))), "{said:?}");
        let last = node.effects.writes.pop().unwrap();
        node.flush();
        assert_eq!(node.hear(2, 2, append(at(9, 2), &[], 9)), [(2, accepted(committed, 0))]);
        assert_eq!(node.raft.durable(), Index(committed));
        assert_eq!(node.input(Input::Durable(last.split().1)), [(2, accepted(9, 0))]);
    }
}

/// The host took the snapshot of a state that was ahead of its own disk (diss. 10.2.1), or its disk holds something else there.
#[test]
fn k08_a_log_that_its_snapshot_has_overtaken_goes_before_anything_is_appended() {
    // (log, is overtaken, what is left of it)
    let table: [(&[u64], bool, &[u64]); 6] = [
        (&[], false, &[]),
        (&[1, 1], true, &[]),
        (&[1, 1, 1], true, &[]),
        (&[1, 1, 2], false, &[]),
        (&[1, 1, 2, 2], false, &[2]),
        (&[1, 1, 1, 3], true, &[]),
    ];
    for (log, is_overtaken, left) in table {
        let mut stored = Recovered { snapshot: snapshot(3, 2), ..recovered(3, 1, log) };
        let mut node = start(stored.clone()).unwrap();
        assert_eq!((node.terms(), node.raft.base(), node.raft.commit()), (left.to_vec(), at(3, 2), Index(3)));
        let installs = node.effects.writes.iter().filter_map(|write| write.batch().install.as_ref());
        let goes: Vec<_> = installs.map(|install| (install.snapshot.last, install.keeps_log)).collect();
        assert_eq!(goes, if is_overtaken { vec![(at(3, 2), false)] } else { vec![] }, "{log:?}");
        let restored = node.effects.apply.iter().any(|apply| matches!(apply, Apply::Snapshot(_)));
        assert_eq!(restored, !is_overtaken, "{log:?}: before or after the old log is gone");
        let end = node.raft.last();
        node.hear(2, 3, append(end, &[3], 3));
        for write in node.effects.writes.drain(..).collect::<Vec<_>>() {
            let (batch, ack) = write.split();
            store(&mut stored, &batch);
            let again = start(stored.clone()).unwrap();
            assert!(again.raft.commit() == Index(3) && again.raft.last().index >= Index(3), "{log:?}");
            node.input(Input::Durable(ack));
        }
        assert_eq!(start(stored).unwrap().raft.last(), at(end.index.0 + 1, 3), "{log:?}");
        assert_eq!(node.effects.apply.iter().filter(|a| matches!(a, Apply::Snapshot(_))).count(), 1);
    }
}

/// A snapshot says that its last entry's term was begun, though the write that said so did not reach the disk.
#[test]
fn k08_a_snapshot_of_a_later_term_brings_that_term() {
    let mut stored = Recovered { snapshot: snapshot(3, 5), ..recovered(4, 1, &[1, 1]) };
    stored.hard_state.voted_for = Some(NodeId(2));
    let node = start(stored).unwrap();
    assert_eq!(node.state(), (RoleKind::Follower, 5, None), "in which no vote was given");
    let (batch, _) = node.effects.writes[0].clone().split();
    assert_eq!(batch.hard_state, Some(HardState::new(Term(5), None)));
}

#[test]
fn k11_applied_ahead_of_commit_proves_what_is_committed() {
    // Log 1 1 1. (applied, commit at start)
    for applied in 0..=3 {
        let stored = Recovered { applied: Index(applied), ..recovered(1, 1, &[1, 1, 1]) };
        let mut node = start_with(stored, |config| config.apply_durable = true).unwrap();
        assert_eq!((node.raft.commit(), node.raft.applied()), (Index(applied), Index(applied)));
        assert_eq!(node.effects.apply, []);
        node.hear(2, 1, append(at(3, 1), &[], 3));
        let handed: Vec<u64> = node.effects.apply.iter().map(|apply| apply.index().0).collect();
        assert_eq!(handed, (applied + 1..=3).collect::<Vec<_>>(), "nothing twice, nothing skipped");
    }
    for applied in [4, 5, 1 << 62] {
        let stored = Recovered { applied: Index(applied), ..recovered(1, 1, &[1, 1, 1]) };
        let error = StartError::AppliedBeyondLog { applied: Index(applied), last: Index(3) };
        assert_eq!(start(stored).err(), Some(error), "unless it cannot be");
    }
}

#[test]
fn k11_a_state_machine_behind_the_snapshot_is_given_the_snapshot() {
    // Snapshot up to 3, log 1 1 1 1 1 from the beginning or from 4. (applied, handed out at once)
    for first in [1, 4] {
        for (applied, restores) in [(0, true), (2, true), (3, false), (4, false)] {
            let log = &[1; 5][usize::try_from(first - 1).unwrap()..];
            let stored =
                Recovered { applied: Index(applied), snapshot: snapshot(3, 1), ..recovered(1, first, log) };
            let node = start(stored).unwrap();
            let expected = snapshot(3, 1).filter(|_| restores).map(|meta| Apply::Snapshot(Arc::new(meta)));
            assert_eq!(node.effects.apply, expected.into_iter().collect::<Vec<_>>(), "applied {applied}");
            assert_eq!(node.raft.commit(), Index(applied.max(3)));
        }
    }
}

/// A commit index is not stored, so it cannot lie beyond the log (qdrant #4683); what could, is told from what a crash leaves.
#[test]
fn k12_a_recovered_state_that_no_crash_leaves_is_a_typed_error() {
    let gap = |expected, found| StartError::Gap { expected: Index(expected), found: Index(found) };
    let order = |index, term| StartError::TermOutOfOrder { index: Index(index), term: Term(term) };
    let illegal = StartError::IllegalMembership { index: Index(3) };
    let beyond = StartError::OutOfRange { index: Index(3), term: Term(1 << 63) };
    let with = |snapshot, rest| Recovered { snapshot, ..rest };
    let none = Some(SnapshotMeta { last: at(3, 1), membership: Arc::new(Membership::default()) });
    let table = [
        (recovered(1, 2, &[1]), gap(1, 2)),
        (recovered(1, 0, &[1]), gap(1, 0)),
        (with(snapshot(3, 1), recovered(1, 5, &[1])), gap(4, 5)),
        (recovered(2, 1, &[2, 1]), order(2, 1)),
        (recovered(1, 1, &[1, 2]), order(2, 2)),
        (recovered(1, 1, &[0]), order(1, 0)),
        (with(snapshot(3, 2), recovered(2, 4, &[1])), order(4, 1)),
        (with(snapshot(3, 0), recovered(2, 4, &[])), order(3, 0)),
        (with(snapshot(3, 1 << 63), recovered(2, 4, &[])), beyond),
        (with(none, recovered(2, 4, &[])), illegal),
        (with(snapshot(0, 1), recovered(2, 1, &[])), StartError::IllegalMembership { index: Index(0) }),
    ];
    for (stored, error) in table {
        assert_eq!(start(stored.clone()).err(), Some(error), "{stored:?}");
    }
    let mut holed = recovered(1, 1, &[1, 1, 1]);
    holed.entries.remove(1);
    assert_eq!(start(holed).err(), Some(gap(2, 3)));
    // A leader that speaks of a commit beyond this log is believed as far as the log goes.
    let mut node = start(recovered(1, 1, &[1])).unwrap();
    node.hear(2, 1, append(at(1, 1), &[], 1 << 40));
    assert_eq!(node.raft.commit(), Index(1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::with_source_file(file!()) })]

    #[test]
    fn k12_whatever_was_recovered_a_start_never_panics_and_what_starts_works(
        hard in (0..5u64, 0..4u64),
        first in 0..5u64,
        mut log in proptest::collection::vec(0..5u64, 0..6),
        sorted in any::<bool>(),
        snapshot_at in proptest::option::of((0..7u64, 0..5u64)),
        applied in 0..8u64,
        lost in proptest::option::of((0..9u64, 0..5u64)),
    ) {
        if sorted {
            log.sort_unstable();
        }
        let stored = Recovered {
            hard_state: HardState::new(Term(hard.0), Some(NodeId(hard.1)).filter(|id| id.0 > 0)),
            snapshot: snapshot_at.and_then(|(index, term)| snapshot(index, term)),
            applied: Index(applied),
            lost_tail: lost.map(|(index, term)| match index {
                8 => raft_core::LostTail::Unknown,
                _ => raft_core::LostTail::UpTo(at(index, term)),
            }),
            ..recovered(hard.0, first, &log)
        };
        if let Ok(mut node) = start(stored) {
            let (commit, last) = (node.raft.commit(), node.raft.last());
            prop_assert!(commit <= last.index && node.raft.applied() <= commit);
            node.flush();
            let term = node.raft.term().next().0;
            node.hear(2, term, append(last, &[term], last.index.0 + 1));
            node.flush();
            prop_assert_eq!(node.raft.commit(), last.index.next());
            prop_assert!(!node.raft.has_halted());
        }
    }
}

#[test]
fn f15_a_crash_during_an_install_leaves_the_old_state_or_the_new() {
    let chunk = |offset: u64| {
        let snapshot = Arc::new(SnapshotMeta { last: at(9, 2), membership: Arc::new(members(&[1, 2])) });
        let chunk = raft_core::SnapshotChunk {
            snapshot,
            offset,
            data: vec![1; 2],
            done: offset == 4,
            round: Round(0),
        };
        Body::Snapshot(chunk)
    };
    let mut node = start(recovered(2, 1, &[1, 1])).unwrap();
    [0, 2, 4].into_iter().for_each(|offset| drop(node.hear(2, 2, chunk(offset))));
    let writes: Vec<_> = node.effects.writes.drain(..).map(raft_core::Write::split).collect();
    assert_eq!(writes.len(), 3);
    for survived in 0..=3 {
        let mut stored = recovered(2, 1, &[1, 1]);
        writes.iter().take(survived).for_each(|(batch, _)| store(&mut stored, batch));
        let mut node = start(stored).unwrap();
        let (base, voters): (Position, &[u64]) =
            if survived == 3 { (at(9, 2), &[1, 2]) } else { (at(0, 0), &[1, 2, 3]) };
        assert_eq!((node.raft.base(), &**node.raft.membership()), (base, &members(voters)));
        assert_eq!(node.terms(), if survived == 3 { vec![] } else { vec![1, 1] });
        // The rest of the transfer is no use to the old state, and nothing new to the new one.
        let said = node.hear(2, 2, chunk(4));
        let waits = Body::SnapshotResponse { last: at(9, 2), next: 0, round: Round(0) };
        assert_eq!(said, [(2, if survived == 3 { accepted(9, 0) } else { waits })], "{survived} writes");
    }
}

#[test]
fn f15_wherever_a_follower_dies_while_it_installs_it_catches_up() {
    for (kept, delivered) in (0..4).flat_map(|kept| (1..16).map(move |delivered| (kept, delivered))) {
        let mut cluster = Cluster::new(3, |_| {});
        cluster.elect(NodeId(1), 1000, |id| id != NodeId(3));
        for _ in 0..4 {
            cluster.propose(NodeId(1)).unwrap();
        }
        cluster.exchange(1000, |id| id != NodeId(3));
        cluster.network.clear();
        cluster.compact(NodeId(1), 0).unwrap();
        cluster.fire(NodeId(1), Timer::Heartbeat);
        cluster.slow = vec![NodeId(3)];
        cluster.exchange(delivered, |_| true);
        cluster.slow.clear();
        cluster.crash(NodeId(3), kept);
        let base = cluster.server(NodeId(3)).disk.snapshot_index();
        assert!(base == Index(0) || base == Index(5));
        cluster.restart(NodeId(3));
        for _ in 0..3 {
            cluster.heartbeat(NodeId(1));
            cluster.fire(NodeId(1), Timer::Contact);
        }
        cluster.heartbeat(NodeId(1));
        assert_eq!(cluster.server(NodeId(3)).state, cluster.server(NodeId(1)).state, "{kept} {delivered}");
        assert_eq!(cluster.ghost.violation, None);
    }
}

#[test]
fn k10_a_follower_that_lost_unacknowledged_writes_is_found_out_and_served() {
    let mut leader = Node::leader(2, &[1], 2);
    let mut follower = start(recovered(2, 1, &[1])).unwrap();
    let entries: raft_core::Entries<u64> = leader.raft.entries().skip(1).cloned().collect();
    let opening = Append { prev: at(1, 1), entries, commit: Index(0), round: Round(0) };
    assert_eq!(follower.hear(2, 2, Body::Append(opening)), [], "it is not durable, so it is not said");
    let mut follower = start(recovered(2, 1, &[1])).unwrap();
    let said = follower.hear(2, 2, append(at(2, 2), &[], 0));
    assert_eq!(said, [(2, rejected(2, at(1, 1)))]);
    leader.hear(2, 2, accepted(1, 0));
    let peer = leader.raft.peers().next().unwrap();
    assert_eq!((peer.matched, leader.raft.commit()), (Index(1), Index(0)));
}
