//! What may be wrong with settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use raft_core::Lease;

use super::LONGEST_TIMEOUT;
use crate::limits::{MAX_APPEND_ENTRIES, MAX_CLUSTER_NAME_BYTES, MAX_MEMBERS};

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {error}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// A setting is needed.
    #[error("`{name}` is missing: give --{name}, or `{name}` in the file that --config names")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// No lease survives such clocks.
    #[error(
        "a clock drift of {drift_ppm} millionths is more than a lease allows: give --lease-reads {} at most",
        Lease::MAX_DRIFT_PPM
    )]
    Drift {
        /// The drift.
        drift_ppm: u32,
    },
    /// Numbers of servers begin with 1.
    #[error("a server's number must be at least 1")]
    ZeroId,
    /// A server founds a cluster or joins one.
    #[error("--join and --founders exclude each other")]
    JoinsAndFounds,
    /// A founder must be reached.
    #[error("founder {id} is neither this server nor among the peers")]
    UnknownFounder {
        /// Its number.
        id: u64,
    },
    /// A snapshot of nothing new is none.
    #[error("--snapshot-every must be at least 1")]
    ZeroSnapshotEvery,
    /// A batch that carries nothing, or does not fit a frame.
    #[error("--batch must be 1 to {MAX_APPEND_ENTRIES}, not {batch}")]
    Batch {
        /// What was asked for.
        batch: usize,
    },
    /// A server is not its own peer.
    #[error("server {id} is this server itself: --peer names the other members only")]
    OwnPeer {
        /// The number.
        id: u64,
    },
    /// Two peers with one number.
    #[error("server {id} is among the peers twice")]
    DuplicatePeer {
        /// The number.
        id: u64,
    },
    /// Two peers with one address.
    #[error("two peers have the address {address}")]
    DuplicateAddress {
        /// The address.
        address: SocketAddr,
    },
    /// Too large a cluster.
    #[error("{count} members, where at most {MAX_MEMBERS} are allowed")]
    TooManyMembers {
        /// Members, this one included.
        count: usize,
    },
    /// No name, or a long one.
    #[error("a cluster's name has 1 to {MAX_CLUSTER_NAME_BYTES} bytes, not {length}")]
    ClusterName {
        /// Its bytes.
        length: usize,
    },
    /// Timers that would never let a leader stay, or never replace one.
    #[error(
        "heartbeat interval {heartbeat:?} and election timeout {election:?}: \
         the first must be above 0 and below the second, and that at most {LONGEST_TIMEOUT:?}"
    )]
    Timing {
        /// The election timeout.
        election: Duration,
        /// The heartbeat interval.
        heartbeat: Duration,
    },
}
