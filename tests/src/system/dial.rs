//! A connection that is opened when it is needed, and what is certain when it fails.

use std::net::SocketAddr;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Failed;

/// A connection to one server at a time.
#[derive(Debug, Default)]
pub(super) struct Dial {
    open: Option<(SocketAddr, BufReader<TcpStream>)>,
}

impl Dial {
    /// The connection to this server, opened now if need be. It is taken out, so that one that fails, or is dropped half-way,
    /// is never used again; [`Dial::keep`] gives it back. To fail here is certain: nothing was sent.
    pub(super) async fn take(
        &mut self,
        server: SocketAddr,
        deadline: Instant,
    ) -> Result<BufReader<TcpStream>, Failed> {
        if let Some((_, connection)) = self.open.take_if(|(address, _)| *address == server) {
            return Ok(connection);
        }
        self.open = None;
        let stream = match timeout_at(deadline, TcpStream::connect(server)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failed::certainly(format!("cannot connect to {server}: {error}"))),
            Err(_) => return Err(Failed::certainly(format!("no connection to {server} in time"))),
        };
        // A small request must not wait for the answer to the one before.
        let _ = stream.set_nodelay(true);
        Ok(BufReader::new(stream))
    }

    /// Keeps a connection on which everything was answered.
    pub(super) fn keep(&mut self, server: SocketAddr, connection: BufReader<TcpStream>) {
        self.open = Some((server, connection));
    }
}
