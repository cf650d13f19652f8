//! Every law has been seen to fail: on a seeded bug, with that law alone as judge. (The laws that no seeded bug of the core
//! breaks are shown to fail where they are judged: `leader append-only`, `legal restart` and `no panic` in `server.rs`,
//! `successive quorums meet` in `members.rs`, `whole snapshots` in `disk.rs`.)

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use models::{Bounds, Engine, Group, Law, Options, Target, hunt, scenario};
use raft_core::{Mutant, MutantSwitch};

fn breaks(law: Law, mutant: Mutant, bounds: Bounds) {
    let options = Options {
        engine: Engine::Layered,
        mutant: MutantSwitch::on(mutant),
        laws: vec![law],
        ..Options::default()
    };
    let report = models::explore(mutant.name(), bounds, &[], &options, |_| {}).expect("sensible bounds");
    let steps = report.counterexample.map(|story| (story.law, story.steps.len()));
    assert_eq!(steps.as_ref().map(|(law, _)| law.as_str()), Some(law.name()), "{mutant}");
}

fn bounds_of(mutant: Mutant) -> Bounds {
    hunt(mutant).expect("it is hunted").bounds
}

#[test]
fn every_law_can_fail() {
    let cases = [
        (Law::ElectionSafety, Mutant::TwoVotes),
        (Law::LogMatching, Mutant::NoPrevTermCheck),
        (Law::LeaderCompleteness, Mutant::VoteWithoutLogCheck),
        (Law::StateMachineSafety, Mutant::HeartbeatCommitUnclamped),
        (Law::DurableCommit, Mutant::AckBeforeFsync),
        (Law::Monotonicity, Mutant::TwoVotes),
        (Law::Monotonicity, Mutant::MatchRegress),
        (Law::LinearizableReads, Mutant::ReadWithoutQuorum),
        (Law::NoHalt, Mutant::VoteWithoutLogCheck),
        (Law::NoHalt, Mutant::TwoVotes),
        // Too few votes are counted; votes are counted that their voters have forgotten.
        (Law::ElectionByQuorum, Mutant::QuorumHalf),
        (Law::ElectionByQuorum, Mutant::ForgetVote),
        (Law::DurableCommit, Mutant::JointOneMajority),
        (Law::DurableCommit, Mutant::LearnerCounts),
        (Law::OneChangeAtATime, Mutant::TwoPendingChanges),
        (Law::LatestMembers, Mutant::ConfigNotRolledBack),
        (Law::LatestMembers, Mutant::SnapshotDropsConfig),
        (Law::OwnCommitFirst, Mutant::ReconfigureBeforeOwnCommit),
    ];
    for (law, mutant) in cases {
        let bounds = bounds_of(mutant);
        breaks(law, mutant, Bounds { log: bounds.log.max(3), proposals: bounds.proposals.max(1), ..bounds });
    }
    breaks(Law::NoSuspicion, Mutant::AppendAfterCompaction, bounds_of(Mutant::AppendAfterCompaction));
    breaks(Law::Liveness, Mutant::PrevoteDeadlock, bounds_of(Mutant::PrevoteDeadlock));
    // What clients see, and nothing else.
    let register = scenario("register-t2").expect("a known scenario").bounds;
    breaks(Law::LinearizableHistory, Mutant::ReadWithoutQuorum, register);
    breaks(Law::LinearizableHistory, Mutant::ReadBeforeOwnCommit, register);
    breaks(Law::LinearizableHistory, Mutant::VoteWithoutLogCheck, register);
    let forwarded = scenario("register-forwarded").expect("a known scenario").bounds;
    breaks(Law::LinearizableHistory, Mutant::ReadContextReuse, forwarded);
    // A snapshot of a server that did not learn of the members from a snapshot.
    let learner = Target { voters: Group::of(&[1, 2]), learners: Group::of(&[3]), by_hand: false };
    let forgetful =
        Bounds { log: 3, proposals: 1, changes: [Some(learner), None], snapshots: 2, ..Bounds::SMALLEST };
    breaks(Law::TrueSnapshots, Mutant::SnapshotDropsConfig, forgetful);
    // A candidate that forgot its term campaigns in it again, and is answered before it has asked.
    let forgetful = Bounds { slow_writes: 1, crashes: 1, ..Bounds::SMALLEST };
    breaks(Law::NoSuspicion, Mutant::ForgetTerm, forgetful);
}
