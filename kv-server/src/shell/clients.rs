//! Clients' connections: requests in, answers out.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::codec::Framed;
use tokio_util::task::TaskTracker;

use super::{Identity, sockets};
use crate::limits::{
    HELLO_TIMEOUT, MAX_CLIENT_CONNECTIONS, MAX_CLIENT_FRAME_BYTES, MAX_REQUESTS_PER_CONNECTION,
    RECONNECT_MAX, STALLED_WRITE_TIMEOUT, WRITE_BUFFER_BYTES,
};
use crate::protocol::{Codec, Failure, FrameError, Hello, Rejection, Request, Response, Welcome};
use crate::replica::{ReplicaInput, RequestId};

/// What connections tell the driver.
#[derive(Debug)]
pub(super) enum ClientEvent {
    /// A connection is there; its answers go to `answers`.
    Opened { connection: u64, answers: mpsc::Sender<Response> },
    /// A request came in.
    Asked { id: RequestId, request: Request },
    /// It is gone.
    Closed { connection: u64 },
}

impl ClientEvent {
    /// What the replica hears of it.
    pub(super) fn asked(id: RequestId, request: Request) -> ReplicaInput {
        let patience = Duration::from_millis(u64::from(request.patience_ms));
        ReplicaInput::Request { id, patience, body: request.body }
    }
}

/// Accepts for ever.
pub(super) async fn accept(
    listener: TcpListener,
    identity: Rc<Identity>,
    events: mpsc::Sender<ClientEvent>,
    connections: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MAX_CLIENT_CONNECTIONS));
    let mut connection = 0;
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some may come back.
                tracing::warn!(%error, "cannot accept a client's connection");
                sleep(RECONNECT_MAX).await;
                continue;
            }
        };
        connection += 1;
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let (identity, events) = (Rc::clone(&identity), events.clone());
        connections.spawn_local(async move {
            let served = match &place {
                Some(_) => serve(stream, connection, &identity, &events).await,
                None => turn_away(stream).await,
            };
            if let Err(error) = served
                && !error.is_told(from, &identity)
            {
                tracing::debug!(connection, %from, %error, "closed a client's connection");
            }
            let _ = events.send(ClientEvent::Closed { connection }).await;
            drop(place);
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("no hello within {HELLO_TIMEOUT:?}")]
    Silent,
    #[error(transparent)]
    Rejected(Rejection),
    #[error("the client takes no answers")]
    Stalled,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl ConnectionError {
    /// Whether it was a damaged frame, which is in the log by now.
    fn is_told(&self, from: SocketAddr, identity: &Identity) -> bool {
        matches!(self, ConnectionError::Frame(error) if identity.tell_damage(from, error))
    }
}

type Handshake = Framed<TcpStream, Codec<Hello, Result<Welcome, Rejection>>>;
type Conversation = Framed<TcpStream, Codec<Request, Response>>;

fn handshake(stream: TcpStream) -> Handshake {
    Framed::new(stream, Codec::handshake())
}

async fn turn_away(stream: TcpStream) -> Result<(), ConnectionError> {
    let rejection = Rejection::TooManyConnections;
    let answer = Err(rejection.clone());
    let mut stream = handshake(stream);
    timeout(STALLED_WRITE_TIMEOUT, stream.send(&answer)).await.map_err(|_| ConnectionError::Stalled)??;
    Err(ConnectionError::Rejected(rejection))
}

async fn serve(
    stream: TcpStream,
    connection: u64,
    identity: &Identity,
    events: &mpsc::Sender<ClientEvent>,
) -> Result<(), ConnectionError> {
    sockets::prepare(&stream).map_err(FrameError::Io)?;
    let mut framed = handshake(stream);
    let first = timeout(HELLO_TIMEOUT, framed.next()).await.map_err(|_| ConnectionError::Silent)?;
    let Some(hello) = first.transpose()? else { return Ok(()) };
    let checked = hello.check_client();
    let welcome = Welcome { cluster: identity.config.cluster.clone(), id: identity.config.id };
    let welcome = checked.clone().map(|()| welcome);
    timeout(STALLED_WRITE_TIMEOUT, framed.send(&welcome)).await.map_err(|_| ConnectionError::Stalled)??;
    checked.map_err(ConnectionError::Rejected)?;

    let (answers, queue) = mpsc::channel(MAX_REQUESTS_PER_CONNECTION);
    if events.send(ClientEvent::Opened { connection, answers }).await.is_err() {
        return Ok(());
    }
    let mut framed = framed.map_codec(|_| Codec::new(MAX_CLIENT_FRAME_BYTES).with_mutant(identity.mutant));
    framed.set_backpressure_boundary(WRITE_BUFFER_BYTES);
    converse(framed, connection, queue, events).await
}

async fn converse(
    mut framed: Conversation,
    connection: u64,
    mut answers: mpsc::Receiver<Response>,
    events: &mpsc::Sender<ClientEvent>,
) -> Result<(), ConnectionError> {
    let mut open = 0;
    let mut stopping = false;
    loop {
        tokio::select! {
            answer = answers.recv() => {
                // The driver has let go of this connection: it stops, and everything is answered.
                let Some(answer) = answer else { return Ok(()) };
                open -= 1 + write(&mut framed, &answer, &mut answers).await?;
            }
            request = framed.next(), if !stopping => {
                let Some(request) = request.transpose()? else { return Ok(()) };
                if open >= MAX_REQUESTS_PER_CONNECTION {
                    let refusal = Response { id: request.id, result: Err(Failure::Overloaded) };
                    open -= write(&mut framed, &refusal, &mut answers).await?;
                    continue;
                }
                open += 1;
                let id = RequestId { connection, request: request.id };
                // The server is stopping: nothing more is taken, but what is owed is still delivered.
                stopping = events.send(ClientEvent::Asked { id, request }).await.is_err();
            }
        }
    }
}

/// Writes an answer and whatever else is there by now; says how many the latter were. A client that takes none of it for a
/// while is given up, also when it is the buffer that is full.
async fn write(
    framed: &mut Conversation,
    first: &Response,
    answers: &mut mpsc::Receiver<Response>,
) -> Result<usize, ConnectionError> {
    let writing = async {
        let mut others = 0;
        framed.feed(first).await?;
        while let Ok(answer) = answers.try_recv() {
            others += 1;
            framed.feed(&answer).await?;
        }
        SinkExt::<&Response>::flush(framed).await?;
        Ok::<usize, FrameError>(others)
    };
    Ok(timeout(STALLED_WRITE_TIMEOUT, writing).await.map_err(|_| ConnectionError::Stalled)??)
}
