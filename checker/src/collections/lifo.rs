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
//!
//! Values are sorted once: parts of a sorted list are sorted.

#![expect(clippy::indexing_slicing, reason = "indices are made here")]

use super::{Item, NEVER};
use crate::limits::{Budget, Stopped};
use crate::mutant::{Mutant, on};

/// The calls in a right order; `None` if there is none.
pub(super) fn arrange(items: &[Item], budget: &Budget) -> Result<Option<Vec<u32>>, Stopped> {
    let mut gone = vec![false; items.len()];
    let mut part_of = vec![0; items.len()];
    let all = Group::new(items);
    // What can be cut at once need not be looked at for what can be peeled.
    let parts = all.cut(items, &gone, &mut part_of);
    let mut work: Vec<Task> = all.split(parts, &gone, &part_of).into_iter().rev().map(Task::Solve).collect();
    let mut order = Vec::with_capacity(items.len() * 2);
    let mut steps = 0_u32;
    while let Some(task) = work.pop() {
        let mut group = match task {
            Task::Emit(call) => {
                order.push(call);
                continue;
            }
            Task::Solve(group) => group,
        };
        while let Some(at) = group.outermost(items, &gone) {
            steps += 1;
            if steps.is_multiple_of(1024) {
                budget.check()?;
            }
            gone[at as usize] = true;
            let item = &items[at as usize];
            order.push(item.put_call);
            work.push(Task::Emit(item.take_call.unwrap_or(NEVER)));
        }
        budget.check()?;
        let parts = group.cut(items, &gone, &mut part_of);
        if parts == 1 {
            return Ok(None);
        }
        // The last one pushed is done first.
        work.extend(group.split(parts, &gone, &part_of).into_iter().rev().map(Task::Solve));
    }
    Ok(Some(order))
}

enum Task {
    /// Order these values.
    Solve(Group),
    /// Then comes this call.
    Emit(u32),
}

/// Values that have to be ordered among themselves, by what matters of them.
#[derive(Default)]
struct Group {
    by_put_end: Line,
    by_put: Line,
    /// The latest first.
    by_take: Line,
}

/// Values in an order. Those that are gone stay in it until somebody comes by.
#[derive(Default)]
struct Line {
    values: Vec<u32>,
    /// All before this are gone.
    from: usize,
}

impl Line {
    fn left<'a>(&'a self, gone: &'a [bool]) -> impl Iterator<Item = u32> + 'a {
        self.values[self.from..].iter().copied().filter(|at| !gone[*at as usize])
    }

    /// The first two that are left.
    fn two(&mut self, gone: &[bool]) -> (Option<u32>, Option<u32>) {
        let places = self.from..self.values.len();
        let mut left = places.filter(|place| !gone[self.values[*place] as usize]);
        let (first, second) = (left.next(), left.next());
        let value = |place: usize| self.values[place];
        let two = (first.map(value), second.map(value));
        if let (Some(first), Some(second)) = (first, second) {
            // All between them are gone, and need not be passed again.
            self.from = second - 1;
            self.values[second - 1] = self.values[first];
        }
        two
    }

    /// The first for which `fits`, as long as `near`.
    fn find(&mut self, gone: &[bool], near: impl Fn(u32) -> bool, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let mut passed = Vec::new();
        let mut found = None;
        let mut place = self.from;
        while let Some(at) = self.values.get(place).copied().filter(|at| gone[*at as usize] || near(*at)) {
            place += 1;
            if !gone[at as usize] {
                passed.push(at);
                if fits(at) {
                    found = Some(at);
                    break;
                }
            }
        }
        // As above: only those that are left stay in front.
        self.from = place - passed.len();
        self.values[self.from..place].copy_from_slice(&passed);
        found
    }
}

impl Group {
    fn new(items: &[Item]) -> Self {
        let sorted = |key: &dyn Fn(&Item) -> u32| {
            let mut keys: Vec<(u32, u32)> = items.iter().zip(0..).map(|(item, at)| (key(item), at)).collect();
            keys.sort_unstable();
            Line { values: keys.into_iter().map(|(_, at)| at).collect(), from: 0 }
        };
        Self {
            by_put_end: sorted(&|item| item.put.to),
            by_put: sorted(&|item| item.put.from),
            by_take: sorted(&|item| u32::MAX - item.take.from),
        }
    }

    /// A value that can be put before and taken after all others.
    fn outermost(&mut self, items: &[Item], gone: &[bool]) -> Option<u32> {
        let (first, second) = self.by_put_end.two(gone);
        let (last, last_but_one) = self.by_take.two(gone);
        let item = |at: u32| &items[at as usize];
        // The first return among the others, and the last invocation.
        let end =
            |at| if first == Some(at) { second } else { first }.map_or(u32::MAX, |end| item(end).put.to);
        let take =
            |at| if last == Some(at) { last_but_one } else { last }.map_or(0, |take| item(take).take.from);
        let latest = second.map_or(u32::MAX, |second| item(second).put.to);
        self.by_put.find(
            gone,
            |at| item(at).put.from <= latest,
            |at| item(at).put.from <= end(at) && item(at).take.to >= take(at),
        )
    }

    /// Says which part each value belongs to, and how many there are: parts lie between moments at which no value is in there for
    /// sure.
    fn cut(&self, items: &[Item], gone: &[bool], part_of: &mut [u32]) -> u32 {
        let mut parts = 0;
        // The latest invocation of a take so far; before the first value there is nothing to cut off.
        let mut latest = 0;
        for at in self.by_put_end.left(gone) {
            let Item { put, take, .. } = &items[at as usize];
            if parts > 0 && latest >= put.to && !on(Mutant::LooseCut) {
                latest = latest.max(take.from);
            } else {
                parts += 1;
                latest = take.from;
            }
            part_of[at as usize] = parts - 1;
        }
        parts
    }

    fn split(self, parts: u32, gone: &[bool], part_of: &[u32]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        groups.resize_with(parts as usize, Self::default);
        let part = |at: u32| part_of[at as usize] as usize;
        for at in self.by_put_end.left(gone) {
            groups[part(at)].by_put_end.values.push(at);
        }
        for at in self.by_put.left(gone) {
            groups[part(at)].by_put.values.push(at);
        }
        for at in self.by_take.left(gone) {
            groups[part(at)].by_take.values.push(at);
        }
        groups
    }
}
