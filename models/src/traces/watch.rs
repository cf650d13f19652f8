//! Looks over a server's shoulder while its trace is replayed, and keeps what matters.

use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{
    AppendOutcome, Apply, Batch, Body, Breach, Clocked, Command, Config, Effects, Entry, Event, Index, Input,
    Install, Message, NodeId, Payload, Position, Raft, Recovered, RoleKind, SnapshotMeta, Term, Write,
};

use super::chain::{Chain, Link, hash_of};
use super::facts::{Applied, COMPLETE, Commit, DISK_KEEPS, Election, Facts, Received};
use super::members::Members;
use super::snapshots::Incoming;
use super::stored::{Disk, Kept, Stored};
use crate::property::Law;

/// One server, over all its lives.
pub(super) struct Watch {
    pub(super) facts: Facts,
    pub(super) me: NodeId,
    /// The log in memory.
    log: Chain,
    members: Members,
    incoming: Incoming,
    pub(super) stored: Stored,
    boot: u64,
    /// Up to where the state machine was given entries, or a snapshot, in this life.
    handed: Index,
    /// The term and the commit index before the step.
    term: Term,
    commit: Index,
    /// The term in which this server led before the step.
    office: Option<Term>,
    /// The latest term in which it promised anything to anybody, and where.
    promised: (Term, u64),
}

impl Watch {
    pub(super) fn new(file: PathBuf) -> Self {
        Watch {
            facts: Facts::new(file),
            me: NodeId::default(),
            log: Chain::default(),
            members: Members::default(),
            incoming: Incoming::default(),
            stored: Stored::default(),
            boot: 0,
            handed: Index::ZERO,
            term: Term::default(),
            commit: Index::ZERO,
            office: None,
            promised: (Term::default(), 0),
        }
    }

    pub(super) fn finish(mut self) -> Facts {
        self.facts.durable_term = self.stored.term();
        self.facts
    }

    /// A life begins.
    pub(super) fn begin<P: Command>(
        &mut self,
        record: u64,
        core: String,
        config: &Config,
        recovered: &Recovered<P>,
    ) {
        let is_first = self.facts.lives == 0;
        self.facts.lives += 1;
        (self.facts.core, self.facts.is_open) = (core, true);
        if !is_first && (self.me != config.id || self.facts.founders != config.founders) {
            let what = format!("server {} was server {}, or had other founders, before", config.id, self.me);
            self.facts.breaks(Law::LegalRestart, record, what);
        }
        (self.me, self.facts.id) = (config.id, Some(config.id));
        self.facts.founders.clone_from(&config.founders);
        if !is_first && recovered.boot <= self.boot {
            let what = format!("boot {} comes after boot {}", recovered.boot, self.boot);
            self.facts.breaks(Law::Monotonicity, record, what);
        }
        self.boot = recovered.boot;
        (self.term, self.commit, self.office) = (recovered.hard_state.term, Index::ZERO, None);
        self.take_up(record, config, recovered, is_first);
    }

    /// What was on the disk.
    fn take_up<P: Command>(
        &mut self,
        record: u64,
        config: &Config,
        recovered: &Recovered<P>,
        is_first: bool,
    ) {
        let snapshot = recovered.snapshot.as_ref().map(|snapshot| snapshot.last).unwrap_or_default();
        let Some(log) = Chain::recover(snapshot, &recovered.entries) else {
            let what =
                "begins with a log that has gaps, or does not begin where its snapshot ends".to_owned();
            return self.facts.gives_up(COMPLETE, record, what);
        };
        let founders = || Arc::new(config.founders.clone().unwrap_or_default());
        let before = recovered.snapshot.as_ref().map_or_else(founders, |meta| Arc::clone(&meta.membership));
        self.members = Members::begin(before);
        for entry in recovered.entries.iter().filter(|entry| log.at(entry.index).is_some()) {
            self.members.put(entry);
        }
        for (index, link) in log.iter() {
            self.facts.see(index, link, record);
        }
        let hard = recovered.hard_state;
        if let Some(vote) = hard.voted_for {
            self.facts.vote(hard.term, vote, record);
        }
        if is_first {
            self.facts.first_term = hard.term;
        }
        self.log = log.clone();
        let disk = Disk { hard, snapshot, log };
        if is_first || recovered.lost_tail.is_some() {
            let entries = Some((self.log.base().index.next(), self.log.from(Index::ZERO).to_vec()));
            self.facts.keep(&Kept { snapshot: None, entries });
            self.stored = Stored::begin(disk);
        } else {
            let applied = &self.facts.applied;
            let is_own = |taken: Position| {
                let entry = applied.get(&taken.index).filter(|_| taken.index <= self.handed);
                entry.is_some_and(|entry| entry.link.term == taken.term)
            };
            match self.stored.survive(disk, is_own) {
                Ok(kept) => kept.iter().for_each(|kept| self.facts.keep(kept)),
                Err(what) => self.facts.breaks_rule(DISK_KEEPS, record, what),
            }
        }
        if let Some(meta) = &recovered.snapshot {
            self.facts.keep(&Kept { snapshot: Some(snapshot), entries: None });
            // Its term when it found that this is committed is not known.
            self.facts.stand(meta, None, record);
        }
        (self.incoming, self.handed) = (Incoming::default(), recovered.applied);
    }

    /// Before a step.
    pub(super) fn prepare<P: Command>(
        &mut self,
        record: u64,
        clocked: &Clocked<P>,
        input: Option<&Input<P>>,
    ) {
        let raft = clocked.raft();
        self.office = (raft.role() == RoleKind::Leader).then(|| raft.term());
        match input {
            Some(Input::Receive { from, message }) => {
                let received = Received { hash: hash_of(message), term: message.term, record };
                self.facts.received.entry(*from).or_default().push(received);
            }
            Some(Input::Durable(ack)) => {
                let kept = self.stored.acknowledge(*ack);
                kept.iter().for_each(|kept| self.facts.keep(kept));
            }
            // Whether the core takes it or has a later one: the host says that it is durable.
            Some(Input::Compact { snapshot, .. }) => {
                self.stored.took(snapshot.last);
                self.facts.keep(&Kept { snapshot: Some(snapshot.last), entries: None });
                self.facts.stand(snapshot, None, record);
            }
            _ => {}
        }
    }

    /// After a step, or a start.
    pub(super) fn observe<P: Command>(&mut self, record: u64, clocked: &Clocked<P>, effects: &Effects<P>) {
        let raft = clocked.raft();
        effects.writes.iter().for_each(|write| self.write(record, raft, write));
        effects.send.iter().for_each(|out| self.send(record, out.to, &out.message));
        effects.apply.iter().for_each(|apply| self.apply(record, raft.term(), apply));
        effects.events.iter().for_each(|event| self.hear(record, event));
        let (term, commit) = (raft.term(), raft.commit());
        if term < self.term || commit < self.commit {
            let what = format!(
                "term {} and commit index {} were followed by term {term} and commit index {commit}",
                self.term, self.commit
            );
            self.facts.breaks(Law::Monotonicity, record, what);
        }
        if raft.role() == RoleKind::Leader && commit > self.commit {
            self.commits(record, raft, commit);
        }
        (self.term, self.commit) = (term, commit);
        let (found, expected) = (raft.membership(), self.members.in_force());
        if !Arc::ptr_eq(found, expected) && found != expected {
            let what = format!("the members in force are {found:?}, and those of its log are {expected:?}");
            self.facts.breaks(Law::LatestMembers, record, what);
            self.members = Members::begin(Arc::clone(found));
        }
    }

    /// As the leader, it finds that more is committed.
    fn commits<P: Command>(&mut self, record: u64, raft: &Raft<P>, last: Index) {
        let first = self.commit.next();
        let entries: Vec<Link> = (first.0..=last.0).map_while(|index| self.log.at(Index(index))).collect();
        if first.plus(entries.len()) != last.next() {
            let what =
                format!("commits entries {first} to {last}, and its log ends with {}", self.log.last());
            self.facts.breaks(Law::LeaderCompleteness, record, what);
        }
        let members = Arc::clone(raft.membership());
        self.facts.commits.push(Commit { first, entries, members, record });
    }

    fn write<P: Command>(&mut self, record: u64, raft: &Raft<P>, write: &Write<P>) {
        let (batch, ack) = write.clone().split();
        self.receive(record, &batch);
        if let Some(install) = &batch.install {
            self.install(record, raft.term(), install);
        }
        let leads_on = self.office == Some(raft.term()) && raft.role() == RoleKind::Leader;
        if let Some(first) = batch.entries.first()
            && leads_on
            && first.index <= self.log.last()
        {
            let what =
                format!("the leader of term {} replaces its entries from {} on", raft.term(), first.index);
            self.facts.breaks(Law::LeaderAppendOnly, record, what);
        }
        for entry in &batch.entries {
            if !self.log.put(entry) {
                let what =
                    format!("writes entry {}, where its log ends with {}", entry.index, self.log.last());
                return self.facts.gives_up(COMPLETE, record, what);
            }
            if let Some(link) = self.log.at(entry.index) {
                self.facts.see(entry.index, link, record);
            }
            self.members.put(entry);
        }
        self.stored.write(&batch, ack, &self.log);
    }

    /// A part of a snapshot is to be stored.
    fn receive<P>(&mut self, record: u64, batch: &Batch<P>) {
        let Some(chunk) = &batch.chunk else { return };
        if !self.incoming.put(chunk) {
            let what = format!(
                "stores bytes {} and on of the snapshot up to entry {}, and not those before",
                chunk.offset, chunk.last.index
            );
            self.facts.breaks(Law::WholeSnapshots, record, what);
        }
    }

    /// A snapshot takes the place of the log. It may be the one that is there, at a start: then only the log goes.
    fn install(&mut self, record: u64, in_term: Term, install: &Install) {
        let Install { snapshot, keeps_log } = install;
        let last = snapshot.last;
        if last != self.stored.snapshot() {
            if !self.incoming.take(last) {
                let what = format!("installs a snapshot up to entry {} that did not come in", last.index);
                self.facts.breaks(Law::WholeSnapshots, record, what);
            }
            self.facts.stand(snapshot, Some(in_term), record);
        }
        if !keeps_log {
            self.log = Chain::after(last);
            self.members = Members::begin(Arc::clone(&snapshot.membership));
        } else if self.log.term_at(last.index) != Some(last.term) {
            let what = format!("keeps a log that has another entry {} than the snapshot", last.index);
            self.facts.breaks(Law::TrueSnapshots, record, what);
        }
    }

    fn send<P: Command + Hash>(&mut self, record: u64, to: NodeId, message: &Message<P>) {
        self.facts.sent.entry(to).or_default().insert(hash_of(message));
        self.promise(record, to, message);
        match &message.body {
            Body::VoteResponse { granted: true } => self.facts.vote(message.term, to, record),
            Body::VoteRequest { .. } => self.facts.vote(message.term, self.me, record),
            Body::Append(_) | Body::Snapshot(_) | Body::TimeoutNow => {}
            Body::AppendResponse(response) if matches!(response.outcome, AppendOutcome::Accepted { .. }) => {}
            // A refusal promises nothing, so its term need not be on the disk yet, and may be forgotten.
            _ => return,
        }
        let (promised, before) = self.promised;
        if message.term < promised {
            let what = format!(
                "speaks in term {}, and has promised something in term {promised} (record {before})",
                message.term
            );
            self.facts.breaks(Law::Monotonicity, record, what);
        }
        self.promised = self.promised.max((message.term, record));
    }

    fn apply<P: Command>(&mut self, record: u64, in_term: Term, apply: &Apply<P>) {
        match apply {
            Apply::Entry(entry) => self.execute(record, in_term, entry),
            Apply::Snapshot(snapshot) => self.restore(record, snapshot),
        }
        self.handed = apply.index();
    }

    fn execute<P: Command>(&mut self, record: u64, in_term: Term, entry: &Entry<P>) {
        let index = entry.index;
        if index != self.handed.next() {
            let what = format!("applies entry {index} after entry {}", self.handed);
            self.facts.breaks(Law::StateMachineSafety, record, what);
        }
        let link = Link::new(self.log.term_at(index.previous()).unwrap_or_default(), entry);
        if self.log.at(index) != Some(link) {
            let what = format!("applies an entry {index} that is not the one in its log");
            self.facts.breaks(Law::StateMachineSafety, record, what);
        }
        let known = *self.facts.applied.entry(index).or_insert(Applied { link, in_term, record });
        if known.link != link {
            let what = format!("applies another entry {index} than before (record {})", known.record);
            self.facts.breaks(Law::StateMachineSafety, record, what);
        }
        if let Payload::Membership(membership) = &entry.payload {
            self.facts.memberships.entry(index).or_insert_with(|| Arc::clone(membership));
        }
    }

    /// Only a snapshot that is durable can be read, and it takes the state machine nowhere back.
    fn restore(&mut self, record: u64, snapshot: &SnapshotMeta) {
        let (last, stored) = (snapshot.last, self.stored.snapshot());
        if last != stored || last.index < self.handed {
            let what = format!(
                "applies the snapshot up to entry {} of term {} after entry {}, and one up to {} of term {} is durable",
                last.index, last.term, self.handed, stored.index, stored.term
            );
            self.facts.breaks(Law::WholeSnapshots, record, what);
        }
    }

    fn hear(&mut self, record: u64, event: &Event) {
        match event {
            Event::Role { role: RoleKind::Leader, term, .. } => {
                let (base, log) = (self.log.base(), self.log.runs());
                self.facts.elections.push(Election { term: *term, record, base, log });
            }
            Event::Suspect { from, reason } => {
                let what = format!("suspects server {from}: {reason:?}");
                self.facts.breaks(Law::NoSuspicion, record, what);
            }
            Event::Halted(breach) if *breach != Breach::StorageFailed => {
                self.facts.breaks(Law::NoHalt, record, format!("halts: {breach:?}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use raft_core::{Entry, Moment, Payload, Timing};
    use serde_json::json;
    use std::time::Duration;

    use super::*;

    /// A lone server, which leads its first term.
    fn leader() -> Clocked<u8> {
        let timing = Timing { election: Duration::from_millis(2), heartbeat: Duration::from_millis(1) };
        let mut effects = Effects::default();
        let config = Config::new(NodeId(1), [NodeId(1)]);
        let mut clocked =
            Clocked::start(config, Recovered::nothing(), timing, 1, Moment(0), &mut effects).unwrap();
        for millisecond in 1..10 {
            let now = Moment(0) + Duration::from_millis(millisecond);
            clocked.step(now, None, &mut effects).unwrap();
            for write in std::mem::take(&mut effects.writes) {
                clocked.step(now, Some(Input::Durable(write.split().1)), &mut effects).unwrap();
            }
        }
        assert_eq!(clocked.raft().role(), RoleKind::Leader);
        clocked
    }

    /// No seeded bug of the core does this, so the write is made by hand.
    #[test]
    fn a_leader_that_replaces_an_entry_is_found_out() {
        let clocked = leader();
        let raft = clocked.raft();
        for (office, found) in [(Some(raft.term()), 1), (None, 0)] {
            let mut watch = Watch::new("n1.trace".into());
            let entry = |index| Entry { index: Index(index), term: Term(1), payload: Payload::Command(7_u8) };
            assert!((1..=3).all(|index| watch.log.put(&entry(index))));
            watch.office = office;
            let write: Write<u8> = serde_json::from_value(json!({
                "batch": { "hard_state": null, "chunk": null, "install": null, "entries": [entry(3)] },
                "ack": { "boot": 0, "sequence": 9 },
            }))
            .unwrap();
            watch.write(5, raft, &write);
            let rules: Vec<_> = watch.facts.findings.iter().map(|finding| finding.rule).collect();
            assert_eq!(rules, vec!["leader append-only"; found], "{:?}", watch.facts.findings);
        }
    }
}
