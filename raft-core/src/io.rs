//! The two sides of [`Raft::step`](crate::Raft::step): one input in, any number of effects out.

use crate::entry::Entry;
use crate::message::{Message, Outbound};
use crate::role::RoleKind;
use crate::types::{Index, NodeId, ReadId, Term};
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
    /// The state machine has executed everything up to here.
    Applied(Index),
    /// A message to this peer was lost, as far as the host can tell. Only a hint.
    Unreachable(NodeId),
    /// Campaign now, as if the election timer had run out.
    Campaign,
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
    /// Committed entries to execute, in this order; each is handed out once per boot.
    pub apply: Vec<Entry<P>>,
    /// Reads that were decided.
    pub reads: Vec<ReadOutcome>,
    /// Where the commands of the latest [`Input::Propose`] went, if it was accepted.
    pub proposed: Option<Proposed>,
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
        self.events.clear();
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
    /// Leadership was lost before it could be confirmed; ask the new leader.
    Aborted {
        /// Which read.
        id: ReadId,
    },
}

/// Where proposed commands stand in the log. They are committed when an entry of this very term is applied there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Proposed {
    /// The term of all of them.
    pub term: Term,
    /// Index of the first.
    pub first: Index,
    /// Index of the last.
    pub last: Index,
}

/// News that asks for no action.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// The role, the term or the known leader changed. Whoever was leader and is not any more has lost its pending
    /// proposals: their outcome is unknown to it.
    Role {
        /// What the server is now.
        role: RoleKind,
        /// In which term.
        term: Term,
        /// The leader, if one is known.
        leader: Option<NodeId>,
    },
    /// A message was ignored that no correct peer could have sent.
    Suspect {
        /// Who sent it.
        from: NodeId,
        /// What is wrong with it.
        reason: Suspicion,
    },
    /// A message was ignored, as if lost, for want of room: see [`Limits::outstanding_writes`](crate::Limits).
    Overloaded {
        /// Who sent it.
        from: NodeId,
    },
    /// Raft's safety is broken. The node has stopped and ignores everything from here on.
    Halted(Breach),
}

/// Why a message was ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Suspicion {
    /// The sender is no member of the cluster, or claims to be this very server.
    NotAMember,
    /// A term or an index beyond [`Term::LIMIT`] or [`Index::LIMIT`].
    OutOfRange,
    /// An append whose entries are not contiguous, whose terms go backwards or exceed the message's own.
    MalformedAppend,
    /// An acknowledgement of entries that this leader never had.
    AcknowledgedBeyondLog,
    /// A pre-vote for a term that was not asked about, or a vote for an election that was not announced.
    UnaskedVote,
}

/// How safety was seen to be broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Breach {
    /// Two servers lead the same term (election safety, §5.2).
    TwoLeaders {
        /// The term.
        term: Term,
        /// The leader already known.
        known: NodeId,
        /// The other one.
        other: NodeId,
    },
    /// A leader contradicts an entry that is committed here (leader completeness, §5.4).
    CommittedEntryContradicted {
        /// The entry.
        index: Index,
    },
}
