//! A counterexample survives being saved, and shows the same again.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use models::{Counterexample, Engine, Law, Options, ReplayError, hunt, scenario};
use raft_core::{Mutant, MutantSwitch};

fn caught(mutant: Mutant, engine: Engine) -> Counterexample {
    let hunt = hunt(mutant).expect("it is hunted");
    let options =
        Options { engine, mutant: MutantSwitch::on(mutant), laws: hunt.laws.to_vec(), ..Options::default() };
    let report = models::explore(mutant.name(), hunt.bounds, &[], &options, |_| {}).expect("sensible bounds");
    report.counterexample.expect("the seeded bug is caught")
}

#[test]
fn a_saved_counterexample_replays_and_the_sound_core_does_not_follow_it() {
    for mutant in [
        Mutant::ForgetVote,
        Mutant::VoteWithoutLogCheck,
        Mutant::StaleAckAba,
        Mutant::MatchRegress,
        Mutant::JointOneMajority,
        Mutant::SnapshotDropsConfig,
        Mutant::VoteWithLostTail,
        Mutant::ReadContextReuse,
        Mutant::PrevoteDeadlock,
    ] {
        for engine in [Engine::Stateright, Engine::Layered] {
            let story = caught(mutant, engine);
            let saved = story.to_json().expect("plain data");
            let read = Counterexample::from_json(&saved).expect("as it was written");
            assert_eq!(read, story);
            let replayed = read.replay_with(MutantSwitch::on(mutant)).expect("the same servers");
            assert!(replayed.is_broken, "{mutant}");
            assert_eq!(replayed.story, story, "{mutant}");
            match read.replay_with(MutantSwitch::default()) {
                Ok(replayed) => assert!(!replayed.is_broken, "{mutant}"),
                Err(ReplayError::Impossible { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn what_clients_saw_is_told_and_replayed() {
    let register = scenario("register-t2").expect("a known scenario");
    let mutant = MutantSwitch::on(Mutant::ReadWithoutQuorum);
    let options = Options {
        engine: Engine::Layered,
        mutant,
        laws: vec![Law::LinearizableHistory],
        ..Options::default()
    };
    let report = models::check(register, &options, |_| {}).expect("sensible bounds");
    let story = report.counterexample.expect("a stale get");
    assert!(story.to_string().contains("what the clients see:\n       put 0 is asked for\n"), "{story}");
    assert_eq!(story.clients.last().map(String::as_str), Some("get 0 returns nothing"));
    let replayed = story.replay_with(mutant).expect("the same servers");
    assert!(replayed.is_broken);
    assert_eq!(replayed.story, story);
}

#[test]
fn both_searches_find_equally_short_counterexamples() {
    for mutant in [Mutant::ForgetVote, Mutant::TwoVotes, Mutant::ReadWithoutQuorum] {
        let lengths = [Engine::Stateright, Engine::Layered].map(|engine| caught(mutant, engine).steps.len());
        assert_eq!(lengths[0], lengths[1], "{mutant}");
    }
}

#[test]
fn what_is_no_counterexample_is_refused_with_its_place() {
    let error = Counterexample::from_json("{\n  \"scenario\": 7\n}").expect_err("not a counterexample");
    assert!(error.to_string().contains("line 2"), "{error}");
    let mut story = caught(Mutant::ForgetVote, Engine::Layered);
    story.law = "gravity".to_owned();
    assert!(matches!(story.replay_with(MutantSwitch::default()), Err(ReplayError::NoSuchLaw(_))));
    story.bounds.servers = 99;
    story.law = "no halt".to_owned();
    assert!(matches!(story.replay_with(MutantSwitch::default()), Err(ReplayError::Bounds(_))));
}

#[test]
fn a_story_can_be_read() {
    let story = caught(Mutant::ForgetVote, Engine::Layered).to_string();
    for expected in
        ["election safety is broken", "forget-vote", "crashes", "restarts", "vote: yes", "at the end:"]
    {
        assert!(story.contains(expected), "{expected:?} in\n{story}");
    }
    let story = caught(Mutant::JointOneMajority, Engine::Layered).to_string();
    for expected in ["is asked to change the members to {1}", "2@t1={1} from {1,2,3}", "to {1})"] {
        assert!(story.contains(expected), "{expected:?} in\n{story}");
    }
    let story = caught(Mutant::VoteWithLostTail, Engine::Layered).to_string();
    assert!(story.contains("stops; the last entry on its disk is gone"), "{story}");
    let story = caught(Mutant::ReadContextReuse, Engine::Layered).to_string();
    for expected in ["read? (request 1 of life 0)", "read at 1 (request 1 of life 0) (and will again)"] {
        assert!(story.contains(expected), "{expected:?} in\n{story}");
    }
    let story = caught(Mutant::PrevoteDeadlock, Engine::Layered).to_string();
    for expected in
        ["liveness is broken", "then no fault happens any more", "pre-vote for t2: no", "and so on"]
    {
        assert!(story.contains(expected), "{expected:?} in\n{story}");
    }
    let story = caught(Mutant::SnapshotDropsConfig, Engine::Layered).to_string();
    for expected in
        ["takes a snapshot", "snapshot 1@t1 members {1,2}, bytes 0..2, the end", "[..1 2@t1={1,2,3}]"]
    {
        assert!(story.contains(expected), "{expected:?} in\n{story}");
    }
}
