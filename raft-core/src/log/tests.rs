//! The log against the most naive model of one: a list from the very first entry, of which some prefix may not be looked at.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Log;
use crate::entry::{Entry, Payload};
use crate::membership::Membership;
use crate::mutant::MutantSwitch;
use crate::types::{Index, NodeId, Position, Term};

#[derive(Clone, Debug)]
enum Act {
    /// So many entries of the latest term or a later one; every third brings a membership.
    Push(u8, u8),
    Truncate(u8),
    Compact(u8),
}

struct Naive {
    entries: Vec<Entry<u8>>,
    base: u64,
}

impl Naive {
    fn term_at(&self, index: u64) -> Option<Term> {
        match index {
            _ if index < self.base => None,
            0 => Some(Term(0)),
            _ => self.entries.get(usize::try_from(index - 1).unwrap()).map(|entry| entry.term),
        }
    }

    fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    fn membership_at(&self, index: u64) -> (u64, Membership) {
        let until = self.entries.iter().take(usize::try_from(index).unwrap()).rev();
        let latest =
            until.filter_map(|entry| entry.membership().map(|m| (entry.index.0, (**m).clone()))).next();
        latest.unwrap_or((0, founders()))
    }
}

fn founders() -> Membership {
    Membership::new([NodeId(1)])
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (1..6u8, 0..3u8).prop_map(|(count, later)| Act::Push(count, later)),
        2 => any::<u8>().prop_map(Act::Truncate),
        1 => any::<u8>().prop_map(Act::Compact),
    ];
    vec(act, 1..40)
}

fn perform(act: &Act, log: &mut Log<u8>, naive: &mut Naive) {
    match act {
        Act::Push(count, later) => {
            let term = Term(naive.entries.last().map_or(1, |entry| entry.term.0) + u64::from(*later));
            for _ in 0..*count {
                let index = Index(naive.last() + 1);
                let payload = match index.0 % 3 {
                    0 => Payload::Membership(Arc::new(Membership::new([NodeId(index.0), NodeId(term.0)]))),
                    _ => Payload::Command(*count),
                };
                let entry = Entry { index, term, payload };
                log.push(entry.clone());
                naive.entries.push(entry);
            }
        }
        Act::Truncate(at) => {
            let kept = naive.base + u64::from(*at) % (naive.last() - naive.base + 1);
            log.truncate(Index(kept + 1), MutantSwitch::OFF);
            naive.entries.truncate(usize::try_from(kept).unwrap());
        }
        Act::Compact(at) => {
            naive.base += u64::from(*at) % (naive.last() - naive.base + 1);
            log.compact(Index(naive.base));
        }
    }
}

fn compare(log: &Log<u8>, naive: &Naive) {
    let last = naive.last();
    assert_eq!(log.base(), Position { index: Index(naive.base), term: naive.term_at(naive.base).unwrap() });
    assert_eq!(log.last().index, Index(last));
    assert_eq!(log.iter().count() as u64, last - naive.base);
    let (since, members) = naive.membership_at(last);
    assert_eq!((log.membership_index().0, &**log.membership()), (since, &members));
    for index in 0..last + 3 {
        assert_eq!(log.term_at(Index(index)), naive.term_at(index), "term at {index}");
        let stands = usize::try_from(index).unwrap().checked_sub(1).and_then(|i| naive.entries.get(i));
        assert_eq!(log.get(Index(index)), stands.filter(|_| index > naive.base), "entry {index}");
        if index >= naive.base {
            assert_eq!(**log.membership_at(Index(index)), naive.membership_at(index).1, "members at {index}");
        }
        for term in 0..log.last().term.0 + 2 {
            let candidates = (naive.base..=index.min(last)).rev();
            let expected =
                candidates.into_iter().find(|&i| naive.term_at(i).is_some_and(|t| t <= Term(term)));
            let expected = expected.unwrap_or(naive.base);
            assert_eq!(
                log.last_at_most(Index(index), Term(term)).index,
                Index(expected),
                "{index} of {term}"
            );
        }
        let from_here: Vec<_> = naive.entries.iter().filter(|e| e.index.0 >= index.max(1)).cloned().collect();
        if index > naive.base {
            for count in [1, 2, 100] {
                let slice = log.slice(Index(index), count, usize::MAX);
                assert_eq!(*slice, from_here[..from_here.len().min(count)], "{count} from {index}");
            }
            let sized = log.slice(Index(index), 100, 40);
            let total: usize = sized.iter().map(Entry::size).sum();
            assert!(sized.len() == 1 || total <= 40 || from_here.is_empty(), "{} bytes from {index}", total);
        }
    }
    let bytes: usize = naive.entries[usize::try_from(naive.base).unwrap()..].iter().map(Entry::size).sum();
    assert_eq!(log.bytes_between(log.base().index, log.last().index), bytes);
}

proptest! {
    #[test]
    fn the_log_agrees_with_a_naive_model(acts in acts()) {
        let mut log = Log::after(Position::default(), Arc::new(founders()));
        let mut naive = Naive { entries: Vec::new(), base: 0 };
        for act in &acts {
            perform(act, &mut log, &mut naive);
            compare(&log, &naive);
        }
    }
}
