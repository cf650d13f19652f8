//! N: nothing that comes over the network panics, allocates without bound or moves anything backwards; and everything is
//! deterministic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Proptest, TestRunner};
use raft_core::{
    Append, AppendOutcome, AppendResponse, Body, Config, Effects, Entry, HardState, Index, Input, Message,
    NodeId, Payload, Position, Raft, ReadId, Recovered, Round, Term, Timer,
};

/// Sequences of inputs from members, strangers and the host, mostly small numbers, sometimes absurd ones.
fn inputs() -> impl Strategy<Value = Vec<Input<u8>>> {
    let input = prop_oneof![
        12 => (0..6u64, message()).prop_map(|(from, message)| Input::Receive { from: NodeId(from), message }),
        2 => prop_oneof![Just(Timer::Election), Just(Timer::Heartbeat), Just(Timer::Contact)].prop_map(Input::Timer),
        1 => vec(any::<u8>(), 0..3).prop_map(Input::Propose),
        1 => any::<u64>().prop_map(|id| Input::Read(ReadId(id))),
        1 => number().prop_map(|i| Input::Applied(Index(i))),
        1 => (0..6u64).prop_map(|id| Input::Unreachable(NodeId(id))),
        1 => Just(Input::Campaign),
    ];
    vec(input, 1..40)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..6u64, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(1u64 << 62)]
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(index, term)| Position { index: Index(index), term: Term(term) })
}

fn message() -> impl Strategy<Value = Message<u8>> {
    let body = prop_oneof![
        1 => (number(), position()).prop_map(|(t, last)| Body::PreVoteRequest { next_term: Term(t), last, priority: 0 }),
        1 => (number(), any::<bool>()).prop_map(|(t, granted)| Body::PreVoteResponse { next_term: Term(t), granted }),
        1 => position().prop_map(|last| Body::VoteRequest { last, priority: 0, by_transfer: false }),
        1 => any::<bool>().prop_map(|granted| Body::VoteResponse { granted }),
        4 => append(),
        1 => number().prop_map(|m| response(AppendOutcome::Accepted { matched: Index(m) })),
        1 => (number(), position())
            .prop_map(|(r, hint)| response(AppendOutcome::Rejected { refused: Index(r), hint })),
    ];
    (number(), body).prop_map(|(term, body)| Message { term: Term(term), body })
}

fn response(outcome: AppendOutcome) -> Body<u8> {
    Body::AppendResponse(AppendResponse { round: Round(1), outcome })
}

fn append() -> impl Strategy<Value = Body<u8>> {
    let entry = (number(), number(), any::<u8>());
    let entries = vec(entry, 0..4);
    (position(), entries, number(), number(), any::<bool>()).prop_map(
        |(prev, entries, commit, round, tidy)| {
            let entries = entries.into_iter().enumerate().map(|(i, (index, term, command))| {
                // Half of them follow their predecessor, or few would get past the gate.
                let index = if tidy { prev.index.0.wrapping_add(i as u64 + 1) } else { index };
                let term = if tidy { prev.term.0 } else { term };
                Entry { index: Index(index), term: Term(term), payload: Payload::Command(command) }
            });
            let entries = entries.collect();
            Body::Append(Append { prev, entries, commit: Index(commit), round: Round(round) })
        },
    )
}

fn start() -> Raft<u8> {
    let hard_state = HardState::new(Term(1), None);
    let entries = vec![Entry { index: Index(1), term: Term(1), payload: Payload::Noop }];
    let config = Config::new(NodeId(1), (1..=3).map(NodeId));
    Raft::start(
        config,
        Recovered { boot: 1, hard_state, entries, ..Recovered::nothing() },
        &mut Effects::default(),
    )
    .unwrap()
}

fn drive(raft: &mut Raft<u8>, inputs: &[Input<u8>]) -> Effects<u8> {
    let mut all = Effects::default();
    for input in inputs {
        let before = (raft.term(), raft.commit(), raft.applied());
        let _ = raft.step(input.clone(), &mut all);
        let after = (raft.term(), raft.commit(), raft.applied());
        assert!(after.0 >= before.0 && after.1 >= before.1 && after.2 >= before.2, "{before:?} to {after:?}");
        // The disk answers every other time.
        if all.writes.len() > 1 {
            let ack = all.writes.last().unwrap().clone().split().1;
            let _ = raft.step(Input::Durable(ack), &mut all);
        }
    }
    all
}

#[test]
fn n01_random_messages_never_panic() {
    let mut runner = TestRunner::new(Proptest { cases: 100_000, ..Proptest::with_source_file(file!()) });
    runner
        .run(&inputs(), |inputs| {
            drive(&mut start(), &inputs);
            Ok(())
        })
        .unwrap();
}

#[test]
fn n09_same_inputs_same_effects() {
    let mut runner = TestRunner::new(Proptest { cases: 2_000, ..Proptest::with_source_file(file!()) });
    runner
        .run(&inputs(), |inputs| {
            let (mut a, mut b) = (start(), start());
            prop_assert_eq!(drive(&mut a, &inputs), drive(&mut b, &inputs));
            prop_assert_eq!(a, b);
            Ok(())
        })
        .unwrap();
}

#[test]
fn n10_serialised_and_resumed_in_the_middle_it_goes_on_identically() {
    let mut runner = TestRunner::new(Proptest { cases: 500, ..Proptest::with_source_file(file!()) });
    runner
        .run(&(inputs(), inputs()), |(first, second)| {
            let mut original = start();
            drive(&mut original, &first);
            let text = serde_json::to_string(&original).unwrap();
            let mut resumed: Raft<u8> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&original, &resumed);
            prop_assert_eq!(drive(&mut original, &second), drive(&mut resumed, &second));
            Ok(())
        })
        .unwrap();
}
