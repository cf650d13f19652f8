//! What travels between client and server and between servers.
//!
//! A connection carries frames: a length (four bytes, big endian) and that many bytes of postcard. Whoever connects speaks
//! first and says what it is, in which version and to whom it means to speak; whoever was called answers, yes or why not.
//!
//! ```text
//!   client                                    server
//!     | -- Hello {magic, version} --------------> |
//!     | <-- Result<Welcome, Rejection> ---------- |
//!     | -- Request {id, patience, body} --------> |   any number, up to a limit, before the first answer
//!     | <-- Response {id, Answer or Failure} ---- |   in any order
//!
//!   server i                                  server j
//!     | -- Hello {magic, version, PeerHello} ---> |
//!     | <-- Result<Welcome, Rejection> ---------- |   the only frame that ever comes back
//!     | -- raft_core::Message ------------------> |   any number
//! ```
//!
//! A frame that is too long, or is not what it should be, ends its connection with a [`FrameError`] that says why. Nothing
//! here panics, whatever comes in.

mod frame;
mod hello;
mod request;

pub use frame::{Codec, FrameError};
pub use hello::{Hello, PeerHello, Rejection, VERSION, Welcome};
pub use request::{Answer, Failure, Request, RequestBody, Response, Role, Status};

use bytes::Bytes;

/// What servers send each other after the handshake.
pub type PeerMessage = raft_core::Message<Bytes>;
