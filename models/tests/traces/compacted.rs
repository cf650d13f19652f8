//! Clusters whose servers let go of their logs: their traces can be followed over snapshots, and what is wrong is found there.

use std::sync::Arc;

use bytes::Bytes;
use models::Verdict;
use raft_core::{Index, Input, Membership, MutantSwitch, Recovered, SnapshotMeta};
use trace::{Item, Step};

use crate::altered::{bytes, items, refused};
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

/// What a correct cluster recorded that compacts its logs.
fn recorded() -> Vec<Vec<u8>> {
    Cluster::new(3, MutantSwitch::default()).with_snapshots().live(STEPS)
}

/// Alters what was recovered by the first life in any trace that `alter` takes; it is given what happened before. If the
/// trace `forgets` that, it begins with this life. Returns the traces, and where it was.
fn altered(
    forgets: bool,
    alter: impl Fn(&[Item<Bytes>], &mut Recovered<Bytes>) -> bool,
) -> (Vec<Vec<u8>>, String) {
    let mut traces = recorded();
    for (at, trace) in traces.iter_mut().enumerate() {
        let (mut items, _) = items(trace);
        let found = (0..items.len()).find(|found| {
            let (before, rest) = items.split_at_mut(*found);
            match &mut rest[0] {
                Item::Start(start) => alter(before, &mut start.recovered),
                _ => false,
            }
        });
        let Some(found) = found else { continue };
        let first = if forgets { found } else { 0 };
        *trace = bytes(&items.split_off(first));
        // A shorter log takes fewer records.
        let record = self::items(trace).1[found - first];
        return (traces, format!("n{}.trace:{record}", at + 1));
    }
    panic!("nothing to alter");
}

#[test]
fn a_server_that_recovers_an_older_snapshot_than_it_said_was_durable_is_found_out() {
    let (traces, place) = altered(false, |before, recovered| {
        let Some(snapshot) = &mut recovered.snapshot else { return false };
        let reports = |item: &Item<Bytes>| match item {
            Item::Step(Step { input: Some(Input::Compact { snapshot: reported, .. }), .. }) => {
                reported == snapshot
            }
            _ => false,
        };
        // True in every other respect: it ends with the entry before, and nothing of the log is missing.
        let earlier = recovered.entries.iter().find(|entry| entry.index == snapshot.last.index.previous());
        let Some(earlier) = earlier.filter(|_| before.iter().any(reports)) else { return false };
        snapshot.last = earlier.position();
        true
    });
    refused(&judged(&traces), &place, &["the disk keeps"]);
}

#[test]
fn a_server_that_recovers_no_snapshot_where_it_had_one_is_found_out() {
    let (traces, place) = altered(false, |_, recovered| {
        // The log from its beginning would do as well, if it were there.
        let is_needed = recovered.entries.first().is_none_or(|first| first.index > Index(1));
        let is_lost = is_needed && recovered.snapshot.take().is_some();
        if is_lost {
            recovered.entries.clear();
        }
        is_lost
    });
    refused(&judged(&traces), &place, &["the disk keeps"]);
}

/// The places of all findings of this rule.
fn found(traces: &[Vec<u8>], rule: &str) -> Vec<String> {
    let findings = judged(traces).findings.into_iter().filter(|finding| finding.rule == rule);
    findings.map(|finding| finding.place.unwrap().to_string()).collect()
}

#[test]
fn a_snapshot_of_another_term_or_with_other_members_is_found_out() {
    // A trace may begin with any snapshot, as far as its own disk goes.
    let untrue = "true snapshots";
    let begin_late = |alter: fn(&mut SnapshotMeta)| {
        altered(true, |_, recovered| recovered.snapshot.as_mut().map(alter).is_some())
    };
    let (traces, _) = begin_late(|_| ());
    assert_eq!(found(&traces, untrue), Vec::<String>::new());
    let (traces, place) = begin_late(|snapshot| snapshot.last.term.0 += 1);
    refused(&judged(&traces), &place, &[untrue]);
    let (traces, place) = begin_late(|snapshot| {
        let voters: Vec<_> = snapshot.membership.voters().iter().skip(1).copied().collect();
        snapshot.membership = Arc::new(Membership::new(voters));
    });
    refused(&judged(&traces), &place, &[untrue]);
}
