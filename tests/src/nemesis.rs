//! Carries out the schedule: injects each fault at its time, heals it at its end, and notes whom it hit and whether it had
//! any effect at all.

mod carrying;
#[cfg(test)]
mod combined;
mod witness;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::link::Traffic;
use crate::observer::Observer;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::schedule::{Condition, Kind, LinkId, NodeId, Planned, Schedule};
use crate::stats::Stats;
use carrying::Carrying;
use witness::Witness;

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
    /// The servers that it hit, roles resolved.
    pub nodes: Vec<NodeId>,
    /// The links that it hit.
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

/// What a schedule waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Waited {
    /// For this.
    pub condition: Condition,
    /// From when, in milliseconds since the clients started.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
    /// Whether it came; otherwise time was up.
    pub met: bool,
}

/// What became of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// The faults that were injected, in order of time.
    pub faults: Vec<Injected>,
    /// The conditions that were waited for.
    pub waited: Vec<Waited>,
}

/// Carries out schedules on one cluster.
#[derive(Debug)]
pub struct Nemesis {
    cluster: Arc<Cluster>,
    observer: Observer,
    witness: Witness,
    recorder: Arc<Recorder>,
    progress: Progress,
}

impl Nemesis {
    /// A nemesis for this cluster that notes what it does in the history, and sees in the counts how far the clients are.
    #[must_use]
    pub fn new(
        cluster: Arc<Cluster>,
        observer: Observer,
        recorder: Arc<Recorder>,
        stats: Arc<Stats>,
        progress: Progress,
    ) -> Nemesis {
        let logs = cluster.nodes().iter().map(|node| node.log().to_owned()).collect();
        let witness = Witness { observer: observer.clone(), stats, logs };
        Nemesis { cluster, observer, witness, recorder, progress }
    }

    /// Carries out the schedule, its times counted from `start`. When stopped early it heals what it had injected.
    ///
    /// # Errors
    /// When a fault cannot be injected, or the history not be written; what was injected is healed. That a fault had no effect
    /// is no error but a result.
    pub async fn carry_out(
        &self,
        schedule: &Schedule,
        start: Instant,
        stop: CancellationToken,
    ) -> anyhow::Result<Carried> {
        let (faults, waited) = Carrying::new(self, schedule, start, &stop).all().await?;
        Ok(Carried { faults, waited })
    }

    fn say(&self, f: &str, what: &str) -> anyhow::Result<()> {
        self.progress.event(f, what);
        self.recorder.nemesis(f, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::faults::kill::Kill;
    use crate::faults::partition::Partition;
    use crate::faults::pause::Pause;
    use crate::schedule::{Fault, Victims};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    /// A cluster of three processes that do nothing, and a nemesis for it.
    pub(super) async fn idle(folder: &std::path::Path) -> (Arc<Cluster>, Nemesis) {
        let server = folder.join("idle");
        std::fs::write(&server, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = ClusterOptions {
            system: Arc::new(crate::system::KvServer),
            server,
            nodes: 3,
            folder: folder.join("nodes"),
            server_args: Vec::new(),
            server_also: None,
            direct: false,
            namespaces: false,
            trace: false,
            disks: None,
            clock_shim: None,
        };
        let cluster = Arc::new(Cluster::start(&options).await.unwrap());
        let recorder = Recorder::create(&folder.join("h.jsonl"), &folder.join("h.edn")).unwrap();
        let observer = Observer::new(Arc::clone(&cluster), recorder.origin());
        let progress = Progress::new(Duration::from_secs(1), true);
        (Arc::clone(&cluster), Nemesis::new(cluster, observer, Arc::new(recorder), Arc::default(), progress))
    }

    fn schedule(faults: Vec<(u64, u64, Fault)>) -> Schedule {
        let planned =
            |(at_ms, duration_ms, fault)| Planned { at_ms, duration_ms: Some(duration_ms), number: 0, fault };
        Schedule::of(1, 3, Duration::from_secs(1), faults.into_iter().map(planned).collect())
    }

    #[tokio::test]
    async fn faults_are_injected_healed_written_down_and_told_apart_by_their_effect() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, nemesis) = idle(folder.path()).await;
        let kill = || Fault::from(Kill(Victims::Nodes(vec![1])));
        let plan = schedule(vec![
            (0, 2_000, kill()),
            (20, 30, kill()),
            (30, 40, Pause(Victims::Nodes(vec![2])).into()),
            (40, 50, Partition::Isolate(Victims::Leader).into()),
        ]);
        let done = nemesis.carry_out(&plan, Instant::now(), CancellationToken::new()).await.unwrap().faults;
        let effects: Vec<bool> = done.iter().map(|fault| fault.effective).collect();
        assert_eq!(
            effects,
            [true, false, true, false],
            "the dead cannot be killed, and nobody spoke: {done:?}"
        );
        assert!(done[1].errors[0].contains("n1 was not running"), "{done:?}");
        assert_eq!(done[3].links.len(), 4, "nobody leads, so a random one is isolated");
        assert!(done[3].what.contains("(nobody leads)"), "{}", done[3].what);
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
    async fn a_server_may_end_by_itself_as_long_as_any_fault_gives_it_the_right_to() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, _) = idle(folder.path()).await;
        let node = cluster.node(1).unwrap();
        let end = async || {
            let pid = node.pid().await.unwrap().try_into().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let fallen = node.fallen().await.unwrap();
                if node.pid().await.is_none() {
                    return fallen;
                }
                assert!(Instant::now() < deadline, "it does not end");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        node.let_fall(Kind::DiskError, true).await.unwrap();
        node.let_fall(Kind::Memory, true).await.unwrap();
        node.let_fall(Kind::Memory, false).await.unwrap();
        assert_eq!(end().await, None, "its disk still fails");
        node.start().await.unwrap();
        node.let_fall(Kind::DiskError, false).await.unwrap();
        assert!(end().await.is_some(), "nothing is on any more");
    }

    #[tokio::test]
    async fn a_nemesis_that_is_stopped_heals_what_it_had_injected_and_injects_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, nemesis) = idle(folder.path()).await;
        let hour = 3_600_000;
        let pause = |id| Fault::from(Pause(Victims::Nodes(vec![id])));
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
        let done = nemesis.carry_out(&plan, Instant::now(), stop).await.unwrap().faults;
        assert_eq!(done.len(), 1);
        for node in cluster.nodes() {
            assert!(!node.resume().await.unwrap(), "n{} was left stopped", node.id());
        }
    }
}
