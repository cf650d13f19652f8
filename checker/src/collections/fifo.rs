//! First in, first out: the values pass through in one order, and that order is all there is to find.
//!
//! *a* must precede *b* if the put of *a* returned before the put of *b* was invoked, or the take of *a* before the take of *b*.
//! Each of the two relations is an interval order: of two pairs *a→b*, *c→d* one of the cross pairs *a→d*, *c→b* holds as well,
//! so any cycle shrinks to one of two values: *a* was put before *b*, and *b* taken before *a*. Without a cycle, values are
//! drawn one by one, each time one that nothing left must precede.
//!
//! Any such order will do. With the values in that order, put each one at the latest invocation of a put so far, and
//! take it at the latest invocation of a take so far, or at its put if that is later. No put comes later than its return: were the put
//! of an earlier *z* invoked after *x*'s had returned, *x* would have to precede *z*. The same for takes among themselves; and if the
//! put of *z* is invoked after the take of *x* has returned, then *x* was put by then as well.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Item, in_time};
use crate::mutant::{Mutant, on};

/// The calls in a right order; `None` if there is none.
pub(super) fn arrange(items: &[Item]) -> Option<Vec<u32>> {
    let (mut puts, mut takes) = (0, 0);
    Some(in_time(passage(items)?.into_iter().filter_map(|at| items.get(at)).map(|item| {
        puts = item.put.from.max(puts);
        takes = item.take.from.max(takes).max(puts);
        (item, puts, takes)
    })))
}

/// The values in the order in which they pass through.
fn passage(items: &[Item]) -> Option<Vec<usize>> {
    let mut by_put: Vec<usize> = (0..items.len()).collect();
    by_put.sort_unstable_by_key(|at| items.get(*at).map(|item| item.put.from));
    let mut by_put = by_put.into_iter().peekable();
    let mut put_ends: BinaryHeap<_> =
        items.iter().enumerate().map(|(at, item)| Reverse((item.put.to, at))).collect();
    let mut take_ends: BinaryHeap<_> =
        items.iter().enumerate().map(|(at, item)| Reverse((item.take.to, at))).collect();
    // Nothing left must be put before these.
    let mut ready = BinaryHeap::new();
    let mut drawn = vec![false; items.len()];
    let mut order = Vec::with_capacity(items.len());
    while order.len() < items.len() {
        let first_end = |ends: &mut BinaryHeap<Reverse<(u32, usize)>>, drawn: &[bool]| loop {
            match ends.peek() {
                Some(Reverse((_, at))) if drawn.get(*at) == Some(&true) => drop(ends.pop()),
                Some(Reverse((end, _))) => return Some(*end),
                None => return None,
            }
        };
        let (put_end, take_end) = (first_end(&mut put_ends, &drawn)?, first_end(&mut take_ends, &drawn)?);
        while let Some(at) = by_put.next_if(|at| items.get(*at).is_some_and(|item| item.put.from <= put_end))
        {
            ready.push(Reverse((items.get(at)?.take.from, at)));
        }
        let Reverse((take, at)) = ready.pop()?;
        if take > take_end && !on(Mutant::TakesUnordered) {
            return None;
        }
        *drawn.get_mut(at)? = true;
        order.push(at);
    }
    Some(order)
}
