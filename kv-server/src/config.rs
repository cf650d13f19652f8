//! What a server is told: by flags, by a file with the same keys, or by both, where flags win.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raft_core::{Lease, NodeId};
use serde::Deserialize;

use crate::limits::{KEPT_ENTRIES, MAX_APPEND_ENTRIES, MAX_CLUSTER_NAME_BYTES, MAX_MEMBERS, SNAPSHOT_EVERY};
use crate::replica::SnapshotPolicy;
use crate::seeded::Seeded;

mod error;
mod values;

pub use error::ConfigError;
pub use values::{Peer, Span};

const DEFAULT_CLUSTER: &str = "plumbline";
const DEFAULT_ELECTION_TIMEOUT: Duration = Duration::from_millis(300);
const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_millis(50);
/// Beyond this a timeout is rather a mistake in the unit.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What flags and file may say; all of it may be left to the other one.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// This server's number: at least 1, unique in its cluster, never given to another server.
    #[arg(long, value_name = "N")]
    pub id: Option<u64>,
    /// The directory for this server's log; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen for the other servers.
    #[arg(long, value_name = "ADDR")]
    pub peer_listen: Option<SocketAddr>,
    /// Where to listen for clients.
    #[arg(long, value_name = "ADDR")]
    pub client_listen: Option<SocketAddr>,
    /// Where clients reach this server, if it is another address than the one it listens on.
    #[arg(long, value_name = "ADDR")]
    pub client_advertise: Option<SocketAddr>,
    /// Another member and the address at which this server reaches it; once for each other member.
    #[arg(long, value_name = "ID=ADDR")]
    pub peer: Vec<Peer>,
    /// Where the other servers reach this server, if it is another address than the one it listens on. A server that joins is
    /// known to them by this.
    #[arg(long, value_name = "ADDR")]
    pub peer_advertise: Option<SocketAddr>,
    /// The servers that found the cluster, the same on all of them [default: this server and its peers]. It matters only while
    /// a server knows nothing else; one that is not among them joins later.
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    pub founders: Vec<u64>,
    /// This server joins a cluster that exists: it waits until that takes it in (kvctl member add).
    #[arg(long)]
    pub join: bool,
    /// The cluster's name: servers of another one are turned away.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// An election starts after one to two of these without a leader [default: 300ms].
    #[arg(long, value_name = "TIME")]
    pub election_timeout: Option<Span>,
    /// A leader speaks up this often; well below the election timeout [default: 50ms].
    #[arg(long, value_name = "TIME")]
    pub heartbeat_interval: Option<Span>,
    /// Decides the election timeouts, together with the id and the number of the start [default: random].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Take a snapshot once so many entries were executed since the last one [default: 100000].
    #[arg(long, value_name = "N")]
    pub snapshot_every: Option<u64>,
    /// Keep so many entries before a snapshot's end, for servers that lag a little [default: 10000].
    #[arg(long, value_name = "N")]
    pub keep_entries: Option<u64>,
    /// Serve reads from a leader's lease, without asking anybody, counting on every server's clock to be wrong by at most so many
    /// millionths (1000: a second lasts 999 to 1001 ms by any of them). All servers must agree on this and on the election
    /// timeout, and no machine may be suspended [default: ask a majority].
    #[arg(long, value_name = "MILLIONTHS")]
    pub lease_reads: Option<u32>,
    /// The most entries of one append to a follower: the batch in which entries travel [default: 1024].
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Append everything that this server's core is given to this file, for `plumbline model validate`. It grows with every
    /// message, and at each start by the whole log.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// A seeded bug.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME", hide = true)]
    #[serde(skip)]
    pub mutant: Option<Seeded>,
}

impl Settings {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// Names the file, and the line and column where the error is.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), error: Box::new(error) })
    }

    /// These settings, and for what they leave open those of `other`. Peers are not mixed.
    #[must_use]
    pub fn or(self, other: Settings) -> Settings {
        Settings {
            id: self.id.or(other.id),
            data_dir: self.data_dir.or(other.data_dir),
            peer_listen: self.peer_listen.or(other.peer_listen),
            client_listen: self.client_listen.or(other.client_listen),
            client_advertise: self.client_advertise.or(other.client_advertise),
            peer: if self.peer.is_empty() { other.peer } else { self.peer },
            peer_advertise: self.peer_advertise.or(other.peer_advertise),
            founders: if self.founders.is_empty() { other.founders } else { self.founders },
            join: self.join || other.join,
            cluster: self.cluster.or(other.cluster),
            election_timeout: self.election_timeout.or(other.election_timeout),
            heartbeat_interval: self.heartbeat_interval.or(other.heartbeat_interval),
            seed: self.seed.or(other.seed),
            snapshot_every: self.snapshot_every.or(other.snapshot_every),
            keep_entries: self.keep_entries.or(other.keep_entries),
            lease_reads: self.lease_reads.or(other.lease_reads),
            batch: self.batch.or(other.batch),
            trace: self.trace.or(other.trace),
            #[cfg(feature = "mutants")]
            mutant: self.mutant.or(other.mutant),
        }
    }

    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// Says which setting is missing or makes no sense.
    pub fn check(self) -> Result<ServerConfig, ConfigError> {
        let id = self.id.ok_or(ConfigError::Missing { name: "id" })?;
        let peers = peers(id, self.peer)?;
        let founders = founders(id, &peers, self.founders, self.join)?;
        let config = ServerConfig {
            id: NodeId(id),
            peer_advertise: self.peer_advertise,
            founders,
            data_dir: self.data_dir.ok_or(ConfigError::Missing { name: "data-dir" })?,
            peer_listen: self.peer_listen.ok_or(ConfigError::Missing { name: "peer-listen" })?,
            client_listen: self.client_listen.ok_or(ConfigError::Missing { name: "client-listen" })?,
            client_advertise: self.client_advertise,
            peers,
            cluster: self.cluster.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned()),
            election_timeout: self.election_timeout.map_or(DEFAULT_ELECTION_TIMEOUT, |span| span.0),
            heartbeat_interval: self.heartbeat_interval.map_or(DEFAULT_HEARTBEAT_INTERVAL, |span| span.0),
            seed: self.seed,
            snapshots: SnapshotPolicy {
                every: self.snapshot_every.unwrap_or(SNAPSHOT_EVERY),
                kept: self.keep_entries.unwrap_or(KEPT_ENTRIES),
            },
            lease: self.lease_reads.map(|drift_ppm| Lease { drift_ppm }),
            batch: self.batch.unwrap_or(MAX_APPEND_ENTRIES),
            trace: self.trace,
            #[cfg(feature = "mutants")]
            seeded: self.mutant,
            #[cfg(not(feature = "mutants"))]
            seeded: None,
        };
        if let Some(Lease { drift_ppm }) = config.lease.filter(|lease| lease.drift_ppm > Lease::MAX_DRIFT_PPM)
        {
            return Err(ConfigError::Drift { drift_ppm });
        }
        if config.snapshots.every == 0 {
            return Err(ConfigError::ZeroSnapshotEvery);
        }
        if config.batch == 0 || config.batch > MAX_APPEND_ENTRIES {
            return Err(ConfigError::Batch { batch: config.batch });
        }
        if config.cluster.is_empty() || config.cluster.len() > MAX_CLUSTER_NAME_BYTES {
            return Err(ConfigError::ClusterName { length: config.cluster.len() });
        }
        let (election, heartbeat) = (config.election_timeout, config.heartbeat_interval);
        if heartbeat.is_zero() || heartbeat >= election || election > LONGEST_TIMEOUT {
            return Err(ConfigError::Timing { election, heartbeat });
        }
        Ok(config)
    }
}

/// Who founds the cluster; `None` for a server that joins.
fn founders(
    me: u64,
    peers: &BTreeMap<NodeId, SocketAddr>,
    named: Vec<u64>,
    joins: bool,
) -> Result<Option<Vec<NodeId>>, ConfigError> {
    if joins && !named.is_empty() {
        return Err(ConfigError::JoinsAndFounds);
    }
    if joins {
        return Ok(None);
    }
    if named.is_empty() {
        return Ok(Some(peers.keys().copied().chain([NodeId(me)]).collect()));
    }
    let is_known = |id: &u64| *id == me || peers.contains_key(&NodeId(*id));
    if let Some(&id) = named.iter().find(|id| !is_known(id)) {
        return Err(ConfigError::UnknownFounder { id });
    }
    // One that is not among the founders joins later.
    Ok(named.contains(&me).then(|| named.into_iter().map(NodeId).collect()))
}

fn peers(me: u64, list: Vec<Peer>) -> Result<BTreeMap<NodeId, SocketAddr>, ConfigError> {
    let mut peers = BTreeMap::new();
    for Peer { id, address } in list {
        if id == me {
            return Err(ConfigError::OwnPeer { id });
        }
        if peers.insert(NodeId(id), address).is_some() {
            return Err(ConfigError::DuplicatePeer { id });
        }
        if peers.values().filter(|other| **other == address).count() > 1 {
            return Err(ConfigError::DuplicateAddress { address });
        }
    }
    if me == 0 || peers.contains_key(&NodeId(0)) {
        return Err(ConfigError::ZeroId);
    }
    if peers.len() >= MAX_MEMBERS {
        return Err(ConfigError::TooManyMembers { count: peers.len() + 1 });
    }
    Ok(peers)
}

/// A server's settings, checked.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// This server.
    pub id: NodeId,
    /// Where its log is.
    pub data_dir: PathBuf,
    /// Where it listens for servers.
    pub peer_listen: SocketAddr,
    /// Where it listens for clients.
    pub client_listen: SocketAddr,
    /// Where clients reach it, if elsewhere.
    pub client_advertise: Option<SocketAddr>,
    /// Where the other servers reach it, if elsewhere.
    pub peer_advertise: Option<SocketAddr>,
    /// The servers that found the cluster, this one among them; `None` for a server that joins.
    pub founders: Option<Vec<NodeId>>,
    /// The other servers, and where this server reaches them.
    pub peers: BTreeMap<NodeId, SocketAddr>,
    /// The cluster's name.
    pub cluster: String,
    /// See [`raft_core::Timing::election`].
    pub election_timeout: Duration,
    /// See [`raft_core::Timing::heartbeat`].
    pub heartbeat_interval: Duration,
    /// Decides the election timeouts; random if it is not given.
    pub seed: Option<u64>,
    /// When snapshots are taken, and how much of the log stays.
    pub snapshots: SnapshotPolicy,
    /// Reads from a leader's lease, and how wrong clocks may be.
    pub lease: Option<Lease>,
    /// Entries of one append to a follower, at most.
    pub batch: usize,
    /// Where everything that the core is given is recorded.
    pub trace: Option<PathBuf>,
    /// A seeded bug, in builds that have them.
    #[doc(hidden)]
    pub seeded: Option<Seeded>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    fn good() -> Settings {
        settings(
            r#"
            id = 1
            data-dir = "d"
            peer-listen = "127.0.0.1:7001"
            client-listen = "127.0.0.1:8001"
            peer = ["2=127.0.0.1:7002", "3=127.0.0.1:7003"]
            "#,
        )
    }

    #[test]
    fn a_file_and_the_defaults_make_a_configuration() {
        let config = good().check().unwrap();
        assert_eq!(config.id, NodeId(1));
        assert_eq!(config.peers.keys().copied().collect::<Vec<_>>(), [NodeId(2), NodeId(3)]);
        assert_eq!(config.election_timeout, Duration::from_millis(300));
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = settings("id = 3\npeer = [\"1=127.0.0.1:7001\"]\nelection-timeout = \"2s\"");
        let config = flags.or(good()).check().unwrap();
        assert_eq!(config.id, NodeId(3));
        assert_eq!(config.peers.len(), 1);
        assert_eq!(config.election_timeout, Duration::from_secs(2));
        assert_eq!(config.data_dir, PathBuf::from("d"));
    }

    #[test]
    fn each_mistake_is_named() {
        let with = |text: &str| settings(text).or(good()).check().unwrap_err().to_string();
        assert!(Settings::default().check().unwrap_err().to_string().contains("--id"));
        assert!(with("id = 2").contains("server 2 is this server itself"));
        assert!(with("id = 0").contains("at least 1"));
        assert!(with("batch = 0").contains("--batch must be 1 to 1024"));
        assert!(with("batch = 1025").contains("not 1025"));
        assert!(
            with(r#"peer = ["2=127.0.0.1:1", "2=127.0.0.1:2"]"#)
                .contains("server 2 is among the peers twice")
        );
        assert!(with(r#"peer = ["2=127.0.0.1:1", "3=127.0.0.1:1"]"#).contains("address 127.0.0.1:1"));
        assert!(with(r#"heartbeat-interval = "300ms""#).contains("heartbeat interval 300ms"));
        assert!(with(r#"election-timeout = "2m""#).contains("at most 60s"));
        assert!(with(r#"cluster = """#).contains("1 to 64 bytes"));
    }

    #[test]
    fn a_broken_file_is_reported_with_line_and_column() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.toml");
        for (text, place, what) in [
            ("id = 1\npeer = [\"two\"]\n", "line 2, column", "ID=ADDR"),
            ("id = 1\nelection-timeout = \"5 parsecs\"", "line 2, column", "5 parsecs"),
            ("identity = 1", "line 1, column 1", "unknown field `identity`"),
            ("id = ", "line 1, column", ""),
        ] {
            fs::write(&path, text).unwrap();
            let error = Settings::read(&path).unwrap_err().to_string();
            assert!(
                error.contains("server.toml") && error.contains(place) && error.contains(what),
                "{error}"
            );
        }
    }
}
