//! Last in, first out: two moves, both without loss, until nothing is left or neither helps.
//!
//! - **Peel.** If the put of *v* may come before all others (it was invoked before any of them returned) and its take after all
//!   others, *v* lies at the bottom: take any order, leave *v* out, and put its two calls around the rest.
//! - **Cut** at a moment at which no value is in there for sure (see the module above).
//!
//! An order of a stack that ends empty either begins with the put of a value and ends with its take, which can be peeled; or
//! it falls into two parts with the stack empty between them, and there is a moment to cut. So if neither is possible, there is no
//! order. (What was never taken is taken at the end.)
//!
//! Each cut looks at all that is left between two cuts: quadratic at worst, in how deep cuts and peels alternate.

use std::collections::BTreeSet;

use super::{Item, NEVER};
use crate::limits::{Budget, Stopped};
use crate::mutant::{Mutant, on};

/// The calls in a right order; `None` if there is none.
pub(super) fn arrange(items: &[Item], budget: &Budget) -> Result<Option<Vec<u32>>, Stopped> {
    // What can be cut at once need not be looked at for what can be peeled.
    let mut by_put_end: Vec<(u32, usize)> = (0..).zip(items).map(|(at, item)| (item.put.to, at)).collect();
    by_put_end.sort_unstable();
    let mut work: Vec<Task> = cut(items, &by_put_end).into_iter().rev().map(Task::Solve).collect();
    drop(by_put_end);
    let mut order = Vec::with_capacity(items.len() * 2);
    let mut steps = 0_u32;
    while let Some(task) = work.pop() {
        let group = match task {
            Task::Emit(call) => {
                order.push(call);
                continue;
            }
            Task::Solve(group) => group,
        };
        let mut group = Group::new(items, group);
        while let Some(at) = group.outermost() {
            steps += 1;
            if steps.is_multiple_of(1024) {
                budget.check()?;
            }
            group.remove(at);
            let Some(item) = items.get(at) else { continue };
            order.push(item.put_call);
            work.push(Task::Emit(item.take_call.unwrap_or(NEVER)));
        }
        budget.check()?;
        let parts = cut(items, &group.by_put_end);
        if parts.len() == 1 {
            return Ok(None);
        }
        // The last one pushed is done first.
        work.extend(parts.into_iter().rev().map(Task::Solve));
    }
    Ok(Some(order))
}

enum Task {
    /// Order these values.
    Solve(Vec<usize>),
    /// Then comes this call.
    Emit(u32),
}

/// Values that have to be ordered among themselves, by what matters of them.
struct Group<'a> {
    items: &'a [Item],
    by_put_end: BTreeSet<(u32, usize)>,
    by_put: BTreeSet<(u32, usize)>,
    by_take: BTreeSet<(u32, usize)>,
}

impl<'a> Group<'a> {
    fn new(items: &'a [Item], group: Vec<usize>) -> Self {
        let sorted = |key: fn(&Item) -> u32| {
            group.iter().filter_map(|at| items.get(*at).map(|item| (key(item), *at))).collect()
        };
        Self {
            items,
            by_put_end: sorted(|item| item.put.to),
            by_put: sorted(|item| item.put.from),
            by_take: sorted(|item| item.take.from),
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(item) = self.items.get(at) {
            self.by_put_end.remove(&(item.put.to, at));
            self.by_put.remove(&(item.put.from, at));
            self.by_take.remove(&(item.take.from, at));
        }
    }

    /// A value that can be put before and taken after all others.
    fn outermost(&self) -> Option<usize> {
        let mut ends = self.by_put_end.iter();
        let (first, second) = (ends.next()?, ends.next());
        let mut takes = self.by_take.iter().rev();
        let (last, last_but_one) = (takes.next()?, takes.next());
        // The first return among the others, and the last invocation.
        let end = |at: usize| if first.1 == at { second } else { Some(first) }.map_or(u32::MAX, |end| end.0);
        let take = |at: usize| if last.1 == at { last_but_one } else { Some(last) }.map_or(0, |take| take.0);
        let latest = second.map_or(u32::MAX, |second| second.0);
        let open = self.by_put.iter().take_while(|(put, _)| *put <= latest);
        let mut fitting = open.filter(|(put, at)| {
            *put <= end(*at) && self.items.get(*at).is_some_and(|item| item.take.to >= take(*at))
        });
        fitting.next().map(|(_, at)| *at)
    }
}

/// The values, given by the ends of their puts, between moments at which none is in there for sure; a single part if there is no
/// such moment.
fn cut<'a>(items: &[Item], by_put_end: impl IntoIterator<Item = &'a (u32, usize)>) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    // The latest invocation of a take so far; before the first value there is nothing to cut off.
    let mut latest = u32::MAX;
    for (end, at) in by_put_end {
        let take = items.get(*at).map_or(0, |item| item.take.from);
        match parts.last_mut() {
            Some(part) if latest >= *end && !on(Mutant::LooseCut) => {
                part.push(*at);
                latest = latest.max(take);
            }
            _ => {
                parts.push(vec![*at]);
                latest = take;
            }
        }
    }
    parts
}
