//! Clusters whose core has a seeded bug: their traces break a law. Without it, under the same schedules, none does.

use models::Verdict;
use raft_core::{Mutant, MutantSwitch};

use crate::cluster::{Cluster, judged};

const STEPS: usize = 6_000;

#[test]
fn what_correct_servers_did_breaks_no_law() {
    let (mut lives, mut committed) = (0, 0);
    for seed in 0..12 {
        let validated = judged(&Cluster::new(seed, MutantSwitch::default()).live(STEPS));
        assert_eq!(validated.verdict, Verdict::Holds, "seed {seed}: {:#?}", validated.findings);
        assert!(validated.headline().ends_with("inputs replayed, laws hold"), "{}", validated.headline());
        assert!(validated.elections > 0 && validated.messages > 100, "seed {seed}: {validated:?}");
        lives += validated.lives;
        committed += validated.committed;
    }
    assert!(lives > 60 && committed > 500, "hardly anything happens: {lives} lives, {committed} entries");
}

/// The seeds that it takes until this rule is broken, and how.
fn hunt(mutant: Mutant, rule: &str, seeds: u64, has_snapshots: bool) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| {
        let cluster = Cluster::new(seed, MutantSwitch::on(mutant));
        let cluster = if has_snapshots { cluster.with_snapshots() } else { cluster };
        let validated = judged(&cluster.live(STEPS));
        let found =
            validated.findings.into_iter().find(|finding| finding.is_violation && finding.rule == rule)?;
        Some((seed + 1, found.what))
    })
}

#[test]
fn what_servers_with_seeded_bugs_did_breaks_laws() {
    let mut missed = Vec::new();
    for (mutant, rule) in [
        (Mutant::ForgetVote, "monotonicity"),
        (Mutant::ForgetTerm, "monotonicity"),
        (Mutant::TwoVotes, "election safety"),
        (Mutant::StaleVoteResponse, "no suspicion"),
        (Mutant::VoteWithoutLogCheck, "leader completeness"),
        (Mutant::TruncateOnStaleAppend, "state machine safety"),
        (Mutant::AckBeyondAppend, "no halt"),
        (Mutant::NoPrevTermCheck, "log matching"),
        (Mutant::HeartbeatCommitUnclamped, "state machine safety"),
        (Mutant::QuorumHalf, "election safety"),
        (Mutant::QuorumHalf, "no halt"),
        (Mutant::AckBeforeFsync, "durability at commit"),
        (Mutant::ActBeforeTermDurable, "monotonicity"),
    ] {
        match hunt(mutant, rule, 200, false) {
            Some((seeds, what)) => println!("{mutant}: {rule} after {seeds} seeds: {what}"),
            None => missed.push((mutant.name(), rule)),
        }
    }
    assert!(missed.is_empty(), "not seen in any trace: {missed:?}");
}

#[test]
fn what_servers_with_seeded_bugs_did_with_snapshots_and_members_breaks_laws() {
    let mut missed = Vec::new();
    for (mutant, rule) in [
        (Mutant::SnapshotDropsConfig, "latest members in force"),
        (Mutant::ConfigNotRolledBack, "latest members in force"),
        (Mutant::AppendAfterCompaction, "no suspicion"),
        (Mutant::AckBeforeFsync, "durability at commit"),
        (Mutant::LearnerCounts, "durability at commit"),
    ] {
        match hunt(mutant, rule, 200, true) {
            Some((seeds, what)) => println!("{mutant}: {rule} after {seeds} seeds: {what}"),
            None => missed.push((mutant.name(), rule)),
        }
    }
    assert!(missed.is_empty(), "not seen in any trace: {missed:?}");
}

#[test]
fn disks_that_acknowledge_what_they_have_not_stored_are_found_out() {
    let found = (0..20).find_map(|seed| {
        let validated = judged(&Cluster::new(seed, MutantSwitch::default()).with_lying_disks().live(STEPS));
        validated
            .findings
            .into_iter()
            .find(|finding| finding.is_violation && finding.rule == "the disk keeps")
    });
    println!("{}", found.expect("not seen in any trace"));
}
