//! The judge of refutations, as `validate` is the judge of witnesses: it shares nothing with the algorithms but the
//! specification, and is simple enough to be believed.
//!
//! It walks through the events in real time with the set of all *configurations* that are possible: which of the open calls
//! have taken effect, and the state. An invocation adds what the new call makes possible; a return keeps those in which the
//! call took effect. If nothing is left, there is no linearization. (This is Lowe's just-in-time linearization without any
//! of its economies.)
//!
//! A conflict is "these calls happened, all others may have or not". The others are many, and which of them were used would
//! have to be remembered. So first they are allowed *again and again* between their two ends, which needs no memory: if
//! even that more generous object has no linearization, there is none. Only otherwise they are counted. If the object is a
//! register, those that write what nobody sees are left out before: whatever follows them in an order does not see their
//! value, so it must be another write, or nothing, and the order is as legal without them.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits::Budget;
use crate::partition::{Call, FOREVER};
use crate::{Access, Specification, Value};

/// The most configurations that are kept at a time, and the most states that are ever met.
const MOST: usize = 1 << 17;

/// The most states that are ever met while calls may take effect again and again: there may be no end to them.
const FEW: usize = 1 << 13;
/// The most bytes that all states ever met may take: a queue that is filled again and again gets longer each time.
const MOST_BYTES: usize = 16 << 20;
/// The most steps of one walk; far less than a second.
const STEPS: u64 = 1 << 20;

/// What the judge says of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// There is no linearization.
    Yes,
    /// There is one: whoever said otherwise is wrong.
    No,
    /// Too much to look at.
    Unknown,
}

/// Do these calls, the optional ones among them at will, have no linearization?
pub(crate) fn confirm<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    budget: &Budget,
) -> Confirmed {
    let calls = seen(spec, kinds, calls);
    for again in [true, false] {
        match Walk::new(spec, kinds, &calls, again, budget).run_out() {
            Some(true) if !again => return Confirmed::No,
            Some(true) | None => {}
            Some(false) => return Confirmed::Yes,
        }
    }
    Confirmed::Unknown
}

/// Leaves out optional writes to a register that nobody sees who has to happen, or writes what is seen.
fn seen<S: Specification>(spec: &S, kinds: &[S::Op], calls: &[Call]) -> Vec<Call> {
    let access = |call: &Call| spec.access(kinds.get(call.kind as usize)?);
    let mut values: FxHashSet<&Value> = FxHashSet::default();
    let mut kept: Vec<bool> = calls.iter().map(Call::required).collect();
    loop {
        let before = values.len();
        for (call, kept) in calls.iter().zip(&mut kept) {
            let (sees, writes) = match access(call) {
                Some(Access::Read(value)) => (Some(value), None),
                Some(Access::Write(value)) => (None, Some(value)),
                Some(Access::Cas(from, to)) => (Some(from), Some(to)),
                Some(Access::Differs(_)) | None => return calls.to_vec(),
            };
            *kept |= writes.is_some_and(|value| values.contains(value));
            values.extend(sees.filter(|_| *kept));
        }
        if values.len() == before {
            return calls.iter().zip(kept).filter(|(_, kept)| *kept).map(|(call, _)| *call).collect();
        }
    }
}

/// Every state that is possible just before the return at `position`, whatever open calls have taken effect; `None` if that
/// is too much to look at.
pub(crate) fn states_before<S: Specification>(
    spec: &S,
    kinds: &[S::Op],
    calls: &[Call],
    position: u32,
    budget: &Budget,
) -> Option<Vec<S::State>> {
    let mut walk = Walk::new(spec, kinds, calls, false, budget);
    walk.until(position)?;
    let mut states: Vec<S::State> = Vec::new();
    let mut known = FxHashSet::default();
    for (_, state) in &walk.possible {
        if known.insert(*state)
            && let Some(state) = walk.states.get(*state as usize)
        {
            states.push(state.clone());
        }
    }
    Some(states)
}

/// The open calls that took effect, sorted, and the number of the state.
type Configuration = (Box<[u32]>, u32);

struct Walk<'a, S: Specification> {
    spec: &'a S,
    kinds: &'a [S::Op],
    calls: &'a [Call],
    /// Whether optional calls may take effect more than once.
    again: bool,
    budget: &'a Budget,
    /// Position, whether it is a return, call.
    events: std::vec::IntoIter<(u32, bool, u32)>,
    open: Vec<u32>,
    possible: FxHashSet<Configuration>,
    states: Vec<S::State>,
    numbers: FxHashMap<S::State, u32>,
    /// Bytes of all states.
    bytes: usize,
    steps: u64,
}

impl<'a, S: Specification> Walk<'a, S> {
    fn new(spec: &'a S, kinds: &'a [S::Op], calls: &'a [Call], again: bool, budget: &'a Budget) -> Self {
        let mut events = Vec::with_capacity(calls.len() * 2);
        for (at, call) in (0..).zip(calls) {
            events.push((call.invoked, false, at));
            if call.returned != FOREVER {
                events.push((call.returned, true, at));
            }
        }
        events.sort_unstable();
        let mut walk = Self {
            spec,
            kinds,
            calls,
            again,
            budget,
            events: events.into_iter(),
            open: Vec::new(),
            possible: FxHashSet::default(),
            states: Vec::new(),
            numbers: FxHashMap::default(),
            bytes: 0,
            steps: 0,
        };
        let initial = walk.number(spec.initial());
        walk.possible.insert((Box::default(), initial));
        walk
    }

    /// Whether anything is possible at the end.
    fn run_out(mut self) -> Option<bool> {
        self.until(FOREVER)?;
        Some(!self.possible.is_empty())
    }

    /// Takes the events before `position`.
    fn until(&mut self, position: u32) -> Option<()> {
        while let Some((_, returns, call)) =
            self.events.as_slice().first().copied().filter(|e| e.0 < position)
        {
            self.events.next();
            if returns {
                self.close(call)
            } else {
                self.open(call)?
            }
            if self.possible.is_empty() {
                break;
            }
        }
        Some(())
    }

    fn open(&mut self, call: u32) -> Option<()> {
        self.open.push(call);
        let mut work: Vec<(Configuration, bool)> =
            self.possible.iter().map(|known| (known.clone(), false)).collect();
        while let Some((from, fresh)) = work.pop() {
            // What was there before is closed under all calls but the new one.
            let candidates = if fresh { self.open.clone() } else { vec![call] };
            for next in candidates {
                self.steps += 1;
                if self.steps > STEPS || self.steps.is_multiple_of(1024) && self.budget.check().is_err() {
                    return None;
                }
                let most = if self.again { FEW } else { MOST };
                if self.states.len() > most || self.bytes > MOST_BYTES {
                    return None;
                }
                let Some(found) = self.take(&from, next) else { continue };
                if self.possible.len() >= MOST {
                    return None;
                }
                if self.possible.insert(found.clone()) {
                    work.push((found, true));
                }
            }
        }
        Some(())
    }

    /// The configuration after `call` took effect in `from`, if it may.
    fn take(&mut self, from: &Configuration, call: u32) -> Option<Configuration> {
        let (placed, state) = from;
        let place = placed.binary_search(&call).err()?;
        let of = self.calls.get(call as usize)?;
        let op = self.kinds.get(of.kind as usize)?;
        let next = self.spec.step(self.states.get(*state as usize)?, op)?;
        let next = self.number(next);
        if of.optional && self.again {
            return Some((placed.clone(), next));
        }
        let mut placed = placed.to_vec();
        placed.insert(place, call);
        Some((placed.into(), next))
    }

    fn close(&mut self, call: u32) {
        self.open.retain(|open| *open != call);
        let required = self.calls.get(call as usize).is_some_and(Call::required);
        let without = |(placed, state): Configuration| match placed.binary_search(&call) {
            Ok(at) => {
                let mut placed = placed.into_vec();
                placed.remove(at);
                Some((placed.into(), state))
            }
            Err(_) => (!required).then_some((placed, state)),
        };
        self.possible = std::mem::take(&mut self.possible).into_iter().filter_map(without).collect();
    }

    fn number(&mut self, state: S::State) -> u32 {
        // Fits: there are fewer states than configurations were made.
        let fresh = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        let bytes = 2 * (size_of::<S::State>() + self.spec.weight(&state));
        *self.numbers.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.bytes += bytes;
            fresh
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::decide::{Algorithm, decide};
    use crate::decision::Decision;
    use crate::generate::{Dice, Plan, Workload, generate, history};
    use crate::history::Kind;
    use crate::limits::Limits;
    use crate::partition::{Partition, split};
    use crate::spec::{RegisterFamily, RegisterOp, Vocabulary};

    const REGISTER: RegisterFamily = RegisterFamily {
        vocabulary: Vocabulary::CasRegister,
        initial: Value::Nil,
        nil_reads_any: false,
        failed_cas_observes: true,
    };

    /// A few operations whose reads see made-up values; some that returned need not have happened.
    fn small(seed: u64) -> Partition<RegisterOp> {
        let mut dice = Dice::new(!seed);
        let plan = Plan {
            operations: 4 + dice.index(6),
            clients: 2 + dice.index(4),
            values: 3,
            unknown: 60 * dice.below(4),
            ..Plan::new(Workload::CasRegister, seed)
        };
        let mut events = generate(&plan).events;
        for event in &mut events {
            if event.kind == Kind::Ok && &*event.f == "read" && dice.below(3) == 0 {
                event.value = Value::Int(i64::try_from(dice.below(3)).expect("small"));
            }
        }
        let mut partition = split(&REGISTER, &history(&events)).expect("known").pop().unwrap_or(Partition {
            key: None,
            kinds: Vec::new(),
            calls: Vec::new(),
        });
        for call in &mut partition.calls {
            call.optional |= dice.below(4) == 0;
        }
        partition
    }

    #[test]
    fn the_judge_and_the_search_agree_on_small_histories() {
        let budget = Budget::new(&Limits::default());
        let (mut yes, mut no) = (0, 0);
        for seed in 0..4000 {
            let partition = small(seed);
            let searched =
                decide(&REGISTER, &partition.kinds, &partition.calls, Algorithm::Wgl, &budget, u64::MAX);
            let expected = match searched {
                Decision::Legal(_) => Confirmed::No,
                Decision::Illegal(_) => Confirmed::Yes,
                Decision::Undecided(..) => panic!("seed {seed}: undecided"),
            };
            let said = confirm(&REGISTER, &partition.kinds, &partition.calls, &budget);
            assert_eq!(said, expected, "seed {seed}");
            // What it leaves out and what it allows again must not matter.
            let walk = Walk::new(&REGISTER, &partition.kinds, &partition.calls, false, &budget);
            assert_eq!(walk.run_out(), Some(expected == Confirmed::No), "seed {seed}, plainly");
            *(if said == Confirmed::Yes { &mut yes } else { &mut no }) += 1;
        }
        assert!(yes > 400 && no > 400, "{yes} refuted, {no} not");
    }

    #[test]
    fn a_judge_out_of_time_confirms_nothing() {
        let budget = Budget::until(&Limits::default(), std::time::Duration::ZERO);
        // Sixteen writes at once: more orders than it looks at between two looks at the clock.
        let write = |at| Call { kind: 0, invoked: at, returned: 100 + at, optional: false, operation: at };
        let mut calls: Vec<Call> = (0..16).map(write).collect();
        calls.push(Call { kind: 1, invoked: 200, returned: 201, optional: false, operation: 16 });
        let kinds = [RegisterOp::Write(Value::Int(1)), RegisterOp::Read(Value::Int(2))];
        assert_eq!(confirm(&REGISTER, &kinds, &calls, &budget), Confirmed::Unknown);
    }
}
