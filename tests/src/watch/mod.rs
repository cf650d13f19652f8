//! Watchers: they stand beside the clients, are told every change by the servers, and write down what they were told.
//!
//! ```text
//!   n1 ◀── resident n1 ─┐
//!   n2 ◀── resident n2 ─┤
//!   n3 ◀── resident n3 ─┼──▶ watches.jsonl ──▶ judge: order, nothing twice, nothing left out, all tell the same
//!   n? ◀── wanderer w1 ─┤                               ▲
//!   n? ◀── wanderer w2 ─┘       clients ──▶ ledger ─────┘ what was acknowledged is told, what failed is not
//! ```
//!
//! A resident stays with one server, through all its restarts; a wanderer goes from one to another at random moments and goes on
//! where it was, which asks a server that lags for changes of its future. At the end, when everything is healed, a mark is
//! written, and all watchers are given time to be told of it: then everything before it must have been told, too.

mod judge;
mod laws;
mod ledger;
mod record;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::schedule::NodeId;
use crate::system::{AnySystem, Client, Ended, Told};
use record::Record;

pub use judge::WatchReport;
pub use ledger::{Fate, Ledger, Noted};

/// The stream of the seed that wanderers draw from; each has the next one.
const WANDER_STREAM: u64 = 1 << 40;
/// How many watchers wander.
const WANDERERS: u64 = 2;
/// How long a wanderer stays with a server.
const STAY_MS: std::ops::RangeInclusive<u64> = 300..=3_000;
/// How long a server has to take a watch on.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after a watch that failed.
const PAUSE: Duration = Duration::from_millis(50);
/// The key of the mark that is written at the end.
const MARK: &str = "plumbline-mark";

/// The watchers of a run, at work until they are told to come to an end.
#[derive(Debug)]
pub struct Watchers {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    /// What tells the mark of this run from whatever else is in the store.
    mark: String,
}

/// What one watcher works with.
struct Watcher {
    system: AnySystem,
    record: Arc<Record>,
    name: String,
    servers: Vec<(NodeId, SocketAddr)>,
    /// What a wanderer draws from; a resident has nothing to draw.
    dice: Option<ChaCha8Rng>,
    mark: String,
    /// The first revision that it has not been told.
    next: u64,
}

impl Watchers {
    /// Begins to watch these servers. Times in the record count from `origin`.
    ///
    /// # Errors
    /// When the record cannot be created.
    pub fn start(
        system: &AnySystem,
        servers: &[(NodeId, SocketAddr)],
        record: &Path,
        seed: u64,
        origin: Instant,
    ) -> anyhow::Result<Watchers> {
        let record = Arc::new(Record::create(record, origin)?);
        let (stop, mark) = (CancellationToken::new(), format!("{seed}"));
        let watcher = |name: String, servers: Vec<(NodeId, SocketAddr)>, dice| Watcher {
            system: Arc::clone(system),
            record: Arc::clone(&record),
            name,
            servers,
            dice,
            mark: mark.clone(),
            next: 1,
        };
        let residents =
            servers.iter().map(|(id, address)| watcher(format!("n{id}"), vec![(*id, *address)], None));
        let wanderers = (1..=WANDERERS).map(|number| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            dice.set_stream(WANDER_STREAM + number);
            watcher(format!("w{number}"), servers.to_vec(), Some(dice))
        });
        let mut tasks = JoinSet::new();
        for watcher in residents.chain(wanderers).collect::<Vec<_>>() {
            tasks.spawn(watcher.work(stop.clone()));
        }
        Ok(Watchers { tasks, stop, mark })
    }

    /// Writes the mark through this client, and waits until every watcher has been told of it; says whether all were before
    /// the deadline.
    ///
    /// # Errors
    /// When a watcher could not write down what it was told.
    pub async fn finish(mut self, client: &mut dyn Client, deadline: Instant) -> anyhow::Result<bool> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let ending = async {
            while client.put(MARK, &self.mark).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            while let Some(done) = self.tasks.join_next().await {
                done.context("a watcher panicked")??;
            }
            anyhow::Ok(())
        };
        let is_told = match tokio::time::timeout_at(deadline, ending).await {
            Ok(ended) => ended.map(|()| true)?,
            Err(_) => false,
        };
        self.stop.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done.context("a watcher panicked")??;
        }
        Ok(is_told)
    }
}

impl Watcher {
    /// Watches until it is told of the mark, or stopped.
    async fn work(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let watching = async {
                let is_told = self.visit().await?;
                if !is_told {
                    tokio::time::sleep(PAUSE).await;
                }
                anyhow::Ok(is_told)
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                is_told = watching => if is_told? {
                    return Ok(());
                },
            }
        }
    }

    /// Opens one watch and writes down what it tells, until it ends, or it is time to go on; says whether it told of the mark.
    async fn visit(&mut self) -> anyhow::Result<bool> {
        let (server, stay) = match &mut self.dice {
            None => (self.servers.first().copied(), None),
            Some(dice) => {
                (self.servers.choose(dice).copied(), Some(Duration::from_millis(dice.random_range(STAY_MS))))
            }
        };
        let (id, address) = server.context("there is no server to watch")?;
        let leave = stay.map(|stay| tokio::time::Instant::now() + stay);
        let stream = self.record.open(&self.name, id, self.next)?;
        let ended = match self.system.watch(address, self.next, PATIENCE).await {
            Err(ended) => ended,
            Ok(mut watch) => loop {
                let told = async {
                    match leave {
                        None => Some(watch.next().await),
                        Some(leave) => tokio::time::timeout_at(leave, watch.next()).await.ok(),
                    }
                };
                match told.await {
                    None => break Ended::Broken("the watcher goes on".to_owned()),
                    Some(Err(ended)) => break ended,
                    Some(Ok(told)) => {
                        self.record.told(stream, &told)?;
                        if self.note(&told) {
                            return Ok(true);
                        }
                    }
                }
            },
        };
        self.record.ended(stream, &ended)?;
        if let Ended::Compacted { oldest } = ended {
            self.next = self.next.max(oldest);
        }
        Ok(false)
    }

    /// Remembers how far it has been told; says whether the mark was among it.
    fn note(&mut self, told: &Told) -> bool {
        match told {
            Told::Progress(revision) => {
                self.next = self.next.max(revision + 1);
                false
            }
            Told::Events(events) => {
                let last = events.iter().map(|event| event.revision).max().unwrap_or(0);
                self.next = self.next.max(last + 1);
                events.iter().any(|event| event.key == MARK && event.value.as_ref() == Some(&self.mark))
            }
        }
    }
}
