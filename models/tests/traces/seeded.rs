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

/// The seeds that it takes, and what is broken then.
fn hunt(mutant: Mutant, seeds: u64) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| {
        let validated = judged(&Cluster::new(seed, MutantSwitch::on(mutant)).live(STEPS));
        let first = validated.findings.into_iter().find(|finding| finding.is_violation)?;
        Some((seed + 1, format!("{}: {}", first.rule, first.what)))
    })
}

#[test]
fn what_servers_with_seeded_bugs_did_breaks_laws() {
    let mut missed = Vec::new();
    for mutant in [
        Mutant::ForgetVote,
        Mutant::ForgetTerm,
        Mutant::TwoVotes,
        Mutant::StaleVoteResponse,
        Mutant::VoteWithoutLogCheck,
        Mutant::TruncateOnStaleAppend,
        Mutant::AckBeyondAppend,
        Mutant::NoPrevTermCheck,
        Mutant::HeartbeatCommitUnclamped,
        Mutant::QuorumHalf,
        Mutant::AckBeforeFsync,
        Mutant::ActBeforeTermDurable,
    ] {
        match hunt(mutant, 200) {
            Some((seeds, what)) => println!("{mutant}: {seeds} seeds, {what}"),
            None => missed.push(mutant.name()),
        }
    }
    assert!(missed.is_empty(), "not seen in any trace: {missed:?}");
}
