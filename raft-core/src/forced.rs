//! The last resort when a quorum is lost for good: one server is told who the members are from now on.
//!
//! Raft cannot do this safely, and neither can this: entries that only the lost servers had are gone though their clients were
//! told that they are safe, and entries that nobody was told about become final. So it is an operation on stored state, not
//! on a node; it says what may be lost before it does anything; and it asks for a phrase that a person has to repeat.
//!
//! It must be done on one server only, the one with the most up-to-date log. The servers that are dropped must never come back
//! with their old state: with a quorum of the old members among them, they would go on as a second cluster.

use std::fmt;
use std::sync::Arc;

use crate::entry::{Command, Entry, Payload};
use crate::membership::Membership;
use crate::recovery::{LostTail, Recovered, is_overtaken};
use crate::snapshots::Install;
use crate::types::{HardState, Index, NodeId, Position};
use crate::write::Batch;

/// A forced change of the members that waits for its confirmation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForcedChange<P> {
    report: ForcedReport,
    batch: Batch<P>,
}

/// What a forced change does. Its `Display` is for the person who has to decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForcedReport {
    /// On which server.
    pub on: NodeId,
    /// Where its log ends: everything after that is lost, on whichever server it was.
    pub last: Position,
    /// Up to here entries are known to be committed; those after it become final, whether they were committed or not.
    pub known_committed: Index,
    /// Where the log ended before it lost its end, if it has; and nobody is left to repair it.
    pub lost_tail: Option<LostTail>,
    /// Who the members are now, as far as this server knows.
    pub old: Membership,
    /// Who they will be.
    pub new: Membership,
}

/// Why the members cannot be forced so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ForceError {
    /// The new membership is none, or a joint one.
    #[error("the new members are no membership")]
    IllegalMembership,
    /// The server on which it is done has to lead.
    #[error("node {0}, on which this is done, must be one of the new voters")]
    NotAVoter(NodeId),
    /// A confirmation that does not fit.
    #[error("not confirmed: to go ahead, repeat exactly: {expected}")]
    NotConfirmed {
        /// What is to be repeated.
        expected: String,
    },
}

impl<P: Command> ForcedChange<P> {
    /// Plans to make `new` the members, on server `id` that has recovered this; `founders` as in its
    /// [`Config`](crate::Config). Nothing is changed.
    ///
    /// # Errors
    /// Members that cannot be, or a log that has lost its end.
    pub fn plan(
        id: NodeId,
        founders: Option<&Membership>,
        recovered: &Recovered<P>,
        new: Membership,
    ) -> Result<Self, ForceError> {
        if !new.is_legal() || new.is_joint() {
            return Err(ForceError::IllegalMembership);
        }
        if !new.is_voter(id) {
            return Err(ForceError::NotAVoter(id));
        }
        let snapshot = recovered.snapshot.as_ref();
        let base = snapshot.map(|snapshot| snapshot.last).unwrap_or_default();
        let is_overtaken = snapshot.is_some() && is_overtaken(&recovered.entries, base);
        let in_log = if is_overtaken { &[][..] } else { recovered.entries.as_slice() };
        let last = in_log.last().map(Entry::position).filter(|last| last.index > base.index).unwrap_or(base);
        let in_log = in_log.iter().rev().find_map(Entry::membership).map(|m| (**m).clone());
        let old = in_log.or_else(|| snapshot.map(|snapshot| (*snapshot.membership).clone()));
        let old = old.or_else(|| founders.cloned()).unwrap_or_default();
        let known_committed = base.index.max(recovered.applied);
        // A term of its own, so that no log elsewhere has another entry of this index and term.
        let term = recovered.hard_state.term.max(base.term).next();
        let payload = Payload::Membership(Arc::new(new.clone()));
        let entry = Entry { index: last.index.next(), term, payload };
        let mut batch = Batch::new(Some(HardState::new(term, Some(id))), [entry].into_iter().collect());
        let clears_log = snapshot.filter(|_| is_overtaken).cloned();
        batch.install = clears_log.map(|snapshot| Install { snapshot: Arc::new(snapshot), keeps_log: false });
        let remembered = recovered.hard_state.lost_tail.map(LostTail::UpTo);
        let lost_tail = recovered.lost_tail.or(remembered);
        Ok(ForcedChange {
            report: ForcedReport { on: id, last, known_committed, lost_tail, old, new },
            batch,
        })
    }

    /// What it does.
    #[must_use]
    pub fn report(&self) -> &ForcedReport {
        &self.report
    }

    /// What has to be repeated: it names what is lost.
    #[must_use]
    pub fn confirmation(&self) -> String {
        let Position { index, term } = self.report.last;
        format!(
            "lose everything after entry {index} of term {term} and go on with {}",
            listed(self.report.new.voters())
        )
    }

    /// The batch to be stored before the server is started again: it then holds the new members, and campaigns as one. From then
    /// on nothing counts as lost ([`Recovered::lost_tail`]).
    ///
    /// # Errors
    /// [`ForceError::NotConfirmed`] unless `phrase` is the [`confirmation`](Self::confirmation).
    pub fn confirm(self, phrase: &str) -> Result<Batch<P>, ForceError> {
        let expected = self.confirmation();
        if phrase == expected { Ok(self.batch) } else { Err(ForceError::NotConfirmed { expected }) }
    }
}

impl fmt::Display for ForcedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForcedReport { on, last, known_committed, lost_tail, old, new } = self;
        writeln!(
            f,
            "Forcing the members on node {on}, whose log ends with entry {} of term {}.",
            last.index, last.term
        )?;
        writeln!(f, "- Voters were {}, and will be {}.", listed(old.voters()), listed(new.voters()))?;
        writeln!(
            f,
            "- LOST: every entry after {} that other servers hold, even if clients were told it is safe.",
            last.index
        )?;
        match lost_tail {
            Some(LostTail::UpTo(lost)) => {
                writeln!(
                    f,
                    "- LOST: its own entries up to {} of term {}: the log is damaged.",
                    lost.index, lost.term
                )?;
            }
            Some(LostTail::Unknown) => {
                writeln!(f, "- LOST: the end of its own log, nobody knows how much of it.")?
            }
            None => {}
        }
        if last.index > *known_committed {
            let first = known_committed.next();
            writeln!(
                f,
                "- FINAL: entries {first} to {}, though nobody knows whether they were committed.",
                last.index
            )?;
        }
        write!(
            f,
            "- Servers that are no members any more must never be started again with their present state."
        )
    }
}

fn listed(ids: &[NodeId]) -> String {
    if ids.is_empty() {
        return "unknown".to_owned();
    }
    let ids: Vec<String> = ids.iter().map(NodeId::to_string).collect();
    ids.join(", ")
}
