//! Branches that no behaviour needs a test for, and that have to work all the same: see `.ci/run coverage`.

use raft_core::{
    Body, Change, Config, Effects, Entries, ForcedChange, HardState, Index, Input, Membership, NodeId, Raft,
    Recovered, RoleKind, Term, Transition,
};

use crate::node::{accepted, entries};

/// Server 1 alone, its writes durable as soon as they come; whatever it sends stays in `effects`.
fn alone(log: &[u64]) -> (Raft<u64>, Effects<u64>) {
    let mut effects = Effects::default();
    let hard_state = HardState::new(Term(1), None);
    let recovered = Recovered { hard_state, entries: entries(1, log), ..Recovered::nothing() };
    let raft = Raft::start(Config::new(NodeId(1), [NodeId(1)]), recovered, &mut effects).unwrap();
    (raft, effects)
}

fn step(raft: &mut Raft<u64>, effects: &mut Effects<u64>, input: Input<u64>) {
    raft.step(input, effects).unwrap();
    while !effects.writes.is_empty() {
        let (_, ack) = effects.writes.remove(0).split();
        raft.step(Input::Durable(ack), effects).unwrap();
    }
    let last = effects.apply.drain(..).next_back().map(|apply| apply.index());
    if let Some(last) = last {
        raft.step(Input::Applied(last), effects).unwrap();
    }
}

#[test]
fn a_part_of_a_run_may_be_none_of_it() {
    let run = Entries::from(entries(1, &[1, 1, 1]));
    assert_eq!(run.take(0), Entries::none());
    assert_eq!(run.skip(1).take(1), entries(2, &[1]).into());
    assert_eq!(run.skip(3), Entries::none());
}

#[test]
fn appends_of_two_terms_are_never_joined() {
    let (mut raft, mut effects) = alone(&[]);
    step(&mut raft, &mut effects, Input::Campaign);
    let changes = vec![Change::Learner(NodeId(2))];
    step(&mut raft, &mut effects, Input::ChangeMembership { changes, transition: Transition::Auto });
    let (term, body) = (raft.term(), accepted(2, 0));
    let message = raft_core::Message { term, body };
    step(&mut raft, &mut effects, Input::Receive { from: NodeId(2), message });
    effects.send.clear();
    step(&mut raft, &mut effects, Input::Propose(vec![7]));
    step(&mut raft, &mut effects, Input::StepDown);
    // A learner is asked for no vote: between the last append of the one term and the first of the next comes nothing.
    step(&mut raft, &mut effects, Input::Campaign);
    let sent = |outbound: &raft_core::Outbound<u64>| match &outbound.message.body {
        Body::Append(append) if !append.entries.is_empty() => {
            Some((outbound.message.term.0, append.prev.index.0, append.entries.len()))
        }
        _ => None,
    };
    let sent: Vec<_> = effects.send.iter().filter_map(sent).collect();
    assert_eq!(sent, [(2, 2, 1), (3, 3, 1)]);
}

#[test]
fn a_long_log_that_is_compacted_goes_on() {
    let (mut raft, mut effects) = alone(&[1; 9_000]);
    step(&mut raft, &mut effects, Input::Campaign);
    assert_eq!(raft.applied(), Index(9_001));
    let snapshot = raft.snapshot_meta(raft.applied()).unwrap();
    step(&mut raft, &mut effects, Input::Compact { through: Index(8_999), snapshot });
    step(&mut raft, &mut effects, Input::Propose(vec![7]));
    assert_eq!((raft.role(), raft.entries().count(), raft.applied()), (RoleKind::Leader, 3, Index(9_002)));
}

#[test]
fn whoever_forces_members_is_told_that_the_old_ones_are_unknown() {
    let recovered = Recovered::<u64>::nothing();
    let change = ForcedChange::plan(NodeId(1), None, &recovered, Membership::new([NodeId(1)])).unwrap();
    assert!(change.report().to_string().contains("Voters were unknown"), "{}", change.report());
}
