//! A node, its disk, and what must hold of the two whatever the node is told.

use std::collections::VecDeque;

use raft_core::{
    AppendOutcome, Batch, Body, Config, Effects, Entry, HardState, Index, Input, Limits, Message, NodeId,
    Outbound, Payload, Raft, ReadId, ReadOutcome, Recovered, Refused, RoleKind, Term, Timer, Write, WriteAck,
};

use crate::generator::{Start, Step};

const ME: NodeId = NodeId(1);

pub struct Watched {
    node: Raft<u8>,
    /// Hears what the node hears, once there is one.
    twin: Option<Raft<u8>>,
    effects: Effects<u8>,
    boot: u64,
    disk: Disk,
    outstanding: VecDeque<Write<u8>>,
    /// Writes that the disk has, of which the node was not told yet.
    untold: usize,
    acknowledged: VecDeque<WriteAck>,
    /// The last entry that was handed out for execution.
    handed: Index,
    /// Reads that were taken and not decided yet, and what was committed then.
    reads: VecDeque<(ReadId, Index)>,
}

#[derive(Default)]
struct Disk {
    hard: HardState,
    entries: Vec<Entry<u8>>,
}

impl Watched {
    pub fn start(start: &Start) -> Self {
        let mut term = Term(1);
        let mut entry = |(i, step): (usize, &u8)| {
            term = Term(term.0 + u64::from(step % 4));
            Entry { index: Index(i as u64 + 1), term, payload: Payload::Command(*step) }
        };
        let entries =
            start.terms.iter().take(usize::from(start.terms[0] % 5)).enumerate().map(&mut entry).collect();
        let term = Term(term.0 + u64::from(start.term % 4));
        let disk = Disk { hard: HardState { term, voted_for: None }, entries };
        let mut config = Config::new(ME, (1..=u64::from(start.voters % 5) + 1).map(NodeId));
        config.pre_vote = start.pre_vote;
        if start.narrow_limits {
            config.limits = Limits {
                append_entries: 2,
                append_bytes: 48,
                inflight_appends: 2,
                uncommitted_entries: 4,
                uncommitted_bytes: 128,
                pending_reads: 2,
                unapplied_entries: 2,
                outstanding_writes: 2,
            };
        }
        let mut watched = Watched {
            node: boot(config, 0, &disk),
            twin: None,
            effects: Effects::default(),
            boot: 0,
            disk,
            outstanding: VecDeque::new(),
            untold: 0,
            acknowledged: VecDeque::new(),
            handed: Index::ZERO,
            reads: VecDeque::new(),
        };
        if start.leads {
            watched.be_elected();
        }
        watched
    }

    fn be_elected(&mut self) {
        self.input(Input::Campaign);
        let next_term = self.node.term().next();
        for body in [Body::PreVoteResponse { next_term, granted: true }, Body::VoteResponse { granted: true }]
        {
            self.persist(usize::MAX, true);
            for peer in 2..=self.node.config().membership.voters().len() as u64 {
                let message = Message { term: self.node.term(), body: body.clone() };
                self.input(Input::Receive { from: NodeId(peer), message });
            }
        }
        assert_eq!(self.node.role(), RoleKind::Leader);
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Receive { from, term, said } => {
                let message = said.message(*term, &self.node);
                self.input(Input::Receive { from: from.0, message });
            }
            Step::Timer(timer) => {
                let timers = [Timer::Election, Timer::Heartbeat, Timer::Contact];
                self.input(Input::Timer(timers[usize::from(timer % 3)]));
            }
            Step::Propose(commands) => self.input(Input::Propose(commands.clone())),
            Step::Read(id) => self.input(Input::Read(ReadId(u64::from(*id)))),
            Step::Campaign => self.input(Input::Campaign),
            Step::Unreachable(peer) => self.input(Input::Unreachable(peer.0)),
            Step::Applied(index) => self.input(Input::Applied(Index(index.from(self.handed.0)))),
            Step::Persist { writes, told } => self.persist(usize::from(writes % 4), *told),
            Step::AcknowledgeAgain(which) => {
                if let Some(ack) = self.acknowledged.get(usize::from(which % 8)) {
                    self.input(Input::Durable(*ack));
                }
            }
            Step::Crash { survived } => self.crash(usize::from(survived % 4)),
            Step::Resume => {
                let bytes = postcard::to_stdvec(&self.node).expect("a node can be serialised");
                let twin = postcard::from_bytes(&bytes).expect("and read back");
                assert!(self.node == twin, "read back as another node");
                self.twin = Some(twin);
            }
        }
    }

    fn input(&mut self, input: Input<u8>) {
        let before = self.node.clone();
        let result = self.node.step(input.clone(), &mut self.effects);
        if let Some(twin) = &mut self.twin {
            let mut effects = Effects::default();
            assert_eq!(result, twin.step(input.clone(), &mut effects), "the twin answers differently");
            assert_eq!(self.effects, effects, "the twin acts differently");
            assert!(self.node == *twin, "the twin becomes another node");
        }
        self.goes_back_on_nothing(&before);
        self.stays_small(&before, &input);
        self.says_what_the_disk_knows();
        self.hands_out_the_log();
        self.decides_reads(&before, &input, result);
        if before.has_halted() || is_from_stranger(&before, &input) {
            let events = std::mem::take(&mut self.effects.events);
            assert!(self.node == before && self.effects == Effects::default(), "{input:?} had effects");
            assert!(events.is_empty() || !before.has_halted(), "a halted node has news");
        }
        self.outstanding.extend(self.effects.writes.drain(..));
        self.effects.clear();
    }

    fn goes_back_on_nothing(&self, before: &Raft<u8>) {
        let node = &self.node;
        assert!(
            node.term() >= before.term()
                && node.commit() >= before.commit()
                && node.applied() >= before.applied()
        );
        let (was, is) = (before.hard_state(), node.hard_state());
        let changes_its_vote =
            was.term == is.term && was.voted_for.is_some() && is.voted_for != was.voted_for;
        assert!(!changes_its_vote, "{was:?} becomes {is:?}");
        assert!(node.term() <= Term::LIMIT && node.last().index <= Index::LIMIT);
        let keeps = |i| before.entry(Index(i)) == node.entry(Index(i));
        assert!((1..=before.commit().0).all(keeps), "a committed entry has changed");
        assert!(
            node.applied() <= node.commit()
                && node.commit() <= node.last().index
                && node.durable() <= node.last().index
        );
    }

    /// Per step nothing grows by more than what came in, and no list exceeds its limit.
    fn stays_small(&self, before: &Raft<u8>, input: &Input<u8>) {
        let (limits, peers) = (self.node.config().limits, self.node.config().membership.voters().len());
        let brought = match input {
            Input::Propose(commands) => commands.len(),
            Input::Receive { message, .. } => match &message.body {
                Body::Append(append) => append.entries.len(),
                _ => 0,
            },
            _ => 0,
        };
        let growth = self.node.last().index.distance_from(before.last().index);
        assert!(growth <= brought as u64 + 1, "{brought} entries came in and {growth} were appended");
        assert!(
            self.effects.send.len() <= peers * (limits.inflight_appends + 4),
            "{} messages",
            self.effects.send.len()
        );
        let writes = self.outstanding.len() + self.effects.writes.len();
        assert!(writes <= limits.outstanding_writes + self.untold + 2, "{writes} writes are outstanding");
        assert!(self.effects.events.len() <= 4 && self.effects.timers.len() <= 8, "{:?}", self.effects);
        for Outbound { message, .. } in &self.effects.send {
            if let Body::Append(append) = &message.body {
                assert!(
                    append.entries.len() <= limits.append_entries,
                    "an append of {}",
                    append.entries.len()
                );
            }
        }
    }

    /// What would be forgotten in a crash is not said (K01).
    fn says_what_the_disk_knows(&self) {
        for Outbound { to, message } in &self.effects.send {
            let voted_for = match message.body {
                Body::VoteRequest { .. } => Some(ME),
                Body::VoteResponse { granted: true } => Some(*to),
                _ => None,
            };
            let needed = HardState { term: message.term, voted_for };
            assert!(voted_for.is_none() || self.disk.hard == needed, "{message:?} with {:?}", self.disk.hard);
            match &message.body {
                Body::Append(_) => assert!(self.disk.hard.term >= message.term, "{message:?}"),
                Body::AppendResponse(response) => {
                    if let AppendOutcome::Accepted { matched } = response.outcome {
                        let holds = (1..=matched.0).all(|i| self.disk.entry(i) == self.node.entry(Index(i)));
                        assert!(holds && self.disk.entries.len() as u64 >= matched.0, "{message:?}");
                    }
                }
                _ => {}
            }
        }
    }

    /// Each entry once, in order, not before it is committed, and not too many at a time.
    fn hands_out_the_log(&mut self) {
        for entry in &self.effects.apply {
            assert_eq!(entry.index, self.handed.next());
            assert!(self.node.entry(entry.index) == Some(entry) && entry.index <= self.node.commit());
            self.handed = entry.index;
        }
        let unapplied = self.handed.distance_from(self.node.applied());
        assert!(
            unapplied <= self.node.config().limits.unapplied_entries as u64,
            "{unapplied} entries are unapplied"
        );
    }

    /// Every read that was taken is decided once, in order (R02), at the latest when the leadership ends (R06); what had been
    /// committed when it was taken must be applied before it is served (R01).
    fn decides_reads(&mut self, before: &Raft<u8>, input: &Input<u8>, result: Result<(), Refused>) {
        if let (Input::Read(id), Ok(())) = (input, result) {
            self.reads.push_back((*id, before.commit()));
        }
        for read in &self.effects.reads {
            let (taken, commit) = self.reads.pop_front().expect("a read was taken for every decision");
            let (id, index) = match *read {
                ReadOutcome::Ready { id, index } => (id, index),
                ReadOutcome::Aborted { id } => (id, commit),
            };
            assert!(
                id == taken && commit <= index && index <= self.node.last().index,
                "{read:?} for {taken:?}"
            );
        }
        assert!(
            self.reads.is_empty() || self.node.role() == RoleKind::Leader,
            "reads outlive the leadership"
        );
        let limit = self.node.config().limits.pending_reads;
        assert!(self.reads.len() <= limit, "{} reads are pending", self.reads.len());
    }

    fn persist(&mut self, writes: usize, told: bool) {
        let writes = writes.min(self.outstanding.len());
        let mut last = None;
        for write in self.outstanding.drain(..writes) {
            let (batch, ack) = write.split();
            self.disk.store(batch);
            last = Some(ack);
        }
        let Some(ack) = last else { return };
        self.acknowledged.push_front(ack);
        self.acknowledged.truncate(8);
        if told {
            self.untold = 0;
            self.input(Input::Durable(ack));
        } else {
            self.untold += writes;
        }
    }

    /// Every prefix of the write stream is a legal start (K10).
    fn crash(&mut self, survived: usize) {
        self.persist(survived, false);
        self.outstanding.clear();
        self.boot += 1;
        self.node = boot(self.node.config().clone(), self.boot, &self.disk);
        self.twin = None;
        (self.untold, self.handed) = (0, Index::ZERO);
        self.reads.clear();
    }
}

fn is_from_stranger(node: &Raft<u8>, input: &Input<u8>) -> bool {
    matches!(input, Input::Receive { from, .. } if *from == ME || !node.config().membership.contains(*from))
}

fn boot(config: Config, boot: u64, disk: &Disk) -> Raft<u8> {
    let recovered = Recovered { boot, hard_state: disk.hard, entries: disk.entries.clone() };
    Raft::start(config, recovered, &mut Effects::default())
        .expect("every prefix of the write stream is a legal start")
}

impl Disk {
    fn store(&mut self, batch: Batch<u8>) {
        self.hard = batch.hard_state.unwrap_or(self.hard);
        if let Some(first) = batch.entries.first() {
            assert!(first.index.0 <= self.entries.len() as u64 + 1, "a hole in the log on the disk");
            self.entries.truncate(first.index.0 as usize - 1);
        }
        self.entries.extend(batch.entries);
    }

    fn entry(&self, index: u64) -> Option<&Entry<u8>> {
        self.entries.get(index.checked_sub(1)? as usize)
    }
}
