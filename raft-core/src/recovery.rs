//! Starting from what stable storage holds. Every prefix of the write stream is a legal start (K10).

use std::sync::Arc;

use crate::config::Config;
use crate::durability::Durability;
use crate::entry::{Command, Entry};
use crate::error::StartError;
use crate::event::Event;
use crate::gate::has_legal_membership;
use crate::io::{Effects, Timer};
use crate::log::Log;
use crate::mutant::Mutant;
use crate::raft::Raft;
use crate::role::{Following, Role};
use crate::snapshots::{Install, SnapshotMeta};
use crate::types::{HardState, Index, Position, Term};

/// What the host found on stable storage.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Recovered<P> {
    /// A number that no earlier run of this server had, and greater than those, so that acknowledgements and answers from then
    /// mean nothing now.
    pub boot: u64,
    /// Term and vote.
    pub hard_state: HardState,
    /// The latest snapshot that is complete: reported with [`Input::Compact`](crate::Input::Compact), or installed.
    pub snapshot: Option<SnapshotMeta>,
    /// The log. It may begin before the snapshot's end, or, if there is no more, end before it.
    pub entries: Vec<Entry<P>>,
    /// The last entry whose effect is in the state machine, if that keeps its state through crashes by itself (and
    /// [`Config::apply_durable`] is on). 0 if it does not: it is then given the snapshot, and all entries after it.
    pub applied: Index,
    /// The host found that the log had been longer: its end is unreadable, or gone (N02). The entries that can be read before
    /// the first damage are the ones to give as `entries`. To be said at every start until a
    /// [`HardState::lost_tail`] is on stable storage, which then remembers it.
    pub lost_tail: Option<LostTail>,
}

/// Up to where a damaged log had reached.
///
/// Only entries may be lost: term and vote must be the latest this server has stored ([`Recovered::hard_state`]), or it could
/// vote twice in one term. A host that keeps them where the same damage can reach them has to keep them twice, or to give up
/// the server and add another one, with another id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LostTail {
    /// At most up to this entry.
    UpTo(Position),
    /// Nobody knows.
    Unknown,
}

impl<P> Recovered<P> {
    /// A server that starts for the first time.
    #[must_use]
    pub fn nothing() -> Self {
        Recovered {
            boot: 0,
            hard_state: HardState::default(),
            snapshot: None,
            entries: Vec::new(),
            applied: Index::ZERO,
            lost_tail: None,
        }
    }
}

impl<P: Command> Raft<P> {
    /// Starts a node, as a follower (A04), from what its stable storage holds. The commit index is not among that: it is
    /// learned again from the leader (A11), as far as neither a snapshot nor what was applied proves it.
    ///
    /// # Errors
    /// A configuration that makes no sense, or a recovered state that no prefix of the write stream leaves.
    pub fn start(
        config: Config,
        recovered: Recovered<P>,
        effects: &mut Effects<P>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let Recovered { boot, mut hard_state, snapshot, entries, applied, lost_tail } = recovered;
        if config.mutant.is(Mutant::ForgetTerm) {
            // Its disk was never told the term: the log's own is the best it has.
            hard_state.term = hard_state.term.max(entries.last().map(|entry| entry.term).unwrap_or_default());
        }
        let end = snapshot.as_ref().map(|snapshot| snapshot.last).unwrap_or_default();
        for Position { index, term } in [Position { index: Index::ZERO, term: hard_state.term }, end] {
            if term > Term::LIMIT || index > Index::LIMIT {
                return Err(StartError::OutOfRange { index, term });
            }
        }
        check_snapshot(snapshot.as_ref())?;
        let durable = hard_state;
        if let Some(snapshot) = snapshot.as_ref().filter(|snapshot| snapshot.last.term > hard_state.term) {
            // Taken of a state that was ahead of this server's own disk (§10.2.1 of the dissertation allows that): in that
            // term it has not given a vote, which would have been on the disk first.
            hard_state = HardState { term: snapshot.last.term, voted_for: None, ..hard_state };
        }
        let is_overtaken = snapshot.as_ref().is_some_and(|snapshot| is_overtaken(&entries, snapshot.last));
        let log = recover_log(&config, snapshot.as_ref(), entries, is_overtaken, hard_state.term)?;
        let (base, last) = (log.base(), log.last());
        if applied > last.index {
            return Err(StartError::AppliedBeyondLog { applied, last: last.index });
        }
        // A state machine that is behind the snapshot is given the snapshot, like one that has nothing.
        let restores = snapshot.is_some() && applied < base.index;
        let done = if restores { Index::ZERO } else { applied };
        // Hears from a leader, for all it knows: a lease may rest on its not voting (see `reads::lease`).
        let is_careful = config.lease.is_some() && !config.mutant.is(Mutant::LeaseForgottenAtRestart);
        let mut raft = Raft {
            hard: hard_state,
            leader: None,
            in_contact: is_careful,
            role: Role::Follower(Following::default()),
            durability: Durability::recover(boot, durable, last.index),
            log,
            snapshot: snapshot.map(Arc::new),
            restores,
            commit: base.index.max(applied),
            handed: done,
            applied: done,
            unapplied_bytes: 0,
            forwards: 0,
            halted: false,
            config,
        };
        if let Some(snapshot) = raft.snapshot.clone().filter(|_| is_overtaken) {
            // The stored log must go before anything is appended to it.
            let install = Install { snapshot, keeps_log: false };
            raft.durability.install(install, base.index, raft.config.mutant);
        }
        raft.note_lost_tail(lost_tail)?;
        effects.timers.push(Timer::Election);
        if is_careful {
            effects.timers.push(Timer::Contact);
        }
        raft.settle(effects);
        Ok(raft)
    }

    /// The log lost entries that this server may have vouched for: a leader may count on them. So the server (1) leaves the term
    /// in which it did that, so that no late acknowledgement of its counts any more and the next leader finds out what it
    /// has; (2) votes as if its log still reached as far as it did; (3) does not campaign. All this is durable before
    /// anything else is, and ends when it holds a log that is as up to date as the lost one (N03, N04; "Protocol-Aware
    /// Recovery", FAST '18).
    fn note_lost_tail(&mut self, lost: Option<LostTail>) -> Result<(), StartError> {
        let lost = match lost {
            None => return Ok(()),
            Some(LostTail::UpTo(lost)) => lost,
            // Nothing of a later term than its own was ever in it.
            Some(LostTail::Unknown) => Position { index: Index::LIMIT, term: self.hard.term },
        };
        if lost.term > self.hard.term {
            return Err(StartError::TermOutOfOrder { index: lost.index, term: lost.term });
        }
        if self.log.last().is_up_to_date_with(lost) {
            return Ok(());
        }
        if self.hard.term >= Term::LIMIT {
            return Err(StartError::OutOfRange { index: lost.index, term: self.hard.term });
        }
        let before = self.hard.lost_tail.unwrap_or_default();
        let lost = if lost.is_up_to_date_with(before) { lost } else { before };
        self.hard = HardState { term: self.hard.term.next(), voted_for: None, lost_tail: Some(lost) };
        Ok(())
    }

    /// What was lost is there again, on stable storage: by the entries themselves, or by one of a later leader, whose log held
    /// everything of them that was ever committed (§5.4).
    pub(crate) fn note_repair(&mut self, effects: &mut Effects<P>) {
        let Some(lost) = self.hard.lost_tail else { return };
        let durable = self.log.position_at(self.durability.log_end().min(self.log.last().index));
        if durable.is_some_and(|durable| durable.is_up_to_date_with(lost)) {
            self.hard.lost_tail = None;
            effects.events.push(Event::Repaired { lost });
        }
    }
}

/// The log as it was recovered, by a server that recovered `term`.
fn recover_log<P: Command>(
    config: &Config,
    snapshot: Option<&SnapshotMeta>,
    entries: Vec<Entry<P>>,
    is_overtaken: bool,
    term: Term,
) -> Result<Log<P>, StartError> {
    let base = snapshot.map_or(Position::default(), |snapshot| snapshot.last);
    check_entries(&entries, base, term)?;
    let membership = match snapshot {
        Some(snapshot) => Arc::clone(&snapshot.membership),
        None => Arc::new(config.founders.clone().unwrap_or_default()),
    };
    let mut log = Log::after(base, membership);
    if !is_overtaken {
        entries.into_iter().filter(|entry| entry.index > base.index).for_each(|entry| log.push(entry));
    }
    Ok(log)
}

/// Whether a snapshot has overtaken the stored log: that ends before the snapshot's last entry (the host took the snapshot of a
/// state that was ahead of its own disk), or contradicts it (it was installed, and a crash came before the log was let
/// go, where a host does not keep both in one place).
pub(crate) fn is_overtaken<P: Command>(entries: &[Entry<P>], last: Position) -> bool {
    let at_last = entries.iter().find(|entry| entry.index == last.index);
    at_last.is_some_and(|entry| entry.term != last.term)
        || entries.last().is_some_and(|end| end.index < last.index)
}

fn check_snapshot(snapshot: Option<&SnapshotMeta>) -> Result<(), StartError> {
    let Some(SnapshotMeta { last, membership }) = snapshot else { return Ok(()) };
    if !membership.is_legal() || last.index == Index::ZERO {
        return Err(StartError::IllegalMembership { index: last.index });
    }
    if last.term == Term::default() {
        return Err(StartError::TermOutOfOrder { index: last.index, term: last.term });
    }
    Ok(())
}

/// Entries are contiguous, begin at the latest right after the base, and their terms never go backwards.
fn check_entries<P: Command>(entries: &[Entry<P>], base: Position, term: Term) -> Result<(), StartError> {
    let Some(first) = entries.first() else { return Ok(()) };
    let mut expected = if first.index <= base.index { first.index } else { base.index.next() };
    let mut latest = if first.index > base.index { base.term } else { Term::default() };
    for entry in entries {
        if entry.index != expected || entry.index == Index::ZERO {
            return Err(StartError::Gap { expected: expected.max(Index(1)), found: entry.index });
        }
        if entry.term < latest || entry.term > term || entry.term.0 == 0 {
            return Err(StartError::TermOutOfOrder { index: entry.index, term: entry.term });
        }
        if !has_legal_membership(entry) {
            return Err(StartError::IllegalMembership { index: entry.index });
        }
        (expected, latest) = (expected.next(), entry.term);
    }
    Ok(())
}
