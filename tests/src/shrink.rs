//! Makes a failing schedule small: by delta debugging over its faults, then over everything else that may matter.
//!
//! A failure of real processes is a matter of chance, so that each candidate is run several times, and kept if it fails often
//! enough. What counts as failing the same way is the caller's to say ([`Shrinker::run`] is given a function): in
//! `plumbline shrink`, a violation of the same kind.
//!
//! What this does not do: faults that overlap are not moved against each other, and a candidate that fails too seldom for the number
//! of attempts is given up, though it might be the smallest of all.

mod candidates;
mod ddmin;

use std::collections::HashMap;

use serde::Serialize;

use crate::schedule::Schedule;

pub use candidates::describe;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// How often each candidate is run at most.
    pub attempts: u32,
    /// How often it must fail in these.
    pub needed: u32,
    /// The most runs in all.
    pub most_runs: u32,
}

/// How often something failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// So many times.
    pub failed: u32,
    /// Of so many.
    pub runs: u32,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.failed, self.runs)
    }
}

/// One candidate that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// What was changed.
    pub change: String,
    /// How often it failed.
    pub rate: Rate,
    /// Whether it was kept.
    pub kept: bool,
    /// What it came to, in words.
    pub size: String,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The schedules that were kept, from the whole one to the smallest.
    pub kept: Vec<Schedule>,
    /// Every candidate, in order.
    pub tried: Vec<Tried>,
    /// Runs in all.
    pub runs: u32,
    /// Whether nothing was left to try; otherwise the runs were used up, or it was stopped.
    pub complete: bool,
}

/// A run of a schedule: whether it fails in the way that is looked for; `None` if everything is to stop.
pub trait Trial: FnMut(&Schedule) -> anyhow::Result<Option<bool>> {}

impl<T: FnMut(&Schedule) -> anyhow::Result<Option<bool>>> Trial for T {}

/// The search for a small schedule.
pub struct Shrinker<'a> {
    trial: &'a mut dyn Trial,
    tell: &'a mut dyn FnMut(&Tried),
    effort: Effort,
    current: Schedule,
    chain: Vec<Schedule>,
    known: HashMap<String, bool>,
    tried: Vec<Tried>,
    runs: u32,
    stopped: bool,
}

impl std::fmt::Debug for Shrinker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shrinker").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl<'a> Shrinker<'a> {
    /// A search that begins with a schedule that is known to fail. `tell` hears of each candidate.
    pub fn new(
        schedule: Schedule,
        effort: Effort,
        trial: &'a mut dyn Trial,
        tell: &'a mut dyn FnMut(&Tried),
    ) -> Shrinker<'a> {
        let (known, tried) = (HashMap::new(), Vec::new());
        let chain = vec![schedule.clone()];
        Shrinker { trial, tell, effort, current: schedule, chain, known, tried, runs: 0, stopped: false }
    }

    /// Tries smaller and smaller ones until none fails often enough.
    ///
    /// # Errors
    /// When a run could not take place.
    pub fn run(mut self) -> anyhow::Result<Shrunk> {
        loop {
            let before = self.current.clone();
            // First of all shorter runs: they make every later trial cheaper.
            self.shorter()?;
            self.fewer_faults()?;
            self.earlier()?;
            self.shorter()?;
            self.fewer_servers()?;
            self.fewer("keys")?;
            self.fewer("concurrency")?;
            self.fewer_victims()?;
            self.briefer()?;
            if self.stopped || self.current == before {
                let Shrinker { chain: kept, tried, runs, stopped, .. } = self;
                return Ok(Shrunk { kept, tried, runs, complete: !stopped });
            }
        }
    }

    /// Tries a candidate, and goes on from it if it fails often enough.
    fn accept(&mut self, change: &str, candidate: Schedule) -> anyhow::Result<bool> {
        if self.stopped || candidate == self.current || candidate.check().is_err() {
            return Ok(false);
        }
        let name = serde_json::to_string(&candidate)?;
        if let Some(known) = self.known.get(&name) {
            let known = *known;
            if known {
                self.go_on_from(candidate);
            }
            return Ok(known);
        }
        let Some(rate) = self.measure(&candidate)? else { return Ok(false) };
        let kept = rate.failed >= self.effort.needed;
        self.known.insert(name, kept);
        let tried = Tried { change: change.to_owned(), rate, kept, size: describe(&candidate) };
        (self.tell)(&tried);
        self.tried.push(tried);
        if kept {
            self.go_on_from(candidate);
        }
        Ok(kept)
    }

    fn go_on_from(&mut self, candidate: Schedule) {
        self.chain.push(candidate.clone());
        self.current = candidate;
    }

    /// Runs it as often as is needed to know.
    fn measure(&mut self, candidate: &Schedule) -> anyhow::Result<Option<Rate>> {
        let mut rate = Rate::default();
        while rate.failed < self.effort.needed
            && rate.failed + (self.effort.attempts - rate.runs) >= self.effort.needed
        {
            let is_over = self.runs >= self.effort.most_runs;
            let outcome = if is_over { None } else { (self.trial)(candidate)? };
            let Some(fails) = outcome else {
                self.stopped = true;
                return Ok(None);
            };
            self.runs += 1;
            rate.runs += 1;
            rate.failed += u32::from(fails);
        }
        Ok(Some(rate))
    }
}

/// The smallest of the schedules that were kept which, measured anew, fails often enough: one of many candidates may have been
/// kept by luck, and all that was made of it is then worth nothing. At worst it is the whole one, whose rate is known.
///
/// # Errors
/// When a run could not take place.
pub fn settle(
    mut kept: Vec<Schedule>,
    whole: Rate,
    needed: u32,
    mut measure: impl FnMut(&Schedule) -> anyhow::Result<Rate>,
) -> anyhow::Result<Option<(Schedule, Rate)>> {
    while kept.len() > 1 {
        let Some(smallest) = kept.pop() else { break };
        let rate = measure(&smallest)?;
        if rate.failed >= needed {
            return Ok(Some((smallest, rate)));
        }
    }
    Ok(kept.pop().map(|first| (first, whole)))
}

#[cfg(test)]
mod tests;
