//! The two halves of one direction of a connection: one reads and queues, one waits until it may and writes.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::bucket::Bucket;
use super::condition::{Condition, Latency};
use super::frames::Frames;
use super::traffic::Counters;

/// The most one read takes from a socket.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks may be on their way in one direction of one connection. Beyond it we stop reading, and the sender's
/// TCP window fills as on a real dead link.
const QUEUE_CHUNKS: usize = 16;

/// Bytes on their way, or the end of the stream (no bytes).
pub(super) struct Chunk {
    bytes: Bytes,
    /// Not before this moment, for added latency. (A timer for "now" would cost its millisecond on every hop.)
    due: Option<Instant>,
    /// Whether it has been counted as held back already.
    counted: bool,
    /// Whether the stream ends here.
    ends: bool,
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

/// Reads what arrives and queues it, with the moment from which it may be delivered. With `frames`, what is queued is what
/// these let through.
pub(super) async fn take_in(
    mut socket: ReadHalf<'_>,
    queue: mpsc::Sender<Chunk>,
    mut condition: watch::Receiver<Condition>,
    counters: &Counters,
    mut frames: Option<Frames>,
) -> io::Result<()> {
    // Not from the run's seed: how a stream falls into chunks is up to the kernel, no seed could reproduce it.
    let mut jitter = ChaCha8Rng::seed_from_u64(counters.connections.load(Ordering::Relaxed));
    let mut buffer = BytesMut::new();
    let mut ended = false;
    while !ended {
        buffer.reserve(CHUNK_BYTES);
        let mut limited = (&mut socket).take(CHUNK_BYTES as u64);
        tokio::select! {
            // A reset (the process was killed) ends the stream like a close: what it had sent before is still on its way.
            size = limited.read_buf(&mut buffer) => ended = size.unwrap_or(0) == 0,
            // What waits for a later frame need not any longer, if faults have ended.
            changed = condition.changed(), if frames.is_some() => {
                changed.map_err(|_| io::Error::other("the link is gone"))?;
            }
        }
        let now = *condition.borrow();
        let pieces = match &mut frames {
            None => vec![buffer.split().freeze()],
            Some(frames) => {
                let mut pieces = frames.push(buffer.split(), now.frames, counters);
                pieces.extend(ended.then(|| frames.rest()).into_iter().flatten());
                pieces
            }
        };
        for bytes in pieces.into_iter().filter(|bytes| !bytes.is_empty()) {
            enqueue(bytes, &queue, now, counters, &mut jitter).await?;
        }
    }
    let now = *condition.borrow();
    enqueue(Bytes::new(), &queue, now, counters, &mut jitter).await
}

async fn enqueue(
    bytes: Bytes,
    queue: &mpsc::Sender<Chunk>,
    condition: Condition,
    counters: &Counters,
    jitter: &mut ChaCha8Rng,
) -> io::Result<()> {
    // A later chunk may be due earlier; it still waits for its turn in the queue.
    let due = condition.latency.map(|latency| {
        Counters::add(&counters.delayed_bytes, bytes.len());
        Instant::now() + varied(latency, jitter)
    });
    if condition.cut {
        if bytes.is_empty() {
            Counters::add(&counters.held_connections, 1);
        }
        Counters::add(&counters.held_bytes, bytes.len());
    }
    let chunk = Chunk { ends: bytes.is_empty(), bytes, due, counted: condition.cut };
    queue.send(chunk).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// Writes queued bytes once they are due and the link is whole, no faster than the bandwidth allows.
pub(super) async fn give_out(
    mut socket: WriteHalf<'_>,
    mut queue: mpsc::Receiver<Chunk>,
    mut condition: watch::Receiver<Condition>,
    counters: &Counters,
    bucket: &Bucket,
) -> io::Result<()> {
    while let Some(mut chunk) = queue.recv().await {
        if let Some(due) = chunk.due {
            tokio::time::sleep_until(due).await;
        }
        let mut counted = chunk.counted;
        // An end of stream waits for a cut to be mended, like bytes.
        loop {
            if held(&mut condition).await? && !counted {
                counted = true;
                Counters::add(&counters.held_bytes, chunk.bytes.len());
            }
            if chunk.bytes.is_empty() {
                break;
            }
            let rate = condition.borrow().bandwidth;
            let size = rate.map_or(usize::MAX, Bucket::slice).min(chunk.bytes.len());
            if let Some(rate) = rate {
                throttle(size, rate, &mut condition, counters, bucket).await?;
            }
            let piece = chunk.bytes.split_to(size);
            socket.write_all(&piece).await?;
            Counters::add(&counters.forwarded_bytes, piece.len());
            if chunk.bytes.is_empty() {
                break;
            }
        }
        if chunk.ends {
            break;
        }
    }
    socket.shutdown().await
}

/// Waits until so many bytes may pass, or the bandwidth is another one.
async fn throttle(
    size: usize,
    rate: u64,
    condition: &mut watch::Receiver<Condition>,
    counters: &Counters,
    bucket: &Bucket,
) -> io::Result<()> {
    let due = bucket.claim(Instant::now(), size, rate);
    if due <= Instant::now() {
        return Ok(());
    }
    Counters::add(&counters.throttled_bytes, size);
    let changed = condition.wait_for(|condition| condition.bandwidth != Some(rate));
    match tokio::time::timeout_at(due, changed).await {
        Ok(Err(_)) => Err(io::Error::other("the link is gone")),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// The delay of one chunk: uniform in `delay ± jitter`.
fn varied(latency: Latency, rng: &mut ChaCha8Rng) -> Duration {
    let lowest = latency.delay.saturating_sub(latency.jitter);
    rng.random_range(lowest..=latency.delay + latency.jitter)
}
