//! The search itself: take a configuration, place one more call in every way that matters, keep what is new.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use super::agenda::{Agenda, Strategy};
use super::arena::{Arena, NONE};
use super::machine::{ILLEGAL, Machine};
use super::timeline::{Cursor, Step, Timeline};
use super::values::Values;
use crate::Specification;
use crate::decision::{Decision, Progress, Refutation};
use crate::limits::{Budget, Purse, Stopped};
use crate::mutant::{Mutant, on};
use crate::partition::Call;

/// To find out whether a configuration is dominated by even more than so many others would take longer than to explore it.
const COMPARED: usize = 96;

/// Looks for a linearization of `calls`; gives up after `share` configurations.
pub(crate) fn search<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
    strategy: Strategy,
    foresight: bool,
    share: u64,
) -> Decision {
    let mut purse = budget.purse();
    if let Err(reason) = purse.take(Timeline::size(calls.len())) {
        return Decision::Undecided(reason, Progress::default());
    }
    let timeline = Timeline::new(spec, kinds, calls);
    let machine = Machine::new(spec, kinds);
    let pure = machine.pure.clone();
    let mut search = Search {
        calls,
        cursor: Cursor::new(&timeline, calls, &pure),
        arena: Arena::new(timeline.required_words, timeline.words, COMPARED),
        required: timeline.required_words,
        relaxed: strategy == Strategy::Relaxed,
        machine,
        purse,
        values: timeline.values.as_ref().filter(|_| foresight).cloned(),
        positions: &timeline.positions,
        foreseen: false,
        tried: vec![(0, 0); kinds.len() * 2],
        expansions: 0,
        share,
        deepest: 0,
    };
    match search.run(budget, strategy) {
        Ok(Some(last)) => {
            let order = search.order(last, &timeline);
            // More than there is: that proves nothing.
            if search.relaxed && repeats(&order, calls.len()) && !on(Mutant::TwiceUsed) {
                return Decision::Undecided(Stopped::Share, search.progress(&timeline));
            }
            Decision::Legal(order)
        }
        Ok(None) => Decision::Illegal(search.refutation(&timeline)),
        Err(reason) => Decision::Undecided(reason, search.progress(&timeline)),
    }
}

pub(super) struct Search<'a, S: Specification> {
    pub(super) calls: &'a [Call],
    pub(super) cursor: Cursor<'a>,
    pub(super) arena: Arena,
    pub(super) required: usize,
    /// Whether optional calls are not used up.
    pub(super) relaxed: bool,
    pub(super) machine: Machine<'a, S>,
    pub(super) purse: Purse<'a>,
    pub(super) values: Option<Values>,
    pub(super) positions: &'a [u32],
    /// Whether something was given up for what comes later.
    pub(super) foreseen: bool,
    /// Per operation, required and optional: the expansion that met it last, and which of its candidates.
    pub(super) tried: Vec<(u64, u32)>,
    pub(super) expansions: u64,
    pub(super) share: u64,
    pub(super) deepest: u32,
}

/// A configuration in the making.
pub(super) struct Draft {
    pub(super) bits: Vec<u64>,
    pub(super) state: u32,
}

/// In place of a call: an optional one was let go.
pub(super) const PASS: u32 = NONE - 1;

/// Where a configuration came to rest.
enum Rest {
    /// Before that return or lapse, whose call is not placed.
    Before(u32),
    /// Nothing is left that must happen.
    Done,
}

/// The last configuration of a linearization: its parent, and the call that finished it.
type Last = (u32, u32);

impl<S: Specification> Search<'_, S> {
    fn run(&mut self, budget: &Budget, strategy: Strategy) -> Result<Option<Last>, Stopped> {
        let mut agenda = Agenda::new(strategy);
        let mut draft = Draft { bits: vec![0; self.cursor.open.len()], state: 0 };
        match self.settle(&mut draft, None) {
            Rest::Done => return Ok(Some((NONE, NONE))),
            Rest::Before(at) => {
                self.deepest = at;
                if let Some(id) =
                    self.arena.insert(&mut self.purse, &draft.bits, (at, 0, NONE, NONE, true))?
                {
                    agenda.push(id, at, 0);
                }
            }
        }
        let mut candidates = Vec::new();
        let mut children = Vec::new();
        while let Some(id) = agenda.pop() {
            if self.arena.nodes[id as usize].dominated {
                continue;
            }
            self.expansions += 1;
            if self.expansions.is_multiple_of(128) || self.machine.owes() {
                budget.check()?;
                self.machine.pay(&mut self.purse)?;
                if self.expansions > self.share {
                    return Err(Stopped::Share);
                }
            }
            self.candidates(id, &mut candidates);
            children.clear();
            if self.pass(id, &mut draft, &mut children)? {
                return Ok(Some((id, PASS)));
            }
            for (state, call) in candidates.iter().copied() {
                if let Some(last) = self.child(id, state, call, &mut draft, &mut children)? {
                    return Ok(Some(last));
                }
            }
            // What got further is tried first, then what returns first; the agenda takes the last one first.
            children.sort_by_key(|(at, ..)| *at);
            for (at, id, used) in children.iter().copied() {
                self.deepest = self.deepest.max(at);
                agenda.push(id, at, used);
            }
        }
        Ok(None)
    }

    /// Places `call` after configuration `id`. Says the end if this was it.
    fn child(
        &mut self,
        id: u32,
        state: u32,
        call: u32,
        draft: &mut Draft,
        children: &mut Vec<(u32, u32, u32)>,
    ) -> Result<Option<Last>, Stopped> {
        let before = self.arena.nodes[id as usize].at;
        self.cursor.seek(before as usize);
        draft.bits.copy_from_slice(self.arena.bits(id));
        draft.state = state;
        let slot = self.cursor.slot(call);
        if !self.relaxed || slot < self.required * 64 {
            draft.bits[slot / 64] |= 1 << (slot % 64);
        }
        let placed = count(&draft.bits[..self.required]);
        self.absorb(draft, call, None);
        let at = match self.settle(draft, None) {
            Rest::Done => return Ok(Some((id, call))),
            Rest::Before(at) => at,
        };
        let position = self.positions[at as usize];
        // At a lapse nobody has to move.
        let due = matches!(self.cursor.step(), Some(Step::Return(_)));
        if due && self.values.as_ref().is_some_and(|values| values.hopeless(state, position)) {
            self.foreseen = true;
            return Ok(None);
        }
        let observed = at != before || count(&draft.bits[..self.required]) != placed;
        let node = (at, state, id, call, observed);
        if let Some(child) = self.arena.insert(&mut self.purse, &draft.bits, node)? {
            children.push((at, child, count(&draft.bits[self.required..])));
        }
        Ok(None)
    }

    /// Lets the optional call go that lapses here, if that is what the configuration waits for.
    fn pass(
        &mut self,
        id: u32,
        draft: &mut Draft,
        children: &mut Vec<(u32, u32, u32)>,
    ) -> Result<bool, Stopped> {
        let node = self.arena.nodes[id as usize];
        self.cursor.seek(node.at as usize);
        if !matches!(self.cursor.step(), Some(Step::Lapse(_))) {
            return Ok(false);
        }
        draft.bits.copy_from_slice(self.arena.bits(id));
        draft.state = node.state;
        self.cursor.forward();
        let Rest::Before(at) = self.settle(draft, None) else { return Ok(true) };
        let node = (at, node.state, id, PASS, true);
        if let Some(child) = self.arena.insert(&mut self.purse, &draft.bits, node)? {
            children.push((at, child, count(&draft.bits[self.required..])));
        }
        Ok(false)
    }

    /// Places all reads that are legal and passes all returns whose calls are placed, until one is not.
    fn settle(&mut self, draft: &mut Draft, mut order: Option<&mut Vec<u32>>) -> Rest {
        for word in 0..self.required {
            let mut left = self.cursor.open_pure[word] & !draft.bits[word];
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                self.observe(draft, slot, order.as_deref_mut());
            }
        }
        while let Some(step) = self.cursor.step() {
            match step {
                Step::Invoke(call) => {
                    self.cursor.forward();
                    let slot = self.cursor.slot(call);
                    if self.cursor.open_pure[slot / 64] >> (slot % 64) & 1 == 1 {
                        self.observe(draft, slot, order.as_deref_mut());
                    }
                }
                Step::Return(call) | Step::Lapse(call) => {
                    let slot = self.cursor.slot(call);
                    if draft.bits[slot / 64] >> (slot % 64) & 1 == 0 {
                        // Fits: a timeline has fewer than 2^32 steps.
                        return Rest::Before(u32::try_from(self.cursor.at).unwrap_or(NONE));
                    }
                    draft.bits[slot / 64] &= !(1 << (slot % 64));
                    self.cursor.forward();
                }
                Step::Expire(call) => {
                    let slot = self.cursor.slot(call);
                    draft.bits[slot / 64] &= !(1 << (slot % 64));
                    self.cursor.forward();
                }
            }
        }
        Rest::Done
    }

    fn observe(&mut self, draft: &mut Draft, slot: usize, order: Option<&mut Vec<u32>>) {
        let call = self.cursor.occupants[slot];
        let kind = self.calls[call as usize].kind;
        if self.machine.step(draft.state, kind) != ILLEGAL {
            draft.bits[slot / 64] |= 1 << (slot % 64);
            if let Some(order) = order {
                order.push(call);
            }
        }
    }

    /// The order that leads through configuration `last.0` and then places `last.1`.
    fn order(&mut self, last: Last, timeline: &Timeline) -> Vec<u32> {
        let (mut id, end) = last;
        let mut path = vec![end];
        while id != NONE {
            let node = self.arena.nodes[id as usize];
            path.push(node.via);
            id = node.parent;
        }
        if end == NONE {
            path = vec![NONE];
        }
        let mut order = Vec::with_capacity(self.calls.len());
        let mut draft = Draft { bits: vec![0; timeline.words], state: 0 };
        self.cursor.seek(0);
        for call in path.into_iter().rev() {
            if call == PASS {
                self.cursor.forward();
            } else if call != NONE {
                self.absorb(&mut draft, call, Some(&mut order));
                order.push(call);
                draft.state = self.machine.step(draft.state, self.calls[call as usize].kind);
                let slot = timeline.slots[call as usize] as usize;
                if !self.relaxed || slot < self.required * 64 {
                    draft.bits[slot / 64] |= 1 << (slot % 64);
                }
            }
            self.settle(&mut draft, Some(&mut order));
        }
        order
    }

    /// How far the best configurations came.
    fn refutation(&mut self, timeline: &Timeline) -> Refutation {
        let blocked = match timeline.steps.get(self.deepest as usize) {
            Some(Step::Return(call)) => *call,
            _ => NONE,
        };
        let mut states = Vec::new();
        let mut best = NONE;
        for (id, node) in self.arena.nodes.iter().enumerate() {
            if node.at == self.deepest && !node.dominated {
                if best == NONE {
                    best = u32::try_from(id).unwrap_or(NONE);
                }
                if !states.contains(&node.state) && states.len() < Refutation::MOST_STATES {
                    states.push(node.state);
                }
            }
        }
        let order = match best {
            NONE => Vec::new(),
            best => {
                let node = self.arena.nodes[best as usize];
                self.order((node.parent, node.via), timeline)
            }
        };
        let states = states.into_iter().map(|state| self.machine.describe(state)).collect();
        Refutation { blocked, order, states, foreseen: self.foreseen }
    }

    fn progress(&self, timeline: &Timeline) -> Progress {
        Progress {
            configurations: self.arena.nodes.len() as u64,
            reached: u64::from(self.deepest),
            steps: timeline.steps.len() as u64,
        }
    }
}

/// There is no linearization, and all that is known is that the first return was possible or not.
pub(crate) fn somewhere(calls: &[Call]) -> Refutation {
    let required = calls.iter().zip(0_u32..).filter(|(call, _)| call.required());
    let first = required.min_by_key(|(call, _)| call.returned).map_or(0, |(_, id)| id);
    Refutation { blocked: first, foreseen: true, ..Refutation::default() }
}

/// Whether some call is in the order twice.
pub(crate) fn repeats(order: &[u32], calls: usize) -> bool {
    let mut seen = vec![false; calls];
    order.iter().any(|call| std::mem::replace(&mut seen[*call as usize], true))
}

fn count(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}
