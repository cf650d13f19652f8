//! What travels between client and server and between servers.
//!
//! A connection carries frames: a head (a length and checksums) and that many bytes of postcard. Whoever connects speaks
//! first and says what it is, in which version and to whom it means to speak; whoever was called answers, yes or why not.
//! These two have the length alone in front (four bytes, big endian), in every version; what a server says of itself is
//! checked in the hello's own body.
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
//! A frame that is too long, damaged, or not what it should be, ends its connection with a [`FrameError`] that says why and
//! where. TCP's own checksum has 16 bits and is not kept across a proxy or a bad network card; a flipped bit in an entry
//! would be applied by one server and not by the others. Nothing here panics, whatever comes in.

mod frame;
mod head;
mod hello;
mod request;

pub use frame::{Codec, FrameError, Part};
pub use head::{HEAD_BYTES, LENGTH_BYTES};
pub use hello::{Hello, PeerHello, Rejection, VERSION, Welcome};
pub use request::{Answer, Failure, Request, RequestBody, Response, Revision, Role, Scope, Status};

use bytes::Bytes;

/// What servers send each other after the handshake.
pub type PeerMessage = raft_core::Message<Bytes>;
