//! One key of a history that grows: what is known to be linearizable so far, and from where to go on.

use super::resumed::Resumed;
use crate::check::{Answer, decide_one};
use crate::decision::{Progress, Refutation};
use crate::limits::{Budget, Stopped};
use crate::partition::{Call, Partition};
use crate::validate::InvalidWitness;
use crate::{Access, Algorithm, Handling, Specification, Value};

/// No place in the order.
const NOWHERE: u32 = u32::MAX;
/// Steps of search for going on from somewhere: if that is not enough, an earlier beginning may be easier.
const SHARE: u64 = 1 << 12;
/// States that hold more bytes than this are not kept to go on from.
const HEAVY: usize = 1 << 16;
/// The first of the distances from the end, each four times the one before, at which a way back is kept.
const NEAR: usize = 32;

/// What came of a look.
pub(super) enum Look {
    Legal,
    /// Calls are counted as in the partition of the whole key. With the position by which it had shown.
    Illegal(Refutation, u32),
    Unknown(Stopped, Progress),
}

struct Entry {
    call: Call,
    /// Its place in the order.
    place: u32,
    /// It turned out never to have happened, or to have been something else.
    gone: bool,
}

/// A place in the order to go on from.
struct Mark<State> {
    length: usize,
    state: State,
    /// The state as a value, if the object is a register.
    value: Option<Value>,
}

pub(super) struct Part<S: Specification> {
    pub(super) key: Option<Value>,
    /// The operation of each call.
    kinds: Vec<S::Op>,
    entries: Vec<Entry>,
    /// A linearization of what was judged last.
    order: Vec<u32>,
    /// Calls that are not in the order.
    loose: Vec<u32>,
    /// From the beginning to the end of the order.
    marks: Vec<Mark<S::State>>,
    /// Whether something came that has not been judged.
    pub(super) fresh: bool,
    /// How many calls were judged in all looks together, each as often as it was.
    pub(super) effort: u64,
}

impl<S: Specification> Part<S> {
    pub(super) fn new(spec: &S, key: Option<Value>) -> Self {
        let start = Mark { length: 0, state: spec.initial(), value: spec.initial_value().cloned() };
        Self {
            key,
            kinds: Vec::new(),
            entries: Vec::new(),
            order: Vec::new(),
            loose: Vec::new(),
            marks: vec![start],
            fresh: false,
            effort: 0,
        }
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let each = size_of::<S::Op>() + size_of::<Entry>() + 2 * size_of::<u32>();
        self.entries.capacity() * each + self.marks.len() * size_of::<Mark<S::State>>()
    }

    /// How many calls there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes a call; says its number.
    pub(super) fn add(&mut self, op: S::Op, call: Call) -> u32 {
        // Fits: a history has fewer events.
        let id = u32::try_from(self.entries.len()).unwrap_or(NOWHERE);
        self.fresh |= call.required();
        self.entries.push(Entry { call: Call { kind: id, ..call }, place: NOWHERE, gone: false });
        self.kinds.push(op);
        self.loose.push(id);
        id
    }

    /// The call has ended: what it was is known, or that it was nothing (`None`).
    pub(super) fn settle(&mut self, id: u32, op: Option<S::Op>, call: Call) {
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        let place = entry.place;
        let same = op.as_ref() == self.kinds.get(id as usize);
        entry.call = Call { kind: id, ..call };
        entry.gone = op.is_none();
        self.fresh |= call.required() && (place == NOWHERE || !same);
        if let (Some(kind), Some(op)) = (self.kinds.get_mut(id as usize), op) {
            *kind = op;
        }
        // An order in which it took effect as what it was not is worth nothing from there on.
        if place != NOWHERE && !same {
            self.cut(place as usize);
            self.fresh = true;
        }
    }

    /// Forgets the order from there on.
    fn cut(&mut self, length: usize) {
        for id in self.order.drain(length..) {
            if let Some(entry) = self.entries.get_mut(id as usize) {
                entry.place = NOWHERE;
                self.loose.push(id);
            }
        }
        self.marks.retain(|mark| mark.length <= length);
    }

    /// Looks for a way to go on from the end of the order; if there is none, from earlier, and at last from the beginning. Only
    /// that can say that there is none.
    pub(super) fn look(
        &mut self,
        spec: &S,
        algorithm: Algorithm,
        budget: &Budget,
        share: u64,
    ) -> Result<Look, InvalidWitness> {
        let entries = &self.entries;
        self.loose.retain(|id| entries.get(*id as usize).is_some_and(|entry| !entry.gone));
        let mut unknown = Look::Legal;
        for at in (0..self.marks.len()).rev() {
            let Some(mark) = self.marks.get(at) else { continue };
            let whole = mark.length == 0;
            let rest = self.rest(mark.length);
            let resumed = Resumed { spec, state: &mark.state, value: mark.value.as_ref() };
            let share = if whole { share } else { share.min(SHARE) };
            self.effort += rest.calls.len() as u64;
            match without_lost_takes(&resumed, &rest, algorithm, budget)?
                .map_or_else(|| decide_one(&resumed, &rest, algorithm, budget, share), Ok)?
            {
                Answer::Legal(order) => {
                    self.go_on(spec, at, &order);
                    self.fresh = false;
                    return Ok(Look::Legal);
                }
                Answer::Illegal(refutation) if whole => {
                    let blocked = rest.calls.get(refutation.blocked as usize);
                    let position = blocked.map_or(NOWHERE, |call| call.returned);
                    return Ok(Look::Illegal(refutation, position));
                }
                Answer::Undecided(reason, progress) if whole => unknown = Look::Unknown(reason, progress),
                Answer::Illegal(_) | Answer::Undecided(..) => {}
            }
        }
        Ok(unknown)
    }

    /// What is not among the first of the order, by invocation. Its calls name their numbers here in place of operations.
    fn rest(&self, length: usize) -> Partition<S::Op> {
        let placed = self.order.get(length..).unwrap_or_default();
        let mut ids: Vec<u32> = self.loose.iter().chain(placed).copied().collect();
        let entry = |id: &u32| self.entries.get(*id as usize).map(|entry| entry.call);
        ids.sort_unstable_by_key(|id| entry(id).map(|call| call.invoked));
        let mut rest = Partition { key: None, kinds: Vec::new(), calls: Vec::new() };
        for id in ids {
            let (Some(call), Some(op)) = (entry(&id), self.kinds.get(id as usize)) else { continue };
            let kind = u32::try_from(rest.kinds.len()).unwrap_or(NOWHERE);
            rest.calls.push(Call { kind, operation: id, ..call });
            rest.kinds.push(op.clone());
        }
        rest
    }

    /// The order goes on so from that mark.
    fn go_on(&mut self, spec: &S, mark: usize, order: &[u32]) {
        self.marks.truncate(mark + 1);
        let Some(mark) = self.marks.last() else { return };
        let (mut state, mut value) = (mark.state.clone(), mark.value.clone());
        self.cut(mark.length);
        for (done, id) in order.iter().enumerate() {
            let (Some(op), Some(entry)) = (self.kinds.get(*id as usize), self.entries.get_mut(*id as usize))
            else {
                continue;
            };
            entry.place = u32::try_from(self.order.len()).unwrap_or(NOWHERE);
            self.order.push(*id);
            // The validator has done the same.
            let _ = spec.advance(&mut state, op);
            match spec.access(op) {
                Some(Access::Write(next) | Access::Cas(_, next)) => value = Some(next.clone()),
                Some(Access::Read(_) | Access::Differs(_)) => {}
                // What comes may be a register again, but nobody knows with which value.
                None => value = None,
            }
            let left = order.len() - done - 1;
            if worth(left) && spec.weight(&state) <= HEAVY {
                let length = self.order.len();
                self.marks.push(Mark { length, state: state.clone(), value: value.clone() });
            }
        }
        let entries = &self.entries;
        self.loose.retain(|id| entries.get(*id as usize).is_some_and(|entry| entry.place == NOWHERE));
        self.thin();
    }

    /// Of the marks at about the same distance from the end only the first and the last stay.
    fn thin(&mut self) {
        let end = self.order.len();
        let far: Vec<u32> = self.marks.iter().map(|mark| distance(end - mark.length)).collect();
        let mut at = 0;
        self.marks.retain(|_| {
            let here = at;
            at += 1;
            let like = |other: Option<usize>| other.and_then(|other| far.get(other)) == far.get(here);
            !(like(here.checked_sub(1)) && like(here.checked_add(1).filter(|next| *next < far.len())))
        });
    }

    /// The order, as operations of the history.
    pub(super) fn witness(&self) -> Vec<u32> {
        let operation = |id: &u32| self.entries.get(*id as usize).map(|entry| entry.call.operation);
        self.order.iter().filter_map(operation).collect()
    }
}

/// Takes from a collection whose answers are still out may have taken anything, or nothing, and no polynomial algorithm knows which.
/// Nearly always the rest is linearizable as if they had not begun; then so is the whole.
fn without_lost_takes<S: Specification>(
    spec: &S,
    rest: &Partition<S::Op>,
    algorithm: Algorithm,
    budget: &Budget,
) -> Result<Option<Answer>, InvalidWitness> {
    let lost = |call: &Call| {
        let op = rest.kinds.get(call.kind as usize);
        call.optional && op.and_then(|op| spec.handling(op)) == Some(Handling::RemoveUnknown)
    };
    if spec.discipline().is_none() || !rest.calls.iter().any(lost) {
        return Ok(None);
    }
    let calls = rest.calls.iter().filter(|call| !lost(call)).copied().collect();
    let rest = Partition { key: None, kinds: rest.kinds.clone(), calls };
    let answer = decide_one(spec, &rest, algorithm, budget, SHARE)?;
    Ok(Some(answer).filter(|answer| matches!(answer, Answer::Legal(_))))
}

/// Whether a mark is put where so many calls are left.
fn worth(left: usize) -> bool {
    left == 0 || left >= NEAR && left.is_power_of_two() && left.trailing_zeros() % 2 == 1
}

fn distance(left: usize) -> u32 {
    (left / NEAR + 1).ilog2() / 2
}
