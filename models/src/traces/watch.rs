//! Looks over a server's shoulder while its trace is replayed, and keeps what matters.

use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{
    AppendOutcome, Apply, Body, Breach, Clocked, Command, Config, Effects, Event, Index, Input, Message,
    NodeId, Raft, Recovered, RoleKind, Term, Write,
};

use super::chain::{Chain, Link, hash_of};
use super::facts::{Applied, COMPLETE, Commit, DISK_KEEPS, Election, Facts, Received};
use super::stored::Stored;
use crate::property::Law;

/// One server, over all its lives.
pub(super) struct Watch {
    pub(super) facts: Facts,
    me: NodeId,
    /// The log in memory.
    log: Chain,
    stored: Stored,
    boot: u64,
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
            stored: Stored::default(),
            boot: 0,
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
        self.log = Chain::default();
        let is_whole = recovered.entries.iter().all(|entry| self.log.put(entry));
        if recovered.snapshot.is_some() || !is_whole {
            self.facts.gives_up(
                COMPLETE,
                record,
                "begins with a snapshot: logs are followed from entry 1 only".to_owned(),
            );
            return;
        }
        for (link, index) in self.log.from(Index(1)).iter().zip((1..).map(Index)) {
            self.facts.see(index, *link, record);
        }
        let hard = recovered.hard_state;
        if let Some(vote) = hard.voted_for {
            self.facts.vote(hard.term, vote, record);
        }
        if is_first {
            self.facts.first_term = hard.term;
        }
        if is_first || recovered.lost_tail.is_some() {
            self.facts.keep(Index(1), self.log.from(Index(1)));
            self.stored = Stored::begin(hard, self.log.clone());
        } else {
            match self.stored.survive(hard, self.log.clone()) {
                Ok(kept) => kept.iter().for_each(|(first, links)| self.facts.keep(*first, links)),
                Err(what) => self.facts.breaks_rule(DISK_KEEPS, record, what),
            }
        }
        (self.term, self.commit, self.office) = (hard.term, Index::ZERO, None);
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
                kept.iter().for_each(|(first, links)| self.facts.keep(*first, links));
            }
            Some(Input::Compact { .. } | Input::SnapshotChunk { .. }) => self.has_snapshots(record),
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
            let members = Arc::clone(raft.membership());
            self.facts.commits.push(Commit { first: self.commit.next(), last: commit, members, record });
        }
        (self.term, self.commit) = (term, commit);
    }

    fn write<P: Command>(&mut self, record: u64, raft: &Raft<P>, write: &Write<P>) {
        let (batch, ack) = write.clone().split();
        if batch.install.is_some() || batch.chunk.is_some() {
            return self.has_snapshots(record);
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
        }
        self.stored.write(&batch, ack, &self.log);
    }

    fn send<P: Command + Hash>(&mut self, record: u64, to: NodeId, message: &Message<P>) {
        self.facts.sent.entry(to).or_default().insert(hash_of(message));
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
        let Apply::Entry(entry) = apply else { return self.has_snapshots(record) };
        let before = self.log.at(entry.index.previous()).map_or(0, |link| link.hash);
        let link = Link { term: entry.term, hash: hash_of(&(before, entry.term, &entry.payload)) };
        if self.log.at(entry.index) != Some(link) {
            let what = format!("applies an entry {} that is not the one in its log", entry.index);
            self.facts.breaks(Law::StateMachineSafety, record, what);
        }
        let at = usize::try_from(entry.index.previous().0).unwrap_or(usize::MAX);
        match self.facts.applied.get(at).copied() {
            Some(known) if known.link != link => {
                let what =
                    format!("applies another entry {} than before (record {})", entry.index, known.record);
                self.facts.breaks(Law::StateMachineSafety, record, what);
            }
            Some(_) => {}
            None if at == self.facts.applied.len() => {
                self.facts.applied.push(Applied { link, in_term, record });
            }
            None => {
                let what = format!("applies entry {} and skips those before it", entry.index);
                self.facts.breaks(Law::StateMachineSafety, record, what);
            }
        }
    }

    fn hear(&mut self, record: u64, event: &Event) {
        match event {
            Event::Role { role: RoleKind::Leader, term, .. } => {
                let log = self.log.runs();
                self.facts.elections.push(Election { term: *term, record, log });
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

    fn has_snapshots(&mut self, record: u64) {
        let what = "deals with a snapshot: logs are followed from entry 1 only".to_owned();
        self.facts.gives_up(COMPLETE, record, what);
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
