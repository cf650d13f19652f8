//! What a run's numbers mean: the rules by which it counts as violated, as doubtful, or as a pass.

use crate::cluster::Cluster;
use crate::judge::Judgement;
use crate::logs;
use crate::nemesis::Carried;
use crate::observer::Observer;
use crate::report::{Finding, LEAST_OK_SHARE, NodeReport, Validity, Weight};
use crate::schedule::Schedule;
use crate::stats::{Counts, Summary};

/// How many lines of a fallen server's log are quoted.
const TAIL: usize = 10;

/// What the history comes to: the checker's verdict, and whether enough succeeded for it to mean anything.
pub(super) fn of_operations(operations: &Summary, judgement: &Judgement, reads: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let reason = || judgement.reason.clone().unwrap_or_default();
    match judgement.valid {
        Validity::True => {}
        Validity::False => {
            findings.push(Finding::new(Weight::Violation, format!("not linearizable: {}", reason())));
        }
        Validity::Unknown => {
            findings.push(Finding::new(Weight::Doubt, format!("the checker cannot say: {}", reason())));
        }
    }
    let total = operations.total;
    let share = if total.total() == 0 { 0.0 } else { total.ok as f64 / total.total() as f64 };
    if share < LEAST_OK_SHARE {
        let what =
            format!("nearly everything failed: {} of {} operations succeeded", total.ok, total.total());
        findings.push(Finding::new(Weight::Doubt, what));
    }
    let laws = judgement.broken.iter();
    let laws =
        laws.map(|what| Finding::new(Weight::Violation, format!("a law of the workload is broken: {what}")));
    findings.extend(laws);
    let ok = |looks: bool| -> u64 {
        let of = operations.by_f.iter().filter(|(f, _)| reads.contains(f) == looks);
        of.map(|(_, counts)| counts.ok).sum()
    };
    if ok(true) == 0 && !reads.is_empty() {
        findings.push(Finding::new(Weight::Doubt, "no read succeeded"));
    }
    if ok(false) == 0 {
        findings.push(Finding::new(Weight::Doubt, "no write succeeded"));
    }
    findings
}

/// Whether the cluster came back after all faults were healed.
pub(super) fn of_recovery(recovered: bool, unread: &[String], total: Counts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !recovered {
        findings.push(Finding::new(
            Weight::Doubt,
            "the servers did not all recover after the faults were healed",
        ));
    }
    if !unread.is_empty() && total.total() > 0 {
        let what = format!("final reads failed on {}", unread.join(", "));
        findings.push(Finding::new(Weight::Doubt, what));
    }
    findings
}

/// Whether the faults were real.
pub(super) fn of_faults(
    schedule: &Schedule,
    asked_for: bool,
    carried: &Carried,
    interrupted: bool,
) -> Vec<Finding> {
    let Carried { faults, waited } = carried;
    let planned = schedule.faults().len();
    let mut findings = Vec::new();
    if interrupted {
        // Most of what was asked for did not happen.
        findings.push(Finding::new(Weight::Doubt, "the run was interrupted before its time"));
    }
    if planned == 0 && asked_for {
        let what = "faults were asked for, but none fits the number of servers and the time";
        findings.push(Finding::new(Weight::Doubt, what));
    }
    if planned > 0 && faults.iter().all(|fault| !fault.effective) && !interrupted {
        let what = format!("none of the {planned} planned faults had an effect");
        findings.push(Finding::new(Weight::Doubt, what));
    }
    for fault in faults {
        if !fault.effective {
            let what = format!("the fault at {} ms had no effect: {}", fault.at_ms, fault.what);
            findings.push(Finding::new(Weight::Remark, what));
        }
        for error in &fault.errors {
            findings.push(Finding::new(Weight::Remark, format!("the fault at {} ms: {error}", fault.at_ms)));
        }
    }
    for waited in waited.iter().filter(|waited| !waited.met) {
        let crate::nemesis::Waited { condition, from_ms, to_ms, .. } = waited;
        let what = format!("the schedule waited in vain from {from_ms} to {to_ms} ms until {condition}");
        findings.push(Finding::new(Weight::Remark, what));
    }
    findings
}

/// What the servers themselves did: fell, confessed, or did not stop when asked.
pub(super) fn of_servers(cluster: &Cluster, observer: &Observer, nodes: &[NodeReport]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        observer.violations().into_iter().map(|what| Finding::new(Weight::Violation, what)).collect();
    for (id, how) in observer.fallen() {
        let tail = cluster.node(id).map(|node| logs::tail(node.log(), TAIL)).unwrap_or_default();
        let what = format!("server n{id} ended by itself ({how}); the end of its log:\n{}", tail.join("\n"));
        findings.push(Finding::new(Weight::Violation, what));
    }
    for node in cluster.nodes() {
        let words = cluster.system().confessions();
        for line in logs::confessions(node.log(), words, &node.excused()) {
            findings.push(Finding::new(Weight::Violation, format!("the log of n{} says: {line}", node.id())));
        }
    }
    let fallen = observer.fallen();
    for node in nodes.iter().filter(|node| node.exit != "clean" && !fallen.contains_key(&node.id)) {
        let what = format!("server n{} did not stop cleanly on SIGTERM: {}", node.id, node.exit);
        findings.push(Finding::new(Weight::Doubt, what));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::weigh;

    fn judged(valid: Validity) -> Judgement {
        Judgement {
            valid,
            model: "kv",
            algorithm: "auto".to_owned(),
            operations: 100,
            keys: 5,
            by_key: std::collections::BTreeMap::new(),
            seconds: 0.0,
            reason: None,
            explanation: None,
            broken: Vec::new(),
        }
    }

    fn summary(reads: Counts, writes: Counts) -> Summary {
        Summary {
            total: reads.plus(writes),
            by_f: [("read", reads), ("write", writes)].into(),
            ..Summary::default()
        }
    }

    fn counts(ok: u64, fail: u64) -> Counts {
        Counts { ok, fail, info: 0 }
    }

    #[test]
    fn a_run_in_which_nearly_everything_fails_is_unknown_and_not_a_pass() {
        let verdict = |reads, writes| {
            weigh(&of_operations(&summary(reads, writes), &judged(Validity::True), &["read"]))
        };
        assert_eq!(verdict(counts(50, 20), counts(50, 20)), Validity::True);
        assert_eq!(verdict(counts(1, 500), counts(1, 500)), Validity::Unknown);
        assert_eq!(verdict(counts(0, 5), counts(50, 0)), Validity::Unknown, "no read");
        assert_eq!(verdict(counts(50, 0), counts(0, 5)), Validity::Unknown, "no write");
        assert_eq!(verdict(counts(0, 0), counts(0, 0)), Validity::Unknown, "nothing at all");
    }

    #[test]
    fn the_checker_s_word_counts_whatever_else_is_well() {
        let fine = summary(counts(50, 0), counts(50, 0));
        let verdict = |valid| weigh(&of_operations(&fine, &judged(valid), &["read"]));
        assert_eq!(verdict(Validity::False), Validity::False);
        assert_eq!(verdict(Validity::Unknown), Validity::Unknown);
        let broken = Judgement { broken: vec!["1 is lost".to_owned()], ..judged(Validity::True) };
        assert_eq!(weigh(&of_operations(&fine, &broken, &["read"])), Validity::False, "so do its own laws");
    }

    #[test]
    fn a_run_whose_faults_had_no_effect_is_unknown_and_one_of_them_without_is_told() {
        use crate::faults::kill::Kill;
        use crate::nemesis::Injected;
        use crate::schedule::{Kind, Planned, Victims};
        let fault = Kill(Victims::Nodes(vec![1])).into();
        let planned = Planned { at_ms: 1, duration_ms: Some(2), number: 1, fault };
        let limit = std::time::Duration::from_millis(10);
        let schedule = Schedule::of(1, 3, limit, vec![planned.clone(); 2]);
        let injected = |effective| Injected {
            planned: planned.clone(),
            kind: Kind::Kill,
            at_ms: 1,
            healed_at_ms: 3,
            nodes: vec![1],
            links: Vec::new(),
            traffic: crate::link::Traffic::default(),
            effective,
            what: "kill n1".to_owned(),
            errors: Vec::new(),
        };
        let carried = |faults| Carried { faults, waited: Vec::new() };
        let verdict =
            |effects: [bool; 2]| of_faults(&schedule, true, &carried(effects.map(injected).into()), false);
        assert_eq!(weigh(&verdict([true, true])), Validity::True);
        assert_eq!(
            verdict([true, false]),
            [Finding::new(Weight::Remark, "the fault at 1 ms had no effect: kill n1")]
        );
        assert_eq!(weigh(&verdict([false, false])), Validity::Unknown);
        let interrupted = of_faults(&schedule, true, &carried(vec![injected(true)]), true);
        assert_eq!(weigh(&interrupted), Validity::Unknown, "most of it did not happen");
        let condition = crate::schedule::Condition::Election;
        let waited = [true, false].map(|met| crate::nemesis::Waited { condition, from_ms: 5, to_ms: 9, met });
        let waiting = Carried { faults: vec![injected(true)], waited: waited.into() };
        let remarks = of_faults(&schedule, true, &waiting, false);
        assert!(remarks.len() == 1 && remarks[0].what.contains("in vain from 5 to 9 ms"), "{remarks:?}");
        let empty = Schedule::of(1, 3, limit, Vec::new());
        assert_eq!(
            weigh(&of_faults(&empty, true, &Carried::default(), false)),
            Validity::Unknown,
            "no fault fits"
        );
        assert_eq!(
            weigh(&of_faults(&empty, false, &Carried::default(), false)),
            Validity::True,
            "none was wanted"
        );
    }

    #[test]
    fn a_cluster_that_does_not_come_back_is_unknown() {
        assert_eq!(weigh(&of_recovery(true, &[], counts(5, 0))), Validity::True);
        assert_eq!(weigh(&of_recovery(false, &[], counts(5, 0))), Validity::Unknown);
        assert_eq!(weigh(&of_recovery(true, &["k1".to_owned()], counts(5, 0))), Validity::Unknown);
    }
}
