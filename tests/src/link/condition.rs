//! What a link may be told to do to what it carries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a link does to the bytes it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Bytes freeze.
    pub cut: bool,
    /// Bytes arrive later.
    pub latency: Option<Latency>,
    /// So many bytes a second pass, all connections and both directions together.
    pub bandwidth: Option<u64>,
    /// A connection is taken in only after so long, like in a server that is slow to accept.
    pub accept_delay: Option<Duration>,
    /// Whole frames are lost, duplicated, reordered or damaged.
    pub frames: Option<FrameFaults>,
}

/// An added delay. Order is kept: nothing overtakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The delay of every chunk.
    pub delay: Duration,
    /// By how much it varies, up or down.
    pub jitter: Duration,
}

/// What happens to the frames of a protocol whose [`Framing`] is known, on their way to the target. The rates are frames in
/// a thousand; a frame meets at most one of the four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrameFaults {
    /// Frames that do not arrive.
    pub lost: u16,
    /// Frames that arrive twice.
    pub duplicated: u16,
    /// Frames that arrive after the one that was sent after them.
    pub reordered: u16,
    /// Frames in which one to three bits are flipped.
    pub corrupted: u16,
    /// Whether the first frame of a connection, by which the two come to know each other, may be hit, too.
    pub first: bool,
    /// Decides which frames and which bits.
    pub seed: u64,
}

impl FrameFaults {
    /// Frames in a thousand that meet any of it.
    #[must_use]
    pub fn per_mille(&self) -> u32 {
        [self.lost, self.duplicated, self.reordered, self.corrupted].into_iter().map(u32::from).sum()
    }
}

/// How frames are told apart in a stream: each begins with the length of its content, four bytes, big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Bytes in front of the content of a connection's first frame, the length included.
    pub first_head: usize,
    /// Bytes in front of the content of every other frame.
    pub head: usize,
}

impl Framing {
    /// That of the servers of this project among themselves.
    pub const OURS: Framing =
        Framing { first_head: kv_server::protocol::LENGTH_BYTES, head: kv_server::protocol::HEAD_BYTES };
}
