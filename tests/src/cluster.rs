//! A cluster of real server processes on loopback, every directed link between them through a proxy of ours.
//!
//! ```text
//!    nodes/n1/  data/  server.log          n1 ──link n1->n2──▶ n2
//!    nodes/n2/  data/  server.log             ◀─link n2->n1───
//! ```
//!
//! Where disks are to fail, `data` is a fault disk, and what is durable of it is in `disk` beside it. Where clocks are to be
//! wrong, `clock` beside it says how.
//!
//! Where traces are wanted, there is a `core.trace` beside each log.
//!
//! Server i is told, as the address of its peer j, the address of the proxy of the link i→j. Clients talk to the servers
//! directly. Nothing outlives the cluster: dropping it kills every process, also a stopped one.

mod at_rest;
mod builds;
mod duty;
mod limits;
mod ports;
mod power;
mod process;
mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

pub use at_rest::{Damage, DamagedFile};
pub use duty::DutyCycle;
pub use limits::{Limit, Limited, data_size, is_usable as limits_are_usable, open_files};
pub use ports::PortBlock;
pub use power::PowerCut;
pub use process::{Exit, ServerProcess, kill_all};

use crate::clock::{self, ClockFile};
use crate::disk::FaultDisk;
use crate::faults::Kind;
use crate::link::{Link, Traffic};
use crate::netns::Namespaces;
use crate::schedule::{LinkId, NodeId, all_links};
use crate::system::{AnySystem, Capability, Seat};
use crate::traces::TRACE_FILE;

/// Ports of servers that have an address of their own.
const PEER_PORT: u16 = 7_000;
const CLIENT_PORT: u16 = 7_001;

/// The most servers a cluster may have; [`PortBlock`] has room for them.
pub const MAX_NODES: u64 = 9;

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The system that the servers make up.
    pub system: AnySystem,
    /// The server's program.
    pub server: PathBuf,
    /// How many servers.
    pub nodes: u64,
    /// The folder that receives `n1`, `n2`, …, each with the server's data and log.
    pub folder: PathBuf,
    /// Arguments given to every server besides the harness's own.
    pub server_args: Vec<String>,
    /// Whether servers reach each other directly, past the links: for measurements, where no fault is wanted.
    pub direct: bool,
    /// Whether each server is in a network namespace of its own. There are no proxies then: packets themselves are harmed.
    pub namespaces: bool,
    /// Whether each server records everything that its core is given, in [`TRACE_FILE`] in its folder.
    pub trace: bool,
    /// A second build, which the last servers run, fewer than half.
    pub server_also: Option<PathBuf>,
    /// Whether each server's data is on a fault disk of its own, and how that is had.
    pub disks: Option<Disks>,
    /// The shim through which every server sees its clocks, if they are to be wrong.
    pub clock_shim: Option<PathBuf>,
}

/// How fault disks are had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disks {
    /// The `plumbline` program, which is the disk.
    pub program: PathBuf,
    /// Decides, with the server's number, which writes fail, which bits flip and what a crash spares.
    pub seed: u64,
}

/// One server of a cluster: its addresses, and its process when it runs.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    client_address: SocketAddr,
    log: PathBuf,
    data: PathBuf,
    builds: Vec<PathBuf>,
    /// The faults that are on and give it the right to end by itself.
    excuses: std::sync::Mutex<BTreeSet<Kind>>,
    excused: std::sync::Mutex<Vec<Range<u64>>>,
    unclean: std::sync::Mutex<Option<String>>,
    process: Mutex<ServerProcess>,
    ends_by_signal: bool,
    clock: Option<ClockFile>,
    // After the process, which has files open on it.
    disk: Option<FaultDisk>,
}

impl Node {
    /// The server's number, counted from 1.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where clients reach it.
    #[must_use]
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// The file that collects what the server says, across restarts.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The fault disk with its data, if it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&FaultDisk> {
        self.disk.as_ref()
    }

    /// What it sees of its clocks, if that can be changed.
    #[must_use]
    pub fn clock(&self) -> Option<&ClockFile> {
        self.clock.as_ref()
    }

    /// Starts the server if it is not running; says whether it did.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub async fn start(&self) -> anyhow::Result<bool> {
        self.process.lock().await.start()
    }

    /// Kills the server with SIGKILL; says whether there was a process to kill.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn kill(&self) -> anyhow::Result<bool> {
        self.process.lock().await.kill().await
    }

    /// Stops the process with SIGSTOP; says whether one was stopped.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub async fn pause(&self) -> anyhow::Result<bool> {
        self.process.lock().await.pause().await
    }

    /// Continues a stopped process with SIGCONT; says whether one was continued.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub async fn resume(&self) -> anyhow::Result<bool> {
        self.process.lock().await.resume()
    }

    /// Asks the server to stop with SIGTERM and waits; kills it when it takes longer than `patience`.
    ///
    /// # Errors
    /// When the process could not be signalled or waited for.
    pub async fn stop(&self, patience: Duration) -> anyhow::Result<Exit> {
        match self.process.lock().await.stop(patience).await? {
            Exit::Failed(how) if self.ends_by_signal && how.starts_with("signal: 15") => Ok(Exit::Clean),
            exit => Ok(exit),
        }
    }

    /// How the server ended, if it ended by itself since it was last started.
    ///
    /// # Errors
    /// When the process could not be asked.
    pub async fn fallen(&self) -> anyhow::Result<Option<String>> {
        self.process.lock().await.fallen()
    }

    /// The process's id while it runs.
    pub async fn pid(&self) -> Option<u32> {
        self.process.lock().await.pid()
    }

    /// How often it was started.
    pub async fn starts(&self) -> u64 {
        self.process.lock().await.starts()
    }
}

/// All servers and all links of one run.
#[derive(Debug)]
pub struct Cluster {
    system: AnySystem,
    /// Does what the system leaves to others; ends first.
    _attendant: AbortOnDropHandle<()>,
    // The order matters: processes are killed before their links close, so that no log ends in a storm of errors.
    nodes: Vec<Node>,
    links: BTreeMap<LinkId, Link>,
    network: Option<Namespaces>,
    _ports: PortBlock,
}

impl Cluster {
    /// Opens the links and starts every server. They need not have elected a leader yet when this returns.
    ///
    /// # Errors
    /// When ports, folders or processes cannot be had.
    pub async fn start(options: &ClusterOptions) -> anyhow::Result<Cluster> {
        let cluster = Cluster::prepare(options).await?;
        for node in &cluster.nodes {
            node.start().await?;
        }
        Ok(cluster)
    }

    async fn prepare(options: &ClusterOptions) -> anyhow::Result<Cluster> {
        if options.nodes == 0 || options.nodes > MAX_NODES {
            bail!("a cluster has 1 to {MAX_NODES} servers, not {}", options.nodes);
        }
        let ports = PortBlock::claim(2 * options.nodes)?;
        let network = match options.namespaces {
            true => Some(Namespaces::create(options.nodes).await?),
            false => None,
        };
        let peer_address = |id: NodeId| match &network {
            Some(network) => SocketAddr::from((network.address(id), PEER_PORT)),
            None => ports.address(2 * (id - 1)),
        };
        let system = &options.system;
        let is_direct = options.direct || !system.capabilities().contains(&Capability::Links);
        let second = u64::from(!system.has_one_port());
        let client_address = |id: NodeId| match &network {
            Some(network) => {
                SocketAddr::from((network.address(id), if second > 0 { CLIENT_PORT } else { PEER_PORT }))
            }
            None => ports.address(2 * (id - 1) + second),
        };
        let mut links = BTreeMap::new();
        let proxied = if network.is_some() { Vec::new() } else { all_links(options.nodes) };
        for id in proxied {
            let link = Link::open_with(peer_address(id.to), system.framing()).await;
            links.insert(id, link.with_context(|| format!("cannot open the proxy of link {id}"))?);
        }
        let (mut nodes, mut seats) = (Vec::new(), Vec::new());
        for id in 1..=options.nodes {
            let folder = options.folder.join(format!("n{id}"));
            let data = folder.join("data");
            std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
            let disk = match &options.disks {
                Some(disks) => Some(FaultDisk::mount(&disks.options(id, &folder)).await?),
                None => None,
            };
            let others = all_links(options.nodes).into_iter().filter(|link| link.from == id);
            let peers = others.map(|link| {
                let proxy = links.get(&link).filter(|_| !is_direct).map(Link::address);
                (link.to, proxy.unwrap_or_else(|| peer_address(link.to)))
            });
            let seat = Seat {
                id,
                data: data.clone(),
                peer_listen: peer_address(id),
                client_listen: client_address(id),
                peers: peers.collect(),
                trace: options.trace.then(|| folder.join(TRACE_FILE)),
            };
            let mut args = system.launch(&seat)?;
            args.extend(options.server_args.iter().map(OsString::from));
            let log = folder.join("server.log");
            let (first, builds) = builds::of(id, options);
            let mut process = ServerProcess::new(id, first, args, log.clone());
            if let Some(network) = &network {
                process = process.run_by(network.entrance(id));
            }
            if !system.ends_with_its_input() {
                process.watch_over();
            }
            let mut clock = None;
            if let Some(shim) = &options.clock_shim {
                let file = ClockFile::create(&folder.join("clock"))?;
                process = process.with_env(clock::PRELOAD, shim).with_env(clock::CONTROL, file.path());
                clock = Some(file);
            }
            let (process, ends_by_signal) = (Mutex::new(process), system.ends_by_signal());
            let (excused, unclean) = (std::sync::Mutex::default(), std::sync::Mutex::default());
            nodes.push(Node {
                id,
                client_address: seat.client_listen,
                log,
                data,
                builds,
                excuses: std::sync::Mutex::default(),
                excused,
                unclean,
                process,
                ends_by_signal,
                clock,
                disk,
            });
            seats.push(seat);
        }
        let attendant = AbortOnDropHandle::new(tokio::spawn(system.attend(seats)));
        let system = Arc::clone(system);
        Ok(Cluster { system, _attendant: attendant, nodes, links, network, _ports: ports })
    }

    /// The system under test.
    #[must_use]
    pub fn system(&self) -> &AnySystem {
        &self.system
    }

    /// The servers' network namespaces, if they are in such.
    #[must_use]
    pub fn network(&self) -> Option<&Namespaces> {
        self.network.as_ref()
    }

    /// The servers, in order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The server with this number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// One link.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// Every link with its name.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    /// The client addresses of all servers.
    #[must_use]
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::client_address).collect()
    }

    /// What these links have carried together.
    #[must_use]
    pub fn traffic<'a>(&self, links: impl IntoIterator<Item = &'a LinkId>) -> Traffic {
        let known = links.into_iter().filter_map(|id| self.links.get(id));
        known.fold(Traffic::default(), |sum, link| sum.plus(&link.traffic()))
    }

    /// Ends every fault: mends the links, continues what is stopped, starts what was killed.
    ///
    /// # Errors
    /// When a server cannot be started or signalled.
    pub async fn heal(&self) -> anyhow::Result<()> {
        for link in self.links.values() {
            link.heal();
        }
        for node in &self.nodes {
            node.resume().await?;
            // A server that fell by itself stays down: that is a finding, not a fault to heal.
            if node.fallen().await?.is_none() {
                node.start().await?;
            }
        }
        Ok(())
    }
}
