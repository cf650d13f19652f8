//! Makes a conflict small: which calls contradict each other even if any of the others had never happened?
//!
//! Calls are made *optional*. If there is still no linearization they stay optional; what is required at the end is a
//! contradiction among those calls alone. (Taking calls out instead would make contradictions that are none: without its
//! write, every read is wrong.) First the latest few calls are tried, twice as many each time, since most contradictions
//! are between operations near the end; then delta debugging by complements (Zeller & Hildebrandt 2002), from halves down
//! to single calls. "No linearization" is monotone in the required calls, so one pass over single calls is enough: what was
//! needed among many is needed among fewer.
//!
//! Nothing here has to be right for the answer to be right: the conflict is confirmed afterwards by `confirm`.

use rustc_hash::FxHashSet;

use crate::decide::{Algorithm, decide};
use crate::decision::Decision;
use crate::limits::{Budget, Stopped};
use crate::partition::{Call, FOREVER, Partition};
use crate::registers::before;
use crate::{Access, Specification, Value};

/// Steps of search for each attempt to make a conflict smaller.
const SHARE: u64 = 10_000;

/// Calls that contradict each other.
pub(crate) struct Conflict {
    /// The calls, by invocation.
    pub(crate) calls: Vec<Call>,
    /// Whether each of them is known to be needed.
    pub(crate) minimal: bool,
}

/// Makes the contradiction that ends with `blocked` small, as far as the budget goes.
pub(crate) fn shrink<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    blocked: u32,
    algorithm: Algorithm,
    budget: &Budget,
) -> Conflict {
    let until = partition.calls.get(blocked as usize).map_or(FOREVER, |call| call.returned);
    let accesses: Option<Vec<_>> = partition.kinds.iter().map(|op| spec.access(op)).collect();
    let pure = partition.kinds.iter().map(|op| spec.is_pure(op)).collect();
    let calls = before(&partition.calls, until);
    let mut shrinker = Shrinker { spec, partition, accesses, pure, algorithm, budget, calls };
    let minimal = shrinker.run().is_ok_and(|complete| complete);
    let calls = shrinker.calls.into_iter().filter(Call::required).collect();
    Conflict { calls, minimal }
}

struct Shrinker<'a, S: Specification> {
    spec: &'a S,
    partition: &'a Partition<S::Op>,
    accesses: Option<Vec<Access<'a>>>,
    pure: Vec<bool>,
    algorithm: Algorithm,
    budget: &'a Budget,
    /// The smallest contradiction so far: its required calls, and the optional ones that may be of use.
    calls: Vec<Call>,
}

impl<S: Specification> Shrinker<'_, S> {
    /// Says whether every attempt was decided.
    fn run(&mut self) -> Result<bool, Stopped> {
        let mut complete = true;
        self.latest()?;
        let mut chunk = self.required().len().div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            loop {
                let held = self.required();
                let end = (start + chunk).min(held.len());
                let Some(dropped) = held.get(start..end).filter(|dropped| !dropped.is_empty()) else { break };
                match self.attempt(|at| dropped.contains(&at)) {
                    Ok(true) => {}
                    Ok(false) => start = end,
                    Err(Stopped::Share) => {
                        complete = false;
                        start = end;
                    }
                    Err(reason) => return Err(reason),
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        Ok(complete)
    }

    /// Keeps the last calls to return, as few as are seen to be enough by doubling.
    fn latest(&mut self) -> Result<(), Stopped> {
        let held = self.required();
        let mut keep = 2;
        while keep < held.len() {
            let kept: FxHashSet<usize> = held.iter().rev().take(keep).copied().collect();
            match self.attempt(|at| !kept.contains(&at)) {
                Ok(true) => return Ok(()),
                Ok(false) | Err(Stopped::Share) => keep *= 2,
                Err(reason) => return Err(reason),
            }
        }
        Ok(())
    }

    /// The calls that are held to have happened, by return.
    fn required(&self) -> Vec<usize> {
        let mut required: Vec<usize> =
            self.calls.iter().enumerate().filter(|(_, call)| call.required()).map(|(at, _)| at).collect();
        required.sort_by_key(|at| self.calls.get(*at).map(|call| call.returned));
        required
    }

    /// Makes those calls optional if there is a contradiction without them; says whether there is.
    fn attempt(&mut self, dropped: impl Fn(usize) -> bool) -> Result<bool, Stopped> {
        let weaken = |(at, call): (usize, &Call)| Call { optional: call.optional || dropped(at), ..*call };
        let mut fewer: Vec<Call> = self.calls.iter().enumerate().map(weaken).collect();
        self.tidy(&mut fewer);
        match decide(self.spec, &self.partition.kinds, &fewer, self.algorithm, self.budget, SHARE) {
            Decision::Illegal(_) => {
                self.calls = fewer;
                Ok(true)
            }
            Decision::Legal(_) => Ok(false),
            Decision::Undecided(reason, _) => Err(reason),
        }
    }

    /// Leaves out optional calls that cannot help: reads, and writes of what nobody has to see.
    fn tidy(&self, calls: &mut Vec<Call>) {
        let pure = |call: &Call| self.pure.get(call.kind as usize).copied().unwrap_or(false);
        calls.retain(|call| call.required() || !pure(call));
        let Some(accesses) = &self.accesses else { return };
        let access = |call: &Call| accesses.get(call.kind as usize).copied();
        let differs = |call: &Call| matches!(access(call), Some(Access::Differs(_)));
        if calls.iter().any(|call| call.required() && differs(call)) {
            return;
        }
        let mut seen: FxHashSet<&Value> = FxHashSet::default();
        for call in calls.iter().filter(|call| call.required()) {
            if let Some(Access::Read(value) | Access::Cas(value, _)) = access(call) {
                seen.insert(value);
            }
        }
        // What an optional compare-and-set of use has to see is seen as well.
        let mut known = 0;
        while known != seen.len() {
            known = seen.len();
            for call in calls.iter().filter(|call| !call.required()) {
                if let Some(Access::Cas(from, to)) = access(call)
                    && seen.contains(to)
                {
                    seen.insert(from);
                }
            }
        }
        let of_use = |call: &Call| match access(call) {
            Some(Access::Write(value) | Access::Cas(_, value)) => seen.contains(value),
            _ => true,
        };
        calls.retain(|call| call.required() || of_use(call));
    }
}
