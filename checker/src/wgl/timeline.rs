//! The calls in real time, with slots, and a cursor that knows which of them are open.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::values::Values;
use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::{Access, Specification};

/// What happens at one point of real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The call opens.
    Invoke(u32),
    /// The call must have been placed.
    Return(u32),
    /// The optional call must have been placed, or never is.
    Lapse(u32),
    /// The optional call is of no use any more.
    Expire(u32),
}

/// The calls of one partition, prepared for the search.
pub(crate) struct Timeline {
    pub(crate) steps: Vec<Step>,
    /// Position of each step.
    pub(crate) positions: Vec<u32>,
    /// Slot of each call, as a bit number; [`FOREVER`] for calls that were left out as useless.
    pub(crate) slots: Vec<u32>,
    /// Words of bits for calls that must happen; those for optional ones follow.
    pub(crate) required_words: usize,
    /// Words of bits in all.
    pub(crate) words: usize,
    /// What is known about values, if the object is a register.
    pub(crate) values: Option<Values>,
}

impl Timeline {
    /// What a timeline of so many calls takes at most, while it is made: two steps for each call, once with their positions
    /// beside them and once apart, its slot, and until when it is of use.
    pub(crate) fn size(calls: usize) -> usize {
        const STEPS: usize = size_of::<(u32, Step)>() + size_of::<u32>() + size_of::<Step>();
        calls * (2 * STEPS + 2 * size_of::<u32>())
    }

    pub(crate) fn new<S: Specification>(spec: &S, kinds: &[S::Op], calls: &[Call]) -> Self {
        let (useful, values) = last_use(spec, kinds, calls);
        let mut steps = Vec::with_capacity(calls.len() * 2);
        for (at, call) in calls.iter().enumerate() {
            let id = u32::try_from(at).unwrap_or(FOREVER);
            if call.required() {
                steps.push((call.invoked, Step::Invoke(id)));
                steps.push((call.returned, Step::Return(id)));
            } else if useful[at] > call.invoked {
                steps.push((call.invoked, Step::Invoke(id)));
                if call.returned <= useful[at] && call.returned != FOREVER {
                    steps.push((call.returned, Step::Lapse(id)));
                } else if useful[at] != FOREVER {
                    steps.push((useful[at], Step::Expire(id)));
                }
            }
        }
        // At the same position (only made-up ones coincide) the order is that of `Step`: opening before closing.
        steps.sort_unstable();
        let (positions, steps): (Vec<u32>, Vec<Step>) = steps.into_iter().unzip();

        let mut slots = vec![FOREVER; calls.len()];
        let (mut required, mut optional) = (Slots::default(), Slots::default());
        for step in &steps {
            match *step {
                Step::Invoke(call) => {
                    let pool = if calls[call as usize].required() { &mut required } else { &mut optional };
                    slots[call as usize] = pool.take();
                }
                Step::Return(call) => required.free.push(Reverse(slots[call as usize])),
                Step::Lapse(call) | Step::Expire(call) => optional.free.push(Reverse(slots[call as usize])),
            }
        }
        let required_words = (required.made as usize).div_ceil(64).max(1);
        let words = required_words + (optional.made as usize).div_ceil(64);
        let offset = u32::try_from(required_words * 64).unwrap_or(FOREVER);
        for (slot, call) in slots.iter_mut().zip(calls) {
            if !call.required() && *slot != FOREVER {
                *slot += offset;
            }
        }
        Self { steps, positions, slots, required_words, words, values }
    }
}

#[derive(Default)]
struct Slots {
    free: BinaryHeap<Reverse<u32>>,
    made: u32,
}

impl Slots {
    fn take(&mut self) -> u32 {
        match self.free.pop() {
            Some(Reverse(slot)) => slot,
            None => {
                self.made += 1;
                self.made - 1
            }
        }
    }
}

/// Until when each optional call is of use (see the module's "expired optional calls"); 0 for never.
fn last_use<S: Specification>(spec: &S, kinds: &[S::Op], calls: &[Call]) -> (Vec<u32>, Option<Values>) {
    let accesses: Option<Vec<Access<'_>>> = kinds.iter().map(|op| spec.access(op)).collect();
    let Some(accesses) = accesses else { return (vec![FOREVER; calls.len()], None) };
    // Last return of someone who must see the value.
    let mut until = FxHashMap::default();
    // Someone who saw "another value" may need any.
    let mut any = 0;
    for call in calls.iter().filter(|call| call.required()) {
        match accesses[call.kind as usize] {
            Access::Read(value) | Access::Cas(value, _) => {
                let last = until.entry(value).or_insert(0);
                *last = call.returned.max(*last);
            }
            Access::Differs(_) => any = call.returned.max(any),
            Access::Write(_) => {}
        }
    }
    // An optional compare-and-set is of use as long as what it sets is: pass that on, the latest first.
    let mut chains: FxHashMap<_, Vec<_>> = FxHashMap::default();
    for call in calls.iter().filter(|call| !call.required()) {
        if let Access::Cas(from, to) = accesses[call.kind as usize] {
            chains.entry(to).or_default().push(from);
            if any > 0 {
                let last = until.entry(from).or_insert(0);
                *last = any.max(*last);
            }
        }
    }
    let mut work: BinaryHeap<_> = until.iter().map(|(value, last)| (*last, *value)).collect();
    while let Some((last, to)) = work.pop() {
        if until.get(to).is_some_and(|known| *known > last) {
            continue;
        }
        for from in chains.remove(to).unwrap_or_default() {
            let known = until.entry(from).or_insert(0);
            if *known < last {
                *known = last;
                work.push((last, from));
            }
        }
    }
    let of_use = |call: &Call| match accesses[call.kind as usize] {
        _ if on(Mutant::EarlyExpiry) => 0,
        Access::Write(value) | Access::Cas(_, value) => until.get(value).copied().unwrap_or(0).max(any),
        Access::Read(_) | Access::Differs(_) => 0,
    };
    let useful = calls.iter().map(|call| if call.required() { FOREVER } else { of_use(call) }).collect();
    (useful, Values::new(spec, kinds, calls, &until))
}

/// Which calls are open at one point of the timeline. It moves both ways, since the search jumps back.
pub(crate) struct Cursor<'a> {
    timeline: &'a Timeline,
    calls: &'a [Call],
    pure: &'a [bool],
    /// The step that comes next.
    pub(crate) at: usize,
    /// The call in each slot.
    pub(crate) occupants: Vec<u32>,
    /// Bits of the slots that are taken.
    pub(crate) open: Vec<u64>,
    /// Of those, the ones whose call never changes the state.
    pub(crate) open_pure: Vec<u64>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(timeline: &'a Timeline, calls: &'a [Call], pure: &'a [bool]) -> Self {
        let words = timeline.words;
        Self {
            timeline,
            calls,
            pure,
            at: 0,
            occupants: vec![FOREVER; words * 64],
            open: vec![0; words],
            open_pure: vec![0; words],
        }
    }

    /// The step that comes next.
    pub(crate) fn step(&self) -> Option<Step> {
        self.timeline.steps.get(self.at).copied()
    }

    /// The slot of that call, as a bit number.
    pub(crate) fn slot(&self, call: u32) -> usize {
        self.timeline.slots[call as usize] as usize
    }

    /// Moves to that step.
    pub(crate) fn seek(&mut self, at: usize) {
        while self.at < at {
            self.forward();
        }
        while self.at > at {
            self.at -= 1;
            match self.timeline.steps[self.at] {
                Step::Invoke(call) => self.close(call),
                Step::Return(call) | Step::Lapse(call) | Step::Expire(call) => self.enter(call),
            }
        }
    }

    pub(crate) fn forward(&mut self) {
        match self.timeline.steps[self.at] {
            Step::Invoke(call) => self.enter(call),
            Step::Return(call) | Step::Lapse(call) | Step::Expire(call) => self.close(call),
        }
        self.at += 1;
    }

    fn enter(&mut self, call: u32) {
        let slot = self.timeline.slots[call as usize] as usize;
        self.occupants[slot] = call;
        self.open[slot / 64] |= 1 << (slot % 64);
        if self.pure[self.calls[call as usize].kind as usize] {
            self.open_pure[slot / 64] |= 1 << (slot % 64);
        }
    }

    fn close(&mut self, call: u32) {
        let slot = self.timeline.slots[call as usize] as usize;
        self.open[slot / 64] &= !(1 << (slot % 64));
        self.open_pure[slot / 64] &= !(1 << (slot % 64));
    }
}
