//! A node and its host, taken through a sequence.

use std::collections::VecDeque;
use std::time::Duration;

use raft_core::{
    Body, Effects, Index, Input, Message, Moment, NodeId, Position, ReadChunk, ReadId, Refused, RoleKind,
    SnapshotMeta, Term, Timer, Transition, Write, WriteAck,
};

use crate::disk::{Disk, remember};
use crate::generator::{Number, Peer, Start, Step};
use crate::judged::Judge;
use crate::members::{ME, Members};
use crate::node::Node;
use crate::said::Known;

pub struct Watched {
    node: Node,
    /// Hears what the node hears, once there is one.
    twin: Option<Node>,
    now: Moment,
    effects: Effects<u8>,
    boot: u64,
    disk: Disk,
    outstanding: VecDeque<Write<u8>>,
    /// Writes that the disk has, of which the node was not told yet.
    untold: usize,
    acknowledged: VecDeque<WriteAck>,
    /// Parts of the snapshot that were asked for.
    wanted: VecDeque<ReadChunk>,
    known: Known,
    judge: Judge,
    reads: u64,
}

impl Watched {
    pub fn start(start: &Start) -> Self {
        let (config, disk) = (start.config(), start.disk());
        let (mut effects, now) = (Effects::default(), Moment(0));
        let node = Node::start(config, disk.recovered(0), start.keeps_time(), now, &mut effects)
            .expect("every prefix of the write stream is a legal start");
        let judge = Judge::new(node.raft(), &disk);
        let mut watched = Watched {
            node,
            twin: None,
            now,
            effects,
            boot: 0,
            disk,
            outstanding: VecDeque::new(),
            untold: 0,
            acknowledged: VecDeque::new(),
            wanted: VecDeque::new(),
            known: Known::default(),
            judge,
            reads: 0,
        };
        watched.take_start_effects();
        if start.leads {
            watched.be_elected();
        }
        watched
    }

    fn take_start_effects(&mut self) {
        self.judge.start(self.node.raft(), &self.effects, &self.disk);
        self.take_effects();
    }

    /// In the regular way, if it may lead.
    fn be_elected(&mut self) {
        self.persist(usize::MAX, true);
        self.input(Input::Timer(Timer::Contact));
        self.input(Input::Campaign);
        let may = self.node.raft().role() == RoleKind::Candidate;
        let next_term = self.node.raft().term().next();
        for body in [Body::PreVoteResponse { next_term, granted: true }, Body::VoteResponse { granted: true }]
        {
            self.persist(usize::MAX, true);
            let voters: Vec<NodeId> = self.node.raft().membership().members().collect();
            for peer in voters.into_iter().filter(|&peer| peer != ME) {
                let message = Message { term: self.node.raft().term(), body: body.clone() };
                self.input(Input::Receive { from: peer, message });
            }
        }
        let leads = self.node.raft().role() == RoleKind::Leader;
        // Elected with the vote of the others alone, it may have been deposed at once: it is none of the members.
        assert!(leads || !may || !self.node.raft().membership().is_voter(ME));
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Receive { from, term, said } => {
                let message = said.message(*term, self.node.raft(), &self.known);
                self.input(Input::Receive { from: from.0, message });
            }
            Step::Timer(timer) => {
                let timers = [Timer::Election, Timer::Heartbeat, Timer::Contact];
                self.input(Input::Timer(timers[usize::from(timer % 3)]));
            }
            Step::Elapse(milliseconds) => self.elapse(*milliseconds),
            Step::Propose(commands) => self.input(Input::Propose(commands.clone())),
            Step::Read => {
                self.reads += 1;
                self.input(Input::Read(ReadId(self.reads)));
            }
            Step::Campaign => self.input(Input::Campaign),
            Step::Resign => self.input(Input::StepDown),
            Step::ForgetLeader => self.input(Input::ForgetLeader),
            Step::SetCheckQuorum(on) => self.input(Input::SetCheckQuorum(*on)),
            Step::Transfer(to) => self.input(Input::TransferLeadership(to.map(|peer| peer.0))),
            Step::ChangeMembership { changes, explicit } => {
                let transition = if *explicit { Transition::Explicit } else { Transition::Auto };
                let changes = changes.iter().map(|altered| altered.change()).collect();
                self.input(Input::ChangeMembership { changes, transition });
            }
            Step::LeaveJoint => self.input(Input::LeaveJoint),
            Step::Unreachable(peer) => self.input(Input::Unreachable(peer.0)),
            Step::Applied(index) => {
                let handed = self.judge.handed().0;
                self.input(Input::Applied(Index(index.from(handed))));
            }
            Step::Compact { back, kept, wrong } => self.compact(*back, *kept, wrong.as_ref()),
            Step::Chunk { which, odd, bytes, done } => self.serve_chunk(*which, *odd, *bytes, *done),
            Step::SnapshotUnavailable(peer) => self.input(Input::SnapshotUnavailable { to: peer.0 }),
            Step::RequestSnapshot => self.input(Input::RequestSnapshot),
            Step::StorageFailed => self.input(Input::StorageFailed),
            Step::Persist { writes, told } => self.persist(usize::from(writes % 4), *told),
            Step::AcknowledgeAgain(which) => {
                if let Some(ack) = self.acknowledged.get(usize::from(which % 8)) {
                    self.input(Input::Durable(*ack));
                }
            }
            Step::Crash { survived, lost } => self.crash(usize::from(survived % 4), *lost),
            Step::Resume => self.resume(),
        }
    }

    fn input(&mut self, input: Input<u8>) {
        // A refusal is an answer.
        let _ = self.ask(input);
    }

    fn ask(&mut self, input: Input<u8>) -> Result<(), Refused> {
        let before = self.node.clone();
        let result = self.node.step(self.now, Some(input.clone()), &mut self.effects);
        if let Some(twin) = &mut self.twin {
            let mut effects = Effects::default();
            let answer = twin.step(self.now, Some(input.clone()), &mut effects);
            assert_eq!(result, answer, "the twin answers differently");
            assert_eq!(self.effects, effects, "the twin acts differently");
            assert!(self.node == *twin, "the twin becomes another node");
        }
        if result.is_err() && !self.node.keeps_time() {
            assert!(self.effects == Effects::default(), "{input:?}: {result:?}, but {:?}", self.effects);
            assert!(self.node == before, "{input:?}: {result:?} changes the node");
        }
        let writes = self.outstanding.len().saturating_add(self.untold);
        self.judge.step(before.raft(), &input, result, self.node.raft(), &self.effects, &self.disk, writes);
        self.judge.keeps_what_the_clock_says(&self.node, self.now);
        self.take_effects();
        result
    }

    fn take_effects(&mut self) {
        self.known.note(&self.effects.send);
        self.wanted.extend(self.effects.snapshots.drain(..));
        let surplus = self.wanted.len().saturating_sub(8);
        self.wanted.drain(..surplus);
        self.outstanding.extend(self.effects.writes.drain(..));
        self.effects.clear();
    }

    /// What is due fires; it is judged as what it is, one timer after the other.
    fn elapse(&mut self, milliseconds: u8) {
        self.now = self.now + Duration::from_millis(u64::from(milliseconds));
        let before = self.node.clone();
        let _ = self.node.step(self.now, None, &mut self.effects);
        if let Some(twin) = &mut self.twin {
            let _ = twin.step(self.now, None, &mut Effects::default());
            assert!(self.node == *twin, "the twin becomes another node");
        }
        let writes = self.outstanding.len().saturating_add(self.untold);
        let input = Input::Timer(Timer::Heartbeat);
        self.judge.step(before.raft(), &input, Ok(()), self.node.raft(), &self.effects, &self.disk, writes);
        self.judge.keeps_what_the_clock_says(&self.node, self.now);
        self.take_effects();
    }

    /// The host takes a snapshot of what was applied, or says something about one that there is not.
    fn compact(&mut self, back: u8, kept: u8, wrong: Option<&(u8, Members)>) {
        if back >= 128 {
            self.input(Input::Applied(self.judge.handed()));
        }
        let node = self.node.raft();
        let index = Index(node.applied().0.saturating_sub(u64::from(back % 4)));
        let meta = node.snapshot_meta(index);
        self.judge.knows_the_members(node, index, &meta);
        let through = Index(index.0.saturating_sub(u64::from(kept % 3)));
        let Some((how, members)) = wrong else {
            let Ok(meta) = meta else { return };
            self.disk.take_snapshot(&meta);
            self.starts();
            let is_latest = self.disk.snapshot.as_ref() == Some(&meta);
            let result = self.ask(Input::Compact { snapshot: meta, through });
            let node = self.node.raft();
            assert!(node.has_halted() || result.is_ok() == is_latest, "{result:?}");
            if result.is_ok() {
                assert!(node.durable() >= index && node.base().index >= through);
                self.disk.trim(through);
            }
            return self.starts();
        };
        let right = meta.clone().unwrap_or_else(|_| SnapshotMeta {
            last: Position { index: Index(u64::from(back)), term: Term(1) },
            membership: members.membership().into(),
        });
        let wrong = match how % 4 {
            0 => SnapshotMeta { last: Position { index: right.last.index.next(), ..right.last }, ..right },
            1 => SnapshotMeta { last: Position { term: right.last.term.next(), ..right.last }, ..right },
            2 => SnapshotMeta { membership: members.membership().into(), ..right },
            _ => right,
        };
        let through = if how % 4 == 3 { wrong.last.index.next() } else { through };
        let is_right = meta.as_ref() == Ok(&wrong) && through <= wrong.last.index;
        if is_right || self.node.raft().snapshot_meta(wrong.last.index) == Ok(wrong.clone()) && how % 4 != 3 {
            return;
        }
        let before = self.node.clone();
        self.input(Input::Compact { snapshot: wrong.clone(), through });
        assert!(before == self.node || self.node.keeps_time(), "compacted with {wrong:?} for {meta:?}");
    }

    fn serve_chunk(&mut self, which: u8, odd: Option<(Peer, Number)>, bytes: u8, done: bool) {
        let at = usize::from(which) % self.wanted.len().max(1);
        let wanted = match odd {
            Some((peer, number)) => {
                let last = self.node.raft().snapshot().map(|snapshot| snapshot.last).unwrap_or_default();
                ReadChunk { to: peer.0, last, offset: number.from(u64::from(which)) }
            }
            None => match self.wanted.remove(at) {
                Some(wanted) => wanted,
                None => return,
            },
        };
        let ReadChunk { to, last, offset } = wanted;
        let data = vec![bytes; usize::from(bytes % 4)];
        self.input(Input::SnapshotChunk { to, last, offset, data, done });
    }

    fn resume(&mut self) {
        let bytes = postcard::to_stdvec(&self.node).expect("a node can be serialised");
        let twin: Node = postcard::from_bytes(&bytes).expect("and read back");
        assert!(self.node == twin, "read back as another node");
        self.judge.holds_little(self.node.raft(), bytes.len());
        self.twin = Some(twin);
    }

    fn persist(&mut self, writes: usize, told: bool) {
        let mut last = None;
        for _ in 0..writes {
            let Some(write) = self.outstanding.pop_front() else { break };
            let (batch, ack) = write.split();
            self.disk.store(batch);
            self.starts();
            self.untold += 1;
            last = Some(ack);
        }
        let Some(ack) = last else { return };
        remember(&mut self.acknowledged, ack);
        if told {
            self.untold = 0;
            self.input(Input::Durable(ack));
        }
    }

    /// Every prefix of the write stream is a legal start (K10).
    fn starts(&self) {
        let (config, mut disk) = (self.node.raft().config().clone(), self.disk.clone());
        disk.lose_power();
        let start =
            Node::start(config, disk.recovered(self.boot + 1), false, self.now, &mut Effects::default());
        assert!(start.is_ok(), "{start:?}");
    }

    fn crash(&mut self, survived: usize, lost: Option<(u8, bool)>) {
        self.persist(survived, false);
        let config = self.node.raft().config().clone();
        self.disk.applied = if config.apply_durable { self.node.raft().applied() } else { Index::ZERO };
        self.disk.lose_power();
        if let Some((kept, is_known)) = lost {
            self.disk.rot(usize::from(kept % 4), is_known);
        }
        self.boot += 1;
        self.outstanding.clear();
        self.wanted.clear();
        (self.untold, self.twin) = (0, None);
        let recovered = self.disk.recovered(self.boot);
        let keeps_time = self.node.keeps_time();
        self.node = Node::start(config, recovered, keeps_time, self.now, &mut self.effects)
            .expect("every prefix of the write stream is a legal start");
        // Where nothing was lost after all, there is nothing to remember.
        self.disk.lost = self.disk.lost.filter(|_| self.node.raft().hard_state().lost_tail.is_some());
        self.judge = Judge::new(self.node.raft(), &self.disk);
        self.take_start_effects();
    }
}
