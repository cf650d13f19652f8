//! What happened to a server's core, recorded so that it can happen again.
//!
//! The core is deterministic, so its inputs are all there is to know: a trace holds what each life of a server began with, every
//! input with its time, and a checksum of what the core made of it. [`Recorder`] stands between a host and its
//! [`Clocked`](raft_core::Clocked); [`Reader`] gives back the same, one step at a time.
//!
//! ```text
//!   file   ┌──────┬───────┬───────┬╌╌╌╌╌╌┬──────┬───────┬───────┐
//!          │ life │ frame │ frame │ torn │ life │ frame │ frame │    one life for each start of the process
//!          └──────┴───────┴───────┴╌╌╌╌╌╌┴──────┴───────┴───────┘
//!   life   "PLMTRACE" · version u32 · crc32(offset, the above)
//!   frame  len u32 · crc32(offset, len) · crc32(content) · content of len bytes     integers little-endian, offsets u64
//!
//!   content: records, each in postcard's wire format, one after the other
//!     0 Start    core, config, timing, seed, now, boot, term and vote, …, how many entries follow   once, first
//!     1 Entries  of the log that was recovered                                                      until there are so many
//!     2 Started  effects [u8; 4]                                                                    once
//!     3 Step     nanoseconds since the last record, input or none, effects [u8; 4]                  any number
//!     4 Stop     the server was asked to stop, and did nothing afterwards                           at most once, last
//! ```
//!
//! * **Append-only.** A server that starts again appends another life. Nothing that was written is ever touched.
//! * **The trace comes first.** What a host hands out between two calls of [`Recorder::flush`] is to be carried out after those bytes
//!   were written to the file (one `write`, no fsync). So SIGKILL at any moment leaves a trace of everything that anybody outside
//!   saw, and perhaps the beginning of a frame of which nobody saw anything: the only thing that may be torn, at the end of
//!   a life only. Every other byte that is not as it was written is an error with record and offset. (A host that crashes as a whole may lose
//!   the ends of its files. That is not this.)
//! * **Effects are checksummed, not kept**: crc32 of the postcard form of the step's result and its
//!   [`Effects`](raft_core::Effects). Whoever replays the inputs has them; that they are the same is what the checksum is for.
//! * **Whose core.** [`core_version`] is recorded: where another core does otherwise, that is no mistake of either.
//! * **Bounded.** A reader holds one frame (at most [`MAX_FRAME_BYTES`], and no more than the file has), and at a start the
//!   recovered log.
//!
//! What this does not do: compress, rotate, or protect from somebody who forges checksums. Each start writes the
//! recovered log once more.

#![forbid(unsafe_code)]

mod digest;
mod error;
mod frame;
mod read;
mod record;
mod scribe;
mod write;

pub use digest::Digester;
pub use error::{ReadError, Wrong};
pub use frame::{MAX_FRAME_BYTES, VERSION};
pub use read::{Item, Located, Reader};
pub use record::{Start, Step};
pub use scribe::Scribe;
pub use write::Recorder;

/// The core that this build has: its version, and a fingerprint of its sources.
#[must_use]
pub fn core_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "+", env!("CORE_FINGERPRINT"))
}
