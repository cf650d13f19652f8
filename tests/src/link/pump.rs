//! The two halves of one direction of a connection: one reads and queues, one waits until it may and writes.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Condition, Counters, Latency};

/// The most one read takes from a socket.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks may be on their way in one direction of one connection. Beyond it we stop reading, and the sender's
/// TCP window fills as on a real dead link.
const QUEUE_CHUNKS: usize = 16;

/// Bytes on their way, or the end of the stream (no bytes).
pub(super) struct Chunk {
    bytes: Bytes,
    /// Not before this moment, for added latency.
    due: Instant,
    /// Whether it has been counted as held back already.
    counted: bool,
}

pub(super) fn queue() -> (mpsc::Sender<Chunk>, mpsc::Receiver<Chunk>) {
    mpsc::channel(QUEUE_CHUNKS)
}

/// Waits while the link is cut; says whether it had to.
pub(super) async fn held(condition: &mut watch::Receiver<Condition>) -> io::Result<bool> {
    let mut waited = false;
    let uncut = condition.wait_for(|condition| {
        waited |= condition.cut;
        !condition.cut
    });
    uncut.await.map_err(|_| io::Error::other("the link is gone"))?;
    Ok(waited)
}

/// Reads what arrives and queues it, with the moment from which it may be delivered.
pub(super) async fn take_in(
    mut socket: OwnedReadHalf,
    queue: mpsc::Sender<Chunk>,
    condition: watch::Receiver<Condition>,
    counters: &Counters,
) -> io::Result<()> {
    // Not from the run's seed: how a stream falls into chunks is up to the kernel, no seed could reproduce it.
    let mut jitter = ChaCha8Rng::seed_from_u64(counters.connections.load(Ordering::Relaxed));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        // A reset (the process was killed) ends the stream like a close: what it had sent before is still on its way.
        let size = (&mut socket).take(CHUNK_BYTES as u64).read_buf(&mut buffer).await.unwrap_or(0);
        let Condition { cut, latency } = *condition.borrow();
        // A later chunk may be due earlier; it still waits for its turn in the queue.
        let mut due = Instant::now();
        if let Some(latency) = latency {
            Counters::add(&counters.delayed_bytes, size);
            due += varied(latency, &mut jitter);
        }
        if cut {
            if size == 0 {
                Counters::add(&counters.held_connections, 1);
            }
            Counters::add(&counters.held_bytes, size);
        }
        let chunk = Chunk { bytes: buffer.split().freeze(), due, counted: cut };
        if queue.send(chunk).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if size == 0 {
            return Ok(());
        }
    }
}

/// Writes queued bytes once they are due and the link is whole.
pub(super) async fn give_out(
    mut socket: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Chunk>,
    mut condition: watch::Receiver<Condition>,
    counters: &Counters,
) -> io::Result<()> {
    while let Some(chunk) = queue.recv().await {
        tokio::time::sleep_until(chunk.due).await;
        if held(&mut condition).await? && !chunk.counted {
            Counters::add(&counters.held_bytes, chunk.bytes.len());
        }
        if chunk.bytes.is_empty() {
            break;
        }
        socket.write_all(&chunk.bytes).await?;
        counters.forwarded_bytes.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed);
    }
    socket.shutdown().await
}

/// The delay of one chunk: uniform in `delay ± jitter`.
fn varied(latency: Latency, rng: &mut ChaCha8Rng) -> Duration {
    let lowest = latency.delay.saturating_sub(latency.jitter);
    rng.random_range(lowest..=latency.delay + latency.jitter)
}
