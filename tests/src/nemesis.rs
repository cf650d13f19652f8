//! Carries out the schedule: injects each fault at its time, heals it at its end, and notes whom it hit and whether it had
//! any effect at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::link::{Latency, Traffic};
use crate::observer::Observer;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::schedule::{Fault, Kind, LinkId, NodeId, Planned, Schedule, Victims};
use crate::units::millis;
use crate::verbs;

/// A fault as it really happened.
#[derive(Clone, Debug, Serialize)]
pub struct Injected {
    /// What was planned.
    pub planned: Planned,
    /// The family.
    pub kind: Kind,
    /// When it was injected, in milliseconds since the clients started.
    pub at_ms: u64,
    /// When it was healed.
    pub healed_at_ms: u64,
    /// The servers it was aimed at.
    pub nodes: Vec<NodeId>,
    /// The links it was aimed at.
    pub links: Vec<LinkId>,
    /// What the links carried and held back in the meantime.
    pub traffic: Traffic,
    /// Whether anything came of it: a process really died or stopped, bytes were really held back or delayed.
    pub effective: bool,
    /// What was done, in words.
    pub what: String,
    /// What went wrong in injecting or healing it.
    pub errors: Vec<String>,
}

/// Carries out schedules on one cluster.
#[derive(Debug)]
pub struct Nemesis {
    cluster: Arc<Cluster>,
    observer: Observer,
    recorder: Arc<Recorder>,
    progress: Progress,
}

#[derive(Clone, Copy)]
enum Step {
    Inject(usize),
    Heal(usize),
}

impl Nemesis {
    /// A nemesis for this cluster that notes what it does in the history.
    #[must_use]
    pub fn new(
        cluster: Arc<Cluster>,
        observer: Observer,
        recorder: Arc<Recorder>,
        progress: Progress,
    ) -> Nemesis {
        Nemesis { cluster, observer, recorder, progress }
    }

    /// Carries out the schedule, its times counted from `start`. When stopped early it heals what it had injected.
    ///
    /// # Errors
    /// When the history cannot be written. That a fault could not be injected is no error but a result.
    pub async fn carry_out(
        &self,
        schedule: &Schedule,
        start: Instant,
        stop: CancellationToken,
    ) -> anyhow::Result<Vec<Injected>> {
        let mut steps: Vec<(u64, Step)> = Vec::new();
        for (number, planned) in schedule.faults.iter().enumerate() {
            steps.push((planned.at_ms, Step::Inject(number)));
            steps.push((planned.at_ms + planned.duration_ms, Step::Heal(number)));
        }
        steps.sort_by_key(|(at_ms, _)| *at_ms);
        let mut injected: Vec<Option<Injected>> = vec![None; schedule.faults.len()];
        for (at_ms, step) in steps {
            let at = tokio::time::Instant::from_std(start + Duration::from_millis(at_ms));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(at) => {}
            }
            let stopped = stop.is_cancelled();
            match step {
                Step::Inject(number) if !stopped => {
                    if let (Some(planned), Some(slot)) =
                        (schedule.faults.get(number), injected.get_mut(number))
                    {
                        *slot = Some(self.inject(planned, start).await?);
                    }
                }
                Step::Heal(number) => {
                    if let Some(Some(fault)) = injected.get_mut(number) {
                        self.heal(fault, start).await?;
                    }
                }
                Step::Inject(_) => {}
            }
        }
        Ok(injected.into_iter().flatten().collect())
    }

    async fn inject(&self, planned: &Planned, start: Instant) -> anyhow::Result<Injected> {
        let leader = if planned.fault.needs_leader() { self.observer.leader().await } else { None };
        let (nodes, links) = match &planned.fault {
            Fault::Kill(victims)
            | Fault::Pause(victims)
            | Fault::Compact(victims)
            | Fault::Members(victims) => (victims.resolve(leader), Vec::new()),
            Fault::Transfer(to) => (vec![*to], Vec::new()),
            Fault::Partition(shape) => (Vec::new(), shape.links(self.cluster.nodes().len() as u64, leader)),
            Fault::Latency { links, .. } => (Vec::new(), links.clone()),
        };
        let mut fault = Injected {
            planned: planned.clone(),
            kind: planned.fault.kind(),
            at_ms: millis(start.elapsed()),
            healed_at_ms: 0,
            traffic: self.cluster.traffic(&links),
            nodes,
            links,
            effective: false,
            what: describe(&planned.fault, leader),
            errors: Vec::new(),
        };
        self.say(fault.kind.name(), &fault.what)?;
        match &planned.fault {
            Fault::Kill(_) => self.hit_processes(&mut fault, Kind::Kill).await,
            Fault::Pause(_) => self.hit_processes(&mut fault, Kind::Pause).await,
            Fault::Partition(_) => self.each_link(&fault.links, crate::link::Link::cut),
            Fault::Latency { delay_ms, jitter_ms, .. } => {
                let latency = Latency {
                    delay: Duration::from_millis(*delay_ms),
                    jitter: Duration::from_millis(*jitter_ms),
                };
                self.each_link(&fault.links, |link| link.slow(Some(latency)));
            }
            Fault::Transfer(_) | Fault::Compact(_) | Fault::Members(_) => {
                let done = verbs::ask(&self.cluster, fault.kind, &fault.nodes).await;
                fault.effective = done.count > 0;
                fault.errors = done.errors;
            }
        }
        Ok(fault)
    }

    async fn heal(&self, fault: &mut Injected, start: Instant) -> anyhow::Result<()> {
        match fault.kind {
            Kind::Kill => self.restart(fault).await,
            Kind::Pause => {
                for id in fault.nodes.clone() {
                    let Some(node) = self.cluster.node(id) else { continue };
                    if let Err(error) = node.resume().await {
                        fault.errors.push(format!("{error:#}"));
                    }
                }
            }
            Kind::Partition => self.each_link(&fault.links, crate::link::Link::mend),
            Kind::Latency => self.each_link(&fault.links, |link| link.slow(None)),
            Kind::Transfer | Kind::Compact => {}
            Kind::Members => fault.errors.extend(verbs::take_in(&self.cluster, &fault.nodes).await.errors),
        }
        fault.traffic = self.cluster.traffic(&fault.links).since(&fault.traffic);
        match fault.kind {
            Kind::Kill | Kind::Pause | Kind::Transfer | Kind::Compact | Kind::Members => {}
            Kind::Partition => {
                fault.effective = fault.traffic.held_bytes + fault.traffic.held_connections > 0
            }
            Kind::Latency => fault.effective = fault.traffic.delayed_bytes > 0,
        }
        fault.healed_at_ms = millis(start.elapsed());
        let done = if fault.effective { "" } else { " (it had no effect)" };
        self.say(&format!("heal-{}", fault.kind.name()), &format!("{}{done}", fault.what))
    }

    /// Kills or stops the victims, all at once.
    async fn hit_processes(&self, fault: &mut Injected, kind: Kind) {
        let victims = fault.nodes.iter().filter_map(|id| self.cluster.node(*id));
        let blows = victims.map(|node| async move {
            let hit = if kind == Kind::Kill { node.kill().await } else { node.pause().await };
            (node.id(), hit)
        });
        for (id, hit) in futures::future::join_all(blows).await {
            match hit {
                Ok(true) => fault.effective = true,
                Ok(false) => fault.errors.push(format!("n{id} was not running")),
                Err(error) => fault.errors.push(format!("{error:#}")),
            }
        }
    }

    async fn restart(&self, fault: &mut Injected) {
        for id in fault.nodes.clone() {
            let Some(node) = self.cluster.node(id) else { continue };
            // One that fell by itself stays down, so that the finding is not covered up.
            if matches!(node.fallen().await, Ok(Some(_))) {
                continue;
            }
            if let Err(error) = node.start().await {
                fault.errors.push(format!("{error:#}"));
            }
        }
    }

    fn each_link(&self, links: &[LinkId], act: impl Fn(&crate::link::Link)) {
        links.iter().filter_map(|id| self.cluster.link(*id)).for_each(act);
    }

    fn say(&self, f: &str, what: &str) -> anyhow::Result<()> {
        self.progress.event(f, what);
        self.recorder.nemesis(f, what)
    }
}

/// A fault in words, with the leader by name where a role was meant.
fn describe(fault: &Fault, leader: Option<NodeId>) -> String {
    let text = fault.to_string();
    if !fault.needs_leader() {
        return text;
    }
    match (leader, otherwise(fault)) {
        (Some(leader), _) => text.replace("the leader", &format!("the leader n{leader}")),
        (None, Some(node)) => text.replace("the leader", &format!("n{node} (nobody leads)")),
        (None, None) => text,
    }
}

fn otherwise(fault: &Fault) -> Option<NodeId> {
    use crate::schedule::Shape;
    let (Fault::Kill(victims)
    | Fault::Pause(victims)
    | Fault::Compact(victims)
    | Fault::Members(victims)
    | Fault::Partition(Shape::Isolate(victims) | Shape::Outbound(victims) | Shape::Inbound(victims))) = fault
    else {
        return None;
    };
    match victims {
        Victims::Leader { otherwise } => Some(*otherwise),
        Victims::Nodes(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::schedule::Shape;
    use std::os::unix::fs::PermissionsExt;

    /// A cluster of three processes that do nothing, and a nemesis for it.
    async fn idle(folder: &std::path::Path) -> (Arc<Cluster>, Nemesis) {
        let server = folder.join("idle");
        std::fs::write(&server, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = ClusterOptions {
            server,
            nodes: 3,
            folder: folder.join("nodes"),
            server_args: Vec::new(),
            direct: false,
            trace: false,
        };
        let cluster = Arc::new(Cluster::start(&options).await.unwrap());
        let recorder = Recorder::create(&folder.join("h.jsonl"), &folder.join("h.edn")).unwrap();
        let observer = Observer::new(Arc::clone(&cluster), recorder.origin());
        let progress = Progress::new(Duration::from_secs(1), true);
        (Arc::clone(&cluster), Nemesis::new(cluster, observer, Arc::new(recorder), progress))
    }

    fn schedule(faults: Vec<(u64, u64, Fault)>) -> Schedule {
        let planned = |(at_ms, duration_ms, fault)| Planned { at_ms, duration_ms, fault };
        Schedule {
            seed: 1,
            nodes: 3,
            time_limit_ms: 1_000,
            faults: faults.into_iter().map(planned).collect(),
        }
    }

    #[tokio::test]
    async fn faults_are_injected_healed_written_down_and_told_apart_by_their_effect() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, nemesis) = idle(folder.path()).await;
        let kill = || Fault::Kill(Victims::Nodes(vec![1]));
        let plan = schedule(vec![
            (0, 200, kill()),
            (20, 30, kill()),
            (30, 40, Fault::Pause(Victims::Nodes(vec![2]))),
            (40, 50, Fault::Partition(Shape::Isolate(Victims::Leader { otherwise: 3 }))),
        ]);
        let done = nemesis.carry_out(&plan, Instant::now(), CancellationToken::new()).await.unwrap();
        let effects: Vec<bool> = done.iter().map(|fault| fault.effective).collect();
        assert_eq!(
            effects,
            [true, false, true, false],
            "the dead cannot be killed, and nobody spoke: {done:?}"
        );
        assert!(done[1].errors[0].contains("n1 was not running"), "{done:?}");
        assert_eq!(done[3].links.len(), 4, "nobody leads, so n3 is isolated");
        assert!(done[3].what.contains("n3 (nobody leads)"), "{}", done[3].what);
        for node in cluster.nodes() {
            assert!(node.pid().await.is_some(), "n{} is not back", node.id());
            assert!(!node.resume().await.unwrap(), "n{} is still stopped", node.id());
        }
        assert!(cluster.links().all(|(_, link)| !link.condition().cut), "a link is still cut");
        let history = std::fs::read_to_string(folder.path().join("h.jsonl")).unwrap();
        for f in ["kill", "heal-kill", "pause", "heal-pause", "partition", "heal-partition"] {
            assert!(history.contains(&format!(r#""f":"{f}""#)), "no {f}:\n{history}");
        }
    }

    #[tokio::test]
    async fn a_nemesis_that_is_stopped_heals_what_it_had_injected_and_injects_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, nemesis) = idle(folder.path()).await;
        let hour = 3_600_000;
        let pause = |id| Fault::Pause(Victims::Nodes(vec![id]));
        let plan = schedule(vec![(0, hour, pause(1)), (hour, 1, pause(2))]);
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        let history = folder.path().join("h.jsonl");
        tokio::spawn(async move {
            while !std::fs::read_to_string(&history).is_ok_and(|text| text.contains("pause")) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            stopper.cancel();
        });
        let done = nemesis.carry_out(&plan, Instant::now(), stop).await.unwrap();
        assert_eq!(done.len(), 1);
        for node in cluster.nodes() {
            assert!(!node.resume().await.unwrap(), "n{} was left stopped", node.id());
        }
    }
}
