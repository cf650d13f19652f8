//! Carries out an experiment on real servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kv_server::client::{Client, ClientError, ClientOptions, Counters, Trouble};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::figures::{Failed, Figures, Killed, Node, Outcome};
use super::record::Record;
use super::requests::{Ask, Request, plan};
use super::wrong::{Done, End};
use super::{Experiment, Failure, Load, Role, punctual};
use crate::cluster::{Cluster, ClusterOptions};
use crate::effort::{Effort, Meter};
use crate::judge::{Limits, judge};
use crate::observer::Observer;
use crate::report::{CountByType, Finding, Validity, Weight};
use crate::schedule::{NodeId, all_links};
use crate::store::RunFolder;
use crate::units::millis;
use crate::workload;

/// How long a server has to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// Into how many attempts a client divides a request's time.
const ATTEMPTS: u32 = 8;
/// The checker's limits.
const CHECK: Limits = Limits { time: Duration::from_secs(60), memory_bytes: 4 << 30 };

/// What all parts of an experiment share.
struct Stage<'a> {
    experiment: &'a Experiment,
    cluster: Arc<Cluster>,
    observer: Observer,
    record: Arc<Record>,
    origin: Instant,
    stop: CancellationToken,
}

/// Carries out an experiment and leaves everything in `folder`.
///
/// # Errors
/// When it could not take place: no ports, no program, a folder that cannot be written.
pub async fn perform(
    experiment: &Experiment,
    folder: &RunFolder,
    stop: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let options = ClusterOptions {
        system: Arc::new(crate::system::KvServer),
        server_also: None,
        server: experiment.server.clone(),
        nodes: experiment.servers,
        folder: folder.nodes(),
        server_args: experiment.server_args.clone(),
        direct: false,
        namespaces: false,
        trace: false,
        disks: None,
        clock_shim: None,
    };
    let cluster = Arc::new(Cluster::start(&options).await?);
    let record = Arc::new(Record::create(folder)?);
    let origin = record.origin();
    let observer = Observer::new(Arc::clone(&cluster), origin);
    let stage = Stage { experiment, cluster, observer, record, origin, stop: stop.clone() };
    let (done, counters, killed, effort) = stage.play().await?;
    let outcome = stage.judge(folder, &done, counters, killed, effort).await?;
    folder.write_json("results.json", &outcome)?;
    folder.write_text("verdict.txt", &outcome.text())?;
    crate::page::write(folder.root())?;
    Ok(outcome)
}

impl Stage<'_> {
    /// Clients and failures, until the experiment's time is over.
    async fn play(&self) -> anyhow::Result<(Vec<Done>, Counters, Vec<Killed>, Effort)> {
        let meter = Meter::start(self.origin, self.experiment.lifetime);
        let mut by_client: Vec<Vec<Request>> = vec![Vec::new(); usize::try_from(self.experiment.clients)?];
        for request in plan(self.experiment) {
            if let Some(list) = by_client.get_mut(usize::try_from(request.client)?) {
                list.push(request);
            }
        }
        let mut clients = JoinSet::new();
        for (number, requests) in by_client.into_iter().enumerate() {
            clients.spawn(self.asker(number as u64).ask_all(requests));
        }
        let work = async {
            let (mut done, mut counters) = (Vec::new(), Counters::default());
            while let Some(one) = clients.join_next().await {
                let (of, counted) = one.context("a client panicked")??;
                done.extend(of);
                counters = counters.plus(counted);
            }
            anyhow::Ok((done, counters))
        };
        let failing =
            futures::future::try_join_all(self.experiment.failures.iter().map(|one| self.fail(*one)));
        let over = async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep_until((self.origin + self.experiment.lifetime).into()) => {}
            }
            anyhow::Ok(())
        };
        let ((mut done, counters), killed, ()) = tokio::select! {
            all = async { tokio::try_join!(work, failing, over) } => all?,
            _ = async { tokio::join!(self.observer.watch(), meter.watch()) } => bail!("the observer ended"),
        };
        done.sort_by_key(|one| one.asked);
        let mut killed: Vec<Killed> = killed.into_iter().flatten().collect();
        killed.sort_by_key(|one| one.at_ms);
        Ok((done, counters, killed, meter.finish()))
    }

    fn asker(&self, number: u64) -> Asker {
        let mut endpoints = self.cluster.endpoints();
        let first = usize::try_from(number).unwrap_or(0) % endpoints.len().max(1);
        endpoints.rotate_left(first);
        let Experiment { op_timeout, clients, lifetime, load, .. } = self.experiment;
        let options =
            ClientOptions { endpoints, op_timeout: *op_timeout, attempt_timeout: *op_timeout / ATTEMPTS };
        Asker {
            options,
            process: number,
            clients: *clients,
            origin: self.origin,
            end: self.origin + *lifetime,
            closed: *load == Load::Closed,
            value_size: self.experiment.value_size,
            record: Arc::clone(&self.record),
            stop: self.stop.clone(),
        }
    }

    /// Kills one server at its moment, and starts it again if so planned.
    async fn fail(&self, failure: Failure) -> anyhow::Result<Option<Killed>> {
        let end = self.origin + self.experiment.lifetime;
        if !self.wait_until(self.origin + failure.at).await {
            return Ok(None);
        }
        let Some((id, role)) = self.victim(failure.whom).await else { return Ok(None) };
        let Some(node) = self.cluster.node(id) else { return Ok(None) };
        let effective = node.kill().await?;
        let at_ms = millis(self.origin.elapsed());
        let what = format!("fail the {role} n{id}");
        self.record.nemesis("kill", &what)?;
        let mut healed_at_ms = None;
        if let Some(back) = failure.back_after {
            let back = (self.origin + failure.at + back).min(end);
            if self.wait_until(back).await && back < end {
                node.start().await?;
                healed_at_ms = Some(millis(self.origin.elapsed()));
                self.record.nemesis("heal-kill", &what)?;
            }
        }
        Ok(Some(Killed { kind: "kill", what, at_ms, healed_at_ms, effective, nodes: vec![id] }))
    }

    /// Waits for a moment; false if the experiment ends before.
    async fn wait_until(&self, moment: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep_until(moment.into()) => true,
        }
    }

    /// Whom a role means now.
    async fn victim(&self, whom: Role) -> Option<(NodeId, &'static str)> {
        let leader = match self.observer.leader().await {
            Some(leader) => Some(leader),
            None => self.observer.latest().map(|(_, node)| node),
        };
        let mut running = Vec::new();
        for node in self.cluster.nodes() {
            if node.pid().await.is_some() {
                running.push(node.id());
            }
        }
        match whom {
            Role::Leader => leader.filter(|leader| running.contains(leader)).map(|leader| (leader, "leader")),
            Role::Follower(number) => {
                let followers = running.into_iter().filter(|node| Some(*node) != leader);
                followers.into_iter().nth(number).map(|node| (node, "follower"))
            }
        }
    }

    /// Ends the servers and weighs everything.
    async fn judge(
        &self,
        folder: &RunFolder,
        done: &[Done],
        counters: Counters,
        killed: Vec<Killed>,
        harness: Effort,
    ) -> anyhow::Result<Outcome> {
        let links = self.cluster.traffic(&all_links(self.experiment.servers));
        self.observer.look().await;
        let crashed = self.observer.fallen();
        let stops = self.cluster.nodes().iter().map(|node| node.stop(STOP_PATIENCE));
        futures::future::try_join_all(stops).await?;
        let history = folder.history_jsonl();
        let workload = workload::named(workload::DEFAULT).map_err(anyhow::Error::msg)?;
        let linearizability =
            tokio::task::spawn_blocking(move || judge(&history, &*workload, CHECK)).await??;
        let leaders = self.observer.reigns();
        let mut figures = Figures {
            leaders: leaders.iter().map(|reign| format!("n{}", reign.node)).collect(),
            servers_that_crashed: crashed.keys().map(|id| format!("n{id}")).collect(),
            servers_failed_on_purpose: killed
                .iter()
                .flat_map(|one| &one.nodes)
                .map(|id| format!("n{id}"))
                .collect(),
            messages_between_servers: links.frames,
            bytes_between_servers: links.forwarded_bytes,
            ..Figures::default()
        };
        figures.of_requests(self.experiment, done, counters);
        let mut findings: Vec<Finding> = self
            .observer
            .violations()
            .into_iter()
            .map(|what| Finding::new(Weight::Violation, what))
            .collect();
        for (id, how) in &crashed {
            findings.push(Finding::new(Weight::Violation, format!("server n{id} ended by itself ({how})")));
        }
        if self.stop.is_cancelled() {
            findings.push(Finding::new(Weight::Doubt, "the experiment was interrupted before its time"));
        }
        let missed = self.experiment.failures.len() - killed.iter().filter(|one| one.effective).count();
        if missed > 0 {
            findings
                .push(Finding::new(Weight::Doubt, format!("{missed} of the failures found nobody to fail")));
        }
        let ended = |wanted: fn(End) -> bool| done.iter().filter(|one| wanted(one.end)).count() as u64;
        let count = CountByType {
            invoke: done.len() as u64,
            ok: ended(|end| matches!(end, End::Ok(_))),
            fail: ended(|end| end == End::Failed),
            info: ended(|end| end == End::Unanswered),
        };
        let mut outcome = Outcome {
            valid: Validity::Unknown,
            test: self.experiment.name.clone(),
            seed: self.experiment.seed,
            store: folder.root().to_owned(),
            count,
            findings,
            conditions: figures.conditions(self.experiment),
            figures,
            linearizability,
            leaders,
            nemesis: Failed { planned: self.experiment.failures.len(), faults: killed },
            links,
            nodes: (1..=self.experiment.servers).map(|id| Node { id }).collect(),
            harness,
            setup: self.experiment.clone(),
        };
        outcome.weigh();
        Ok(outcome)
    }
}

/// One client.
struct Asker {
    options: ClientOptions,
    process: u64,
    clients: u64,
    origin: Instant,
    end: Instant,
    closed: bool,
    value_size: usize,
    record: Arc<Record>,
    stop: CancellationToken,
}

impl Asker {
    /// Asks one after the other, each not before it is due.
    async fn ask_all(mut self, requests: Vec<Request>) -> anyhow::Result<(Vec<Done>, Counters)> {
        let mut done = Vec::with_capacity(requests.len());
        let mut client = Client::new(self.options.clone());
        let mut counters = Counters::default();
        for request in requests {
            let due = self.origin + request.due;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = punctual::wait_for(due) => {}
            }
            if Instant::now() >= self.end {
                if self.closed {
                    break;
                }
                // It is due, and its client still waits for another.
                let over = self.end - self.origin;
                done.push(Done { request, asked: over, ended: over, end: End::Unanswered });
                continue;
            }
            let asked = self.origin.elapsed();
            self.record.invoke(self.process, &request)?;
            let (end, told) = self.ask(&mut client, &request).await;
            self.record.complete(self.process, &request, end, told.as_ref())?;
            done.push(Done { request, asked, ended: self.origin.elapsed(), end });
            if end == End::Unanswered {
                // Nobody knows what its last request may still do: it goes on as somebody else.
                self.process += self.clients;
                counters = counters.plus(client.counters());
                client = Client::new(self.options.clone());
            }
        }
        Ok((done, counters.plus(client.counters())))
    }

    async fn ask(&self, client: &mut Client, request: &Request) -> (End, Option<String>) {
        let key = format!("k{}", request.key);
        let asking = async {
            match request.ask {
                Ask::Get => client.get(key.as_bytes()).await.map(|value| value.map(|value| number(&value))),
                Ask::Put(value) => {
                    let text = format!("{value:0>width$}", width = self.value_size);
                    client.put(key.as_bytes(), text.as_bytes()).await.map(|()| None)
                }
            }
        };
        match tokio::time::timeout_at(self.end.into(), asking).await {
            Ok(Ok(seen)) => (End::Ok(seen), None),
            Ok(Err(error)) => (ended(&error), Some(error.to_string())),
            Err(_) => (End::Unanswered, Some("the experiment's time was over".to_owned())),
        }
    }
}

/// Whether a server has said no, or nobody has said anything.
fn ended(error: &ClientError) -> End {
    match error {
        ClientError::Invalid(_) | ClientError::Failed { last: Trouble::Failure(_) } => End::Failed,
        ClientError::Failed { .. } | ClientError::InDoubt { .. } => End::Unanswered,
    }
}

/// A value as it was put. What nobody puts is a number that nobody puts, and so found wrong.
fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}
