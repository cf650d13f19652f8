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
//! A link may also be slow, narrow or late to accept, and its connections may be reset. For a protocol whose [`Framing`] it
//! knows, it can lose, double, swap or damage whole frames, as a bad proxy or network card would: what arrives between two
//! faults is still a stream of whole frames.
//!
//! A link counts what it forwarded, held back and delayed, so that a fault without effect can be told from one with.

mod bucket;
mod condition;
mod frames;
mod pump;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

pub use condition::{Condition, FrameFaults, Framing, Latency};
pub use traffic::Traffic;

use bucket::Bucket;
use frames::Frames;
use traffic::Counters;

/// How many connections one link carries at once; more are closed at once. A server that keeps retrying through a cut
/// leaves its earlier attempts frozen in the link, so this is above one.
pub const MAX_CONNECTIONS: usize = 64;
/// How long the proxy tries to reach the target before it closes the sender's connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The proxy of one directed link. Dropping it closes everything it carries.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    framing: Option<Framing>,
    condition: watch::Sender<Condition>,
    /// How often all connections were to be reset.
    resets: watch::Sender<u64>,
    shared: Arc<Shared>,
    acceptor: AbortHandle,
}

/// What all connections of a link have in common.
#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    framing: Option<Framing>,
    condition: watch::Receiver<Condition>,
    resets: watch::Receiver<u64>,
    counters: Counters,
    bucket: Bucket,
}

impl Link {
    /// Starts a proxy on a loopback port of its own that forwards to `target`, which need not be up yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(target: SocketAddr) -> std::io::Result<Link> {
        Link::open_with(target, None).await
    }

    /// The same for a protocol of frames, which can then be lost, duplicated, reordered and corrupted.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open_framed(target: SocketAddr, framing: Framing) -> std::io::Result<Link> {
        Link::open_with(target, Some(framing)).await
    }

    /// One or the other.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open_with(target: SocketAddr, framing: Option<Framing>) -> std::io::Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (condition, watched) = watch::channel(Condition::default());
        let (resets, resets_watched) = watch::channel(0);
        let shared = Arc::new(Shared {
            target,
            framing,
            condition: watched,
            resets: resets_watched,
            counters: Counters::default(),
            bucket: Bucket::default(),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Link { address, framing, condition, resets, shared, acceptor })
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

    /// Lets so many bytes pass in a second, or with `None` as many as there are.
    pub fn narrow(&self, bytes_per_second: Option<u64>) {
        self.shared.bucket.empty();
        self.condition.send_modify(|condition| condition.bandwidth = bytes_per_second);
    }

    /// Lets connections wait for so long before they are taken in, or with `None` not.
    pub fn accept_late(&self, delay: Option<Duration>) {
        self.condition.send_modify(|condition| condition.accept_delay = delay);
    }

    /// Ends every connection that there is now with RST on both sides; what was on its way is lost.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Hits frames, or with `None` leaves them alone. False, and nothing is done, where the protocol's frames are not known.
    #[must_use]
    pub fn hit_frames(&self, faults: Option<FrameFaults>) -> bool {
        if self.framing.is_some() {
            self.condition.send_modify(|condition| condition.frames = faults);
        }
        self.framing.is_some() || faults.is_none()
    }

    /// Ends everything that was asked for.
    pub fn heal(&self) {
        if self.condition() != Condition::default() {
            self.shared.bucket.empty();
            self.condition.send_modify(|condition| *condition = Condition::default());
        }
    }

    /// What the link does at present.
    #[must_use]
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// What the link has done so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.counters.read()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut number = 0;
    loop {
        // Finished connections are collected as we go; the set itself aborts the rest when this task is aborted.
        while connections.try_join_next().is_some() {}
        let Ok((sender, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await; // Out of descriptors: they come back.
            continue;
        };
        let Ok(seat) = Arc::clone(&room).try_acquire_owned() else { continue };
        number += 1;
        Counters::add(&shared.counters.connections, 1);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.carry(sender, number).await;
            drop(seat);
        });
    }
}

impl Shared {
    /// Carries one connection until an end of it fails, both are done, or it is reset.
    async fn carry(&self, mut sender: TcpStream, number: u64) {
        let mut resets = self.resets.clone();
        resets.mark_unchanged();
        let mut target = None;
        tokio::select! {
            _ = self.converse(&mut sender, &mut target, number) => return,
            reset = resets.changed() => if reset.is_err() { return },
        }
        // Without lingering, to close is to reset.
        for socket in std::iter::once(&sender).chain(&target) {
            let _ = socket.set_zero_linger();
        }
        Counters::add(&self.counters.reset_connections, 1);
    }

    async fn converse(
        &self,
        sender: &mut TcpStream,
        target: &mut Option<TcpStream>,
        number: u64,
    ) -> std::io::Result<()> {
        let _ = sender.set_nodelay(true);
        let mut condition = self.condition.clone();
        self.wait_to_be_accepted(&mut condition).await?;
        let (from_sender, to_sender) = sender.split();
        // The sender's bytes are taken in from the start: during a cut its connection attempt is under way like any other
        // byte, and reaches the target when the link is mended.
        let (inlet, outlet) = pump::queue();
        let frames = self.framing.map(|framing| Frames::new(framing, number));
        let reader = pump::take_in(from_sender, inlet, condition.clone(), &self.counters, frames);
        let rest = async {
            if pump::held(&mut condition).await? {
                Counters::add(&self.counters.held_connections, 1);
            }
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(self.target)).await;
            let target = target.insert(connected.map_err(|_| std::io::ErrorKind::TimedOut)??);
            target.set_nodelay(true)?;
            let (from_target, to_target) = target.split();
            let (back_inlet, back_outlet) = pump::queue();
            let (counters, bucket) = (&self.counters, &self.bucket);
            let forward = pump::give_out(to_target, outlet, condition.clone(), counters, bucket);
            let back_reader = pump::take_in(from_target, back_inlet, condition.clone(), counters, None);
            let back = pump::give_out(to_sender, back_outlet, condition.clone(), counters, bucket);
            tokio::try_join!(forward, back_reader, back).map(|_| ())
        };
        // An error on any side ends the connection as a whole: both sockets are dropped by our caller.
        tokio::try_join!(reader, rest).map(|_| ())
    }

    /// What a slow server's caller sees: the kernel has said yes, and nobody reads.
    async fn wait_to_be_accepted(&self, condition: &mut watch::Receiver<Condition>) -> std::io::Result<()> {
        let Some(delay) = condition.borrow_and_update().accept_delay else { return Ok(()) };
        Counters::add(&self.counters.late_connections, 1);
        let healed = condition.wait_for(|condition| condition.accept_delay != Some(delay));
        match tokio::time::timeout(delay, healed).await {
            Ok(Err(_)) => Err(std::io::Error::other("the link is gone")),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}
