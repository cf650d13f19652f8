//! The clients: workers that perform operations one after the other and record each honestly.
//!
//! The one thing a client must get right is what it claims to know. An operation whose outcome is unknown is recorded as
//! `info` and left open for ever, because the server may apply it at any later time; its process is retired, and the worker
//! goes on as another process (its number plus the number of workers, as Jepsen does) with a fresh session. A read whose
//! answer never came is a `fail`: it has no effect to be unsure of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::generator::{Op, Station, key_name};
use crate::recorder::{Completion, Recorder};
use crate::stats::Stats;
use crate::system::{AnySystem, Client, ClientSettings};
use crate::watch::Ledger;
use crate::workload::{Actor, Outcome, Workload, unsure};

/// Beyond its own limit a client library gets this long to return before it is given up.
const GRACE: Duration = Duration::from_secs(1);
/// The pause between two tries of what is done at the end.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How many keys are looked at at the same time at the end.
const FINAL_READERS: usize = 64;

/// What the workers are to do.
#[derive(Clone, Debug)]
pub struct Load {
    /// The workload.
    pub workload: Arc<dyn Workload>,
    /// The run's seed.
    pub seed: u64,
    /// The number of workers.
    pub workers: u64,
    /// Keys in use at a time.
    pub keys: usize,
    /// After so many of its operations a worker goes on to fresh keys; 0: never.
    pub rotate: u64,
    /// Operations per second, all workers together.
    pub rate: u64,
    /// How long a client tries before it gives up on an operation.
    pub op_timeout: Duration,
}

/// All workers of a run, and what they share.
#[derive(Debug)]
pub struct Crew {
    system: AnySystem,
    /// Where the servers listen for clients.
    endpoints: Vec<SocketAddr>,
    load: Load,
    recorder: Arc<Recorder>,
    stats: Arc<Stats>,
    next_process: AtomicU64,
    /// As many keys have been in use so far.
    keys_used: AtomicUsize,
    /// Where writes are noted, if somebody watches.
    ledger: Option<Arc<Ledger>>,
}

impl Crew {
    /// Workers for this system.
    #[must_use]
    pub fn new(
        system: AnySystem,
        endpoints: Vec<SocketAddr>,
        load: Load,
        recorder: Arc<Recorder>,
        stats: Arc<Stats>,
    ) -> Crew {
        let (next_process, keys_used) = (AtomicU64::new(load.workers), AtomicUsize::new(load.keys));
        Crew { system, endpoints, load, recorder, stats, next_process, keys_used, ledger: None }
    }

    /// The same workers, whose writes are noted in this ledger.
    #[must_use]
    pub fn noting_in(self, ledger: Option<Arc<Ledger>>) -> Crew {
        Crew { ledger, ..self }
    }

    /// Performs one worker's operations until `stop`; the one under way is finished.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn work(&self, worker: u64, stop: CancellationToken) -> anyhow::Result<()> {
        let mean_pause = Duration::from_secs_f64(self.load.workers as f64 / self.load.rate.max(1) as f64);
        let mut actor = self.actor(worker);
        let mut process = worker;
        let mut client = self.client(process);
        let mut due = Instant::now();
        loop {
            let (op, pause) = actor.next();
            // Arrivals are planned from the last one's plan, so that a slow answer does not thin out the load; but a
            // backlog is not caught up in a burst.
            due = (due + mean_pause.mul_f64(pause)).max(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(due) => {}
            }
            self.keys_used.fetch_max(op.key + 1, Ordering::Relaxed);
            let outcome = self.perform(process, &mut *actor, &mut *client, &op).await?;
            if outcome.completion == Completion::Info {
                process += self.load.workers;
                self.next_process.fetch_max(process + 1, Ordering::Relaxed);
                client = self.client(process);
            }
        }
    }

    /// Does to every key what the workload does at the end, through fresh clients, trying again until `deadline`. Returns the
    /// keys for which it did not succeed.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn final_reads(&self, deadline: Instant) -> anyhow::Result<Vec<String>> {
        let first = self.next_process.load(Ordering::Relaxed).next_multiple_of(self.load.workers.max(1));
        let keys = self.keys_used.load(Ordering::Relaxed);
        let reads = (0..keys).map(|key| self.finish(key, first + key as u64, keys as u64, deadline));
        let unread: Vec<anyhow::Result<Option<String>>> =
            futures::stream::iter(reads).buffered(FINAL_READERS).collect().await;
        unread.into_iter().filter_map(Result::transpose).collect()
    }

    /// What is done at the end to one key; its name, if that did not succeed.
    async fn finish(
        &self,
        key: usize,
        mut process: u64,
        stride: u64,
        deadline: Instant,
    ) -> anyhow::Result<Option<String>> {
        let op = self.load.workload.last(key);
        let mut actor = self.actor(process);
        let mut client = self.client(process);
        loop {
            let outcome = self.perform(process, &mut *actor, &mut *client, &op).await?;
            if self.load.workload.is_last(&outcome) {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Ok(Some(key_name(key)));
            }
            match outcome.completion {
                Completion::Ok => continue,
                Completion::Fail => {}
                Completion::Info => process += stride,
            }
            client = self.client(process);
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// A client that belongs to no worker, and whose writes are not noted.
    #[must_use]
    pub fn stranger(&self) -> Box<dyn Client> {
        let endpoints = self.endpoints.clone();
        self.system.client(&ClientSettings { endpoints, turn: 0, op_timeout: self.load.op_timeout })
    }

    fn actor(&self, worker: u64) -> Box<dyn Actor> {
        let Load { seed, workers, keys, rotate, op_timeout, .. } = self.load;
        self.load.workload.actor(Station { seed, worker, workers, keys, rotate }, op_timeout)
    }

    fn client(&self, turn: u64) -> Box<dyn Client> {
        let endpoints = self.endpoints.clone();
        let settings = ClientSettings { endpoints, turn, op_timeout: self.load.op_timeout };
        let client = self.system.client(&settings);
        match &self.ledger {
            Some(ledger) => ledger.noting(client),
            None => client,
        }
    }

    async fn perform(
        &self,
        process: u64,
        actor: &mut dyn Actor,
        client: &mut dyn Client,
        op: &Op,
    ) -> anyhow::Result<Outcome> {
        let origin = self.recorder.origin();
        let from = origin.elapsed();
        self.recorder.invoke(process, op)?;
        let limit = self.load.op_timeout + GRACE;
        let answer = tokio::time::timeout(limit, actor.perform(client, op)).await;
        let outcome = answer.unwrap_or_else(|_| Outcome {
            completion: unsure(&*self.load.workload, op),
            value: None,
            error: Some("the client library did not return in time".to_owned()),
        });
        let Outcome { completion, value, error } = outcome.clone();
        self.recorder.complete(process, op, completion, value, error.as_deref())?;
        self.stats.note(op.f, completion, from, origin.elapsed(), error);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::path::PathBuf;

    use futures::{SinkExt, StreamExt};
    use kv_server::limits::MAX_CLIENT_FRAME_BYTES;
    use kv_server::machine::{Command, Outcome as Executed};
    use kv_server::protocol::{Answer, Codec, Hello, Rejection, Request, RequestBody, Response, Welcome};
    use raft_core::NodeId;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::codec::Framed;

    struct Setup {
        folder: tempfile::TempDir,
        crew: Arc<Crew>,
    }

    impl Setup {
        fn new(endpoint: SocketAddr) -> Setup {
            let folder = tempfile::tempdir().unwrap();
            let recorder =
                Recorder::create(&folder.path().join("h.jsonl"), &folder.path().join("h.edn")).unwrap();
            let load = Load {
                workload: crate::workload::named("map").unwrap(),
                seed: 5,
                workers: 3,
                keys: 2,
                rotate: 0,
                rate: 1_000,
                op_timeout: Duration::from_millis(50),
            };
            let system = Arc::new(crate::system::KvServer);
            let crew = Crew::new(system, vec![endpoint], load, Arc::new(recorder), Arc::default());
            Setup { folder, crew: Arc::new(crew) }
        }

        fn history(&self) -> PathBuf {
            self.folder.path().join("h.jsonl")
        }

        fn events(&self) -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(self.history()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        fn work(&self, worker: u64, stop: &CancellationToken) -> tokio::task::JoinHandle<anyhow::Result<()>> {
            let (crew, stop) = (Arc::clone(&self.crew), stop.clone());
            tokio::spawn(async move { crew.work(worker, stop).await })
        }
    }

    #[tokio::test]
    async fn an_invocation_is_written_down_before_its_request_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setup = Setup::new(listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let worker = setup.work(0, &stop);
        let _connection = listener.accept().await.unwrap();
        let events = setup.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["type"], "invoke");
        stop.cancel();
        worker.await.unwrap().unwrap();
    }

    /// A server that opens sessions and answers nothing else.
    async fn silent_server(listener: TcpListener) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(open_sessions_only(stream));
        }
    }

    async fn open_sessions_only(stream: TcpStream) -> Option<()> {
        let mut greeting = Framed::new(stream, Codec::<Hello, Result<Welcome, Rejection>>::handshake());
        greeting.next().await?.ok()?;
        greeting.send(&Ok(Welcome { cluster: "silence".to_owned(), id: NodeId(1) })).await.ok()?;
        // A client waits for its welcome before it sends a request: nothing is left in the old buffer.
        let mut requests =
            Framed::new(greeting.into_inner(), Codec::<Request, Response>::new(MAX_CLIENT_FRAME_BYTES));
        while let Some(Ok(request)) = requests.next().await {
            let RequestBody::Execute { command } = &request.body else { continue };
            if let Ok(Command::OpenSession { .. }) = Command::decode(command) {
                let result = Ok(Answer::Executed(Executed::SessionOpened { session: 1 }));
                requests.send(&Response { id: request.id, result }).await.ok()?;
            }
        }
        Some(())
    }

    #[tokio::test]
    async fn what_may_have_happened_is_info_and_its_process_never_comes_back() {
        // A write may be on its way for ever; a read is just a failure.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setup = Setup::new(listener.local_addr().unwrap());
        let server = tokio::spawn(silent_server(listener));
        let stop = CancellationToken::new();
        let workers = [setup.work(0, &stop), setup.work(1, &stop)];
        let deadline = Instant::now() + Duration::from_secs(30);
        let many = |events: &[serde_json::Value]| {
            let of =
                |kind: &str, f: &str| events.iter().any(|event| event["type"] == kind && event["f"] == f);
            events.len() > 20 && of("fail", "read") && of("info", "write")
        };
        while !many(&setup.events()) {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
        server.abort();
        let mut last: HashMap<i64, String> = HashMap::new();
        for event in setup.events() {
            let kind = event["type"].as_str().unwrap().to_owned();
            let process = event["process"].as_i64().unwrap();
            assert_ne!(kind, "ok", "{event}");
            assert!(event["f"] != "read" || kind != "info", "a read has no effect: {event}");
            let before = last.insert(process, kind);
            assert_ne!(before.as_deref(), Some("info"), "process {process} came back: {event}");
        }
    }
}
