//! One walk through the history, with all configurations that are kept.

use super::Width;
use super::lineage::Lineage;
use crate::Specification;
use crate::decision::{Decision, Progress, Refutation};
use crate::limits::{Budget, Purse, Stopped};
use crate::mutant::{Mutant, on};
use crate::partition::{Call, FOREVER};
use crate::wgl::{Arena, Cursor, ILLEGAL, Machine, NONE, Step, Timeline, Values, repeats};

/// Walks; gives up after `share` configurations, or where a narrow or relaxed walk proves nothing.
pub(super) fn walk<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
    foresight: bool,
    width: Width,
    share: u64,
) -> Decision {
    let mut purse = budget.purse();
    if let Err(reason) = purse.take(Timeline::size(calls.len())) {
        return Decision::Undecided(reason, Progress::default());
    }
    let timeline = Timeline::new(spec, kinds, calls);
    let machine = Machine::new(spec, kinds);
    let pure = machine.pure.clone();
    let arena = || Arena::new(timeline.required_words, timeline.words, usize::MAX);
    let mut walk = Walk {
        calls,
        required: timeline.required_words,
        cursor: Cursor::new(&timeline, calls, &pure),
        machine,
        values: timeline.values.as_ref().filter(|_| foresight).cloned(),
        foreseen: false,
        position: 0,
        now: arena(),
        next: arena(),
        lineage: Lineage::default(),
        purse,
        draft: vec![0; timeline.words],
        tried: vec![(0, NONE); kinds.len() * 2],
        found: Vec::new(),
        expansions: 0,
        met: 0,
        share,
        width,
        narrowed: false,
    };
    let found = walk.run(&timeline.positions, budget);
    let (reached, steps) = (walk.cursor.at as u64, timeline.steps.len() as u64);
    let undecided =
        |reason| Decision::Undecided(reason, Progress { configurations: walk.met, reached, steps });
    match found {
        Ok(None) => {
            let order = walk.lineage.order(walk.any());
            // More than there is: that proves nothing.
            if width == Width::Relaxed && repeats(&order, calls.len()) && !on(Mutant::TwiceUsed) {
                return undecided(Stopped::Share);
            }
            Decision::Legal(order)
        }
        Ok(Some(_)) if walk.narrowed => undecided(Stopped::Share),
        Ok(Some(blocked)) => Decision::Illegal(walk.refutation(blocked)),
        Err(reason) => undecided(reason),
    }
}

struct Walk<'a, S: Specification> {
    calls: &'a [Call],
    required: usize,
    cursor: Cursor<'a>,
    machine: Machine<'a, S>,
    /// What the values of a register tell about the future (see `wgl::values`).
    values: Option<Values>,
    /// Whether something was given up for what comes later.
    foreseen: bool,
    /// Where the history is read.
    position: u32,
    /// The configurations that are possible now; the `parent` of each is its place in the lineage.
    now: Arena,
    next: Arena,
    lineage: Lineage,
    purse: Purse<'a>,
    draft: Vec<u64>,
    /// Per operation, required and optional: the expansion that met it last, and the call that stands for it.
    tried: Vec<(u64, u32)>,
    /// The calls that may be next, with the states they lead to.
    found: Vec<(u32, u32)>,
    expansions: u64,
    met: u64,
    share: u64,
    width: Width,
    /// Whether a configuration was let go that was as good as another.
    narrowed: bool,
}

impl<S: Specification> Walk<'_, S> {
    /// Says the call at whose return nothing was possible any more, if there is one.
    fn run(&mut self, positions: &[u32], budget: &Budget) -> Result<Option<u32>, Stopped> {
        self.now.insert(&mut self.purse, &self.draft, (0, 0, NONE, NONE, true))?;
        while let Some(step) = self.cursor.step() {
            self.position = positions.get(self.cursor.at).copied().unwrap_or(FOREVER);
            match step {
                Step::Invoke(_) => {}
                Step::Return(call) => {
                    self.lead_on(call, budget)?;
                    let slot = self.cursor.slot(call);
                    self.keep(budget, |bits| {
                        let took = bits.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1);
                        clear(bits, slot);
                        took || on(Mutant::NotInTime)
                    })?;
                    if self.next.nodes.is_empty() {
                        return Ok(Some(call));
                    }
                    std::mem::swap(&mut self.now, &mut self.next);
                    let Self { lineage, now, purse, .. } = self;
                    lineage.forget(&mut now.nodes, purse)?;
                }
                Step::Lapse(call) | Step::Expire(call) => {
                    // Who comes late may still want to take effect before it is too late.
                    if matches!(step, Step::Lapse(_)) {
                        self.lead_on(call, budget)?;
                    }
                    let slot = self.cursor.slot(call);
                    self.keep(budget, |bits| {
                        clear(bits, slot);
                        true
                    })?;
                    std::mem::swap(&mut self.now, &mut self.next);
                }
            }
            self.cursor.forward();
        }
        Ok(None)
    }

    /// Leads all configurations on until `due` has taken effect in them, in every way.
    fn lead_on(&mut self, due: u32, budget: &Budget) -> Result<(), Stopped> {
        let slot = self.cursor.slot(due);
        // Those that are added on the way come behind, and are looked at as well.
        let mut at = 0;
        while let Some(node) = self.now.nodes.get(at).copied() {
            let id = u32::try_from(at).unwrap_or(NONE);
            at += 1;
            if node.dominated {
                continue;
            }
            if let Width::Narrow(most) = self.width
                && at > most.saturating_mul(LED_ON)
            {
                self.narrowed = true;
                break;
            }
            self.expansions += 1;
            if self.expansions.is_multiple_of(128) || self.machine.owes() {
                budget.check()?;
                self.machine.pay(&mut self.purse)?;
                if self.expansions > self.share {
                    return Err(Stopped::Share);
                }
            }
            if has(self.now.bits(id), slot) {
                continue;
            }
            if !self.observe(id)? {
                // At a lapse nobody has to move.
                let must = self.calls.get(due as usize).is_some_and(Call::required);
                if must
                    && self.values.as_ref().is_some_and(|values| values.hopeless(node.state, self.position))
                {
                    self.foreseen = true;
                } else {
                    self.expand(id, due)?;
                }
            }
        }
        Ok(())
    }

    /// Lets all open reads that are legal take effect: they change nothing, so it is never too early. Says whether there were
    /// any; then the configuration lives on as another one.
    fn observe(&mut self, id: u32) -> Result<bool, Stopped> {
        let (state, mut from) =
            self.now.nodes.get(id as usize).map_or((0, NONE), |node| (node.state, node.parent));
        self.draft.copy_from_slice(self.now.bits(id));
        let mut any = false;
        for word in 0..self.required {
            let open = self.cursor.open_pure.get(word).copied().unwrap_or(0);
            let mut left = open & !self.draft.get(word).copied().unwrap_or(0);
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let call = self.cursor.occupants.get(slot).copied().unwrap_or(NONE);
                let Some(kind) = self.calls.get(call as usize).map(|call| call.kind) else { continue };
                if self.machine.step(state, kind) != ILLEGAL {
                    set(&mut self.draft, slot);
                    from = self.lineage.add(from, call, &mut self.purse)?;
                    any = true;
                }
            }
        }
        if any {
            self.met += 1;
            self.now.insert(&mut self.purse, &self.draft, (0, state, from, NONE, true))?;
        }
        Ok(any)
    }

    /// Adds what one more call makes of a configuration, for every call that may be next.
    fn expand(&mut self, id: u32, due: u32) -> Result<(), Stopped> {
        let Some(node) = self.now.nodes.get(id as usize).copied() else { return Ok(()) };
        // First who stands for each operation: of equal calls the one that ends first will do (see `wgl`).
        for word in 0..self.cursor.open.len() {
            let mut left = self.free(id, word);
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let call = self.cursor.occupants.get(slot).copied().unwrap_or(NONE);
                let (index, end) = self.rank(call);
                let known = self.tried.get(index).copied().unwrap_or((0, NONE));
                let earlier = known.0 != self.expansions || end < self.rank(known.1).1;
                if let Some(tried) = self.tried.get_mut(index).filter(|_| earlier) {
                    *tried = (self.expansions, call);
                }
            }
        }
        self.found.clear();
        let mut dead = false;
        for word in 0..self.cursor.open.len() {
            let mut left = self.free(id, word);
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let call = self.cursor.occupants.get(slot).copied().unwrap_or(NONE);
                let Some(kind) = self.calls.get(call as usize).map(|call| call.kind) else { continue };
                let dies = word < self.required
                    && self.values.as_ref().is_some_and(|values| values.is_dead_write(kind, self.position));
                dead |= dies;
                let (index, _) = self.rank(call);
                if self.tried.get(index) != Some(&(self.expansions, call)) || dies && call != due {
                    continue;
                }
                let state = self.machine.step(node.state, kind);
                if state != ILLEGAL {
                    if let Some(values) = &mut self.values {
                        values.learn(kind, state);
                    }
                    self.found.push((state, call));
                }
            }
        }
        if let Some(values) = self.values.as_ref().filter(|_| !dead) {
            values.give_way(self.calls, &mut self.found);
        }
        for at in 0..self.found.len() {
            let Some((state, call)) = self.found.get(at).copied() else { continue };
            let Some(kind) = self.calls.get(call as usize).map(|call| call.kind) else { continue };
            self.draft.copy_from_slice(self.now.bits(id));
            let slot = self.cursor.slot(call);
            if self.width != Width::Relaxed || slot < self.required * 64 {
                set(&mut self.draft, slot);
            }
            let beginning = self.lineage.next();
            let from = self.absorb(kind, node.parent)?;
            let place = self.lineage.add(from, call, &mut self.purse)?;
            self.met += 1;
            let kept = self.now.insert(&mut self.purse, &self.draft, (0, state, place, NONE, true))?;
            if kept.is_none() {
                self.lineage.shorten(beginning);
            }
        }
        Ok(())
    }

    /// Writes that nobody has to see any more take effect just before another write, whatever it is (see `wgl::values`).
    fn absorb(&mut self, kind: u32, mut from: u32) -> Result<u32, Stopped> {
        let Some(values) = self.values.as_ref().filter(|values| values.is_write(kind)) else {
            return Ok(from);
        };
        for word in 0..self.required {
            let of = |words: &[u64]| words.get(word).copied().unwrap_or(0);
            let mut left = of(&self.cursor.open) & !of(&self.cursor.open_pure) & !of(&self.draft);
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let other = self.cursor.occupants.get(slot).copied().unwrap_or(NONE);
                let Some(call) = self.calls.get(other as usize) else { continue };
                if values.is_dead_write(call.kind, self.position) {
                    set(&mut self.draft, slot);
                    from = self.lineage.add(from, other, &mut self.purse)?;
                }
            }
        }
        Ok(from)
    }

    /// The open calls of that word that have not taken effect and may change something.
    fn free(&self, id: u32, word: usize) -> u64 {
        let of = |words: &[u64]| words.get(word).copied().unwrap_or(0);
        of(&self.cursor.open) & !of(&self.cursor.open_pure) & !of(self.now.bits(id))
    }

    /// Which operation a call is, required or optional, and when it ends.
    fn rank(&self, call: u32) -> (usize, (u32, u32)) {
        let call = self.calls.get(call as usize);
        call.map_or((usize::MAX, (FOREVER, FOREVER)), |call| {
            (call.kind as usize * 2 + usize::from(call.optional), (call.returned, call.invoked))
        })
    }

    /// Carries the configurations that pass over to the next moment.
    fn keep(&mut self, budget: &Budget, pass: impl Fn(&mut [u64]) -> bool) -> Result<(), Stopped> {
        self.next.clear();
        for (done, id) in self.thriftiest().into_iter().enumerate() {
            let Some(node) = self.now.nodes.get(id as usize).copied() else { continue };
            if done.is_multiple_of(1 << 14) {
                budget.check()?;
            }
            if let Width::Narrow(most) = self.width
                && self.next.nodes.len() >= most
            {
                self.narrowed = true;
                break;
            }
            self.draft.copy_from_slice(self.now.bits(id));
            if pass(&mut self.draft) {
                self.next.insert(&mut self.purse, &self.draft, (0, node.state, node.parent, NONE, true))?;
            }
        }
        self.draft.fill(0);
        Ok(())
    }

    /// The configurations that nothing dominates; where not all are kept, those first that used the fewest optional calls.
    fn thriftiest(&self) -> Vec<u32> {
        let ids = self.now.nodes.iter().zip(0_u32..).filter(|(node, _)| !node.dominated);
        let mut ids: Vec<u32> = ids.map(|(_, id)| id).collect();
        if matches!(self.width, Width::Narrow(_)) {
            let used = |id: &u32| {
                let optional = self.now.bits(*id).get(self.required..).unwrap_or_default();
                optional.iter().map(|word| word.count_ones()).sum::<u32>()
            };
            ids.sort_by_cached_key(used);
        }
        ids
    }

    /// The lineage of any configuration that is possible now.
    fn any(&self) -> u32 {
        self.now.nodes.iter().find(|node| !node.dominated).map_or(NONE, |node| node.parent)
    }

    fn refutation(&self, blocked: u32) -> Refutation {
        let mut states = Vec::new();
        for node in self.now.nodes.iter().filter(|node| !node.dominated) {
            if !states.contains(&node.state) && states.len() < Refutation::MOST_STATES {
                states.push(node.state);
            }
        }
        Refutation {
            blocked,
            order: self.lineage.order(self.any()),
            states: states.into_iter().map(|state| self.machine.describe(state)).collect(),
            foreseen: self.foreseen,
        }
    }
}

/// A narrow walk leads on so many times as many configurations as it keeps.
const LED_ON: usize = 8;

fn has(bits: &[u64], slot: usize) -> bool {
    bits.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
}

fn set(bits: &mut [u64], slot: usize) {
    if let Some(word) = bits.get_mut(slot / 64) {
        *word |= 1 << (slot % 64);
    }
}

fn clear(bits: &mut [u64], slot: usize) {
    if let Some(word) = bits.get_mut(slot / 64) {
        *word &= !(1 << (slot % 64));
    }
}
