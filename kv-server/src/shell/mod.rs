//! Everything that touches the world, and nothing else: sockets, the disk, the clock, signals. It is thin; what is to be
//! decided, [`Replica`] decides.
//!
//! ```text
//!   clients <--> clients.rs --requests--+                       +--messages--> links.rs --> other servers
//!                     ^                 v                       |
//!                     |            +-----------+                |
//!                     +--answers---| driver.rs |----------------+
//!                                  | (Replica) |
//!   other servers --> incoming.rs->|           |--writes--> log_writer.rs (a thread) --> disk
//!                                  +-----------+                |
//!                                       ^------durable----------+
//! ```
//!
//! With `--trace FILE`, `trace_file.rs` appends what a turn gave to the core before anything of that turn is carried out.
//!
//! All tasks run on one thread: what takes time is done by the log writer's thread and by the kernel, and a turn of the
//! replica takes in all that has arrived meanwhile. Every channel is bounded. What happens when one is full:
//!
//! | From | To | Full means |
//! |---|---|---|
//! | client connection | driver | the connection waits, and TCP makes its client wait |
//! | incoming peer | driver | the connection waits, and TCP makes the peer's link wait |
//! | driver | link | the message is dropped, and Raft told so |
//! | driver | log writer | cannot be: Raft refuses more once `Limits::outstanding_writes` are on their way |
//! | driver | client connection | cannot be: a connection has room for an answer to each request it let in |

mod clients;
mod clock;
mod driver;
mod incoming;
mod links;
mod log_writer;
mod snapshot_files;
mod sockets;
mod trace_file;

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use raft_core::{Breach, Config, MutantSwitch, Recovered, StartError, Timing};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::ServerConfig;
use crate::limits::{HOLD_ELECTION_TIMEOUTS, INPUT_QUEUE, MAX_APPEND_BYTES};
use crate::machine::Machine;
use crate::protocol::FrameError;
use crate::replica::{Replica, ReplicaInput, ReplicaOptions, ReplicaOutput};
use crate::seeded::Seeded;
use crate::snapshots::{SnapshotError, Snapshots};
use crate::wal::mutant::{ServerMutant, ServerMutantSwitch};
use crate::wal::{Wal, WalError, WalOptions};

use self::clock::Clock;
use self::driver::{Driver, Inbox};
use self::links::Links;
use self::snapshot_files::SnapshotFiles;
use self::trace_file::TraceFile;

/// Why a server could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The log cannot be opened, or cannot be written any longer.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The log says something that no crash can leave.
    #[error("cannot start from the log: {0}")]
    Start(#[from] StartError),
    /// The state cannot be read from its snapshot.
    #[error("cannot read the state: {0}")]
    State(#[from] SnapshotError),
    /// An address to listen on cannot be had.
    #[error("cannot listen for {whom} on {address}: {source}")]
    Listen {
        /// Servers or clients.
        whom: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The log writer's thread could not be started.
    #[error("cannot start the log writer: {0}")]
    Thread(std::io::Error),
    /// The trace cannot be opened, or cannot be written any longer.
    #[error("cannot write the trace {}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The log writer ended without a reason.
    #[error("the log writer ended unexpectedly")]
    LogWriterGone,
    /// Raft's safety is broken.
    #[error("the server has halted, because Raft's safety is broken: {0:?}")]
    Halted(Breach),
}

/// What all connections know about their server.
#[derive(Debug)]
struct Identity {
    config: ServerConfig,
    /// Where clients reach this server.
    client_address: Option<SocketAddr>,
    /// Where servers reach this server.
    peer_address: Option<SocketAddr>,
    /// The seeded bug of the connections, if one is on.
    mutant: ServerMutantSwitch,
    /// Damaged frames refused so far, from servers and clients.
    damaged_frames: Cell<u64>,
}

impl Identity {
    /// Says that a damaged frame has been refused, and how many there were since the start; false if it was another error.
    fn tell_damage(&self, from: SocketAddr, error: &FrameError) -> bool {
        let is_damage = matches!(error, FrameError::Damaged { .. });
        if is_damage {
            self.damaged_frames.set(self.damaged_frames.get() + 1);
            let damaged_frames = self.damaged_frames.get();
            tracing::warn!(%from, %error, damaged_frames, "refused a damaged frame and closed its connection");
        }
        is_damage
    }
}

/// Runs a server until `stop` is ready, then ends it gracefully: what is pending is answered, the log is synced.
///
/// It wants a `LocalSet`, or a current-thread runtime's `block_on` around one.
///
/// # Errors
/// Where the server cannot start or cannot go on. Then it must not be taken for a server that ended: its pending requests
/// were not answered.
pub async fn run(config: ServerConfig, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
    let (wal, recovered) = Wal::open(&config.data_dir, wal_options(&config))?;
    if let Some(torn) = &recovered.torn_tail {
        let file = torn.file.display();
        tracing::warn!(%file, offset = torn.offset, bytes = torn.bytes_dropped, "cut off an unfinished write");
    }
    let boot = recovered.boot;
    tracing::info!(
        boot,
        term = recovered.hard_state.term.0,
        snapshot = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index.0),
        entries = recovered.entries.len(),
        "read the log in {}",
        config.data_dir.display()
    );

    let peer_listener = listen("servers", config.peer_listen).await?;
    let client_listener = listen("clients", config.client_listen).await?;
    let bound = client_listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
    let client_address = config.client_advertise.or(bound);
    if client_address.is_none() {
        tracing::warn!("followers cannot tell clients this server's address; give --client-advertise");
    }
    tracing::info!(id = config.id.0, peers = %config.peer_listen, clients = ?client_address, "listening");

    let clock = Clock::start();
    let trace = config.trace.as_deref().map(TraceFile::open).transpose()?;
    let recorder = trace.as_ref().map(|trace| trace::Recorder::new(trace.bytes));
    let options = ReplicaOptions { recorder, ..replica_options(&config, boot) };
    let outstanding_writes = options.config.limits.outstanding_writes;
    let start = Recovered {
        boot,
        hard_state: recovered.hard_state,
        snapshot: recovered.snapshot,
        entries: recovered.entries,
        ..Recovered::nothing()
    };
    let mut out = ReplicaOutput::default();
    let mut replica = Replica::start(options, start, machine(&config), clock.now(), &mut out)?;
    let own_address = ReplicaInput::PeerAddress { peer: config.id, address: client_address };
    replica.handle(clock.now(), [own_address], &mut out);

    let peer_bound = peer_listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
    let peer_address = config.peer_advertise.or(peer_bound);
    let (mutant, damaged_frames) = (server_mutant(&config), Cell::new(0));
    let identity = Rc::new(Identity { client_address, peer_address, mutant, damaged_frames, config });
    let log = log_writer::start(wal, outstanding_writes, identity.config.seeded)?;
    let (peer_inputs, from_peers) = mpsc::channel(INPUT_QUEUE);
    let (client_inputs, from_clients) = mpsc::channel(INPUT_QUEUE);
    let files = Snapshots::new(&identity.config.data_dir, cluster_number(&identity.config.cluster));
    let (snapshots, from_snapshots) = SnapshotFiles::new(files);
    let inbox = Inbox { from_log: log.reports, from_snapshots, from_peers, from_clients };
    let links = Links::start(&identity, &peer_inputs);
    tokio::task::spawn_local(incoming::accept(
        peer_listener,
        Rc::clone(&identity),
        Rc::clone(&links),
        peer_inputs,
    ));
    let connections = tokio_util::task::TaskTracker::new();
    let accepting = tokio::task::spawn_local(clients::accept(
        client_listener,
        Rc::clone(&identity),
        client_inputs,
        connections.clone(),
    ));

    let result = Driver::new(replica, clock, links, log.jobs, snapshots, trace).run(out, inbox, stop).await;
    accepting.abort();
    connections.close();
    if result.is_ok() {
        let drained = tokio::time::timeout(crate::limits::DRAIN_TIMEOUT, connections.wait()).await;
        tracing::info!(drained = drained.is_ok(), "stopped");
    }
    result
}

async fn listen(whom: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { whom, address, source })
}

fn replica_options(config: &ServerConfig, boot: u64) -> ReplicaOptions {
    let mut core = match &config.founders {
        Some(founders) => Config::new(config.id, founders.iter().copied()),
        None => Config::joining(config.id),
    };
    core.limits.append_bytes = MAX_APPEND_BYTES;
    core.limits.append_entries = config.batch;
    core.lease = config.lease;
    core.mutant = core_mutant(config.seeded);
    core.forward = config.seeded == Some(Seeded::Server(ServerMutant::RedirectLosesWrite));
    let seed = config.seed.unwrap_or_else(random_seed);
    tracing::info!(seed, "election timeouts are drawn from this seed");
    ReplicaOptions {
        config: core,
        timing: Timing { election: config.election_timeout, heartbeat: config.heartbeat_interval },
        // Servers that were given one seed must still differ, and so must a server's boots.
        seed: seed ^ config.id.0.rotate_left(48) ^ boot.rotate_left(24),
        hold: config.election_timeout * HOLD_ELECTION_TIMEOUTS,
        snapshots: config.snapshots,
        recorder: None,
    }
}

/// Random enough to tell servers apart: the standard library seeds every `RandomState` from the operating system.
pub(crate) fn random_seed() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one("seed")
}

/// The log of one cluster is not taken for another's: FNV-1a of its name, as 64 bits are what the log's header has room for.
fn cluster_number(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn wal_options(config: &ServerConfig) -> WalOptions {
    let mut options = WalOptions::new(config.id);
    options.cluster = cluster_number(&config.cluster);
    options.mutant = server_mutant(config);
    options
}

fn server_mutant(config: &ServerConfig) -> ServerMutantSwitch {
    match config.seeded {
        #[cfg(feature = "mutants")]
        Some(Seeded::Server(mutant)) => ServerMutantSwitch::on(mutant),
        _ => ServerMutantSwitch::default(),
    }
}

fn machine(config: &ServerConfig) -> Machine {
    match config.seeded {
        #[cfg(feature = "mutants")]
        Some(Seeded::Server(mutant)) => Machine::new().with_mutant(mutant),
        _ => Machine::new(),
    }
}

fn core_mutant(seeded: Option<Seeded>) -> MutantSwitch {
    match seeded {
        #[cfg(feature = "mutants")]
        Some(Seeded::Core(mutant)) => MutantSwitch::on(mutant),
        _ => MutantSwitch::default(),
    }
}
