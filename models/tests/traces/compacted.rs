//! Clusters whose servers let go of their logs: their traces can be followed over snapshots, and what is wrong is found there.

use models::Verdict;
use raft_core::MutantSwitch;

use crate::cluster::{Cluster, judged};

const STEPS: usize = 8_000;

#[test]
fn what_correct_servers_did_that_compact_their_logs_breaks_no_law() {
    let (mut lives, mut committed, mut installs) = (0, 0, 0);
    for seed in 0..40 {
        let validated = judged(&Cluster::new(seed, MutantSwitch::default()).with_snapshots().live(STEPS));
        assert_eq!(validated.verdict, Verdict::Holds, "seed {seed}: {:#?}", validated.findings);
        lives += validated.lives;
        committed += validated.committed;
        installs += validated.installs;
    }
    println!("{lives} lives, {committed} entries, {installs} snapshots installed");
    assert!(lives > 100 && committed > 500 && installs > 40, "hardly anything happens");
}
