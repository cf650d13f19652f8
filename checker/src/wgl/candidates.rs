//! Which calls are worth trying after a configuration.

#![expect(clippy::indexing_slicing, reason = "indices are made here; this is the inner loop")]

use super::arena::NONE;
use super::machine::ILLEGAL;
use super::search::{Draft, PASS, Search};
use super::timeline::Step;
use crate::Specification;
use crate::mutant::{Mutant, on};
use crate::partition::Call;

impl<S: Specification> Search<'_, S> {
    /// The calls that may come next, with the states they lead to: latest return first, optional ones before all.
    pub(super) fn candidates(&mut self, id: u32, found: &mut Vec<(u32, u32)>) {
        let node = self.arena.nodes[id as usize];
        self.cursor.seek(node.at as usize);
        found.clear();
        let position = self.positions[node.at as usize];
        // The state before an optional call that nobody observed.
        let barren = match node.via {
            NONE | PASS => None,
            _ if node.observed => None,
            via if self.calls[via as usize].required() => None,
            _ => Some(self.arena.nodes[node.parent as usize].state),
        };
        for word in 0..self.cursor.open.len() {
            let mut left = self.cursor.open[word] & !self.cursor.open_pure[word] & !self.arena.bits(id)[word];
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let call = self.cursor.occupants[slot];
                let Call { kind, returned, invoked, .. } = self.calls[call as usize];
                let optional = word >= self.required;
                let (seen, first) = self.tried[kind as usize * 2 + usize::from(optional)];
                if seen == self.expansions {
                    // Of equal calls, the one that returns first.
                    if let Some((_, other)) = found.get_mut(first as usize) {
                        let known = self.calls[*other as usize];
                        if on(Mutant::LastOfEquals) != ((returned, invoked) < (known.returned, known.invoked))
                        {
                            *other = call;
                        }
                    }
                    continue;
                }
                let next = self.machine.step(node.state, kind);
                if next == ILLEGAL {
                    continue;
                }
                if optional
                    && (next == node.state && !self.absorbs(kind, id, position)
                        || self.forestalled(kind, returned, found))
                {
                    continue;
                }
                if barren.is_some_and(|before| self.machine.step(before, kind) == next) {
                    continue;
                }
                if let Some(values) = &mut self.values {
                    values.learn(kind, next);
                    let due = self.cursor.step() == Some(Step::Return(call));
                    if !optional && !due && values.is_dead_write(kind, position) {
                        continue;
                    }
                }
                // Fits: there are fewer candidates than slots.
                self.tried[kind as usize * 2 + usize::from(optional)] =
                    (self.expansions, u32::try_from(found.len()).unwrap_or(NONE));
                found.push((next, call));
            }
        }
        if let Some(values) = self.values.as_ref().filter(|_| !self.awaits_absorption(id, position)) {
            values.give_way(self.calls, found);
        }
        self.keep_last_chance(node.state, position, found);
        found.sort_unstable_by_key(|(_, call)| {
            let call = self.calls[*call as usize];
            std::cmp::Reverse((call.optional, call.returned, call.invoked))
        });
    }

    /// Whether placing `kind` also places dead writes: required ones that nobody sees, which take place just before the next
    /// write (see `values`). An optional write that leaves the state as it is may then be the one that hides them, and must
    /// not be passed over as if it did nothing.
    fn absorbs(&self, kind: u32, id: u32, position: u32) -> bool {
        self.values.as_ref().is_some_and(|values| values.is_write(kind))
            && self.awaits_absorption(id, position)
    }

    /// Whether a dead write is open and not placed.
    fn awaits_absorption(&self, id: u32, position: u32) -> bool {
        let Some(values) = &self.values else { return false };
        (0..self.required).any(|word| {
            let mut left = self.cursor.open[word] & !self.cursor.open_pure[word] & !self.arena.bits(id)[word];
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let other = self.cursor.occupants[slot];
                if values.is_dead_write(self.calls[other as usize].kind, position) {
                    return true;
                }
            }
            false
        })
    }

    /// If required compare-and-sets are waiting that have no second chance, one of them is next: the only one.
    fn keep_last_chance(&mut self, state: u32, position: u32, found: &mut Vec<(u32, u32)>) {
        let Some(values) = self.values.as_ref().filter(|values| values.last_chance(state, position)) else {
            return;
        };
        let calls = self.calls;
        let waits = |call: u32| calls[call as usize].required() && values.is_cas(calls[call as usize].kind);
        if found.iter().any(|(_, call)| waits(*call)) {
            let before = found.len();
            found.retain(|(_, call)| waits(*call));
            if found.len() > 1 {
                found.clear();
            }
            self.foreseen |= found.len() != before;
        }
    }

    /// Places the dead writes that are open just before `call`, if that is a plain write.
    pub(super) fn absorb(&mut self, draft: &mut Draft, call: u32, mut order: Option<&mut Vec<u32>>) {
        let Some(values) = &self.values else { return };
        if !values.is_write(self.calls[call as usize].kind) {
            return;
        }
        let position = self.positions[self.cursor.at];
        for word in 0..self.required {
            let mut left = self.cursor.open[word] & !self.cursor.open_pure[word] & !draft.bits[word];
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let other = self.cursor.occupants[slot];
                if other != call && values.is_dead_write(self.calls[other as usize].kind, position) {
                    draft.bits[slot / 64] |= 1 << (slot % 64);
                    if let Some(order) = order.as_deref_mut() {
                        order.push(other);
                    }
                }
            }
        }
    }

    /// Whether a required call with the same operation is a candidate, and returns no later than this optional one.
    fn forestalled(&self, kind: u32, returned: u32, found: &[(u32, u32)]) -> bool {
        let (seen, first) = self.tried[kind as usize * 2];
        let required = || found.get(first as usize).map(|(_, call)| self.calls[*call as usize].returned);
        seen == self.expansions && required().is_some_and(|required| required <= returned)
    }
}
