//! The part of a run that is under load: clients, watchers and nemesis at work, then healing and the final reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{RECOVERY_PATIENCE, Run};
use crate::client::{Crew, Load};
use crate::cluster::Cluster;
use crate::effort::{Effort, Meter};
use crate::nemesis::{Carried, Nemesis};
use crate::observer::Observer;
use crate::recorder::Recorder;
use crate::replicas::ReplicaReport;
use crate::report::Phases;
use crate::stats::Stats;
use crate::system::Capability;
use crate::units::millis;
use crate::watch::{Ledger, Watchers};

/// How long watchers and servers have to become level where not all servers came back.
const HOPELESS_PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two updates of the live line.
const TICK: Duration = Duration::from_millis(250);

/// What the part under load left behind.
pub(super) struct Loaded {
    pub(super) carried: Carried,
    pub(super) elapsed: Duration,
    pub(super) unread: Vec<String>,
    pub(super) recovered: bool,
    /// Why healing failed, if it did.
    pub(super) unhealed: Option<String>,
    pub(super) phases: Phases,
    pub(super) harness: Effort,
    /// Whether all watchers were told of all, and what clients wrote; if there were any.
    pub(super) watched: Option<(bool, Arc<Ledger>)>,
    /// What the servers hold at the end, if they tell.
    pub(super) replicas: Option<ReplicaReport>,
}

impl Run<'_> {
    /// Clients and nemesis at work, then healing and the final reads.
    pub(super) async fn load(
        &self,
        cluster: &Arc<Cluster>,
        observer: &Observer,
        recorder: &Arc<Recorder>,
        stats: &Arc<Stats>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Loaded> {
        let options = self.options;
        let start = recorder.origin();
        let load = Load {
            workload: Arc::clone(self.workload),
            seed: options.seed,
            workers: options.concurrency,
            keys: options.keys,
            rotate: options.rotate.unwrap_or(self.workload.rotate()),
            rate: options.rate,
            op_timeout: options.op_timeout,
        };
        let ledger = options.watch.then(Arc::<Ledger>::default);
        let watchers = self.watchers(cluster, start)?;
        let (system, endpoints) = (Arc::clone(cluster.system()), cluster.endpoints());
        let crew = Crew::new(system, endpoints, load, Arc::clone(recorder), Arc::clone(stats));
        let crew = Arc::new(crew.noting_in(ledger.clone()));
        let meter = Meter::start(start, options.time_limit);
        let over = stop.child_token();
        let mut workers = JoinSet::new();
        for worker in 0..options.concurrency {
            let (crew, over) = (Arc::clone(&crew), over.clone());
            workers.spawn(async move { crew.work(worker, over).await });
        }
        let nemesis = Nemesis::new(
            Arc::clone(cluster),
            observer.clone(),
            Arc::clone(recorder),
            Arc::clone(stats),
            self.progress.clone(),
        );
        let timer = async {
            let deadline = tokio::time::Instant::from_std(start + options.time_limit);
            tokio::select! {
                () = over.cancelled() => {}
                () = tokio::time::sleep_until(deadline) => over.cancel(),
            }
            anyhow::Ok(())
        };
        let work = async {
            while let Some(done) = workers.join_next().await {
                done.context("a worker panicked")??;
            }
            anyhow::Ok(())
        };
        let watching = async {
            tokio::join!(observer.watch(), self.tick(start, observer, stats), meter.watch());
        };
        let loaded =
            async { tokio::try_join!(timer, work, nemesis.carry_out(self.schedule, start, over.clone())) };
        let ((), (), carried) = tokio::select! {
            loaded = loaded => loaded?,
            () = watching => bail!("the observer ended"),
        };
        let elapsed = start.elapsed();
        let harness = meter.finish();
        self.progress.note("healing, then reading every key once more");
        let mending = Instant::now();
        let healed = cluster.heal().await;
        let unhealed = healed.err().map(|error| format!("the faults could not be healed: {error:#}"));
        let recovered = observer.recovered(mending + RECOVERY_PATIENCE).await;
        let reading = Instant::now();
        let unread = crew.final_reads(tokio::time::Instant::from_std(reading + RECOVERY_PATIENCE)).await?;
        // Where a server stays down nobody will ever be level with it.
        let patience = if recovered { RECOVERY_PATIENCE } else { HOPELESS_PATIENCE };
        let watched = match (watchers, ledger) {
            (Some(watchers), Some(ledger)) => {
                let mut client = crew.stranger();
                Some((watchers.finish(&mut *client, Instant::now() + patience).await?, ledger))
            }
            _ => None,
        };
        let replicas = match cluster.system().capabilities().contains(&Capability::Digests) {
            true => Some(ReplicaReport::of(cluster, Instant::now() + patience).await),
            false => None,
        };
        observer.look().await; // Whoever fell since is found out before all are asked to stop.
        let phases = Phases {
            workload_ms: millis(elapsed),
            recovery_ms: millis(reading - mending),
            final_reads_ms: millis(reading.elapsed()),
            ..Phases::default()
        };
        Ok(Loaded { carried, elapsed, unread, recovered, unhealed, phases, harness, watched, replicas })
    }

    async fn tick(&self, start: Instant, observer: &Observer, stats: &Stats) {
        loop {
            self.progress.tick(start.elapsed(), stats.counts(), observer.latest());
            tokio::time::sleep(TICK).await;
        }
    }

    /// Those who watch, if that is wanted.
    fn watchers(&self, cluster: &Cluster, start: Instant) -> anyhow::Result<Option<Watchers>> {
        if !self.options.watch {
            return Ok(None);
        }
        let servers: Vec<_> = cluster.nodes().iter().map(|node| (node.id(), node.client_address())).collect();
        let record = self.folder.watches();
        Watchers::start(cluster.system(), &servers, &record, self.options.seed, start).map(Some)
    }
}
