//! Runs that a model checker found, step by step, in the suite's own cluster and before its own judge.
//!
//! A step that receives a message says which one: the `nth` of those that an earlier step sent to that server. So whatever
//! the servers make of a run, it is one that can happen.

pub use raft_core::{Change, Mutant, NodeId, Timer, Transition};
use raft_core::{Input, Membership, MutantSwitch};

use crate::cluster::{Cluster, Packet, State};

/// The world of a run.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub servers: u64,
    /// Members without a vote, at the beginning.
    pub learners: &'static [u64],
    /// No members at the beginning.
    pub outsiders: &'static [u64],
    /// So many entries travel in one append.
    pub append_entries: usize,
    pub pre_vote: bool,
    pub check_quorum: bool,
    pub forward: bool,
    /// A write becomes durable when a step says so; otherwise at once.
    pub slow_disks: bool,
    /// In so many parts does a snapshot travel.
    pub snapshot_parts: usize,
}

/// What happens in a world.
pub struct Run {
    cluster: Cluster,
    /// What each step sent.
    sent: Vec<Vec<Packet>>,
    /// What the judge had to say, after each step.
    violations: Vec<String>,
    slow_disks: bool,
    has_seeded_bug: bool,
    /// Whether the servers may do something else than when the run was found.
    has_departed: bool,
}

impl World {
    pub const PLAIN: World = World {
        servers: 3,
        learners: &[],
        outsiders: &[],
        append_entries: 8,
        pre_vote: false,
        check_quorum: false,
        forward: false,
        slow_disks: false,
        snapshot_parts: 1,
    };

    /// No law is broken, whatever the servers make of this.
    pub fn holds(self, happens: impl FnOnce(&mut Run)) {
        let mut run = self.run(MutantSwitch::default());
        happens(&mut run);
        assert_eq!(run.violations, [""; 0]);
    }

    /// With this seeded bug all of it happens as it was found, and this law is broken.
    pub fn breaks(self, mutant: Mutant, law: &str, happens: impl FnOnce(&mut Run)) {
        let mut run = self.run(MutantSwitch::on(mutant));
        happens(&mut run);
        let is_it = |violation: &String| words(law).iter().any(|words| violation.contains(words));
        assert!(run.violations.iter().any(is_it), "{law:?} in {:#?}", run.violations);
    }

    fn run(self, mutant: MutantSwitch) -> Run {
        let ids = || (1..=self.servers).filter(|id| !self.outsiders.contains(id));
        let voters = ids().filter(|id| !self.learners.contains(id)).map(NodeId);
        let founders = Membership::new(voters).with_learners(self.learners.iter().copied().map(NodeId));
        let servers = usize::try_from(self.servers).unwrap();
        let mut cluster = Cluster::founded_by(founders, servers, move |config| {
            config.pre_vote = self.pre_vote;
            config.check_quorum = self.check_quorum;
            config.forward = self.forward;
            config.limits.append_entries = self.append_entries;
            config.mutant = mutant;
        });
        cluster.chunk_bytes = State::default().to_bytes().len().div_ceil(self.snapshot_parts);
        Run {
            cluster,
            sent: Vec::new(),
            violations: Vec::new(),
            slow_disks: self.slow_disks,
            has_seeded_bug: mutant != MutantSwitch::default(),
            has_departed: false,
        }
    }
}

impl Run {
    /// From here on the servers need not do what they did when this was found: what cannot happen any more does not.
    pub fn departs(&mut self) {
        self.has_departed = !self.has_seeded_bug;
    }

    /// A step that happens to one server. What comes after a broken law need not go on as it was found.
    fn step(&mut self, server: u64, act: impl FnOnce(&mut Cluster, NodeId) -> bool) {
        let id = NodeId(server);
        let number = self.sent.len() + 1;
        let happened = act(&mut self.cluster, id);
        assert!(
            happened || self.has_departed || !self.violations.is_empty(),
            "step {number} cannot happen any more: see whether the test still shows what it was made for"
        );
        if self.slow_disks {
            while self.cluster.serve_chunk(id) {}
        } else {
            self.cluster.flush(id);
        }
        let violations = self.cluster.ghost.violations.drain(..);
        self.violations.extend(violations.map(|what| format!("step {number}: {what}")));
        self.sent.push(self.cluster.network.drain(..).collect());
    }

    fn input(&mut self, server: u64, input: Input<u64>) {
        self.step(server, |cluster, id| cluster.is_up(id) && cluster.step(id, input).is_ok());
    }

    pub fn fires(&mut self, server: u64, timer: Timer) {
        self.step(server, |cluster, id| {
            let listens = cluster.server(id).raft.as_ref().is_some_and(|raft| raft.listens_to(timer));
            listens && cluster.step(id, Input::Timer(timer)).is_ok()
        });
    }

    /// The message that was the `nth` (from 0) of those that `step` (from 1) sent to this server.
    pub fn receives(&mut self, server: u64, step: usize, nth: usize) {
        let to_it = |packet: &&Packet| packet.to == NodeId(server);
        let packet = self.sent[step - 1].iter().filter(to_it).nth(nth).cloned();
        self.step(server, |cluster, id| {
            let Some(Packet { from, message, .. }) = packet else { return false };
            cluster.is_up(id) && cluster.step(id, Input::Receive { from, message }).is_ok()
        });
    }

    pub fn proposes(&mut self, server: u64) {
        self.step(server, |cluster, id| cluster.is_up(id) && cluster.propose(id).is_ok());
    }

    pub fn reads(&mut self, server: u64) {
        self.step(server, |cluster, id| cluster.read(id).is_ok());
    }

    pub fn changes(&mut self, server: u64, changes: &[Change], transition: Transition) {
        self.input(server, Input::ChangeMembership { changes: changes.to_vec(), transition });
    }

    #[allow(dead_code, reason = "for counterexamples to come")]
    pub fn leaves_joint(&mut self, server: u64) {
        self.input(server, Input::LeaveJoint);
    }

    #[allow(dead_code, reason = "for counterexamples to come")]
    pub fn hands_over(&mut self, server: u64, to: u64) {
        self.input(server, Input::TransferLeadership(Some(NodeId(to))));
    }

    /// It takes a snapshot, and lets go of its log.
    pub fn takes_snapshot(&mut self, server: u64) {
        self.step(server, |cluster, id| {
            let Some(raft) = cluster.server(id).raft.as_ref() else { return false };
            let latest = raft.snapshot().map(|snapshot| snapshot.last.index).unwrap_or_default();
            latest < raft.applied() && cluster.compact(id, 0).is_ok()
        });
    }

    /// Its oldest write becomes durable, and it learns of that.
    pub fn syncs(&mut self, server: u64) {
        self.step(server, |cluster, id| cluster.sync(id) && cluster.report(id, false));
    }

    /// It crashes; so many of its writes still reach its disk.
    pub fn crashes(&mut self, server: u64, kept: usize) {
        self.step(server, |cluster, id| {
            let can = cluster.is_up(id) && kept <= cluster.server(id).disk.queue.len();
            if can {
                cluster.crash(id, kept);
            }
            can
        });
    }

    /// It stops, and the last entry on its disk is gone.
    pub fn loses_tail(&mut self, server: u64) {
        self.step(server, |cluster, id| {
            let Some(kept) = cluster.server(id).disk.entries.len().checked_sub(1) else { return false };
            if cluster.is_up(id) {
                cluster.crash(id, 0);
                cluster.server_mut(id).disk.rot(kept, true);
            }
            true
        });
    }

    pub fn restarts(&mut self, server: u64) {
        self.step(server, |cluster, id| {
            let was_down = !cluster.is_up(id);
            cluster.restart(id);
            was_down
        });
    }
}

/// What the suite's judge says where the model checker speaks of this law.
fn words(law: &str) -> &'static [&'static str] {
    match law {
        "election safety" => &["election safety:"],
        "leader append-only" => &["leader append-only:"],
        "log matching" => &["log matching:"],
        "leader completeness" => &["leader completeness:"],
        "state machine safety" => &["state-machine safety:"],
        "durability at commit" => &["durability:"],
        "monotonicity" => &["changed its vote", "went back"],
        "linearizable reads" => &["stale read:"],
        "no halt" => &["halted:"],
        "no suspicion" => &["suspects correct peer"],
        "legal restart" => &["cannot start:"],
        "election by a quorum" => &["without the votes of a quorum"],
        "one change at a time" => &["uncommitted memberships"],
        "latest members in force" => &["goes by"],
        "own commit before a change" => &["changes the members before it has committed"],
        "successive quorums meet" => &["disjoint quorums"],
        "whole snapshots" => &["is to store", "which it does not have"],
        "true snapshots" => &["with wrong members"],
        law => panic!("the judge has no words for {law:?}: a panic of the core speaks for itself"),
    }
}
