//! The two sides of [`Raft::step`](crate::Raft::step): one input in, any number of effects out.

use std::sync::Arc;

use crate::entry::Entry;
use crate::error::Refused;
use crate::event::Event;
use crate::membership::{Change, Transition};
use crate::message::{Message, Outbound};
use crate::snapshots::{ReadChunk, SnapshotMeta};
use crate::types::{Index, NodeId, Position, ReadId, Term, Ticket};
use crate::write::{Write, WriteAck};

/// Something that happened to this server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input<P> {
    /// A message arrived.
    Receive {
        /// Who sent it, as the host's transport established.
        from: NodeId,
        /// What it says.
        message: Message<P>,
    },
    /// A timer that [`Effects::timers`] armed has run out.
    Timer(Timer),
    /// Commands to append, in this order and without others between them.
    Propose(Vec<P>),
    /// A linearizable read, or a batch of them under one id.
    Read(ReadId),
    /// This write and every earlier one are on stable storage.
    Durable(WriteAck),
    /// A write failed, or may have: what the disk holds is not known any more. The node stops acting.
    StorageFailed,
    /// The state machine has executed everything up to here.
    Applied(Index),
    /// A message to this peer was lost, as far as the host can tell. Only a hint.
    Unreachable(NodeId),
    /// Campaign now, as if the election timer had run out.
    Campaign,
    /// Give up leadership, in the same term.
    StepDown,
    /// Give leadership to a voter, or to the most suitable one (diss. 3.10). A follower passes the wish on to its leader.
    TransferLeadership(Option<NodeId>),
    /// Stop defending the leader, so that another can be elected without waiting; not with leases.
    ForgetLeader,
    /// Switch check-quorum, leader stickiness included, on or off; not off with leases.
    SetCheckQuorum(bool),
    /// Change who the members are.
    ChangeMembership {
        /// What becomes of whom, all at once.
        changes: Vec<Change>,
        /// How.
        transition: Transition,
    },
    /// Leave a joint membership whose change was asked for with [`Transition::Explicit`].
    LeaveJoint,
    /// A snapshot of the state machine is on stable storage: let go of the log up to `through`, at most up to the snapshot. Its
    /// bytes do not change from here on, since parts of it may be on their way to peers. It must not take the place of a later one
    /// that was installed meanwhile: then this is refused.
    Compact {
        /// What it stands for, from [`Raft::snapshot_meta`](crate::Raft::snapshot_meta).
        snapshot: SnapshotMeta,
        /// Entries after this one are kept, for peers that lag a little.
        through: Index,
    },
    /// What [`Effects::snapshots`] asked for.
    SnapshotChunk {
        /// As asked.
        to: NodeId,
        /// As asked.
        last: Position,
        /// As asked.
        offset: u64,
        /// The bytes from there on, as many as suit the host's transport.
        data: Vec<u8>,
        /// There are no more.
        done: bool,
    },
    /// What was asked for cannot be read (any more); the core asks again later, for the latest snapshot.
    SnapshotUnavailable {
        /// For whom it was asked.
        to: NodeId,
    },
    /// Ask the leader for a snapshot, to replace a state machine that is damaged. Until it comes, or the leader is lost, nothing
    /// more is committed here.
    RequestSnapshot,
}

/// The timers. How long they run is the host's business (see [`Clocked`](crate::Clocked)); that one ran out is an input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timer {
    /// Follower or candidate: nothing was heard of a leader. Drawn anew from `[t, 2t)` whenever it is armed (§5.2).
    Election,
    /// Leader: time for the next heartbeat.
    Heartbeat,
    /// Runs for `t`. Leader: was a quorum heard since the last look (check-quorum, diss. 6.2)? Follower: the leader was
    /// not heard for so long that another one would be welcome (leader stickiness, diss. 4.2.3).
    Contact,
}

/// What the host is to do after a step. Lists are appended to; the host empties them and keeps their memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Effects<P> {
    /// Messages to send, now: none of them rests on a write that is not durable.
    pub send: Vec<Outbound<P>>,
    /// Writes to make durable, in this order.
    pub writes: Vec<Write<P>>,
    /// Timers to start, or to start over.
    pub timers: Vec<Timer>,
    /// What the state machine is to do, in this order.
    pub apply: Vec<Apply<P>>,
    /// Reads that were decided.
    pub reads: Vec<ReadOutcome>,
    /// Where the commands of the latest [`Input::Propose`] went, if it was accepted.
    pub proposed: Option<Proposed>,
    /// What became of proposals that were forwarded.
    pub forwarded: Vec<Forwarded>,
    /// Leadership was lost: what was proposed there may still be committed, by another leader, or may not.
    pub abandoned: Vec<Abandoned>,
    /// Parts of the host's snapshot that are needed for peers.
    pub snapshots: Vec<ReadChunk>,
    /// What an operator or a test wants to know.
    pub events: Vec<Event>,
}

impl<P> Default for Effects<P> {
    fn default() -> Self {
        Effects {
            send: Vec::new(),
            writes: Vec::new(),
            timers: Vec::new(),
            apply: Vec::new(),
            reads: Vec::new(),
            proposed: None,
            forwarded: Vec::new(),
            abandoned: Vec::new(),
            snapshots: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl<P> Effects<P> {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.send.clear();
        self.writes.clear();
        self.timers.clear();
        self.apply.clear();
        self.reads.clear();
        self.proposed = None;
        self.forwarded.clear();
        self.abandoned.clear();
        self.snapshots.clear();
        self.events.clear();
    }
}

/// A step of the state machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Apply<P> {
    /// Execute a committed entry; each is handed out once per boot.
    Entry(Entry<P>),
    /// Replace all state by this snapshot, which is on stable storage. Its last entry then counts as executed.
    Snapshot(Arc<SnapshotMeta>),
}

impl<P> Apply<P> {
    /// Up to where the state machine is after this step: what to report with [`Input::Applied`].
    #[must_use]
    pub fn index(&self) -> Index {
        match self {
            Apply::Entry(entry) => entry.index,
            Apply::Snapshot(snapshot) => snapshot.last.index,
        }
    }
}

/// The decision on a read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ReadOutcome {
    /// Serve it from the state machine as soon as everything up to `index` is applied.
    Ready {
        /// Which read.
        id: ReadId,
        /// Its read index (diss. 6.4).
        index: Index,
    },
    /// The leader was lost before it could be confirmed; ask again.
    Aborted {
        /// Which read.
        id: ReadId,
    },
}

/// Where proposed commands went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Proposed {
    /// Into this leader's log.
    Appended(Placed),
    /// To the leader of this term, whose answer will be among [`Effects::forwarded`].
    Forwarded(Ticket),
}

/// Where commands stand in the log. They are committed when an entry of this very term is applied there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Placed {
    /// The term of all of them.
    pub term: Term,
    /// Index of the first.
    pub first: Index,
    /// Index of the last.
    pub last: Index,
}

/// What became of a proposal that was forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Forwarded {
    /// As in [`Proposed::Forwarded`].
    pub ticket: Ticket,
    /// The leader's answer.
    pub outcome: ForwardOutcome,
}

/// The leader's answer to a forwarded proposal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ForwardOutcome {
    /// It stands in the leader's log, which is not yet to say that it is committed: like
    /// [`Placed`] of the leader's own proposals.
    Appended(Placed),
    /// The leader would not take it.
    Refused(Refused),
    /// The leader was lost before it answered: the commands may have been appended, or not.
    Unknown,
}

/// The entries of a leader that lost its office before they were committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Abandoned {
    /// The term it led.
    pub term: Term,
    /// The first entry it does not know to be committed.
    pub first: Index,
    /// The last one in its log.
    pub last: Index,
}
