//! N: whatever members, strangers and the host do, nothing panics, nothing is held without bound, nothing goes backwards; and
//! everything is deterministic.
//!
//! A sequence is a list of seeds, one per input, which proptest draws and shrinks. Each input is drawn from its seed with the
//! node in view, so that most are nearly right: uniformly random ones would hardly ever get past the gate.

mod draw;
mod held;
mod inputs;
mod members;
mod messages;
mod reached;
mod seen;
mod start;

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Proptest, TestRunner};
use raft_core::{
    AppendOutcome, AppendResponse, Body, Effects, Index, Input, Message, NodeId, Position, Raft, Round, Timer,
};

use draw::Draw;
use reached::{Reached, name_of};
use seen::Seen;

/// The node's start, and one seed for each input.
fn sequences(length: usize) -> impl Strategy<Value = (u64, Vec<u64>)> {
    (any::<u64>(), vec(any::<u64>(), 1..length))
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Proptest { cases, ..Proptest::with_source_file(file!()) })
}

/// Lets the node handle the inputs of these seeds; returns all effects.
fn drive(raft: &mut Raft<u8>, seen: &mut Seen, seeds: &[u64], reached: &mut Reached) -> Vec<Effects<u8>> {
    let step = |&seed: &u64| {
        let input = inputs::input(raft, seen, &mut Draw(seed));
        let before = (raft.term(), raft.commit(), raft.applied());
        let (was_halted, log_before) = (raft.has_halted(), raft.last());
        let mut effects = Effects::default();
        let noted = input.clone();
        let refusal = raft.step(input, &mut effects).err();
        let after = (raft.term(), raft.commit(), raft.applied());
        assert!(
            after.0 >= before.0 && after.1 >= before.1 && after.2 >= before.2,
            "{before:?} to {after:?} by {noted:?}"
        );
        assert!(raft.applied() <= raft.commit() && raft.commit() <= raft.last().index, "{noted:?}");
        if was_halted {
            assert_eq!(effects, Effects::default(), "a node that has halted does nothing: {noted:?}");
        }
        if let Some(refusal) = refusal {
            reached.note(format!("refused {}", name_of(&refusal)));
            let is_quiet = effects.send.is_empty() && effects.writes.is_empty() && raft.last() == log_before;
            assert!(is_quiet && before.0 == after.0, "what is refused has not happened: {noted:?}");
        }
        held::check_step(raft, &effects);
        seen.watch(raft, &effects);
        reached.note_step(raft, &noted, &effects);
        effects
    };
    seeds.iter().map(step).collect()
}

/// Lets it become the leader, if it can: chance alone seldom does. Its first follower has what it has, its second one nothing.
fn crown(raft: &mut Raft<u8>, seen: &mut Seen) -> Vec<Effects<u8>> {
    let mut all = Vec::new();
    let mut step = |raft: &mut Raft<u8>, input| {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Effects::default();
            // What cannot become leader refuses.
            let _ = raft.step(input, &mut effects);
            seen.watch(raft, &effects);
            inputs.extend(seen.acks.iter().copied().map(Input::Durable));
            seen.spent.append(&mut seen.acks);
            all.push(effects);
        }
    };
    step(raft, Input::Timer(Timer::Contact));
    step(raft, Input::Campaign);
    let members: Vec<NodeId> = raft.membership().members().filter(|&id| id != raft.id()).collect();
    for from in members.iter().copied() {
        let body = Body::PreVoteResponse { next_term: raft.term().next(), granted: true };
        let message = Message { term: raft.term(), body };
        step(raft, Input::Receive { from, message });
    }
    for from in members.iter().copied() {
        let message = Message { term: raft.term(), body: Body::VoteResponse { granted: true } };
        step(raft, Input::Receive { from, message });
    }
    let answer = |raft: &Raft<u8>, from, outcome| {
        let body = Body::AppendResponse(AppendResponse { round: Round(0), outcome });
        Input::Receive { from, message: Message { term: raft.term(), body } }
    };
    let before_opening = Index(raft.last().index.0.saturating_sub(1));
    if let Some(&first) = members.first() {
        step(raft, answer(raft, first, AppendOutcome::Accepted { matched: raft.last().index }));
        step(raft, Input::Applied(raft.commit()));
        if let Ok(snapshot) = raft.snapshot_meta(raft.applied()) {
            step(raft, Input::Compact { through: snapshot.last.index, snapshot });
        }
    }
    if let Some(&second) = members.get(1) {
        let outcome = AppendOutcome::Rejected { refused: before_opening, hint: Position::default() };
        step(raft, answer(raft, second, outcome));
    }
    all
}

/// Returns nothing if what was recovered is not taken.
fn run(start: u64, seeds: &[u64], reached: &mut Reached) -> Option<(Raft<u8>, Seen, Vec<Effects<u8>>)> {
    let (mut raft, effects) = match start::start(&mut Draw(start)) {
        Ok(started) => started,
        Err(error) => {
            reached.note(format!("start {}", name_of(&error)));
            return None;
        }
    };
    reached.note("started");
    let mut seen = Seen::default();
    seen.watch(&raft, &effects);
    let mut all = vec![effects];
    if start.is_multiple_of(2) {
        all.extend(crown(&mut raft, &mut seen));
    }
    all.extend(drive(&mut raft, &mut seen, seeds, reached));
    Some((raft, seen, all))
}

fn hash(raft: &Raft<u8>) -> u64 {
    let mut hasher = DefaultHasher::new();
    raft.hash(&mut hasher);
    hasher.finish()
}

/// With `HOSTILE_CASES` as many as one has time for.
#[test]
fn n01_random_messages_never_panic() {
    let cases = std::env::var("HOSTILE_CASES").ok().and_then(|cases| cases.parse().ok());
    runner(cases.unwrap_or(100_000))
        .run(&sequences(60), |(start, seeds)| {
            if let Some((raft, ..)) = run(start, &seeds, &mut Reached::default()) {
                held::check(&raft);
            }
            Ok(())
        })
        .unwrap();
}

/// A property that holds because nothing happened proves nothing.
#[test]
fn n01_sequences_reach_every_part_of_the_protocol() {
    let mut runner = TestRunner::deterministic();
    let mut reached = Reached::default();
    for _ in 0..3000 {
        use proptest::strategy::ValueTree;
        let (start, seeds) = sequences(60).new_tree(&mut runner).unwrap().current();
        run(start, &seeds, &mut reached);
    }
    reached.check();
}

#[test]
fn n09_same_inputs_same_effects_and_same_state() {
    runner(5_000)
        .run(&sequences(60), |(start, seeds)| {
            let a = run(start, &seeds, &mut Reached::default());
            let b = run(start, &seeds, &mut Reached::default());
            if let (Some((a, _, did)), Some((b, _, does))) = (&a, &b) {
                prop_assert_eq!(hash(a), hash(b));
                prop_assert_eq!(serde_json::to_vec(did).unwrap(), serde_json::to_vec(does).unwrap());
            }
            prop_assert_eq!(a, b);
            Ok(())
        })
        .unwrap();
}

#[test]
fn n10_serialised_and_resumed_in_the_middle_it_goes_on_identically() {
    runner(5_000)
        .run(&(sequences(60), sequences(40)), |((start, first), (_, second))| {
            let Some((mut original, mut seen, _)) = run(start, &first, &mut Reached::default()) else {
                return Ok(());
            };
            let text = serde_json::to_string(&original).unwrap();
            let mut resumed: Raft<u8> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&original, &resumed);
            prop_assert_eq!(hash(&original), hash(&resumed));
            let mut also_seen = seen.clone();
            let nothing = &mut Reached::default();
            let did = drive(&mut original, &mut seen, &second, nothing);
            prop_assert_eq!(did, drive(&mut resumed, &mut also_seen, &second, nothing));
            prop_assert_eq!(original, resumed);
            Ok(())
        })
        .unwrap();
}
