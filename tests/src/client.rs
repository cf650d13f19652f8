//! The clients: workers that perform operations one after the other and record each honestly.
//!
//! The one thing a client must get right is what it claims to know. An operation whose outcome is unknown is recorded as
//! `info` and left open for ever, because the server may apply it at any later time; its process is retired, and the worker
//! goes on as another process (its number plus the number of workers, as Jepsen does) with a fresh session. A read whose
//! answer never came is a `fail`: it has no effect to be unsure of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::generator::{Action, Generator, Operation, Seen, key_name};
use crate::recorder::{Completion, Recorder};
use crate::stats::Stats;
use crate::system::{AnySystem, Client, ClientSettings, Failed};

/// Beyond its own limit a client library gets this long to return before it is given up.
const GRACE: Duration = Duration::from_secs(1);
/// The pause between two tries of a final read.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What all workers of a run share.
#[derive(Debug)]
pub struct Workload {
    /// The system under test.
    pub system: AnySystem,
    /// Where the servers listen for clients.
    pub endpoints: Vec<SocketAddr>,
    /// How long a client tries before it gives up on an operation.
    pub op_timeout: Duration,
    /// The number of workers.
    pub workers: u64,
    /// Each worker's mean pause between two operations.
    pub mean_pause: Duration,
    /// Where the history goes.
    pub recorder: Arc<Recorder>,
    /// Where the counts go.
    pub stats: Arc<Stats>,
    /// The values last seen.
    pub seen: Seen,
    next_process: AtomicU64,
}

/// What came of one operation: what to record, and why it did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    completion: Completion,
    error: Option<String>,
}

impl Workload {
    /// A workload whose workers together aim at `rate` operations per second.
    #[must_use]
    pub fn new(
        system: AnySystem,
        (endpoints, op_timeout): (Vec<SocketAddr>, Duration),
        workers: u64,
        rate: u64,
        keys: usize,
        recorder: Arc<Recorder>,
        stats: Arc<Stats>,
    ) -> Workload {
        let mean_pause = Duration::from_secs_f64(workers as f64 / rate.max(1) as f64);
        let seen = Seen::new(keys);
        let next_process = AtomicU64::new(workers);
        Workload { system, endpoints, op_timeout, workers, mean_pause, recorder, stats, seen, next_process }
    }

    /// Performs one worker's operations until `stop`; the one under way is finished.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn work(
        &self,
        worker: u64,
        mut generator: Generator,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut process = worker;
        let mut session = self.session(worker);
        let mut due = Instant::now();
        loop {
            let (operation, pause) = generator.next(&self.seen);
            // Arrivals are planned from the last one's plan, so that a slow answer does not thin out the load; but a
            // backlog is not caught up in a burst.
            due = (due + self.mean_pause.mul_f64(pause)).max(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(due) => {}
            }
            if self.perform(process, &mut session, &operation).await? == Completion::Info {
                process += self.workers;
                self.next_process.fetch_max(process + 1, Ordering::Relaxed);
                session = self.session(process);
            }
        }
    }

    /// Reads every key once more through fresh clients, trying again until `deadline`. Returns the keys that could not be
    /// read.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub async fn final_reads(&self, keys: usize, deadline: Instant) -> anyhow::Result<Vec<String>> {
        let first = self.next_process.load(Ordering::Relaxed).next_multiple_of(self.workers);
        let reads = (0..keys).map(|key| async move {
            let operation = Operation { key, action: Action::Read };
            let process = first + key as u64;
            loop {
                let mut session = self.session(process);
                if matches!(self.perform(process, &mut session, &operation).await?, Completion::Ok(_)) {
                    return anyhow::Ok(None);
                }
                if Instant::now() >= deadline {
                    return Ok(Some(key_name(key)));
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        let unread: Vec<Option<String>> = futures::future::try_join_all(reads).await?;
        Ok(unread.into_iter().flatten().collect())
    }

    fn session(&self, turn: u64) -> Box<dyn Client> {
        let settings =
            ClientSettings { endpoints: self.endpoints.clone(), turn, op_timeout: self.op_timeout };
        self.system.client(&settings)
    }

    async fn perform(
        &self,
        process: u64,
        session: &mut Box<dyn Client>,
        operation: &Operation,
    ) -> anyhow::Result<Completion> {
        let origin = self.recorder.origin();
        let from = origin.elapsed();
        self.recorder.invoke(process, operation)?;
        let answer =
            tokio::time::timeout(self.op_timeout + GRACE, perform(session.as_mut(), operation)).await;
        let outcome = answer.unwrap_or_else(|_| Outcome {
            completion: unsure(operation.action),
            error: Some("the client library did not return in time".to_owned()),
        });
        self.recorder.complete(process, operation, outcome.completion, outcome.error.as_deref())?;
        self.stats.note(operation.action.name(), outcome.completion, from, origin.elapsed(), outcome.error);
        if let Completion::Ok(seen) = outcome.completion {
            let value = match operation.action {
                Action::Read => seen,
                Action::Write(value) | Action::Cas(_, value) => Some(value),
            };
            self.seen.note(operation.key, value);
        }
        Ok(outcome.completion)
    }
}

/// What an operation without an answer is: a read without effect is a failure, anything else may have happened.
fn unsure(action: Action) -> Completion {
    match action {
        Action::Read => Completion::Fail,
        Action::Write(_) | Action::Cas(..) => Completion::Info,
    }
}

async fn perform(client: &mut dyn Client, operation: &Operation) -> Outcome {
    let key = key_name(operation.key);
    match operation.action {
        Action::Read => match client.get(&key).await {
            Ok(seen) => match seen.map(|seen| number(&seen)).transpose() {
                Ok(seen) => Outcome { completion: Completion::Ok(seen), error: None },
                Err(text) => Outcome { completion: Completion::Ok(Some(NOBODY_WROTE)), error: Some(text) },
            },
            Err(failed) => Outcome { completion: Completion::Fail, error: Some(failed.why) },
        },
        Action::Write(value) => match client.put(&key, &value.to_string()).await {
            Ok(()) => Outcome { completion: Completion::Ok(None), error: None },
            Err(failed) => not_done(failed),
        },
        Action::Cas(from, to) => {
            let from = from.map(|from| from.to_string());
            match client.cas(&key, from.as_deref(), &to.to_string()).await {
                Ok(true) => Outcome { completion: Completion::Ok(None), error: None },
                Ok(false) => Outcome { completion: Completion::Fail, error: None },
                Err(failed) => not_done(failed),
            }
        }
    }
}

/// What a read is recorded to have seen that returned something no client ever writes: the checker refuses it.
const NOBODY_WROTE: i64 = i64::MIN;

fn number(value: &str) -> Result<i64, String> {
    value.parse().map_err(|_| format!("read what nobody wrote: {value:?}"))
}

fn not_done(failed: Failed) -> Outcome {
    let completion = if failed.certain { Completion::Fail } else { Completion::Info };
    Outcome { completion, error: Some(failed.why) }
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
        workload: Arc<Workload>,
    }

    impl Setup {
        fn new(endpoint: SocketAddr) -> Setup {
            let folder = tempfile::tempdir().unwrap();
            let recorder =
                Recorder::create(&folder.path().join("h.jsonl"), &folder.path().join("h.edn")).unwrap();
            let workload = Workload::new(
                Arc::new(crate::system::KvServer),
                (vec![endpoint], Duration::from_millis(50)),
                3,
                1_000,
                2,
                Arc::new(recorder),
                Arc::default(),
            );
            Setup { folder, workload: Arc::new(workload) }
        }

        fn history(&self) -> PathBuf {
            self.folder.path().join("h.jsonl")
        }

        fn events(&self) -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(self.history()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        fn work(&self, worker: u64, stop: &CancellationToken) -> tokio::task::JoinHandle<anyhow::Result<()>> {
            let (workload, stop) = (Arc::clone(&self.workload), stop.clone());
            let generator = Generator::new(5, worker, 3, 2);
            tokio::spawn(async move { workload.work(worker, generator, stop).await })
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

    #[test]
    fn without_an_answer_only_a_read_is_known_not_to_have_happened() {
        assert_eq!(unsure(Action::Read), Completion::Fail);
        assert_eq!(unsure(Action::Write(1)), Completion::Info);
        assert_eq!(unsure(Action::Cas(None, 1)), Completion::Info);
        assert_eq!(number("17"), Ok(17));
        assert!(number("junk").is_err());
    }
}
