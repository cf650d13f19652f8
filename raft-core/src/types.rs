//! The protocol's plain domain types: values that are checked once at the gate and trusted inside.

use std::fmt;

/// A term of office: a logical clock that grows by one with every real election (§5.1). Term 0 precedes the first one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Term(pub u64);

impl Term {
    /// No correct server gets near this term; a message that claims a later one is suspect and is ignored, so that
    /// arithmetic on terms never overflows.
    pub const LIMIT: Term = Term(1 << 62);

    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

/// The position of an entry in the log, counted from 1. Index 0 stands before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Index(pub u64);

impl Index {
    /// The index before the first entry.
    pub const ZERO: Index = Index(0);
    /// No log gets near this length; a message that claims a later index is suspect and is ignored.
    pub const LIMIT: Index = Index(1 << 62);

    /// The index after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }

    /// The index before this one; the one before 0 is 0.
    #[must_use]
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }

    /// The index `count` entries later.
    #[must_use]
    pub fn plus(self, count: usize) -> Index {
        Index(self.0.saturating_add(count as u64))
    }

    /// How many entries lie in `(earlier, self]`; 0 where `earlier` is the later one.
    #[must_use]
    pub fn distance_from(self, earlier: Index) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The identity of a server, unique in its cluster and never given to another server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct NodeId(pub u64);

/// The host's own name for a linearizable read, or for a batch of them. It never travels (compare etcd #20418, where a
/// caller's id that came back on a late reply released another read).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct ReadId(pub u64);

/// A leader's own counter of confirmation rounds within its term (diss. 6.4). Every append carries the newest round and
/// every reply echoes it, so that a reply confirms leadership for exactly the reads that came before its append.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Round(pub u64);

impl Round {
    /// The round after this one.
    #[must_use]
    pub(crate) fn next(self) -> Round {
        Round(self.0.saturating_add(1))
    }
}

/// A server's number for a request that it forwards to its leader. It holds the server's boot, so that no late answer to a
/// request of an earlier life is taken for the answer to one of this life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ticket {
    /// The life of the server that made the request.
    pub boot: u64,
    /// Counted from 1 in each life.
    pub number: u64,
}

/// What must survive a crash besides the log (Figure 2, "persistent state").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardState {
    /// Latest term the server has seen.
    pub term: Term,
    /// Candidate that received this server's vote in `term`.
    pub voted_for: Option<NodeId>,
    /// Where a log ended whose tail was lost (see [`Recovered::lost_tail`](crate::Recovered)), until it is repaired. This
    /// server has vouched for entries up to here, so it votes as if it still had them, and does not campaign.
    pub lost_tail: Option<Position>,
}

impl HardState {
    /// This term and vote, and nothing lost.
    #[must_use]
    pub fn new(term: Term, voted_for: Option<NodeId>) -> Self {
        HardState { term, voted_for, lost_tail: None }
    }
}

/// An entry's place and term, which together identify it in every log (log matching, §5.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Position {
    /// The entry's index.
    pub index: Index,
    /// The entry's term.
    pub term: Term,
}

impl Position {
    /// Whether a log that ends here is at least as up to date as one that ends at `other` (§5.4.1): the later last term
    /// wins, and of equal terms the longer log.
    #[must_use]
    pub fn is_up_to_date_with(self, other: Position) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}
impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}
impl fmt::Debug for ReadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read{}", self.0)
    }
}
impl fmt::Debug for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
