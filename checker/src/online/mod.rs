//! A history that is judged while it grows, at a cost that goes with what is new.
//!
//! Keys to which nothing was added are not looked at. Of the others a linearization of what was judged before is known; if it can
//! be continued by what is new, the whole is linearizable, for any such order is one that the validator would accept:
//!
//! ```text
//!   order of the last look                                    what is new, and what had no place yet
//!   ├── ── ── ── ── ──●── ── ──●── ──●── ●  (marks: states) ─▶ a few calls, judged from the state at a mark
//!   0                                     the last mark first, then earlier ones, at last the beginning
//! ```
//!
//! That it cannot be continued proves nothing: a write of unknown outcome may have been given a place too early. So it is tried
//! again from earlier marks, whose distances grow, and only a search from the beginning says "no". Real time is respected: a
//! call without a place returned after all that was known when the order was made, and what has a place was known then.
//!
//! What an operation was may turn out later: a write that was open, took its place because somebody had seen its value,
//! and failed in the end. Then the order is forgotten from there on.

mod part;
mod resumed;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::check::{CheckOptions, FIRST_SHARE, Judged, complete, fits};
use crate::decision::{Progress, Refutation};
use crate::limits::{Budget, Stopped};
use crate::partition::{Call, FOREVER, Partition, keyed_alike, parts};
use crate::spec::with_specification;
use crate::validate::{Linearization, validate};
use crate::verdict::{CheckError, Report, Undecided, Unknown, Verdict};
use crate::{History, Model, ModelName, ModelOptions, Operation, Outcome, Specification, Value};
use part::{Look, Part};

/// Judges a history again and again while it grows ([`crate::history::Builder::so_far`]).
pub struct Online {
    name: ModelName,
    options: ModelOptions,
    check: CheckOptions,
    known: Option<(Model, Box<dyn Watch>)>,
    /// Operations seen, and those of them that had not ended.
    seen: usize,
    open: Vec<u32>,
    /// Time for the next look.
    patience: Duration,
}

/// Time for a look, as long as that was always enough.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known about a history so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is linearizable.
    Fine,
    /// Not all of it could be decided yet.
    Open,
    /// It is not linearizable, and never will be.
    Violated,
}

impl Online {
    /// Judges by the specification of that name. Where its options leave something open it is settled as in [`Model::new`], but
    /// the state at the start is then nil for registers: it must not depend on what comes.
    #[must_use]
    pub fn new(name: ModelName, options: &ModelOptions, check: &CheckOptions) -> Self {
        let mut options = options.clone();
        if matches!(name, ModelName::Register | ModelName::CasRegister | ModelName::KeyValue) {
            options.initial.get_or_insert(Value::Nil);
        }
        Self {
            name,
            options,
            check: check.clone(),
            known: None,
            seen: 0,
            open: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Judges what is new. What cannot be told within a second or so stays open, and gets more time at every look.
    ///
    /// # Errors
    /// As [`crate::check()`]; and [`CheckError::Model`].
    pub fn look(&mut self, history: &History) -> Result<Standing, CheckError> {
        let mut check = self.check.clone();
        check.limits.time = check.limits.time.min(self.patience);
        let standing = self.update(history)?.look(&check)?;
        if standing == Standing::Open {
            self.patience = self.patience.saturating_mul(2);
        }
        Ok(standing)
    }

    /// The verdict on the whole history: what a [`crate::check()`] of it would say.
    ///
    /// # Errors
    /// As [`Online::look`].
    pub fn report(&mut self, history: &History) -> Result<Report, CheckError> {
        let (check, start) = (self.check.clone(), Instant::now());
        let watch = self.update(history)?;
        watch.look(&check)?;
        watch.report(history, &check, start)
    }

    /// How many operations were judged in all looks together, each as often as it was: what following has cost.
    #[must_use]
    pub fn effort(&self) -> u64 {
        self.known.as_ref().map_or(0, |(_, watch)| watch.effort())
    }

    /// The specification, once something was judged.
    #[must_use]
    pub fn model(&self) -> Option<&Model> {
        self.known.as_ref().map(|(model, _)| model)
    }

    fn update(&mut self, history: &History) -> Result<&mut Box<dyn Watch>, CheckError> {
        let ended = |at: u32| history.operations.is_complete(at as usize);
        // Fits: a history has fewer events.
        let number = |at: usize| u32::try_from(at).unwrap_or(FOREVER);
        let new = number(self.seen)..number(history.operations.len());
        let mut changed: Vec<u32> = self.open.iter().copied().filter(|at| ended(*at)).collect();
        changed.extend(new.clone());
        self.open.retain(|at| !ended(*at));
        self.open.extend(new.filter(|at| !ended(*at)));
        self.seen = history.operations.len();
        let news = History {
            operations: history.operations.only(&changed),
            format: history.format,
            ..History::default()
        };
        let named = |history| {
            Model::new(self.name, &self.options, history)
                .map_err(|message| CheckError::Model { file: history.name.clone(), message })
        };
        let model = named(&news)?;
        let outdated = |known: &Model| model.heeds_history() && !known.heeds_history();
        if self.known.as_ref().is_none_or(|(known, _)| outdated(known)) {
            // Something was seen for the first time that makes the object another one.
            let model = named(history)?;
            let watch: Box<dyn Watch> =
                with_specification!(model.clone(), spec => Box::new(Watcher::new(spec)));
            changed = (0..number(history.operations.len())).collect();
            self.known = Some((model, watch));
        }
        let Some((_, watch)) = &mut self.known else {
            return Err(CheckError::Model { file: history.name.clone(), message: "no model".to_owned() });
        };
        watch.take(history, &changed)?;
        Ok(watch)
    }
}

/// A [`Watcher`], whatever its specification.
trait Watch: Send {
    /// Takes operations that are new, or have ended.
    fn take(&mut self, history: &History, changed: &[u32]) -> Result<(), CheckError>;
    fn look(&mut self, options: &CheckOptions) -> Result<Standing, CheckError>;
    fn report(&self, history: &History, options: &CheckOptions, start: Instant)
    -> Result<Report, CheckError>;
    fn effort(&self) -> u64;
}

struct Watcher<S: Specification> {
    spec: S,
    parts: Vec<Part<S>>,
    by_key: FxHashMap<Value, usize>,
    /// Part and call of each operation that has not ended.
    open: FxHashMap<u32, (usize, u32)>,
    /// Bytes that the history holds, and of how many of its operations.
    taken: usize,
    counted: u32,
    fresh: Vec<usize>,
    refuted: Option<(usize, Refutation)>,
    unknown: Vec<(usize, Stopped, Progress)>,
}

impl<S: Specification> Watcher<S> {
    fn new(spec: S) -> Self {
        Self {
            spec,
            parts: Vec::new(),
            by_key: FxHashMap::default(),
            open: FxHashMap::default(),
            taken: 0,
            counted: 0,
            fresh: Vec::new(),
            refuted: None,
            unknown: Vec::new(),
        }
    }

    fn take_one(&mut self, at: u32, operation: &Operation) -> Result<(), crate::Unfit> {
        let unknown = operation.outcome == Outcome::Info;
        let op = self.spec.parse(operation)?.filter(|op| !unknown || !self.spec.is_pure(op));
        let ended = operation.completed.filter(|_| !unknown);
        let call = Call {
            kind: 0,
            invoked: operation.invoked.position,
            returned: ended.map_or(FOREVER, |mark| mark.position),
            optional: unknown,
            operation: at,
        };
        let part = match &op {
            Some(op) => Some(self.part(operation, op)?),
            None => None,
        };
        let known = self.open.remove(&at);
        if let Some((which, id)) = known
            && let Some(known) = self.parts.get_mut(which)
        {
            let here = part == Some(which);
            known.settle(id, op.clone().filter(|_| here), call);
            self.note(which);
            if here || part.is_none() {
                return Ok(());
            }
        }
        if let (Some(which), Some(op)) = (part, op)
            && let Some(part) = self.parts.get_mut(which)
        {
            let id = part.add(op, call);
            if operation.completed.is_none() {
                self.open.insert(at, (which, id));
            }
            self.note(which);
        }
        Ok(())
    }

    fn part(&mut self, operation: &Operation, op: &S::Op) -> Result<usize, crate::Unfit> {
        let key = self.spec.part(operation, op).map(Cow::into_owned);
        keyed_alike(self.parts.first().map(|first| &first.key), &key, operation)?;
        let known = match &key {
            Some(key) => self.by_key.get(key).copied(),
            None => Some(0).filter(|_| !self.parts.is_empty()),
        };
        Ok(known.unwrap_or_else(|| {
            let which = self.parts.len();
            if let Some(key) = &key {
                self.by_key.insert(key.clone(), which);
            }
            self.parts.push(Part::new(&self.spec, key));
            which
        }))
    }

    fn note(&mut self, which: usize) {
        if self.parts.get(which).is_some_and(|part| part.fresh) && self.fresh.last() != Some(&which) {
            self.fresh.push(which);
        }
    }
}

impl<S: Specification + Send> Watch for Watcher<S> {
    fn take(&mut self, history: &History, changed: &[u32]) -> Result<(), CheckError> {
        for at in changed {
            let Some(operation) = history.operations.get(*at as usize) else { continue };
            if *at >= self.counted {
                self.counted = at + 1;
                self.taken += size_of::<Operation>() + operation.input.memory();
            }
            self.taken += operation.output.memory();
            self.take_one(*at, &operation)
                .map_err(|unfit| CheckError::Unfit { file: history.name.clone(), unfit })?;
        }
        Ok(())
    }

    fn look(&mut self, options: &CheckOptions) -> Result<Standing, CheckError> {
        if self.refuted.is_some() {
            return Ok(Standing::Violated);
        }
        let budget = Budget::new(&options.limits);
        budget.charge(self.taken + self.parts.iter().map(Part::memory).sum::<usize>());
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        fresh.sort_by_key(|which| self.parts.get(*which).map_or(0, Part::len));
        self.unknown.clear();
        let shares: &[u64] = if fresh.len() > 1 { &[FIRST_SHARE, u64::MAX] } else { &[u64::MAX] };
        for share in shares {
            let mut first = FOREVER;
            for which in std::mem::take(&mut fresh) {
                let Some(part) = self.parts.get_mut(which) else { continue };
                let look = part.look(&self.spec, options.algorithm, &budget, *share);
                let key = || part_name(part.key.as_ref());
                match look.map_err(|fault| CheckError::InvalidWitness { key: key(), fault })? {
                    Look::Legal => {}
                    Look::Illegal(refutation, position) => {
                        if position < first || self.refuted.is_none() {
                            first = position;
                            self.refuted = Some((which, refutation));
                        }
                    }
                    Look::Unknown(Stopped::Share, _) if *share != u64::MAX => fresh.push(which),
                    Look::Unknown(reason, progress) => self.unknown.push((which, reason, progress)),
                }
            }
            if self.refuted.is_some() {
                return Ok(Standing::Violated);
            }
        }
        // Tried again when more has come.
        self.fresh.extend(self.unknown.iter().map(|(which, ..)| *which));
        Ok(if self.unknown.is_empty() { Standing::Fine } else { Standing::Open })
    }

    fn report(
        &self,
        history: &History,
        options: &CheckOptions,
        start: Instant,
    ) -> Result<Report, CheckError> {
        let file = || history.name.clone();
        let fits = fits(history, &options.limits);
        let parts = if fits || self.refuted.is_some() { parts(&self.spec, history) } else { Ok(Vec::new()) };
        let parts = parts.map_err(|unfit| CheckError::Unfit { file: file(), unfit })?;
        let judged = if let Some((which, refutation)) = &self.refuted {
            let key = self.parts.get(*which).and_then(|part| part.key.as_ref());
            let which = parts.iter().position(|part| part.key.as_ref() == key);
            Judged::Illegal(which.unwrap_or(usize::MAX), refutation.clone())
        } else if !fits {
            Judged::too_large(history)
        } else if !parts.iter().any(|part| part.says_something) {
            Judged::Verdict(Verdict::Unknown { reason: Unknown::NothingToCheck })
        } else if let Some((_, reason, _)) = self.unknown.first() {
            let undecided = |(which, _, progress): &(usize, Stopped, Progress)| Undecided {
                key: self.parts.get(*which).and_then(|part| part.key.clone()),
                progress: *progress,
            };
            Judged::undecided(*reason, self.unknown.iter().map(undecided).collect())
        } else {
            let mut partition = Partition::default();
            let witness = parts.iter().map(|part| {
                part.gather(&self.spec, history, &mut partition);
                self.witness(&partition)
            });
            let witness = witness.collect::<Result<_, _>>()?;
            Judged::Verdict(Verdict::Linearizable { witness })
        };
        complete(&self.spec, history, &parts, judged, start, options)
    }

    fn effort(&self) -> u64 {
        self.parts.iter().map(|part| part.effort).sum()
    }
}

impl<S: Specification> Watcher<S> {
    /// The order that was found for this key, replayed once more from the beginning.
    fn witness(&self, partition: &Partition<S::Op>) -> Result<Linearization, CheckError> {
        let part = match &partition.key {
            Some(key) => self.by_key.get(key).and_then(|which| self.parts.get(*which)),
            None => self.parts.first(),
        };
        let order = part.map(Part::witness).unwrap_or_default();
        let call = |operation: &u32| {
            let found = partition.calls.binary_search_by_key(operation, |call| call.operation);
            // What is not there is no call at all, and the validator says so.
            found.map_or(FOREVER, |at| u32::try_from(at).unwrap_or(FOREVER))
        };
        let calls: Vec<u32> = order.iter().map(call).collect();
        match validate(&self.spec, partition, &calls) {
            Ok(_) => Ok(Linearization { key: partition.key.clone(), order }),
            Err(fault) => Err(CheckError::InvalidWitness { key: part_name(partition.key.as_ref()), fault }),
        }
    }
}

fn part_name(key: Option<&Value>) -> String {
    key.map_or("(none)".to_owned(), ToString::to_string)
}
