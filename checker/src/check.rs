//! The check of a whole history: cut by key, easy keys first, on all cores, the witness replayed, the "no" explained.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::decide::{Algorithm, at_length, shortly};
use crate::decision::{Decision, Progress, Refutation};
use crate::explain::{allowance, explain};
use crate::history::History;
use crate::limits::{Budget, Limits, Stopped};
use crate::partition::{Call, Part, Partition, gathered, parts};
use crate::sequential::{Sequential, sequential};
use crate::spec::with_specification;
use crate::validate::{InvalidWitness, Linearization, validate};
use crate::verdict::{CheckError, Explanation, Report, Undecided, Unknown, Verdict};
use crate::{Model, Specification};

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Time and memory.
    pub limits: Limits,
    /// Threads; as many as there are cores if not given.
    pub threads: Option<NonZero<usize>>,
    /// Time for explaining a "no"; not more than the time limit. What is not found until then is said to be unknown. Zero: no
    /// explanation, only the operation that could not be placed.
    pub explanation: Duration,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            limits: Limits::default(),
            threads: None,
            explanation: Limits::EXPLANATION,
        }
    }
}

/// Steps of search that every key gets before any key gets more.
pub(crate) const FIRST_SHARE: u64 = 1 << 16;

/// With fewer calls than this, to start another thread takes longer than what it would do; only what is found hard is worth it.
const FEW: usize = 1 << 15;

/// Is this history linearizable?
///
/// # Errors
/// [`CheckError::Unfit`] if the specification does not know one of the operations.
pub fn check<S: Specification>(
    spec: &S,
    history: &History,
    options: &CheckOptions,
) -> Result<Report, CheckError> {
    let start = Instant::now();
    let fits = fits(history, &options.limits);
    let parts = if fits { parts(spec, history) } else { Ok(Vec::new()) };
    let parts = parts.map_err(|unfit| CheckError::Unfit { file: history.name.clone(), unfit })?;
    let judged = if !fits {
        Judged::too_large(history)
    } else if !parts.iter().any(|part| part.says_something) {
        Judged::Verdict(Verdict::Unknown { reason: Unknown::NothingToCheck })
    } else {
        let budget = Budget::new(&options.limits);
        budget.charge(history.memory() + parts.iter().map(Part::memory).sum::<usize>());
        judge(&Job { spec, history, parts: &parts, options, budget: &budget })?
    };
    complete(spec, history, &parts, judged, start, options)
}

/// The report on what was judged since `start`, a "no" explained.
pub(crate) fn complete<S: Specification>(
    spec: &S,
    history: &History,
    parts: &[Part],
    judged: Judged,
    start: Instant,
    options: &CheckOptions,
) -> Result<Report, CheckError> {
    let checked = parts.iter().map(|part| part.operations.len() as u64).sum();
    let elapsed = start.elapsed();
    let verdict = match judged {
        Judged::Verdict(verdict) => verdict,
        Judged::Illegal(which, refutation) => {
            let explanation = explained(spec, history, parts, which, &refutation, options)?;
            Verdict::NotLinearizable { explanation: Box::new(explanation) }
        }
    };
    Ok(Report {
        verdict,
        model: spec.name(),
        algorithm: options.algorithm,
        counts: history.counts,
        checked,
        partitions: parts.len(),
        elapsed,
        explained: start.elapsed().saturating_sub(elapsed),
    })
}

/// Whether there is room for the history and its parts.
pub(crate) fn fits(history: &History, limits: &Limits) -> bool {
    // A vector that grows by doubling is half as large again as what is in it, on average.
    let each = size_of::<u32>() * 3 / 2;
    (history.memory() + history.operations.len() * each) as u64 <= limits.memory_bytes
}

/// What so many operations of a partition take.
fn gathered_size<S: Specification>(operations: usize) -> usize {
    operations * (size_of::<Call>() + size_of::<S::Op>())
}

/// What merging them takes, should all be different: they are there twice, and in a table of hashes.
fn merged_size<S: Specification>(operations: usize) -> usize {
    const PLACE: usize = 16;
    gathered_size::<S>(operations) + operations * PLACE * 3 / 2
}

/// Why that part has no linearization, and what the history still is, if that is asked for.
fn explained<S: Specification>(
    spec: &S,
    history: &History,
    parts: &[Part],
    which: usize,
    refutation: &Refutation,
    options: &CheckOptions,
) -> Result<Explanation, CheckError> {
    let mut partition = Partition::default();
    if let Some(part) = parts.get(which) {
        part.gather(spec, history, &mut partition);
    }
    if options.explanation.is_zero() {
        return explain(spec, &partition, refutation, options);
    }
    partition = partition.merged();
    let mut explanation = explain(spec, &partition, refutation, options)?;
    let all = history.memory() + gathered_size::<S>(history.operations.len());
    explanation.sequential = if all as u64 > options.limits.memory_bytes {
        Sequential::Unknown { reason: "no memory left to look" }
    } else {
        let mut partitions = gathered(spec, history, parts);
        if let Some(place) = partitions.get_mut(which) {
            *place = partition;
        }
        sequential(spec, history, &partitions, which, &allowance(options, 4))
    };
    Ok(explanation)
}

impl Model {
    /// [`check()`] with this specification.
    ///
    /// # Errors
    /// As [`check()`].
    pub fn check(&self, history: &History, options: &CheckOptions) -> Result<Report, CheckError> {
        with_specification!(self, spec => check(spec, history, options))
    }
}

/// An answer, not yet explained.
pub(crate) enum Judged {
    Verdict(Verdict),
    /// That partition has no linearization.
    Illegal(usize, Refutation),
}

impl Judged {
    /// No answer, for that reason.
    pub(crate) fn undecided(reason: Stopped, undecided: Vec<Undecided>) -> Self {
        let reason = match reason {
            Stopped::Memory => Unknown::Memory(undecided),
            Stopped::Cancelled => Unknown::Cancelled(undecided),
            Stopped::Inapplicable => Unknown::Inapplicable(undecided),
            Stopped::Time | Stopped::Share => Unknown::Time(undecided),
        };
        Self::Verdict(Verdict::Unknown { reason })
    }

    /// The history does not fit into the memory that may be used.
    pub(crate) fn too_large(history: &History) -> Self {
        let progress = Progress { steps: (history.operations.len() as u64) * 2, ..Progress::default() };
        Self::undecided(Stopped::Memory, vec![Undecided { key: None, progress }])
    }
}

/// What is to be decided, and with what.
struct Job<'a, S> {
    spec: &'a S,
    history: &'a History,
    parts: &'a [Part],
    options: &'a CheckOptions,
    budget: &'a Budget,
}

fn judge<S: Specification>(job: &Job<'_, S>) -> Result<Judged, CheckError> {
    let parts = job.parts;
    let mut open: Vec<usize> = (0..parts.len()).collect();
    open.sort_by_key(|which| parts.get(*which).map_or(0, |part| part.operations.len()));
    let mut witness: Vec<Option<Linearization>> = vec![None; parts.len()];
    let mut furthest = vec![Progress::default(); parts.len()];
    // A key alone gets all there is.
    let shares: &[u64] = if parts.len() > 1 { &[FIRST_SHARE, u64::MAX] } else { &[u64::MAX] };
    for share in shares.iter().copied() {
        let answers = decide_all(job, &open, share);
        open.clear();
        let mut stopped = Vec::new();
        for (which, answer) in answers {
            let Some(part) = parts.get(which) else { continue };
            if let (Ok(Answer::Undecided(_, progress)), Some(known)) = (&answer, furthest.get_mut(which)) {
                *known = if progress.reached < known.reached { *known } else { *progress };
            }
            match answer {
                Ok(Answer::Legal(order)) => {
                    if let Some(place) = witness.get_mut(which) {
                        *place = Some(Linearization { key: part.key.clone(), order });
                    }
                }
                Ok(Answer::Illegal(refutation)) => {
                    return Ok(Judged::Illegal(which, refutation));
                }
                Ok(Answer::Undecided(Stopped::Share, _)) => open.push(which),
                Ok(Answer::Undecided(reason, progress)) => {
                    let progress = furthest.get(which).copied().unwrap_or(progress);
                    stopped.push((reason, Undecided { key: part.key.clone(), progress }));
                }
                Err(fault) => {
                    let key = part.key.as_ref().map_or("(none)".to_owned(), ToString::to_string);
                    return Err(CheckError::InvalidWitness { key, fault });
                }
            }
        }
        if let Some((reason, _)) = stopped.first() {
            let reason = *reason;
            let undecided = stopped.into_iter().map(|(_, undecided)| undecided).collect();
            return Ok(Judged::undecided(reason, undecided));
        }
    }
    // A partition without an answer is no pass, however it came about.
    let unanswered = || (0..parts.len()).filter(|which| !matches!(witness.get(*which), Some(Some(_))));
    if unanswered().next().is_some() {
        let key = |which: usize| parts.get(which).and_then(|part| part.key.clone());
        let progress = |which: usize| furthest.get(which).copied().unwrap_or_default();
        let undecided =
            unanswered().map(|which| Undecided { key: key(which), progress: progress(which) }).collect();
        return Ok(Judged::undecided(Stopped::Time, undecided));
    }
    Ok(Judged::Verdict(Verdict::Linearizable { witness: witness.into_iter().flatten().collect() }))
}

/// An answer whose witness was replayed.
pub(crate) enum Answer {
    /// Indices into the history's operations.
    Legal(Vec<u32>),
    Illegal(Refutation),
    Undecided(Stopped, Progress),
}

type Answers = Vec<(usize, Result<Answer, InvalidWitness>)>;

/// Decides those parts, each on the next thread that is free; the first "no" stops the others.
fn decide_all<S: Specification>(job: &Job<'_, S>, which: &[usize], share: u64) -> Answers {
    let calls = |which: &usize| job.parts.get(*which).map_or(0, |part| part.operations.len());
    let cores = || match share {
        FIRST_SHARE if which.iter().map(calls).sum::<usize>() < FEW => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let threads = job.options.threads.map_or_else(cores, NonZero::get).min(which.len());
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Answers::new());
    let work = || {
        // Made anew for each part, in the same place.
        let mut partition = Partition::default();
        while let Some(which) = which.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(part) = job.parts.get(*which) else { continue };
            let answer = decide_part(job, part, &mut partition, share);
            if !matches!(answer, Ok(Answer::Legal(_) | Answer::Undecided(..))) {
                job.budget.settle();
            }
            answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*which, answer));
        }
    };
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answers.sort_by_key(|(which, answer)| {
        (matches!(answer, Ok(Answer::Legal(_) | Answer::Undecided(..))), *which)
    });
    answers
}

/// Puts the partition together and decides it.
fn decide_part<S: Specification>(
    job: &Job<'_, S>,
    part: &Part,
    partition: &mut Partition<S::Op>,
    share: u64,
) -> Result<Answer, InvalidWitness> {
    let mut purse = job.budget.purse();
    if let Err(stopped) = purse.take(gathered_size::<S>(part.operations.len())) {
        return Ok(Answer::Undecided(stopped, Progress::default()));
    }
    part.gather(job.spec, job.history, partition);
    decide_one(job.spec, partition, job.options.algorithm, job.budget, share)
}

pub(crate) fn decide_one<S: Specification>(
    spec: &S,
    partition: &Partition<S::Op>,
    algorithm: Algorithm,
    budget: &Budget,
    share: u64,
) -> Result<Answer, InvalidWitness> {
    let decision = match shortly(spec, &partition.kinds, &partition.calls, algorithm, budget) {
        Some(decision) => decision,
        None => {
            let mut purse = budget.purse();
            if let Err(stopped) = purse.take(merged_size::<S>(partition.calls.len())) {
                return Ok(Answer::Undecided(stopped, Progress::default()));
            }
            let merged = partition.merged();
            at_length(spec, &merged.kinds, &merged.calls, algorithm, budget, share)
        }
    };
    match decision {
        Decision::Legal(order) => {
            validate(spec, partition, &order)?;
            Ok(Answer::Legal(operations(partition, &order)))
        }
        Decision::Illegal(refutation) => Ok(Answer::Illegal(refutation)),
        Decision::Undecided(reason, progress) => Ok(Answer::Undecided(reason, progress)),
    }
}

pub(crate) fn operations<Op>(partition: &Partition<Op>, calls: &[u32]) -> Vec<u32> {
    calls.iter().filter_map(|call| partition.calls.get(*call as usize)).map(|call| call.operation).collect()
}
