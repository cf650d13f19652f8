//! The last resort on every state that is a legal start: what it writes is one too, and the new members are in force.

use raft_core::*;

use crate::node::{at, entries};

fn forced(entries: Vec<Entry<u64>>, hard: u64, snapshot: Position) {
    let membership = std::sync::Arc::new(Membership::new((1..=3).map(NodeId)));
    let recovered = Recovered {
        boot: 1,
        hard_state: HardState::new(Term(hard), None),
        snapshot: Some(SnapshotMeta { last: snapshot, membership }),
        entries,
        ..Recovered::nothing()
    };
    let config = Config::new(NodeId(1), (1..=3).map(NodeId));
    // What is recovered is a legal start.
    Raft::start(config.clone(), recovered.clone(), &mut Effects::default()).unwrap();
    let plan =
        ForcedChange::plan(NodeId(1), config.founders.as_ref(), &recovered, Membership::new([NodeId(1)]))
            .unwrap();
    let phrase = plan.confirmation();
    let batch = plan.confirm(&phrase).unwrap();
    // As `Batch` says.
    let mut after = recovered;
    after.hard_state = batch.hard_state.unwrap_or(after.hard_state);
    if let Some(install) = &batch.install {
        after.entries.retain(|e| install.keeps_log && e.index > install.snapshot.last.index);
    }
    if let Some(first) = batch.entries.first() {
        after.entries.retain(|e| e.index < first.index);
        after.entries.extend(batch.entries.iter().cloned());
    }
    let raft = Raft::start(config, after, &mut Effects::default()).unwrap();
    assert_eq!(raft.membership().voters(), &[NodeId(1)]);
}

#[test]
fn a_forced_change_where_the_snapshot_is_ahead_of_the_log() {
    forced(entries(1, &[1, 1, 1, 1, 1]), 3, at(10, 3));
}

#[test]
fn a_forced_change_where_the_snapshot_contradicts_the_log() {
    forced(entries(1, &[1; 12]), 3, at(10, 3));
}

#[test]
fn a_forced_change_where_the_snapshot_is_ahead_of_the_hard_state() {
    forced(vec![], 1, at(10, 3));
}
