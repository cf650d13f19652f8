//! One connection to one server.

use std::io;
use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::codec::Framed;

use super::Trouble;
use crate::limits::MAX_CLIENT_FRAME_BYTES;
use crate::protocol::{
    Answer, Codec, Failure, FrameError, Hello, Rejection, Request, RequestBody, Response, Welcome,
};

#[derive(Debug)]
pub(super) struct Connection {
    address: SocketAddr,
    framed: Framed<TcpStream, Codec<Response, Request>>,
    last_id: u64,
    /// Answers that nobody waited for, since somebody last asked.
    pub(super) strays: u64,
}

impl Connection {
    /// Connects and shakes hands. Nothing was asked yet: to fail here is definite.
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Trouble> {
        let shake = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let codec = Codec::<Result<Welcome, Rejection>, Hello>::handshake();
            let mut framed = Framed::new(stream, codec);
            framed.send(&Hello::of_client()).await?;
            let reply = framed.next().await.ok_or_else(closed)??;
            Ok((framed.map_codec(|_| Codec::new(MAX_CLIENT_FRAME_BYTES)), reply))
        };
        match shake.await {
            Ok((framed, Ok(_))) => Ok(Connection { address, framed, last_id: 0, strays: 0 }),
            Ok((_, Err(rejection))) => Err(Trouble::Rejected { address, rejection }),
            Err(error) => Err(Trouble::Connect { address, error }),
        }
    }

    pub(super) fn is_for(&self, address: SocketAddr) -> bool {
        self.address == address
    }

    /// Sends a request and waits for its answer. Once this has begun, the server may have the request.
    pub(super) async fn call(
        &mut self,
        body: &RequestBody,
        end: Instant,
    ) -> Result<Result<Answer, Failure>, FrameError> {
        self.last_id += 1;
        // A part of the time is kept for the way back, so that "no leader" comes as an answer rather than as a timeout.
        let patience = end.saturating_duration_since(Instant::now()) / 4 * 3;
        let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        self.framed.send(&Request { id: self.last_id, patience_ms, body: body.clone() }).await?;
        loop {
            let response = self.framed.next().await.ok_or_else(closed)??;
            if response.id == self.last_id {
                return Ok(response.result);
            }
            self.strays += 1;
        }
    }
}

fn closed() -> FrameError {
    FrameError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))
}
