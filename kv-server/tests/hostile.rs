//! Whatever comes in at a port, the server says what is wrong, closes that connection, and goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use common::{Cluster, DEADLINE, eventually};
use futures::{SinkExt, StreamExt};
use kv_server::client::{Client, ClientOptions};
use kv_server::protocol::{
    Codec, FrameError, Hello, PeerHello, PeerMessage, Rejection, Request, RequestBody, Response, Welcome,
};
use proptest::prelude::*;
use raft_core::{Append, Body, Entry, Index, Message, NodeId, Payload, Position, Round, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Encoder, Framed};

/// Sends bytes and reads until the server closes the connection.
async fn send_and_read(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has all; then the rest does not matter.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it closes");
    answer
}

async fn serves(cluster: &Cluster) {
    let mut client =
        Client::new(ClientOptions { op_timeout: DEADLINE, ..ClientOptions::new(cluster.client_addresses()) });
    client.put(b"k", b"v").await.unwrap();
}

type Shake = Framed<TcpStream, Codec<Result<Welcome, Rejection>, Hello>>;

async fn shake(address: SocketAddr, hello: &Hello) -> (Shake, Result<Welcome, Rejection>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut framed = Framed::new(stream, Codec::handshake());
    framed.send(hello).await.unwrap();
    let reply = framed.next().await.unwrap().unwrap();
    (framed, reply)
}

fn peer_hello(cluster: &str, from: u64, to: u64) -> Hello {
    let (from, to) = (NodeId(from), NodeId(to));
    Hello::of_peer(&PeerHello { cluster: cluster.into(), from, to, client_address: None, peer_address: None })
        .unwrap()
}

#[test]
fn arbitrary_bytes_at_both_ports_do_no_harm() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = runtime.block_on(async { Cluster::start(1) });
    runtime.block_on(serves(&cluster));
    let (client, peer) = (cluster.client_address(1), cluster.peer_address(1));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |(bytes in prop::collection::vec(any::<u8>(), 0..64), framed in any::<bool>())| {
        let mut message = Vec::new();
        if framed {
            message.extend((bytes.len() as u32).to_be_bytes());
        }
        message.extend(bytes);
        runtime.block_on(async {
            send_and_read(client, &message).await;
            send_and_read(peer, &message).await;
        });
    });
    runtime.block_on(serves(&cluster));
    assert!(!cluster.log(1).contains("panicked"), "{}", cluster.log(1));
}

#[tokio::test]
async fn a_rejected_hello_gets_the_reason() {
    let cluster = Cluster::start(3);
    let address = cluster.peer_address(1);
    for (hello, expected) in [
        (peer_hello("elsewhere", 2, 1), Rejection::WrongCluster { mine: "plumbline".into() }),
        (peer_hello("plumbline", 2, 3), Rejection::WrongServer { wanted: NodeId(3), mine: NodeId(1) }),
        (peer_hello("plumbline", 7, 1), Rejection::NotAMember { yours: NodeId(7) }),
        (peer_hello("plumbline", 1, 1), Rejection::NotAMember { yours: NodeId(1) }),
        (Hello::of_client(), Rejection::WrongProtocol),
    ] {
        eventually("the server listens", async || TcpStream::connect(address).await.is_ok()).await;
        let (mut stream, reply) = shake(address, &hello).await;
        assert_eq!(reply, Err(expected));
        assert!(stream.next().await.is_none(), "closed");
    }
    let (_, reply) = shake(cluster.client_address(1), &peer_hello("plumbline", 2, 1)).await;
    assert_eq!(reply, Err(Rejection::WrongProtocol));
    assert!(cluster.log(1).contains("server 7 is not one of this server's peers"), "{}", cluster.log(1));
}

#[tokio::test]
async fn a_frame_above_the_limit_closes_the_connection_and_is_logged() {
    let cluster = Cluster::start(3);
    eventually("server 1 listens", async || TcpStream::connect(cluster.peer_address(1)).await.is_ok()).await;
    let (stream, reply) = shake(cluster.peer_address(1), &peer_hello("plumbline", 2, 1)).await;
    reply.unwrap();
    let mut stream = stream.into_inner();
    // A head that is right, of a content that is too long.
    let head = [u32::MAX.to_be_bytes(), [0; 4]].concat();
    let checksum = crc32fast::hash(&head).to_be_bytes();
    stream.write_all(&[&head[..], &checksum].concat()).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    eventually("a line in the log", async || {
        cluster.log(1).contains("a frame of 4294967295 bytes, where at most")
    })
    .await;
    serves(&cluster).await;
}

#[tokio::test]
async fn impossible_messages_of_a_peer_do_no_harm() {
    let cluster = Cluster::start(3);
    serves(&cluster).await;
    let leader = cluster.leader().await;
    let peer = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let (stream, reply) = shake(cluster.peer_address(leader), &peer_hello("plumbline", peer, leader)).await;
    reply.unwrap();
    let mut stream = stream.map_codec(|_| Codec::<(), PeerMessage>::new(1 << 20));
    let entry = |index, term| Entry { index: Index(index), term: Term(term), payload: Payload::Noop };
    for (term, entries) in [
        (u64::MAX, vec![]),
        (1, vec![entry(u64::MAX, 1)]),
        (1, vec![entry(2, 1), entry(9, 1)]),
        (0, vec![entry(1, u64::MAX)]),
    ] {
        let prev = Position { index: Index(u64::MAX), term: Term(3) };
        let append =
            Append { prev, entries: entries.into(), commit: Index(u64::MAX), round: Round(u64::MAX) };
        stream.send(&Message { term: Term(term), body: Body::Append(append) }).await.unwrap();
    }
    eventually("a line in the log", async || cluster.log(leader).contains("ignored a message")).await;
    serves(&cluster).await;
    assert!(!cluster.log(leader).contains("panicked"), "{}", cluster.log(leader));
}

#[tokio::test]
async fn requests_above_the_limit_of_a_connection_are_answered_overloaded() {
    const COUNT: u64 = 2000;
    let cluster = Cluster::start(3);
    let alone = cluster.leader().await;
    // Without a majority reads stay pending. The two others are stopped, not killed, to leave the leader its office
    // for as long as it takes them to be missed.
    let mut cluster = cluster;
    cluster.ids().into_iter().filter(|id| *id != alone).for_each(|id| cluster.stop(id));
    let (stream, reply) = shake(cluster.client_address(alone), &Hello::of_client()).await;
    reply.unwrap();
    let mut stream = stream.map_codec(|_| Codec::<Response, Request>::new(1 << 20));
    for id in 0..COUNT {
        let body = RequestBody::Get { key: "k".into() };
        stream.feed(&Request { id, patience_ms: 60_000, body }).await.unwrap();
    }
    SinkExt::<&Request>::flush(&mut stream).await.unwrap();
    let response: Result<_, FrameError> =
        tokio::time::timeout(DEADLINE, stream.next()).await.unwrap().unwrap();
    assert_eq!(response.unwrap().result, Err(kv_server::protocol::Failure::Overloaded));
    cluster.ids().into_iter().filter(|id| *id != alone).for_each(|id| cluster.resume(id));
    // All the others are answered in the end.
    for _ in 1..COUNT {
        tokio::time::timeout(Duration::from_secs(60), stream.next()).await.unwrap().unwrap().unwrap();
    }
}

/// A frame in which one bit of the content was flipped on the way.
fn damaged<T: serde::Serialize>(value: &T) -> BytesMut {
    let mut bytes = BytesMut::new();
    Codec::<(), T>::new(1 << 20).encode(value, &mut bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

async fn is_refused(stream: Shake, frame: &[u8]) {
    let mut stream = stream.into_inner();
    stream.write_all(frame).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("it closes");
    assert!(rest.is_empty(), "no answer: {rest:?}");
}

#[tokio::test]
async fn a_damaged_frame_of_a_client_or_a_server_is_refused_with_its_place_and_counted() {
    let cluster = Cluster::start(1);
    serves(&cluster).await;
    let (client, reply) = shake(cluster.client_address(1), &Hello::of_client()).await;
    reply.unwrap();
    is_refused(
        client,
        &damaged(&Request { id: 1, patience_ms: 9, body: RequestBody::Get { key: "k".into() } }),
    )
    .await;
    let hello = PeerHello {
        cluster: "plumbline".into(),
        from: NodeId(2),
        to: NodeId(1),
        client_address: None,
        peer_address: Some(cluster.peer_address(1)),
    };
    let (peer, reply) = shake(cluster.peer_address(1), &Hello::of_peer(&hello).unwrap()).await;
    reply.unwrap();
    let append =
        Append { prev: Position::default(), entries: vec![].into(), commit: Index(1), round: Round(1) };
    let message: PeerMessage = Message { term: Term(9), body: Body::Append(append) };
    let whole = damaged(&message).len();
    let mut frames = BytesMut::new();
    // The frame before the damaged one is of a term long gone, and is taken in.
    let stale = Message { term: Term(0), ..message.clone() };
    Codec::<(), PeerMessage>::new(1 << 20).encode(&stale, &mut frames).unwrap();
    assert_eq!(frames.len(), whole);
    frames.extend_from_slice(&damaged(&message));
    is_refused(peer, &frames).await;
    for said in ["the frame 0 bytes after", &format!("the frame {whole} bytes after"), "damaged_frames=2"] {
        eventually(&format!("{said:?} in the log"), async || cluster.log(1).contains(said)).await;
    }
    serves(&cluster).await;
    assert!(!cluster.log(1).contains("panicked"), "{}", cluster.log(1));
}
