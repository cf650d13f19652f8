//! Tests of how steps follow each other, on processes that do nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::tests::idle;
use super::{Carried, Nemesis};
use crate::cluster::Cluster;
use crate::recorder::Completion;
use crate::schedule::{Condition, Draft, Schedule};

fn schedule(plan: &str) -> Schedule {
    let text = format!(r#"{{"version": 1, "plan": {plan}}}"#);
    Draft::parse(&text).unwrap().complete(1, 3, Duration::from_secs(60))
}

fn pause(id: u64, ms: &str) -> String {
    format!(r#"{{"inject": {{{ms} "fault": {{"pause": "n{id}"}}}}}}"#)
}

/// Carries out a plan; ends it once the history satisfies `enough`, if it does not end by itself.
async fn carried(
    nemesis: &Nemesis,
    plan: &str,
    folder: &Path,
    enough: impl Fn(&str) -> bool,
) -> anyhow::Result<Carried> {
    let schedule = schedule(plan);
    let stop = CancellationToken::new();
    let work = nemesis.carry_out(&schedule, Instant::now(), stop.clone());
    let watch = async {
        while !std::fs::read_to_string(folder.join("h.jsonl")).is_ok_and(|text| enough(&text)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, async {
        tokio::select! {
            carried = work => carried,
            () = watch => unreachable!(),
        }
    })
    .await
    .unwrap()
}

async fn is_well(cluster: &Arc<Cluster>) {
    for node in cluster.nodes() {
        assert!(node.pid().await.is_some(), "n{} is not back", node.id());
        assert!(!node.resume().await.unwrap(), "n{} is still stopped", node.id());
    }
}

fn hit(carried: &Carried) -> Vec<u64> {
    carried.faults.iter().map(|fault| fault.nodes[0]).collect()
}

#[tokio::test]
async fn in_a_sequence_each_begins_when_the_one_before_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let brief = r#""duration_ms": 30,"#;
    let plan = format!(r#"{{"sequence": [{}, {{"wait-ms": 40}}, {}]}}"#, pause(2, brief), pause(1, brief));
    let done = carried(&nemesis, &plan, folder.path(), |_| false).await.unwrap();
    assert_eq!(hit(&done), [2, 1]);
    assert!(done.faults[0].healed_at_ms + 40 <= done.faults[1].at_ms, "{:?}", done.faults);
    is_well(&cluster).await;
}

#[tokio::test]
async fn a_flip_flop_goes_in_turn_until_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let brief = r#""duration_ms": 5,"#;
    let plan = format!(r#"{{"flip-flop": [{}, {}]}}"#, pause(1, brief), pause(3, brief));
    let enough = |text: &str| text.matches(r#""f":"pause""#).count() >= 5;
    let done = carried(&nemesis, &plan, folder.path(), enough).await.unwrap();
    assert!(hit(&done).starts_with(&[1, 3, 1, 3, 1]), "{:?}", hit(&done));
    is_well(&cluster).await;
}

#[tokio::test]
async fn every_so_often_something_begins_and_never_twice_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let plan = |ms: u64| {
        format!(
            r#"{{"every": {{"period_ms": 50, "step": {}}}}}"#,
            pause(1, &format!(r#""duration_ms": {ms},"#))
        )
    };
    let enough = |text: &str| text.matches(r#""f":"heal-pause""#).count() >= 3;
    for ms in [5, 70] {
        let done = carried(&nemesis, &plan(ms), folder.path(), enough).await.unwrap();
        for two in done.faults.windows(2) {
            // Whole milliseconds may hide one.
            assert!(two[1].at_ms + 1 >= two[0].at_ms + 50, "{ms}: {:?}", done.faults);
            assert!(two[1].at_ms >= two[0].healed_at_ms, "{ms}: {:?}", done.faults);
        }
        std::fs::write(folder.path().join("h.jsonl"), "").unwrap();
    }
    is_well(&cluster).await;
}

#[tokio::test]
async fn a_fault_lasts_until_its_condition_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let until = |more: &str, step: &str| {
        format!(r#"{{"until": {{"condition": {{"operations": 3}}, {more} "step": {step}}}}}"#)
    };
    let plan = format!(
        r#"{{"sequence": [{}, {}]}}"#,
        until("", &pause(1, "")),
        until(r#""within_ms": 50,"#, &pause(2, r#""duration_ms": 1,"#))
    );
    let stats = Arc::clone(&nemesis.witness.stats);
    let done = carried(&nemesis, &plan, folder.path(), |text| {
        let is_paused = text.contains(r#""f":"pause""#) && !text.contains("heal-pause");
        if is_paused {
            let moment = Duration::from_millis(1);
            stats.note("read", Completion::Ok, moment, moment, None);
        }
        false
    });
    let done = done.await.unwrap();
    assert_eq!(hit(&done), [1, 2]);
    assert!(stats.counts().ok >= 3);
    let met: Vec<bool> = done.waited.iter().map(|waited| waited.met).collect();
    assert_eq!(met, [true, false], "the second one waited in vain: {:?}", done.waited);
    assert_eq!(done.waited[0].condition, Condition::Operations(3));
    assert!(done.waited[1].to_ms - done.waited[1].from_ms >= 50, "{:?}", done.waited);
    is_well(&cluster).await;
}

#[tokio::test]
async fn what_two_faults_hold_is_healed_by_the_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let plan = r#"{"parallel": [
        {"inject": {"duration_ms": 400, "fault": {"partition": {"isolate": "n1"}}}},
        {"inject": {"duration_ms": 40, "fault": {"partition": {"isolate": "n2"}}}}]}"#;
    let mut seen = Vec::new();
    let seen_ref = std::sync::Mutex::new(&mut seen);
    let done = carried(&nemesis, plan, folder.path(), |text| {
        if text.matches("heal-partition").count() == 1 {
            let cut: Vec<String> = cluster
                .links()
                .filter(|(_, link)| link.condition().cut)
                .map(|(id, _)| id.to_string())
                .collect();
            **seen_ref.lock().unwrap() = cut;
        }
        false
    });
    done.await.unwrap();
    assert_eq!(seen, ["n1->n2", "n1->n3", "n2->n1", "n3->n1"]);
    assert!(cluster.links().all(|(_, link)| !link.condition().cut), "a link is still cut");
}

#[tokio::test]
async fn an_error_ends_everything_and_heals_what_was_injected() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, nemesis) = idle(folder.path()).await;
    let text = format!(
        r#"{{"parallel": [{}, {{"sequence": [{{"wait-ms": 40}}, {{"mix": {{"times": 1, "of": []}}}}]}}]}}"#,
        pause(1, "")
    );
    // Not completed, so that the choices are not drawn: the one error that a fault need not be broken for.
    let schedule = Schedule { plan: serde_json::from_str(&text).unwrap(), ..schedule(r#"{"wait-ms": 1}"#) };
    let ended = nemesis.carry_out(&schedule, Instant::now(), CancellationToken::new());
    let error = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not drawn"), "{error:#}");
    let history = std::fs::read_to_string(folder.path().join("h.jsonl")).unwrap();
    assert!(history.contains("heal-pause"), "{history}");
    is_well(&cluster).await;
}

#[tokio::test]
async fn whom_a_fault_hits_does_not_depend_on_the_others() {
    let victims = async |others: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (_cluster, nemesis) = idle(folder.path()).await;
        let plan = format!(
            r#"{{"sequence": [{others}
            {{"inject": {{"duration_ms": 1, "number": 9, "fault": {{"pause": "random[1]"}}}}}},
            {{"inject": {{"duration_ms": 1, "number": 9, "fault": {{"pause": "random[1]"}}}}}},
            {{"inject": {{"duration_ms": 1, "number": 8, "fault": {{"pause": "leader"}}}}}}]}}"#
        );
        let done = carried(&nemesis, &plan, folder.path(), |_| false).await.unwrap();
        hit(&done)
    };
    let alone = victims("").await;
    let other = r#"{"inject": {"duration_ms": 1, "number": 1, "fault": {"pause": "random[1]"}}},"#;
    assert_eq!(victims(other).await[1..], alone);
}
