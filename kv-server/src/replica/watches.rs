//! Watches: clients that want to be told what changes. Any server tells what it has executed itself, leader or not.
//!
//! A watch is a request that is answered as soon as there is something to tell: with what there is by then, and from where to ask
//! on. So a client that is slow, or gone, costs a server nothing but one waiting request; and whoever lost its connection asks
//! another server for the same revision. A *revision* is the log index of the command that made the change.
//!
//! ```text
//!   oldest                        applied
//!     |  recent changes, bounded     |
//!     +------------------------------+ - - - - - - - - - ▶
//!   from < oldest: Compacted     from > applied: it waits, and is never told anything older
//! ```
//!
//! What is kept is bounded by [`MAX_WATCHED_BYTES`] and [`MAX_WATCHED_CHANGES`]; a server that starts from a snapshot, or installs
//! one, knows of no change before its end. What a watch cannot be told any more it is refused, with the oldest revision that can
//! be had: nothing is ever left out in silence (etcd #15271 told again what was long over).

use std::collections::VecDeque;

use bytes::Bytes;
use raft_core::{Index, Moment};

use super::io::{Answers, RequestId, answer};
use crate::limits::{
    MAX_ANSWERED_CHANGES, MAX_VALUES_BYTES, MAX_WATCHED_BYTES, MAX_WATCHED_CHANGES, MAX_WATCHES,
};
use crate::machine::KeyChange;
use crate::protocol::{Answer, Failure, Revision, Scope};

/// A watch that waits.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    scope: Scope,
    /// The first revision that it has not been told.
    from: u64,
    /// When it is answered, even if there is nothing to tell.
    expires: Moment,
}

/// What changed lately, and who waits for more.
#[derive(Debug)]
pub(super) struct Watches {
    recent: VecDeque<(u64, KeyChange)>,
    /// Of keys and values among them.
    bytes: usize,
    /// The oldest revision from which one can watch.
    oldest: u64,
    waiting: Vec<Waiting>,
    /// Everybody who waits has been told everything up to here.
    served: Index,
}

impl Default for Watches {
    fn default() -> Self {
        Watches { recent: VecDeque::new(), bytes: 0, oldest: 1, waiting: Vec::new(), served: Index::ZERO }
    }
}

fn size(change: &KeyChange) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Remembers what an entry changed.
    pub(super) fn note(&mut self, index: Index, changes: &mut Vec<KeyChange>) {
        for change in changes.drain(..) {
            self.bytes += size(&change);
            self.recent.push_back((index.0, change));
        }
        while self.recent.len() > MAX_WATCHED_CHANGES || self.bytes > MAX_WATCHED_BYTES {
            let Some((revision, change)) = self.recent.pop_front() else { break };
            self.bytes -= size(&change);
            // The rest of this revision alone would be half of it.
            self.oldest = revision + 1;
        }
        while self.recent.front().is_some_and(|(revision, _)| *revision < self.oldest) {
            let gone = self.recent.pop_front();
            self.bytes -= gone.map_or(0, |(_, change)| size(&change));
        }
    }

    /// The state is a snapshot's that ends here: what led to it nobody knows.
    pub(super) fn begin_after(&mut self, last: Index) {
        self.recent.clear();
        (self.bytes, self.oldest) = (0, last.0 + 1);
    }

    /// Lets a watch in, which waits until it is answered. From 0 means from now on.
    pub(super) fn admit(
        &mut self,
        id: RequestId,
        (scope, from): (Scope, u64),
        expires: Moment,
        applied: Index,
        answers: &mut Answers,
    ) {
        if self.waiting.len() >= MAX_WATCHES {
            return answer(answers, id, Err(Failure::Overloaded));
        }
        let from = if from == 0 { applied.0 + 1 } else { from };
        self.waiting.push(Waiting { id, scope, from, expires });
        // Whatever is there already it is told in this turn.
        self.served = Index::ZERO;
    }

    /// Answers those for whom there is something, and those whose time is over.
    pub(super) fn serve(&mut self, now: Moment, applied: Index, answers: &mut Answers) {
        let Watches { recent, oldest, waiting, served, .. } = self;
        if *served != applied {
            waiting.retain_mut(|one| {
                let result = if one.from < *oldest {
                    Err(Failure::Compacted { oldest: *oldest })
                } else {
                    let (revisions, next) = told(recent, one, applied);
                    one.from = one.from.max(next);
                    if revisions.is_empty() {
                        return true;
                    }
                    Ok(Answer::Changes { revisions, next })
                };
                answer(answers, one.id, result);
                false
            });
            *served = applied;
        }
        waiting.retain(|one| {
            let stays = one.expires > now;
            if !stays {
                let nothing = Answer::Changes { revisions: Vec::new(), next: one.from };
                answer(answers, one.id, Ok(nothing));
            }
            stays
        });
    }

    /// Drops those of a connection that is gone.
    pub(super) fn forget(&mut self, connection: u64) {
        self.waiting.retain(|one| one.id.connection != connection);
    }

    /// Nobody is told anything any more.
    pub(super) fn stop(&mut self, answers: &mut Answers) {
        for one in self.waiting.drain(..) {
            answer(answers, one.id, Err(Failure::Stopping));
        }
    }

    /// When the next one's time is over.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.waiting.iter().map(|one| one.expires).min()
    }
}

/// What there is for this one, as much as an answer holds, whole revisions; and from where it goes on.
fn told(recent: &VecDeque<(u64, KeyChange)>, one: &Waiting, applied: Index) -> (Vec<Revision>, u64) {
    let start = recent.partition_point(|(revision, _)| *revision < one.from);
    let mut revisions: Vec<Revision> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for (revision, change) in recent.range(start..) {
        if !one.scope.covers(&change.key) {
            continue;
        }
        let is_open = revisions.last().is_some_and(|last| last.revision == *revision);
        if !is_open {
            if count >= MAX_ANSWERED_CHANGES || bytes >= MAX_VALUES_BYTES / 2 {
                return (revisions, *revision);
            }
            revisions.push(Revision { revision: *revision, changes: Vec::new() });
        }
        count += 1;
        bytes += size(change);
        if let Some(last) = revisions.last_mut() {
            last.changes.push(change.clone());
        }
    }
    (revisions, applied.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Moment = Moment(1_000);

    fn change(key: &'static str, value: &'static str) -> KeyChange {
        KeyChange { key: key.into(), value: Some(value.into()) }
    }

    fn everything() -> Scope {
        Scope::Prefix(Bytes::new())
    }

    fn ask(watches: &mut Watches, from: u64, applied: u64) -> Option<Result<Answer, Failure>> {
        let id = RequestId { connection: 1, request: 1 };
        let mut answers = Vec::new();
        watches.admit(id, (everything(), from), LATER, Index(applied), &mut answers);
        watches.serve(Moment(0), Index(applied), &mut answers);
        watches.forget(1);
        answers.pop().map(|(_, response)| response.result)
    }

    fn revisions(answer: Option<Result<Answer, Failure>>) -> (Vec<u64>, u64) {
        match answer {
            Some(Ok(Answer::Changes { revisions, next })) => {
                (revisions.iter().map(|one| one.revision).collect(), next)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_there_is_told_from_where_it_was_asked_for() {
        let mut watches = Watches::default();
        watches.note(Index(3), &mut vec![change("a", "1")]);
        watches.note(Index(5), &mut vec![change("a", "2"), change("b", "2")]);
        assert_eq!(revisions(ask(&mut watches, 1, 6)), (vec![3, 5], 7));
        assert_eq!(revisions(ask(&mut watches, 4, 6)), (vec![5], 7));
        assert_eq!(ask(&mut watches, 6, 6), None, "it waits");
        assert_eq!(ask(&mut watches, 100, 6), None, "for the future, too");
        assert_eq!(ask(&mut watches, 0, 6), None, "and from now on");
    }

    #[test]
    fn one_that_waits_is_told_what_comes_and_nothing_older_than_it_asked_for() {
        let mut watches = Watches::default();
        let mut answers = Vec::new();
        let id = RequestId { connection: 1, request: 1 };
        watches.admit(id, (Scope::Key("a".into()), 7), LATER, Index(2), &mut answers);
        for (index, key) in [(3, "a"), (7, "b"), (8, "a")] {
            watches.note(Index(index), &mut vec![change(key, "x")]);
            watches.serve(Moment(0), Index(index), &mut answers);
            assert_eq!(answers.len(), usize::from(index == 8), "after {index}: {answers:?}");
        }
        assert_eq!(revisions(answers.pop().map(|(_, response)| response.result)), (vec![8], 9));
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn when_time_is_over_it_is_told_how_far_that_was_all() {
        let mut watches = Watches::default();
        let mut answers = Vec::new();
        for (request, from) in [(1, 1), (2, 50)] {
            let id = RequestId { connection: 1, request };
            watches.admit(id, (Scope::Key("a".into()), from), LATER, Index(2), &mut answers);
        }
        watches.note(Index(9), &mut vec![change("b", "x")]);
        watches.serve(Moment(0), Index(9), &mut answers);
        assert!(answers.is_empty() && watches.deadline() == Some(LATER));
        watches.serve(LATER, Index(9), &mut answers);
        let next: Vec<u64> =
            answers.drain(..).map(|(_, response)| revisions(Some(response.result)).1).collect();
        assert_eq!(next, [10, 50], "never less than was asked for");
    }

    #[test]
    fn what_is_not_there_any_more_is_refused_with_the_oldest_that_is() {
        let mut watches = Watches::default();
        watches.begin_after(Index(40));
        assert_eq!(ask(&mut watches, 40, 40), Some(Err(Failure::Compacted { oldest: 41 })));
        assert_eq!(ask(&mut watches, 41, 40), None);
        for index in 41..41 + MAX_WATCHED_CHANGES as u64 {
            watches.note(Index(index), &mut vec![change("a", "1"), change("b", "1")]);
        }
        let oldest = 41 + MAX_WATCHED_CHANGES as u64 / 2;
        let applied = 40 + MAX_WATCHED_CHANGES as u64;
        assert_eq!(ask(&mut watches, oldest - 1, applied), Some(Err(Failure::Compacted { oldest })));
        let (told, next) = revisions(ask(&mut watches, oldest, applied));
        assert_eq!(
            (told[0], told.len(), next),
            (oldest, MAX_ANSWERED_CHANGES / 2, oldest + 512),
            "and goes on there"
        );
        assert_eq!(watches.bytes, 2 * watches.recent.len());
    }

    #[test]
    fn one_that_waits_across_a_snapshot_is_refused_rather_than_left_without() {
        let mut watches = Watches::default();
        let mut answers = Vec::new();
        let id = RequestId { connection: 1, request: 1 };
        watches.admit(id, (everything(), 5), LATER, Index(4), &mut answers);
        watches.begin_after(Index(90));
        watches.serve(Moment(0), Index(90), &mut answers);
        assert_eq!(answers.pop().unwrap().1.result, Err(Failure::Compacted { oldest: 91 }));
    }
}
