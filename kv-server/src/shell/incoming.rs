//! Connections that other servers make: their messages come in here. Nothing goes back but the answer to the handshake.

use std::rc::Rc;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::codec::Framed;

use super::links::Links;
use super::{Identity, sockets};
use crate::limits::{HELLO_TIMEOUT, MAX_PEER_CONNECTIONS, MAX_PEER_FRAME_BYTES, RECONNECT_MAX};
use crate::protocol::{Codec, FrameError, Hello, PeerMessage, Rejection, Welcome};
use crate::replica::ReplicaInput;

/// Accepts for ever.
pub(super) async fn accept(
    listener: TcpListener,
    identity: Rc<Identity>,
    links: Rc<Links>,
    inputs: mpsc::Sender<ReplicaInput>,
) {
    let places = Arc::new(Semaphore::new(MAX_PEER_CONNECTIONS));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some may come back.
                tracing::warn!(%error, "cannot accept a server's connection");
                sleep(RECONNECT_MAX).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%from, "too many connections of servers; closed this one");
            continue;
        };
        let (identity, links, inputs) = (Rc::clone(&identity), Rc::clone(&links), inputs.clone());
        tokio::task::spawn_local(async move {
            match serve(stream, &identity, &links, &inputs).await {
                Ok(()) => tracing::debug!(%from, "a server's connection ended"),
                Err(IncomingError::Frame(error)) if identity.tell_damage(from, &error) => {}
                Err(error) => tracing::warn!(%from, %error, "closed a server's connection"),
            }
            drop(place);
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum IncomingError {
    #[error("no hello within {HELLO_TIMEOUT:?}")]
    Silent,
    #[error(transparent)]
    Rejected(Rejection),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

async fn serve(
    stream: TcpStream,
    identity: &Identity,
    links: &Links,
    inputs: &mpsc::Sender<ReplicaInput>,
) -> Result<(), IncomingError> {
    sockets::prepare(&stream).map_err(FrameError::Io)?;
    let config = &identity.config;
    let codec = Codec::<Hello, Result<Welcome, Rejection>>::handshake();
    let mut framed = Framed::with_capacity(stream, codec, 64 << 10);
    let first = timeout(HELLO_TIMEOUT, framed.next()).await.map_err(|_| IncomingError::Silent)?;
    let Some(hello) = first.transpose()? else { return Ok(()) };
    let checked = hello.check_peer(&config.cluster, config.id, |id| config.peers.contains_key(&id));
    let checked = checked.and_then(|hello| match hello.peer_address {
        Some(address) => links.introduce(hello.from, address).map(|()| hello),
        None => Ok(hello),
    });
    let welcome = Welcome { cluster: config.cluster.clone(), id: config.id };
    let welcome = checked.as_ref().map(|_| welcome).map_err(Clone::clone);
    timeout(HELLO_TIMEOUT, framed.send(&welcome)).await.map_err(|_| IncomingError::Silent)??;
    let hello = checked.map_err(IncomingError::Rejected)?;

    let from = hello.from;
    let address = ReplicaInput::PeerAddress { peer: from, address: hello.client_address };
    if inputs.send(address).await.is_err() {
        return Ok(());
    }
    let codec = Codec::<PeerMessage, ()>::new(MAX_PEER_FRAME_BYTES).with_mutant(identity.mutant);
    let mut messages = framed.map_codec(|_| codec);
    while let Some(message) = messages.next().await.transpose()? {
        if inputs.send(ReplicaInput::Message { from, message }).await.is_err() {
            break;
        }
    }
    Ok(())
}
