//! What a frame's records say. The borrowed kinds are written, the owned ones read: the same kinds in the same order.

use raft_core::{Config, Entry, HardState, Index, Input, LostTail, Moment, Recovered, SnapshotMeta, Timing};
use serde::{Deserialize, Serialize};

/// What a server's life began with.
#[derive(Clone, Debug)]
pub struct Start<P> {
    /// The core's version, see [`core_version`](crate::core_version).
    pub core: String,
    /// Its configuration.
    pub config: Config,
    /// Its timers.
    pub timing: Timing,
    /// What its election timeouts were drawn from.
    pub seed: u64,
    /// When it was, by the clock that all steps of this life are timed by.
    pub now: Moment,
    /// What was on stable storage.
    pub recovered: Recovered<P>,
    /// The checksum of what the core made of it.
    pub effects: [u8; 4],
}

/// One call of [`Clocked::step`](raft_core::Clocked::step).
#[derive(Clone, Debug)]
pub struct Step<P> {
    /// When.
    pub now: Moment,
    /// What came in, if not only time went by.
    pub input: Option<Input<P>>,
    /// The checksum of what the core made of it.
    pub effects: [u8; 4],
}

/// [`Start`] without the log and the effects.
#[derive(Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) core: String,
    pub(crate) config: Config,
    pub(crate) timing: Timing,
    pub(crate) seed: u64,
    pub(crate) now: Moment,
    pub(crate) boot: u64,
    pub(crate) hard_state: HardState,
    pub(crate) snapshot: Option<SnapshotMeta>,
    pub(crate) applied: Index,
    pub(crate) lost_tail: Option<LostTail>,
    pub(crate) entries: u64,
}

#[derive(Deserialize)]
pub(crate) enum Record<P> {
    Start(Box<Head>),
    Entries(Vec<Entry<P>>),
    Started([u8; 4]),
    Step(u64, Option<Input<P>>, [u8; 4]),
    Stop,
}

/// The effects of a step are not known when its input is written: their four bytes follow.
#[derive(Serialize)]
pub(crate) enum RecordRef<'a, P> {
    Start(Box<Head>),
    Entries(&'a [Entry<P>]),
    Started([u8; 4]),
    Step(u64, Option<&'a Input<P>>),
    Stop,
}

/// No record begins like this.
pub(crate) const UNENCODABLE: u8 = 0xff;
