//! What is put under test: how its servers are started and asked how they are, and what its clients can do.
//!
//! ```text
//!    cluster ── launch, status, attend ──▶ System ◀── client ── workloads: put, get, cas, txn
//!                                            ▲
//!                                  kv-server, etcd, redis, exec
//! ```
//!
//! A system is whatever implements [`System`]; everything else in the harness knows only this trait. What not every system
//! can do is a [`Capability`]: a workload or a fault that needs one which is lacking is an error, and never just left out.

mod choice;
mod dial;
mod etcd;
pub mod exec;
mod kv;
mod operator;
mod redis;
mod watching;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use choice::{SystemArgs, in_path};
pub use etcd::Etcd;
pub use exec::Exec;
pub use kv::KvServer;
pub use redis::Redis;
pub use watching::{Ended, Event, Opened, Told, Watch};

use crate::faults::{Kind, Sort};
use crate::link::Framing;
use crate::schedule::{NodeId, Schedule};
use crate::workload::Workload;

/// What not every system can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Compare-and-set of one key.
    Cas,
    /// Transactions over several keys, and atomic reads of several.
    Txn,
    /// Reads that may be stale, if asked for.
    StaleReads,
    /// Notice of every change of a key.
    Watch,
    /// Peers reach each other at an address of our choice, for each of them another one: faults of single links.
    Links,
    /// Leadership is handed over on request.
    Transfer,
    /// Logs are let go of on request.
    Compact,
    /// Members leave and join.
    Members,
    /// The servers tell a digest of their state.
    Digests,
    /// The servers record what their cores are given.
    Traces,
    /// Damage to the servers' files is detected, and the files that may be damaged are known.
    CheckedFiles,
}

impl Capability {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Capability::Cas => "compare-and-set",
            Capability::Txn => "transactions",
            Capability::StaleReads => "stale reads",
            Capability::Watch => "watches",
            Capability::Links => "links that can be cut",
            Capability::Transfer => "transfer of leadership",
            Capability::Compact => "compaction",
            Capability::Members => "changes of members",
            Capability::Digests => "digests of states",
            Capability::Traces => "traces",
            Capability::CheckedFiles => "files whose damage is detected",
        }
    }
}

/// Where a server stands.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its number, from 1.
    pub id: NodeId,
    /// Its folder of data.
    pub data: PathBuf,
    /// Where it listens for its peers.
    pub peer_listen: SocketAddr,
    /// Where it listens for clients.
    pub client_listen: SocketAddr,
    /// Where it reaches each of the others.
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// Where it records what its core is given, if that is wanted.
    pub trace: Option<PathBuf>,
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Its term, or what it has instead: no two leaders ever share one.
    pub term: u64,
    /// Whether it says that it leads.
    pub leads: bool,
    /// The last index that its latest snapshot contains; 0 without one.
    pub snapshot: u64,
}

/// What a server holds, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Digest {
    /// The last entry that its state contains.
    pub applied: u64,
    /// The same for all that have applied the same.
    pub hash: u64,
}

/// What a client is told before it begins.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Where the servers listen for clients.
    pub endpoints: Vec<SocketAddr>,
    /// The client's number: they differ in whom they ask first, and in how patient they are.
    pub turn: u64,
    /// How long one operation may take.
    pub op_timeout: Duration,
}

/// Why an operation was not done, as far as its client knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failed {
    /// Whether it certainly had no effect and never will have one.
    pub certain: bool,
    /// What happened.
    pub why: String,
}

impl Failed {
    /// It had no effect.
    pub fn certainly(why: impl Into<String>) -> Failed {
        Failed { certain: true, why: why.into() }
    }

    /// It may have been done, or may yet be.
    pub fn perhaps(why: impl Into<String>) -> Failed {
        Failed { certain: false, why: why.into() }
    }

    fn lacking(what: Capability) -> Failed {
        Failed::certainly(format!("the system under test has no {}", what.name()))
    }
}

/// A transaction: if every key holds what is expected (`None`: if it is absent), all puts are made at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// What the keys must hold.
    pub expected: Vec<(String, Option<String>)>,
    /// What they hold then.
    pub puts: Vec<(String, String)>,
}

/// What an operation of a client comes to.
pub type Done<'a, T> = BoxFuture<'a, Result<T, Failed>>;

/// What an operator's request comes to, or why it does not.
pub type Asked<'a> = BoxFuture<'a, Result<(), String>>;

/// One client: it performs one operation at a time, within the time it was told.
pub trait Client: Send {
    /// A key's value; linearizable, unless the system was told that reads may be stale. An error is always certain: a
    /// read has no effect.
    fn get<'a>(&'a mut self, key: &'a str) -> Done<'a, Option<String>>;

    /// Sets a key's value.
    fn put<'a>(&'a mut self, key: &'a str, value: &'a str) -> Done<'a, ()>;

    /// Sets a key's value if it has the expected one (`None`: if it is absent); says whether it did. Needs
    /// [`Capability::Cas`].
    fn cas<'a>(&'a mut self, _key: &'a str, _expected: Option<&'a str>, _new: &'a str) -> Done<'a, bool> {
        Box::pin(async { Err(Failed::lacking(Capability::Cas)) })
    }

    /// Executes a transaction; says whether everything was as expected, and so done. Needs [`Capability::Txn`].
    fn txn<'a>(&'a mut self, _txn: &'a Txn) -> Done<'a, bool> {
        Box::pin(async { Err(Failed::lacking(Capability::Txn)) })
    }

    /// The values of several keys at one moment. Needs [`Capability::Txn`].
    fn get_all<'a>(&'a mut self, _keys: &'a [String]) -> Done<'a, Vec<Option<String>>> {
        Box::pin(async { Err(Failed::lacking(Capability::Txn)) })
    }
}

/// A system that can be put under test.
pub trait System: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it can do beyond put and get.
    fn capabilities(&self) -> &[Capability];

    /// The arguments with which the program becomes this server. Files that it needs may be made in its folder of data.
    ///
    /// # Errors
    /// When something it needs cannot be made.
    fn launch(&self, seat: &Seat) -> anyhow::Result<Vec<OsString>>;

    /// What every server of a run is told unless something else is said: what is rare in a long life should happen in a short one.
    fn habits(&self) -> &[(&'static str, &'static str)] {
        &[]
    }

    /// How the frames of the protocol between its servers are told apart, if they can be.
    fn framing(&self) -> Option<Framing> {
        None
    }

    /// Whether its servers end when their standard input closes. Those of others are ended by a watchdog.
    fn ends_with_its_input(&self) -> bool {
        false
    }

    /// Whether peers and clients use the same port.
    fn has_one_port(&self) -> bool {
        false
    }

    /// Whether a server that ends by SIGTERM's own effect has ended in order.
    fn ends_by_signal(&self) -> bool {
        false
    }

    /// Whether what its servers say of terms can be believed: then two leaders in one term are a violation.
    fn has_exact_terms(&self) -> bool {
        true
    }

    /// Words by which a line of a server's log confesses a broken invariant.
    fn confessions(&self) -> &[&str] {
        &[]
    }

    /// What a server says of itself; nothing, if it does not answer within `patience`.
    fn status(
        &self,
        id: NodeId,
        endpoint: SocketAddr,
        patience: Duration,
    ) -> BoxFuture<'_, Option<ServerStatus>>;

    /// A client.
    fn client(&self, settings: &ClientSettings) -> Box<dyn Client>;

    /// Hands leadership over to this server, or from it to another one. A healthy cluster does it; under faults it may refuse,
    /// as with all that is asked of it here: that is told, and is no finding. Needs [`Capability::Transfer`].
    fn hand_over<'a>(&'a self, _endpoints: &'a [SocketAddr], _to: NodeId) -> Asked<'a> {
        Box::pin(async { Err(Failed::lacking(Capability::Transfer).why) })
    }

    /// Has this server let go of its log, or its history, as far as it can. Needs [`Capability::Compact`].
    fn compact(&self, _endpoint: SocketAddr) -> Asked<'_> {
        Box::pin(async { Err(Failed::lacking(Capability::Compact).why) })
    }

    /// Removes a server from the cluster. Needs [`Capability::Members`].
    fn remove<'a>(&'a self, _endpoints: &'a [SocketAddr], _node: NodeId) -> Asked<'a> {
        Box::pin(async { Err(Failed::lacking(Capability::Members).why) })
    }

    /// Takes a server that was removed in again. Needs [`Capability::Members`].
    fn take_in<'a>(&'a self, _endpoints: &'a [SocketAddr], _node: NodeId) -> Asked<'a> {
        Box::pin(async { Err(Failed::lacking(Capability::Members).why) })
    }

    /// What a server holds; nothing, if it does not answer within `patience`. Needs [`Capability::Digests`].
    fn digest(&self, _endpoint: SocketAddr, _patience: Duration) -> BoxFuture<'_, Option<Digest>> {
        Box::pin(async { None })
    }

    /// Opens a watch of all keys at one server, from a revision on, within `patience`. Needs [`Capability::Watch`].
    fn watch(&self, _endpoint: SocketAddr, _from: u64, _patience: Duration) -> Opened<'_> {
        Box::pin(async { Err(Ended::Broken(Failed::lacking(Capability::Watch).why)) })
    }

    /// What must be done by somebody all the time while the servers run (a failover that the system leaves to others), for
    /// ever; ends with the cluster.
    fn attend(&self, _seats: Vec<Seat>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Any system, shared by all parts of a run.
pub type AnySystem = Arc<dyn System>;

/// Whether `system` can do all that `what` needs.
///
/// # Errors
/// When it cannot, with all that is lacking.
pub fn require(system: &dyn System, what: &str, needs: &[Capability]) -> anyhow::Result<()> {
    let has = system.capabilities();
    let lacking: Vec<&str> =
        needs.iter().filter(|need| !has.contains(need)).map(|need| need.name()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    anyhow::bail!(
        "{what} needs {}, which {} lacks: choose another one, or another system with --system",
        lacking.join(" and "),
        system.name()
    )
}

/// Whether `system` can do all that a workload and a schedule need: what is lacking is never left out quietly.
///
/// # Errors
/// When it cannot.
pub fn require_all(system: &dyn System, workload: &dyn Workload, schedule: &Schedule) -> anyhow::Result<()> {
    require(system, &format!("the workload {}", workload.name()), workload.needs())?;
    let (packets, others): (Vec<Kind>, Vec<Kind>) = schedule
        .faults()
        .into_iter()
        .map(|planned| planned.fault.kind())
        .filter(|kind| kind.sort() == Sort::Links)
        .partition(|kind| *kind == Kind::Packets);
    if let (Some(_), Some(other)) = (packets.first(), others.first()) {
        anyhow::bail!(
            "the faults packets and {} do not go together: in network namespaces there are no proxies; choose one of them",
            other.name()
        );
    }
    for planned in schedule.faults() {
        let kind = planned.fault.kind();
        require(system, &format!("the fault {}", kind.name()), needed_for(kind))?;
    }
    Ok(())
}

/// What a family of faults needs.
fn needed_for(kind: Kind) -> &'static [Capability] {
    match kind {
        Kind::Transfer => &[Capability::Transfer],
        Kind::Compact => &[Capability::Compact],
        Kind::Members => &[Capability::Members],
        Kind::AtRest => &[Capability::CheckedFiles],
        // Each server has an address of its own then.
        Kind::Packets => &[],
        _ if kind.sort() == Sort::Links => &[Capability::Links],
        _ => &[],
    }
}

/// A path as an argument.
fn argument(path: &Path) -> OsString {
    path.as_os_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_an_error_that_names_it() {
        let system = KvServer;
        assert!(require(&system, "the fault partition", &[Capability::Links]).is_ok());
        let error = require(&system, "the run", &[Capability::Cas, Capability::StaleReads]).unwrap_err();
        assert!(error.to_string().starts_with("the run needs stale reads, which kv-server lacks"), "{error}");
    }
}
