//! The least first: a take waits for all that is less to be gone.
//!
//! At a moment at which a lesser value is in there for sure, *x* cannot be taken. At any other it can, as far as lesser
//! values are concerned, and greater ones do not matter. So each value is looked at alone, the least first, and taken at the first
//! moment of its span that no lesser one covers; if there is none, there is no order.
//!
//! Why that is enough: put each *y* as late as it may be, just before its return, or just before its take if that is
//! earlier. Then *y* is in there from the return of its put to the invocation of its take, where it is for sure, and from
//! there to its take, where lesser values are for sure, or else it would have been taken earlier. All of that covers whatever is
//! greater than *y*: no take of *x* falls into it. In what order at the same moment: takes of what was put before, the least first; then
//! values that come and go at once, one after the other; then puts of what stays.
//!
//! (Lee & Mathur 2025 decide priority queues in this time; the argument here is our own, as for the other collections.)

use super::{Item, NEVER};
use crate::mutant::{Mutant, on};

/// The calls in a right order; `None` if there is none.
pub(super) fn arrange(items: &[Item]) -> Option<Vec<u32>> {
    // A moment is named by the event just before it; here by the number of that event.
    let spans = items.iter().flat_map(|item| [item.put.from, item.put.to, item.take.from, item.take.to]);
    let mut events: Vec<u32> = spans.collect();
    events.sort_unstable();
    events.dedup();
    let moment = |position: u32| events.partition_point(|event| *event < position);
    let mut covered = Covered { next: (0..=events.len()).collect() };
    let mut rising: Vec<&Item> = items.iter().collect();
    rising.sort_by_key(|item| item.priority);
    let mut points = Vec::with_capacity(items.len() * 2);
    for item in rising {
        let (put, earliest) = (moment(item.put.to), moment(item.take.from));
        let mut take = covered.first_free(earliest);
        if take >= moment(item.take.to) {
            if !on(Mutant::AnyPriority) {
                return None;
            }
            take = earliest;
        }
        let taker = item.take_call.unwrap_or(NEVER);
        if take < put {
            points.push((take, Turn::Both, item.priority, item.put_call));
            points.push((take, Turn::Both, item.priority, taker));
        } else {
            let put = put.saturating_sub(1).max(moment(item.put.from));
            points.push((put, Turn::Put, item.priority, item.put_call));
            points.push((take, Turn::Take, item.priority, taker));
        }
        covered.cover(put, earliest);
    }
    // Stable: the put of what comes and goes at once was noted first.
    points.sort_by_key(|(moment, turn, priority, _)| (*moment, *turn, *priority));
    Some(points.into_iter().map(|(.., call)| call).collect())
}

/// What comes first at the same moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Take,
    Both,
    Put,
}

/// The moments at which something is in there for sure; the first free one is found in almost constant time, since each way
/// there is shortened as it is gone.
struct Covered {
    next: Vec<usize>,
}

impl Covered {
    fn first_free(&mut self, moment: usize) -> usize {
        let mut at = moment;
        while let Some(next) = self.next.get(at).copied().filter(|next| *next != at) {
            let after = self.next.get(next).copied().unwrap_or(next);
            if let Some(place) = self.next.get_mut(at) {
                *place = after;
            }
            at = next;
        }
        at
    }

    fn cover(&mut self, from: usize, to: usize) {
        let mut at = self.first_free(from);
        while at < to {
            if let Some(place) = self.next.get_mut(at) {
                *place = at + 1;
            }
            at = self.first_free(at + 1);
        }
    }
}
