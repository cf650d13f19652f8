//! A cluster of server processes on loopback, for tests. Dropping it kills them all.

#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test binary uses a part of it; a failed one shows the logs"
)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kv_server::client::{Role, Status, status};
use tempfile::TempDir;

/// By then, whatever should happen has happened, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; looks again and again rather than once, later.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "waited {DEADLINE:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Server {
    peer_address: SocketAddr,
    client_address: SocketAddr,
    process: Option<Child>,
}

pub(crate) struct Cluster {
    dir: TempDir,
    /// More flags, for each server.
    flags: Vec<String>,
    servers: BTreeMap<u64, Server>,
}

/// Addresses that nobody listens on now. They lie below the range from which the kernel takes the ports of outgoing
/// connections, so that none of those is in the way when a server comes back; each test process starts elsewhere in it.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    let start = std::process::id().wrapping_mul(97);
    let candidates = std::iter::from_fn(|| Some(NEXT.fetch_add(1, Ordering::Relaxed)));
    candidates
        .map(|offset| FIRST + start.wrapping_add(offset) % COUNT)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)))
        .filter(|address| TcpListener::bind(address).is_ok())
        .take(count)
        .collect()
}

impl Cluster {
    pub(crate) fn start(count: u64) -> Cluster {
        Cluster::start_with(count, &[])
    }

    pub(crate) fn start_with(count: u64, flags: &[&str]) -> Cluster {
        let mut addresses = free_addresses(2 * count as usize).into_iter();
        let mut server = || Server {
            peer_address: addresses.next().unwrap(),
            client_address: addresses.next().unwrap(),
            process: None,
        };
        let servers = (1..=count).map(|id| (id, server())).collect();
        let mut cluster = Cluster {
            dir: tempfile::tempdir().unwrap(),
            flags: flags.iter().map(ToString::to_string).collect(),
            servers,
        };
        cluster.ids().into_iter().for_each(|id| cluster.restart(id));
        cluster
    }

    /// Another server, which knows those that are there already and waits to be taken in.
    pub(crate) fn join(&mut self) -> u64 {
        let addresses = free_addresses(2);
        let id = self.servers.keys().max().unwrap() + 1;
        let server = Server { peer_address: addresses[0], client_address: addresses[1], process: None };
        self.servers.insert(id, server);
        let mut command = self.command(id, addresses[0], addresses[1]);
        self.servers.get_mut(&id).unwrap().process = Some(command.arg("--join").spawn().unwrap());
        id
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.servers.keys().copied().collect()
    }

    pub(crate) fn client_address(&self, id: u64) -> SocketAddr {
        self.servers[&id].client_address
    }

    pub(crate) fn peer_address(&self, id: u64) -> SocketAddr {
        self.servers[&id].peer_address
    }

    pub(crate) fn client_addresses(&self) -> Vec<SocketAddr> {
        self.servers.values().map(|server| server.client_address).collect()
    }

    fn command(&self, id: u64, peer_address: SocketAddr, client_address: SocketAddr) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kv-server"));
        command.args(["--id", &id.to_string(), "--exit-on-stdin-close"]).args(&self.flags);
        command.arg("--data-dir").arg(self.data_dir(id));
        command.args(["--peer-listen", &peer_address.to_string()]);
        command.args(["--client-listen", &client_address.to_string()]);
        for (peer, server) in self.servers.iter().filter(|(peer, _)| **peer != id) {
            command.args(["--peer", &format!("{peer}={}", server.peer_address)]);
        }
        let log = OpenOptions::new().append(true).create(true).open(self.log_path(id)).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        command
    }

    pub(crate) fn restart(&mut self, id: u64) {
        let Server { peer_address, client_address, .. } = self.servers[&id];
        let child = self.command(id, peer_address, client_address).spawn().unwrap();
        self.servers.get_mut(&id).unwrap().process = Some(child);
    }

    /// Starts server `id` a second time, with other addresses; returns how that ends.
    pub(crate) async fn start_again_elsewhere(&self, id: u64) -> ExitStatus {
        let addresses = free_addresses(2);
        let mut child = self.command(id, addresses[0], addresses[1]).spawn().unwrap();
        ended(&mut child).await
    }

    /// Where a server keeps its data.
    pub(crate) fn data_dir(&self, id: u64) -> std::path::PathBuf {
        self.dir.path().join(id.to_string())
    }

    fn log_path(&self, id: u64) -> std::path::PathBuf {
        self.dir.path().join(format!("{id}.log"))
    }

    pub(crate) fn log(&self, id: u64) -> String {
        std::fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    fn process(&mut self, id: u64) -> &mut Child {
        self.servers.get_mut(&id).unwrap().process.as_mut().expect("it runs")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, id: u64) {
        let mut process = self.servers.get_mut(&id).unwrap().process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn signal(&mut self, id: u64, signal: &str) {
        let pid = self.process(id).id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// SIGSTOP.
    pub(crate) fn stop(&mut self, id: u64) {
        self.signal(id, "STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self, id: u64) {
        self.signal(id, "CONT");
    }

    pub(crate) async fn terminate(&mut self, id: u64) -> ExitStatus {
        self.signal(id, "TERM");
        self.ended(id).await
    }

    pub(crate) async fn interrupt(&mut self, id: u64) -> ExitStatus {
        self.signal(id, "INT");
        self.ended(id).await
    }

    pub(crate) async fn close_stdin(&mut self, id: u64) -> ExitStatus {
        drop(self.process(id).stdin.take());
        self.ended(id).await
    }

    async fn ended(&mut self, id: u64) -> ExitStatus {
        let mut process = self.servers.get_mut(&id).unwrap().process.take().expect("it runs");
        ended(&mut process).await
    }

    pub(crate) async fn status(&self, id: u64) -> Option<Status> {
        status(self.client_address(id), Duration::from_secs(1)).await.ok()
    }

    /// The leader of the highest term of which a majority of the servers, itself among them, says so.
    pub(crate) async fn leader(&self) -> u64 {
        let mut found = None;
        eventually("a leader", async || {
            let mut statuses = Vec::new();
            for id in self.ids() {
                if self.servers[&id].process.is_some() {
                    statuses.extend(self.status(id).await);
                }
            }
            found =
                statuses.iter().filter(|status| status.role == Role::Leader).max_by_key(|s| s.term).cloned();
            found.as_ref().is_some_and(|leader| {
                let agree = |s: &&Status| s.term == leader.term && s.leader == Some(leader.id);
                2 * statuses.iter().filter(agree).count() > self.servers.len()
            })
        })
        .await;
        found.map(|status| status.id).unwrap()
    }

    pub(crate) async fn highest_applied(&self) -> u64 {
        let mut highest = 0;
        for id in self.ids() {
            if self.servers[&id].process.is_some() {
                highest = highest.max(self.status(id).await.map_or(0, |status| status.applied));
            }
        }
        highest
    }
}

async fn ended(process: &mut Child) -> ExitStatus {
    let mut status = None;
    eventually("the end of a server", async || {
        status = process.try_wait().unwrap();
        status.is_some()
    })
    .await;
    status.unwrap()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in self.servers.values_mut() {
            if let Some(mut process) = server.process.take() {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if std::thread::panicking() {
            for id in self.ids() {
                eprintln!("--- log of server {id}\n{}", self.log(id));
            }
        }
    }
}

/// Runs kvctl against the cluster; its exit code and standard output.
pub(crate) fn kvctl(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let endpoints: Vec<_> = cluster.client_addresses().iter().map(ToString::to_string).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_kvctl"))
        .args(["--timeout", "20s", "--endpoints", &endpoints.join(",")])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}
