//! What the proxies do to streams that are not cut: narrow links, late and reset connections, frames that are hit.

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

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use kv_server::protocol::{Codec, FrameError, Hello, PeerHello, PeerMessage};
use plumbline::link::{Condition, FrameFaults, Framing, Link};
use raft_core::{Append, Body, Entry, Index, Message, NodeId, Payload, Position, Round, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Encoder, FramedRead};

const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for: {what}"))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A link with an open connection: the sender's end and the receiver's.
async fn connected() -> (Link, TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let link = Link::open_framed(address, Framing::OURS).await.unwrap();
    let sender = TcpStream::connect(link.address()).await.unwrap();
    let (receiver, _) = within("a connection", listener.accept()).await.unwrap();
    (link, sender, receiver)
}

#[tokio::test]
async fn a_narrow_link_lets_through_what_it_may_and_all_of_it_once_it_is_wide() {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    let (mut receiver, _) = within("a connection", listener.accept()).await.unwrap();
    let sent: Vec<u8> = (0..40_000_u32).map(|i| (i % 251) as u8).collect();
    link.narrow(Some(20_000));
    let began = Instant::now();
    sender.write_all(&sent).await.unwrap();
    let mut received = vec![0; 10_000];
    within("a part", receiver.read_exact(&mut received)).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400), "10000 bytes at 20000 a second took {took:?}");
    assert!(link.traffic().throttled_bytes >= 9_000, "{:?}", link.traffic());
    // Hours at this rate; wide again, they are there at once.
    link.narrow(Some(1));
    link.narrow(None);
    let mut rest = vec![0; 30_000];
    within("the rest", receiver.read_exact(&mut rest)).await.unwrap();
    received.extend(rest);
    assert!(received == sent, "bytes changed or changed places");
}

#[tokio::test]
async fn a_narrow_link_is_shared_by_its_connections() {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    link.narrow(Some(20_000));
    let mut ends = Vec::new();
    for _ in 0..4 {
        let sender = TcpStream::connect(link.address()).await.unwrap();
        ends.push((sender, within("a connection", listener.accept()).await.unwrap().0));
    }
    let began = Instant::now();
    let transfers = ends.iter_mut().map(|(sender, receiver)| async move {
        sender.write_all(&[7; 2_500]).await.unwrap();
        receiver.read_exact(&mut [0; 2_500]).await.unwrap();
    });
    within("all of it", futures::future::join_all(transfers)).await;
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_reset_is_seen_as_one_by_both_ends_and_the_next_connection_lives() {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    let (mut receiver, _) = within("a connection", listener.accept()).await.unwrap();
    sender.write_all(b"x").await.unwrap();
    within("a byte", receiver.read_exact(&mut [0])).await.unwrap();
    link.reset();
    for end in [&mut sender, &mut receiver] {
        let error = within("the reset", end.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(link.traffic().reset_connections, 1);
    let mut sender = TcpStream::connect(link.address()).await.unwrap();
    let (mut receiver, _) = within("another connection", listener.accept()).await.unwrap();
    sender.write_all(b"y").await.unwrap();
    within("a byte of the next", receiver.read_exact(&mut [0])).await.unwrap();
    assert_eq!(link.traffic().reset_connections, 1, "an old reset does not hit a new connection");
}

#[tokio::test]
async fn a_late_accept_holds_new_connections_until_it_is_healed_and_no_old_one() {
    let (listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    let mut old = TcpStream::connect(link.address()).await.unwrap();
    let (mut old_receiver, _) = within("a connection", listener.accept()).await.unwrap();
    link.accept_late(Some(Duration::from_secs(3_600)));
    let mut new = TcpStream::connect(link.address()).await.unwrap();
    new.write_all(b"n").await.unwrap();
    until("a connection held back", || link.traffic().late_connections == 1).await;
    old.write_all(b"o").await.unwrap();
    within("the old connection", old_receiver.read_exact(&mut [0])).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(early.is_err(), "the new connection is there");
    link.heal();
    let (mut receiver, _) = within("the new connection, healed", listener.accept()).await.unwrap();
    within("its byte", receiver.read_exact(&mut [0])).await.unwrap();
    assert_eq!(link.condition(), Condition::default());
}

#[tokio::test]
async fn frames_of_an_unknown_protocol_cannot_be_hit() {
    let (_listener, address) = listen().await;
    let link = Link::open(address).await.unwrap();
    assert!(!link.hit_frames(Some(FrameFaults { lost: 1, ..FrameFaults::default() })));
    assert!(link.hit_frames(None), "there is nothing to heal");
    assert_eq!(link.condition(), Condition::default());
}

fn append(number: u64) -> PeerMessage {
    let payload = Payload::Command(Bytes::from(vec![7; number as usize % 50]));
    let entries = vec![Entry { index: Index(number), term: Term(1), payload }];
    let (commit, round) = (Index(number), Round(number));
    let append = Append { prev: Position::default(), entries: entries.into(), commit, round };
    Message { term: Term(1), body: Body::Append(append) }
}

/// A hello and so many messages, as a server sends them.
async fn speak(sender: &mut TcpStream, messages: u64) {
    let hello = PeerHello {
        cluster: "blue".into(),
        from: NodeId(1),
        to: NodeId(2),
        client_address: None,
        peer_address: None,
    };
    let mut bytes = BytesMut::new();
    Codec::<(), Hello>::handshake().encode(&Hello::of_peer(&hello).unwrap(), &mut bytes).unwrap();
    let mut codec = Codec::<(), PeerMessage>::new(1 << 20);
    (1..=messages).for_each(|number| codec.encode(&append(number), &mut bytes).unwrap());
    sender.write_all(&bytes).await.unwrap();
    sender.shutdown().await.unwrap();
}

/// What the server at the other end makes of it, until the end or the first error.
async fn hear(receiver: TcpStream) -> (Vec<PeerMessage>, Option<FrameError>) {
    let mut hellos = FramedRead::new(receiver, Codec::<Hello, ()>::handshake());
    let hello = within("the hello", hellos.next()).await.unwrap().unwrap();
    hello.check_peer("blue", NodeId(2), |id| id == NodeId(1)).unwrap();
    let mut frames = hellos.map_decoder(|_| Codec::<PeerMessage, ()>::new(1 << 20));
    let mut heard = Vec::new();
    loop {
        match within("a frame or the end", frames.next()).await {
            Some(Ok(message)) => heard.push(message),
            Some(Err(error)) => return (heard, Some(error)),
            None => return (heard, None),
        }
    }
}

#[tokio::test]
async fn of_a_real_stream_of_messages_whole_ones_are_lost_doubled_and_swapped() {
    for seed in 0..10 {
        let (link, mut sender, receiver) = connected().await;
        let faults =
            FrameFaults { lost: 100, duplicated: 100, reordered: 100, seed, ..FrameFaults::default() };
        assert!(link.hit_frames(Some(faults)));
        speak(&mut sender, 300).await;
        let (heard, error) = hear(receiver).await;
        assert!(error.is_none(), "seed {seed}: {error:?}");
        let traffic = link.traffic();
        let expected = 300 - traffic.lost_frames + traffic.duplicated_frames;
        assert_eq!(heard.len() as u64, expected, "seed {seed}: {traffic:?}");
        assert!(traffic.lost_frames > 5 && traffic.duplicated_frames > 5 && traffic.reordered_frames > 5);
        assert!(heard.iter().all(|message| (1..=300).any(|n| append(n) == *message)), "seed {seed}");
    }
}

#[tokio::test]
async fn a_corrupted_message_is_detected_with_all_before_it_heard_as_they_were() {
    for seed in 0..40 {
        let (link, mut sender, receiver) = connected().await;
        assert!(link.hit_frames(Some(FrameFaults { corrupted: 50, seed, ..FrameFaults::default() })));
        speak(&mut sender, 200).await;
        let (heard, error) = hear(receiver).await;
        assert!(link.traffic().corrupted_frames > 0, "seed {seed}: none was hit");
        assert!(matches!(error, Some(FrameError::Damaged { .. })), "seed {seed}: {error:?}");
        assert!(
            heard.iter().enumerate().all(|(at, message)| append(at as u64 + 1) == *message),
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn a_corrupted_hello_is_refused() {
    for seed in 0..40 {
        let (link, mut sender, receiver) = connected().await;
        let faults = FrameFaults { corrupted: 1_000, first: true, seed, ..FrameFaults::default() };
        assert!(link.hit_frames(Some(faults)));
        speak(&mut sender, 0).await;
        let mut hellos = FramedRead::new(receiver, Codec::<Hello, ()>::handshake());
        let accepted = match within("the hello or the end", hellos.next()).await {
            Some(Ok(hello)) => hello.check_peer("blue", NodeId(2), |id| id == NodeId(1)).is_ok(),
            Some(Err(_)) | None => false,
        };
        assert!(!accepted, "seed {seed}");
        assert_eq!(link.traffic().corrupted_frames, 1);
    }
}
