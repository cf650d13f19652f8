//! What one server's trace says happened: the part that other servers' traces are held against.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{Index, Membership, NodeId, Position, Term};
use rustc_hash::{FxHashMap, FxHashSet};

use super::chain::Link;
use super::snapshots::Snapshot;
use super::stored::Kept;
use super::verdict::{Place, TraceFinding};
use crate::property::Law;

/// An entry that was in the log, if only for a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) hash: u64,
    /// The record that brought it first.
    pub(super) record: u64,
    /// Whether it was ever durable.
    pub(super) is_durable: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) link: Link,
    /// The server's term when it did.
    pub(super) in_term: Term,
    pub(super) record: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Election {
    pub(super) term: Term,
    pub(super) record: u64,
    /// The last entry that a snapshot stood for in the log it was won with.
    pub(super) base: Position,
    /// Where each term's entries end in that log.
    pub(super) log: Vec<(Term, Index)>,
}

impl Election {
    /// Whether that log had this entry. What the snapshot stands for it had, if that is a true one, which is another law.
    pub(super) fn holds(&self, index: Index, term: Term) -> bool {
        if index <= self.base.index {
            return index < self.base.index || term == self.base.term;
        }
        let run = self.log.partition_point(|(_, last)| *last < index);
        self.log.get(run).is_some_and(|(there, _)| *there == term)
    }
}

/// A leader found that these entries are committed.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) first: Index,
    /// As they stand in its log.
    pub(super) entries: Vec<Link>,
    pub(super) members: Arc<Membership>,
    pub(super) record: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) hash: u64,
    pub(super) term: Term,
    pub(super) record: u64,
}

/// All about one server.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) file: PathBuf,
    /// Known from its first life on.
    pub(super) id: Option<NodeId>,
    pub(super) founders: Option<Membership>,
    /// The core that recorded the latest life.
    pub(super) core: String,
    pub(super) lives: u64,
    pub(super) torn: u64,
    pub(super) inputs: u64,
    pub(super) bytes: u64,
    /// The last life does not end with a stop.
    pub(super) is_open: bool,
    /// The replay could not go on: what the server did afterwards is not known.
    pub(super) is_partial: bool,
    /// The term that was on the disk before the trace began: 0 if it began with the server.
    pub(super) first_term: Term,
    /// Below this nothing can be said that is not in the trace.
    pub(super) durable_term: Term,
    pub(super) entries: FxHashMap<(Index, Term), Seen>,
    /// With gaps, where a snapshot stood for the entries.
    pub(super) applied: BTreeMap<Index, Applied>,
    /// The members that applied entries brought.
    pub(super) memberships: BTreeMap<Index, Arc<Membership>>,
    /// What snapshots it had to do with.
    pub(super) snapshots: Vec<Snapshot>,
    /// The last entry that any durable snapshot of it ever stood for.
    pub(super) covered: Index,
    pub(super) elections: Vec<Election>,
    pub(super) commits: Vec<Commit>,
    /// For whom it voted in a term.
    pub(super) votes: BTreeMap<Term, (NodeId, u64)>,
    /// Hashes of what it sent, by receiver.
    pub(super) sent: FxHashMap<NodeId, FxHashSet<u64>>,
    /// What it received, by who it was said to come from.
    pub(super) received: BTreeMap<NodeId, Vec<Received>>,
    pub(super) findings: Vec<TraceFinding>,
}

/// The rule that the core does again what it did.
pub(super) const SAME_EFFECTS: &str = "same effects";
/// The rule that disks keep what was acknowledged.
pub(super) const DISK_KEEPS: &str = "the disk keeps";
/// The rule that what must not be said before it is durable was durable when it was said.
pub(super) const PROMISES: &str = "promises rest on the disk";
/// The rule that what arrives was sent.
pub(super) const WERE_SENT: &str = "messages were sent";
/// What is said of traces that are not enough.
pub(super) const COMPLETE: &str = "complete traces";

impl Facts {
    pub(super) fn new(file: PathBuf) -> Self {
        Facts {
            file,
            id: None,
            founders: None,
            core: String::new(),
            lives: 0,
            torn: 0,
            inputs: 0,
            bytes: 0,
            is_open: false,
            is_partial: false,
            first_term: Term::default(),
            durable_term: Term::default(),
            entries: FxHashMap::default(),
            applied: BTreeMap::new(),
            memberships: BTreeMap::new(),
            snapshots: Vec::new(),
            covered: Index::ZERO,
            elections: Vec::new(),
            commits: Vec::new(),
            votes: BTreeMap::new(),
            sent: FxHashMap::default(),
            received: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn place(&self, record: u64) -> Place {
        Place { file: self.file.clone(), record }
    }

    pub(super) fn breaks(&mut self, law: Law, record: u64, what: String) {
        self.breaks_rule(law.name(), record, what);
    }

    pub(super) fn breaks_rule(&mut self, rule: &'static str, record: u64, what: String) {
        let place = Some(self.place(record));
        self.findings.push(TraceFinding { rule, is_violation: true, what, place });
    }

    /// The replay ends here, without anything being wrong that is known of.
    pub(super) fn gives_up(&mut self, rule: &'static str, record: u64, what: String) {
        let place = Some(self.place(record));
        self.findings.push(TraceFinding { rule, is_violation: false, what, place });
        self.is_partial = true;
    }

    /// This server promises its vote, or gives it to itself.
    pub(super) fn vote(&mut self, term: Term, to: NodeId, record: u64) {
        let (known, before) = *self.votes.entry(term).or_insert((to, record));
        if known != to {
            let what = format!(
                "votes for server {to} in term {term}, and voted for server {known} (record {before})"
            );
            self.breaks(Law::Monotonicity, record, what);
        }
    }

    /// An entry is in this server's log.
    pub(super) fn see(&mut self, index: Index, link: Link, record: u64) {
        let news = Seen { hash: link.hash, record, is_durable: false };
        let known = *self.entries.entry((index, link.term)).or_insert(news);
        if known.hash != link.hash {
            let what = format!(
                "entry {index} of term {} is another one, or follows others, than before (record {})",
                link.term, known.record
            );
            self.breaks(Law::LogMatching, record, what);
        }
    }

    /// Something became durable.
    pub(super) fn keep(&mut self, kept: &Kept) {
        self.covered = self.covered.max(kept.snapshot.unwrap_or_default().index);
        let Some((first, links)) = &kept.entries else { return };
        for (link, index) in links.iter().zip((first.0..).map(Index)) {
            if let Some(seen) = self.entries.get_mut(&(index, link.term)) {
                seen.is_durable = true;
            }
        }
    }

    /// Whether its disk ever held this entry, or a snapshot that stood for it.
    pub(super) fn held(&self, index: Index, link: Link) -> bool {
        let seen = self.entries.get(&(index, link.term));
        index <= self.covered || seen.is_some_and(|seen| seen.is_durable && seen.hash == link.hash)
    }
}
