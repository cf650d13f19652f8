//! One directed link between two servers: a proxy of our own, so that a cut needs no root.
//!
//! ```text
//!    server i ──TCP──▶ [ accept ─▶ read ─▶ bounded queue ─▶ write ] ──TCP──▶ server j
//!                                              ▲
//!                                  cut: the writer waits, the queue fills,
//!                                  then the sender's own window fills
//! ```
//!
//! A cut link **freezes** its bytes: what was on its way stays, in order, and arrives after the heal; so do an end of
//! stream and a connection attempt. Nothing is discarded, because TCP never discards the middle of a stream: a proxy that
//! did would test the servers against a network that cannot exist. The answers that flow back over the same connection
//! freeze with it; servers that send on one connection and listen on another (as `kv-server` does) are thus cut in one
//! direction only.
//!
//! A link counts what it forwarded, held back and delayed, so that a fault without effect can be told from one with.

mod pump;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

/// How many connections one link carries at once; more are closed at once. A server that keeps retrying through a cut
/// leaves its earlier attempts frozen in the link, so this is above one.
pub const MAX_CONNECTIONS: usize = 64;
/// How long the proxy tries to reach the target before it closes the sender's connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a link does to the bytes it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Bytes freeze.
    pub cut: bool,
    /// Bytes arrive later.
    pub latency: Option<Latency>,
}

/// An added delay. Order is kept: nothing overtakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The delay of every chunk.
    pub delay: Duration,
    /// By how much it varies, up or down.
    pub jitter: Duration,
}

/// What a link has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Bytes delivered, both ways.
    pub forwarded_bytes: u64,
    /// Bytes that met a cut and had to wait.
    pub held_bytes: u64,
    /// Connection attempts and ends of stream that met a cut and had to wait.
    pub held_connections: u64,
    /// Bytes that were delayed by added latency.
    pub delayed_bytes: u64,
}

impl Traffic {
    /// What happened between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        Traffic {
            connections: self.connections.saturating_sub(earlier.connections),
            forwarded_bytes: self.forwarded_bytes.saturating_sub(earlier.forwarded_bytes),
            held_bytes: self.held_bytes.saturating_sub(earlier.held_bytes),
            held_connections: self.held_connections.saturating_sub(earlier.held_connections),
            delayed_bytes: self.delayed_bytes.saturating_sub(earlier.delayed_bytes),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Traffic) -> Traffic {
        Traffic {
            connections: self.connections + other.connections,
            forwarded_bytes: self.forwarded_bytes + other.forwarded_bytes,
            held_bytes: self.held_bytes + other.held_bytes,
            held_connections: self.held_connections + other.held_connections,
            delayed_bytes: self.delayed_bytes + other.delayed_bytes,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    forwarded_bytes: AtomicU64,
    held_bytes: AtomicU64,
    held_connections: AtomicU64,
    delayed_bytes: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }
}

/// The proxy of one directed link. Dropping it closes everything it carries.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    counters: Arc<Counters>,
    acceptor: AbortHandle,
}

impl Link {
    /// Starts a proxy on a loopback port of its own that forwards to `target`, which need not be up yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(target: SocketAddr) -> std::io::Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (condition, watched) = watch::channel(Condition::default());
        let counters = Arc::new(Counters::default());
        let acceptor = tokio::spawn(accept(listener, target, watched, Arc::clone(&counters))).abort_handle();
        Ok(Link { address, condition, counters, acceptor })
    }

    /// Where the sender must connect in order to reach the target through this link.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Freezes the link's bytes.
    pub fn cut(&self) {
        self.condition.send_modify(|condition| condition.cut = true);
    }

    /// Lets frozen bytes flow again.
    pub fn mend(&self) {
        self.condition.send_modify(|condition| condition.cut = false);
    }

    /// Adds a delay, or with `None` takes it away.
    pub fn slow(&self, latency: Option<Latency>) {
        self.condition.send_modify(|condition| condition.latency = latency);
    }

    /// What the link does at present.
    #[must_use]
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// What the link has done so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            connections: read(&self.counters.connections),
            forwarded_bytes: read(&self.counters.forwarded_bytes),
            held_bytes: read(&self.counters.held_bytes),
            held_connections: read(&self.counters.held_connections),
            delayed_bytes: read(&self.counters.delayed_bytes),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    condition: watch::Receiver<Condition>,
    counters: Arc<Counters>,
) {
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Finished connections are collected as we go; the set itself aborts the rest when this task is aborted.
        while connections.try_join_next().is_some() {}
        let Ok((sender, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await; // Out of descriptors: they come back.
            continue;
        };
        let Ok(seat) = Arc::clone(&room).try_acquire_owned() else { continue };
        Counters::add(&counters.connections, 1);
        let (condition, counters) = (condition.clone(), Arc::clone(&counters));
        connections.spawn(async move {
            carry(sender, target, condition, &counters).await;
            drop(seat);
        });
    }
}

/// Carries one connection until an end of it fails or both are done.
async fn carry(
    sender: TcpStream,
    target: SocketAddr,
    mut condition: watch::Receiver<Condition>,
    counters: &Counters,
) {
    let _ = sender.set_nodelay(true);
    let (from_sender, to_sender) = sender.into_split();
    // The sender's bytes are taken in from the start: during a cut its connection attempt is under way like any other
    // byte, and reaches the target when the link is mended.
    let (inlet, outlet) = pump::queue();
    let reader = pump::take_in(from_sender, inlet, condition.clone(), counters);
    let rest = async {
        if pump::held(&mut condition).await? {
            Counters::add(&counters.held_connections, 1);
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await;
        let target = connected.map_err(|_| std::io::ErrorKind::TimedOut)??;
        target.set_nodelay(true)?;
        let (from_target, to_target) = target.into_split();
        let (back_inlet, back_outlet) = pump::queue();
        let forward = pump::give_out(to_target, outlet, condition.clone(), counters);
        let back_reader = pump::take_in(from_target, back_inlet, condition.clone(), counters);
        let back = pump::give_out(to_sender, back_outlet, condition.clone(), counters);
        tokio::try_join!(forward, back_reader, back).map(|_| ())
    };
    // An error on any side ends the connection as a whole: both sockets are dropped with the futures.
    let _ = tokio::try_join!(reader, rest);
}
