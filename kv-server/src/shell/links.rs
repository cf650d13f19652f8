//! Outgoing connections: one for each other server, which only ever carries messages there. It is made again whenever it
//! breaks; what it had not delivered is lost, and Raft is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use raft_core::NodeId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Encoder, FramedRead};

use super::Identity;
use crate::limits::{
    CONNECT_TIMEOUT, MAX_KNOWN_SERVERS, MAX_PEER_FRAME_BYTES, PEER_QUEUE_MESSAGES, RECONNECT_MAX,
    RECONNECT_MIN, STALLED_WRITE_TIMEOUT, WRITE_BUFFER_BYTES,
};
use crate::protocol::{Codec, FrameError, Hello, PeerHello, PeerMessage, Rejection, Welcome};
use crate::replica::ReplicaInput;

type Replies = FramedRead<OwnedReadHalf, Codec<Result<Welcome, Rejection>, ()>>;

/// Where to put messages for each other server. Those of the settings are known from the start; others are known from when
/// they call and say where they are (a server that joins).
pub(super) struct Links {
    identity: Rc<Identity>,
    inputs: mpsc::Sender<ReplicaInput>,
    known: RefCell<BTreeMap<NodeId, (SocketAddr, mpsc::Sender<PeerMessage>)>>,
}

impl Links {
    /// Starts a task for each peer of the settings.
    pub(super) fn start(identity: &Rc<Identity>, inputs: &mpsc::Sender<ReplicaInput>) -> Rc<Links> {
        let (known, inputs) = (RefCell::default(), inputs.clone());
        let links = Links { identity: Rc::clone(identity), inputs, known };
        for (&peer, &address) in &identity.config.peers {
            links.connect(peer, address);
        }
        Rc::new(links)
    }

    /// Puts a message where it is sent from. False if it is lost.
    pub(super) fn send(&self, to: NodeId, message: PeerMessage) -> bool {
        self.known.borrow().get(&to).is_some_and(|(_, link)| link.try_send(message).is_ok())
    }

    /// A server has called that is to be reached there. The settings know better; where a server has moved, its old link ends.
    pub(super) fn introduce(&self, peer: NodeId, address: SocketAddr) -> Result<(), Rejection> {
        let known = self.known.borrow().get(&peer).map(|(address, _)| *address);
        if known == Some(address) || self.identity.config.peers.contains_key(&peer) {
            return Ok(());
        }
        if known.is_none() && self.known.borrow().len() >= MAX_KNOWN_SERVERS {
            return Err(Rejection::TooManyServers);
        }
        tracing::info!(peer = peer.0, %address, "a server has introduced itself");
        self.connect(peer, address);
        Ok(())
    }

    fn connect(&self, peer: NodeId, address: SocketAddr) {
        let (sender, queue) = mpsc::channel(PEER_QUEUE_MESSAGES);
        let (identity, inputs) = (Rc::clone(&self.identity), self.inputs.clone());
        let (pause, reported) = (RECONNECT_MIN, false);
        let link = Link { identity, peer, address, inputs, queue, pause, reported };
        tokio::task::spawn_local(link.run());
        self.known.borrow_mut().insert(peer, (address, sender));
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("cannot connect within {CONNECT_TIMEOUT:?}")]
    ConnectTimeout,
    #[error("it refuses this server: {0}")]
    Rejected(Rejection),
    #[error("it closed the connection")]
    Closed,
    #[error("it took nothing for {STALLED_WRITE_TIMEOUT:?}")]
    Stalled,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

struct Link {
    identity: Rc<Identity>,
    peer: NodeId,
    address: SocketAddr,
    inputs: mpsc::Sender<ReplicaInput>,
    queue: mpsc::Receiver<PeerMessage>,
    /// How long to wait before the next attempt to connect.
    pause: Duration,
    /// The outage that there is, if there is one, is in the log.
    reported: bool,
}

impl Link {
    /// Ends when the driver has gone.
    async fn run(mut self) {
        loop {
            let result = match self.connect().await {
                Ok((replies, stream)) => self.carry(replies, stream).await,
                Err(error) => Err(error),
            };
            let Err(error) = result else { return };
            // One line for an outage, not one for each attempt.
            if !self.reported {
                tracing::warn!(peer = self.peer.0, address = %self.address, %error, "no connection");
                self.reported = true;
            }
            // What waits was meant for a moment that has passed; Raft says it again in a better way.
            while self.queue.try_recv().is_ok() {}
            if self.queue.is_closed() {
                return;
            }
            let _ = self.inputs.try_send(ReplicaInput::Unreachable(self.peer));
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(RECONNECT_MAX);
        }
    }

    /// The outage is over: that a connection could be made is not enough, as a proxy may have accepted it.
    fn welcomed(&mut self) {
        (self.pause, self.reported) = (RECONNECT_MIN, false);
        tracing::debug!(peer = self.peer.0, address = %self.address, "connected");
    }

    async fn connect(&self) -> Result<(Replies, OwnedWriteHalf), LinkError> {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await;
        let stream = connecting.map_err(|_| LinkError::ConnectTimeout)??;
        super::sockets::prepare(&stream)?;
        let (read, mut write) = stream.into_split();
        let Identity { config, client_address, peer_address, .. } = &*self.identity;
        let hello = PeerHello {
            cluster: config.cluster.clone(),
            from: config.id,
            to: self.peer,
            client_address: *client_address,
            peer_address: *peer_address,
        };
        let hello = Hello::of_peer(&hello).map_err(|reason| FrameError::Malformed { length: 0, reason })?;
        let mut buffer = BytesMut::new();
        Codec::<(), Hello>::handshake().encode(&hello, &mut buffer)?;
        write.write_all(&buffer).await?;
        Ok((FramedRead::new(read, Codec::handshake()), write))
    }

    /// Sends what the driver puts into the queue, many messages with one write. It does not wait for the welcome: a peer
    /// that refuses the hello ignores the rest.
    async fn carry(&mut self, mut replies: Replies, mut stream: OwnedWriteHalf) -> Result<(), LinkError> {
        let mut codec = Codec::<(), PeerMessage>::new(MAX_PEER_FRAME_BYTES);
        let mut buffer = BytesMut::new();
        loop {
            tokio::select! {
                reply = replies.next() => match reply {
                    Some(Ok(Ok(_))) => self.welcomed(),
                    Some(Ok(Err(rejection))) => return Err(LinkError::Rejected(rejection)),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(LinkError::Closed),
                },
                message = self.queue.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    codec.encode(&message, &mut buffer)?;
                    while buffer.len() < WRITE_BUFFER_BYTES
                        && let Ok(message) = self.queue.try_recv()
                    {
                        codec.encode(&message, &mut buffer)?;
                    }
                    let write = timeout(STALLED_WRITE_TIMEOUT, stream.write_all(&buffer)).await;
                    write.map_err(|_| LinkError::Stalled)??;
                    buffer.clear();
                }
            }
        }
    }
}
