//! From bytes to steps. A new kind of input is a variant of [`Step`] and an arm in
//! [`Watched::take`](crate::watched::Watched::take); a new kind of message one of [`Said`].
//!
//! Numbers are relative to the node that hears them: only near to its own term, log and commit index does anything
//! interesting happen, and the fuzzer would seldom guess them once they have grown.

use arbitrary::{Arbitrary, Unstructured};
use raft_core::{
    Config, Entry, HardState, Index, Lease, Limits, Membership, NodeId, Payload, Position, SnapshotMeta, Term,
};

use crate::disk::Disk;
use crate::members::{Altered, ME, Members};
use crate::said::Said;

#[derive(Arbitrary, Debug)]
pub struct Sequence {
    pub start: Start,
    pub steps: Vec<Step>,
}

/// What the node is and has when it starts.
#[derive(Arbitrary, Debug)]
pub struct Start {
    voters: u8,
    /// It is no founder, and waits to be added.
    joins: bool,
    switches: u16,
    priority: u8,
    /// It is elected first, in the regular way: by chance that is rare, and much can only go wrong then.
    pub leads: bool,
    /// By how much the term grows from entry to entry.
    terms: [u8; 4],
    /// By how much the node's own is later than that.
    term: u8,
    /// Which snapshot there is, if any, in relation to the log.
    snapshot: Option<(Standing, u8)>,
    /// One of the entries brings other members.
    members: Option<(u8, Members)>,
    /// So much of the log's end is lost, and whether it is known how much.
    lost: Option<(u8, bool)>,
}

/// Where a recovered snapshot stands.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Standing {
    /// In the log, which is all there.
    Within,
    /// Right before the log.
    Before,
    /// Beyond the end of the log.
    Beyond,
    /// In the log, which says something else there.
    Against,
}

/// Switches of [`Start`].
const NO_PRE_VOTE: u16 = 1;
const NO_CHECK_QUORUM: u16 = 1 << 1;
const NARROW: u16 = 1 << 2;
const FORWARD: u16 = 1 << 3;
const ANNOUNCE: u16 = 1 << 4;
const APPLY_DURABLE: u16 = 1 << 5;
const LEASE: u16 = 1 << 6;
const CLOCKED: u16 = 1 << 7;

#[derive(Debug)]
pub enum Step {
    Receive {
        from: Peer,
        term: Number,
        said: Said,
    },
    Timer(u8),
    /// So many milliseconds pass, for a node that keeps the time.
    Elapse(u8),
    Propose(Vec<u8>),
    Read,
    Campaign,
    Resign,
    ForgetLeader,
    SetCheckQuorum(bool),
    Transfer(Option<Peer>),
    ChangeMembership {
        changes: Vec<Altered>,
        explicit: bool,
    },
    LeaveJoint,
    Unreachable(Peer),
    /// The state machine reports an index, which need not be true.
    Applied(Number),
    /// A snapshot was taken so many entries ago, and so many more are kept; or it is none.
    Compact {
        back: u8,
        kept: u8,
        wrong: Option<(u8, Members)>,
    },
    /// A part of a snapshot was read that was asked for, or not.
    Chunk {
        which: u8,
        odd: Option<(Peer, Number)>,
        bytes: u8,
        done: bool,
    },
    SnapshotUnavailable(Peer),
    RequestSnapshot,
    StorageFailed,
    /// So many writes become durable; the node is told about the last, or not yet.
    Persist {
        writes: u8,
        told: bool,
    },
    /// An acknowledgement is repeated, perhaps from before a crash.
    AcknowledgeAgain(u8),
    /// The process dies; so many of the outstanding writes were on the disk, and perhaps its end rots.
    Crash {
        survived: u8,
        lost: Option<(u8, bool)>,
    },
    /// From here on a second node, read back from the first one's serialised form, hears the same.
    Resume,
}

impl Arbitrary<'_> for Step {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? {
            0..=119 => {
                Step::Receive { from: bytes.arbitrary()?, term: bytes.arbitrary()?, said: bytes.arbitrary()? }
            }
            120..=131 => Step::Timer(bytes.arbitrary()?),
            132..=135 => Step::Elapse(bytes.arbitrary()?),
            136..=147 => Step::Propose(bytes.arbitrary()?),
            148..=155 => Step::Read,
            156 | 157 => Step::Campaign,
            158 => Step::Resign,
            159 => Step::ForgetLeader,
            160 | 161 => Step::SetCheckQuorum(bytes.arbitrary()?),
            162..=165 => Step::Transfer(bytes.arbitrary()?),
            166..=173 => Step::ChangeMembership { changes: bytes.arbitrary()?, explicit: bytes.arbitrary()? },
            174..=177 => Step::LeaveJoint,
            178..=181 => Step::Unreachable(bytes.arbitrary()?),
            182..=189 => Step::Applied(bytes.arbitrary()?),
            190..=201 => Step::Compact {
                back: bytes.arbitrary()?,
                kept: bytes.arbitrary()?,
                wrong: bytes.arbitrary::<Option<_>>()?,
            },
            202..=209 => Step::Chunk {
                which: bytes.arbitrary()?,
                odd: bytes.arbitrary()?,
                bytes: bytes.arbitrary()?,
                done: bytes.arbitrary()?,
            },
            210..=212 => Step::SnapshotUnavailable(bytes.arbitrary()?),
            213..=217 => Step::RequestSnapshot,
            218 => Step::StorageFailed,
            219..=238 => Step::Persist { writes: bytes.arbitrary()?, told: bytes.arbitrary()? },
            239..=242 => Step::AcknowledgeAgain(bytes.arbitrary()?),
            243..=250 => Step::Crash { survived: bytes.arbitrary()?, lost: bytes.arbitrary()? },
            _ => Step::Resume,
        })
    }
}

/// A server: most often a member other than the node itself.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub NodeId);

/// A term or an index: most often the node's own.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// So far from the node's own.
    Near(i8),
    /// Exactly this.
    Exactly(u64),
}

impl Arbitrary<'_> for Peer {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let peer = match bytes.arbitrary::<u8>()? {
            0..=127 => 2,
            128..=223 => 3,
            other => other % 8,
        };
        Ok(Peer(NodeId(u64::from(peer))))
    }
}

impl Arbitrary<'_> for Number {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(match bytes.arbitrary::<u8>()? {
            0..=127 => Number::Near(0),
            128..=175 => Number::Near(1),
            176..=207 => Number::Near(-1),
            208..=247 => Number::Near(bytes.arbitrary::<i8>()? % 8),
            _ => Number::Exactly(bytes.arbitrary()?),
        })
    }
}

impl Number {
    pub fn from(self, own: u64) -> u64 {
        match self {
            Number::Near(distance) => own.saturating_add_signed(i64::from(distance)),
            Number::Exactly(number) => number,
        }
    }
}

impl Start {
    fn is(&self, switch: u16) -> bool {
        self.switches & switch != 0
    }

    pub fn keeps_time(&self) -> bool {
        self.is(CLOCKED)
    }

    fn founders(&self) -> Membership {
        Membership::new((1..=u64::from(self.voters % 5) + 1).map(NodeId))
    }

    pub fn config(&self) -> Config {
        let mut config = Config::joining(ME);
        config.founders = (!self.joins).then(|| self.founders());
        config.pre_vote = !self.is(NO_PRE_VOTE);
        config.check_quorum = !self.is(NO_CHECK_QUORUM);
        config.lease = (self.is(LEASE) && config.check_quorum).then_some(Lease { drift_ppm: 1000 });
        config.forward = self.is(FORWARD);
        config.announce_commits = self.is(ANNOUNCE);
        config.apply_durable = self.is(APPLY_DURABLE);
        config.priority = self.priority % 3;
        if self.is(NARROW) {
            config.limits = narrow(self.priority & 4 != 0);
        }
        config
    }

    /// What its stable storage holds: something that a prefix of the writes of an earlier life may have left there.
    pub fn disk(&self) -> Disk {
        let mut term = Term(1);
        let mut entry = |(i, step): (usize, &u8)| {
            term = Term(term.0 + u64::from(step % 4));
            let payload = match &self.members {
                Some((at, members)) if usize::from(at % 4) == i && members.membership().is_legal() => {
                    Payload::Membership(members.membership().into())
                }
                _ => Payload::Command(*step),
            };
            Entry { index: Index(i as u64 + 1), term, payload }
        };
        let count = usize::from(self.terms[0] % 5);
        let entries: Vec<_> = self.terms.iter().take(count).enumerate().map(&mut entry).collect();
        let hard = HardState::new(Term(term.0 + u64::from(self.term % 4)), None);
        let mut disk = Disk { hard, entries, ..Disk::default() };
        if let Some((standing, at)) = self.snapshot {
            disk.snapshot = self.snapshot_on(&mut disk.entries, standing, at);
        }
        if let Some((kept, is_known)) = self.lost {
            disk.rot(usize::from(kept % 4), is_known);
        }
        disk
    }

    fn snapshot_on(&self, entries: &mut Vec<Entry<u8>>, standing: Standing, at: u8) -> Option<SnapshotMeta> {
        let latest = entries.last().map(Entry::position).unwrap_or_default();
        let place = entries.get(usize::from(at) % entries.len().max(1)).map(Entry::position);
        let later = Term(latest.term.0 + 1 + u64::from(at % 2));
        let last = match (standing, place) {
            (Standing::Within | Standing::Before, place) => place?,
            (Standing::Against, Some(place)) => Position { term: later, ..place },
            _ => Position { index: Index(latest.index.0 + 1 + u64::from(at % 3)), term: later },
        };
        if let Standing::Before = standing {
            entries.retain(|entry| entry.index > last.index);
        }
        Some(SnapshotMeta { last, membership: self.founders().into() })
    }
}

/// Windows that are narrow by count, or by bytes: else the one would hide the other.
fn narrow(by_count: bool) -> Limits {
    Limits {
        append_entries: 2,
        append_bytes: 40,
        inflight_appends: if by_count { 1 } else { 8 },
        inflight_bytes: if by_count { 1000 } else { 17 },
        uncommitted_entries: 12,
        uncommitted_bytes: 256,
        pending_reads: 2,
        pending_forwards: 2,
        unapplied_entries: 2,
        unapplied_bytes: 40,
        outstanding_writes: 3,
        promotion_lag: 1,
    }
}
