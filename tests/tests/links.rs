//! The proxies between servers: what a cut freezes, what a heal delivers, what a delay keeps in order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plumbline::link::{Latency, Link};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for: {what}"))
}

/// A link with an open connection: the sender's end and the receiver's.
async fn connected() -> (Link, TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    let sender = TcpStream::connect(link.address()).await.unwrap();
    let (receiver, _) = within("a connection", listener.accept()).await.unwrap();
    (link, sender, receiver)
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251) as u8).collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_whole_link_carries_bytes_both_ways() {
    let (link, mut sender, mut receiver) = connected().await;
    sender.write_all(b"question").await.unwrap();
    let mut question = [0; 8];
    within("the question", receiver.read_exact(&mut question)).await.unwrap();
    receiver.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    within("the answer", sender.read_exact(&mut answer)).await.unwrap();
    assert_eq!((&question, &answer), (b"question", b"answer"));
    until("the count", || link.traffic().forwarded_bytes == 14).await;
    assert_eq!(link.traffic().held_bytes, 0);
}

#[tokio::test]
async fn a_cut_freezes_bytes_and_the_heal_delivers_every_one_in_order() {
    let (link, mut sender, mut receiver) = connected().await;
    // Far more than the proxy and the kernel buffer together, so that the sender's window fills, too.
    let sent = numbers(40_000_000);
    link.cut();
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            sender.write_all(&sent).await.unwrap();
            sender.shutdown().await.unwrap();
        }
    });
    until("bytes held back", || link.traffic().held_bytes > 0).await;
    let mut one = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(100), receiver.read(&mut one)).await;
    assert!(early.is_err(), "a byte came through a cut link: {early:?}");
    assert!(!writing.is_finished(), "the sender must feel the cut once all buffers are full");
    assert_eq!(link.traffic().forwarded_bytes, 0);
    link.mend();
    let mut received = Vec::new();
    within("all bytes", receiver.read_to_end(&mut received)).await.unwrap();
    assert!(received == sent, "{} of {} bytes, or in another order", received.len(), sent.len());
    writing.await.unwrap();
}

#[tokio::test]
async fn a_cut_in_mid_stream_loses_nothing_however_often() {
    let (link, mut sender, mut receiver) = connected().await;
    let sent = numbers(4_000_000);
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            for piece in sent.chunks(10_000) {
                sender.write_all(piece).await.unwrap();
            }
        }
    });
    let mut received = vec![0; sent.len()];
    let mut at = 0;
    for piece in received.chunks_mut(400_000) {
        link.cut();
        tokio::task::yield_now().await;
        link.mend();
        within("a piece", receiver.read_exact(piece)).await.unwrap();
        at += piece.len();
    }
    assert!(at == sent.len() && received == sent);
    writing.await.unwrap();
}

#[tokio::test]
async fn a_connection_attempt_and_an_end_of_stream_freeze_like_bytes() {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    link.cut();
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    sender.write_all(b"sent and closed during the cut").await.unwrap();
    drop(sender);
    until("bytes held back", || link.traffic().held_bytes > 0).await;
    let early = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(early.is_err(), "a connection came through a cut link");
    link.mend();
    let (mut receiver, _) = within("the connection", listener.accept()).await.unwrap();
    let mut received = String::new();
    within("the bytes", receiver.read_to_string(&mut received)).await.unwrap();
    assert_eq!(received, "sent and closed during the cut");
    assert!(link.traffic().held_connections > 0);
}

#[tokio::test]
async fn one_direction_can_be_cut_while_the_other_flows() {
    let (one, mut a_sends, mut b_hears) = connected().await;
    let (_other, mut b_sends, mut a_hears) = connected().await;
    one.cut();
    a_sends.write_all(b"lost for now").await.unwrap();
    b_sends.write_all(b"heard").await.unwrap();
    let mut heard = [0; 5];
    within("the whole direction", a_hears.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"heard");
    let mut buffer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(100), b_hears.read(&mut buffer)).await;
    assert!(early.is_err());
    one.mend();
    within("the cut direction, healed", b_hears.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"lost for now");
}

#[tokio::test]
async fn latency_delays_and_keeps_order() {
    let (link, mut sender, mut receiver) = connected().await;
    let delay = Duration::from_millis(60);
    link.slow(Some(Latency { delay, jitter: Duration::from_millis(20) }));
    let began = Instant::now();
    let sent = numbers(1_000);
    for piece in sent.chunks(10) {
        sender.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut received = vec![0; sent.len()];
    within("delayed bytes", receiver.read_exact(&mut received)).await.unwrap();
    assert!(received == sent);
    assert!(began.elapsed() >= Duration::from_millis(40), "no delay: {:?}", began.elapsed());
    assert_eq!(link.traffic().delayed_bytes, 1_000);
    link.slow(None);
    sender.write_all(b"x").await.unwrap();
    within("an undelayed byte", receiver.read_exact(&mut [0; 1])).await.unwrap();
    assert_eq!(link.traffic().delayed_bytes, 1_000);
}

#[tokio::test]
async fn a_target_that_is_down_closes_the_connection_and_may_come_back() {
    let (listener, address) = listen().await;
    drop(listener);
    let link = Link::open(address).await.unwrap();
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    let ended = within("the end of the connection", sender.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let listener = TcpListener::bind(address).await.unwrap();
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    let (mut receiver, _) = within("a connection after the restart", listener.accept()).await.unwrap();
    sender.write_all(b"!").await.unwrap();
    within("a byte", receiver.read_exact(&mut [0; 1])).await.unwrap();
    // The target dies again: the sender must come to know.
    drop(receiver);
    until("the sender's connection to end", || sender.try_write(b"?").is_err()).await;
}

#[tokio::test]
async fn dropping_a_link_closes_what_it_carried() {
    let (link, mut sender, mut receiver) = connected().await;
    drop(link);
    let ended = within("the sender's end", sender.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
    let ended = within("the receiver's end", receiver.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
}
