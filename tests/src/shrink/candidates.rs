//! What a schedule may be made smaller in, one dimension after the other.

use super::Shrinker;
use super::ddmin::reduce;
use crate::schedule::{LinkId, NodeId, Planned, Schedule, Step, Victims};

/// The shortest run that is tried, in milliseconds.
const LEAST_RUN_MS: u64 = 1_000;
/// How long clients go on after the last fault of the shortest run that is tried first, in milliseconds.
const REST_MS: u64 = 500;
/// The shortest fault that is tried, in milliseconds.
const LEAST_FAULT_MS: u64 = 20;

/// A schedule's size in words.
#[must_use]
pub fn describe(schedule: &Schedule) -> String {
    let option = |name| schedule.number_of(name).map_or("?".to_owned(), |number| number.to_string());
    format!(
        "{} faults, {:.1} s, {} servers, {} keys, {} clients",
        schedule.faults().len(),
        schedule.time_limit_ms as f64 / 1e3,
        schedule.nodes,
        option("keys"),
        option("concurrency"),
    )
}

impl Schedule {
    /// The number that an option has.
    fn number_of(&self, option: &str) -> Option<u64> {
        let prefix = format!("--{option}=");
        self.options.iter().rev().find_map(|stated| stated.strip_prefix(&prefix)?.parse().ok())
    }

    fn with_number(&self, option: &str, number: u64) -> Schedule {
        let prefix = format!("--{option}=");
        let mut changed = self.clone();
        changed.options.retain(|stated| !stated.starts_with(&prefix));
        changed.options.push(format!("{prefix}{number}"));
        changed
    }

    fn with_plan(&self, plan: Option<Step>) -> Schedule {
        Schedule { plan: plan.unwrap_or(Step::Parallel(Vec::new())), ..self.clone() }
    }

    fn without_late_faults(&self) -> Schedule {
        let limit = self.time_limit_ms;
        self.with_plan(kept(&self.plan, &mut |step| match step {
            Step::Inject(planned) => planned.at_ms < limit,
            _ => true,
        }))
    }
}

/// The part of a plan whose leaves are wanted; `None` if that is nothing.
fn kept(step: &Step, wanted: &mut dyn FnMut(&Step) -> bool) -> Option<Step> {
    let mut list = |steps: &[Step]| -> Option<Vec<Step>> {
        let kept: Vec<Step> = steps.iter().filter_map(|step| kept(step, wanted)).collect();
        (!kept.is_empty()).then_some(kept)
    };
    match step {
        Step::Sequence(steps) => list(steps).map(Step::Sequence),
        Step::Parallel(steps) => list(steps).map(Step::Parallel),
        Step::FlipFlop(steps) => list(steps).map(Step::FlipFlop),
        Step::Every(every) => {
            let mut every = every.clone();
            *every.step = kept(&every.step, wanted)?;
            Some(Step::Every(every))
        }
        Step::Until(until) => {
            let Some(inner) = &until.step else { return wanted(step).then(|| step.clone()) };
            let mut until = until.clone();
            until.step = Some(Box::new(kept(inner, wanted)?));
            Some(Step::Until(until))
        }
        Step::Inject(_) | Step::WaitMs(_) | Step::Mix(_) => wanted(step).then(|| step.clone()),
    }
}

/// How many leaves a plan has: what [`kept`] asks for.
fn leaves(step: &Step) -> usize {
    let mut count = 0;
    kept(step, &mut |_| {
        count += 1;
        true
    });
    count
}

/// When a fault begins and ends, as far as it is by the clock.
fn span(planned: &Planned) -> (u64, u64) {
    (planned.at_ms, planned.at_ms.saturating_add(planned.duration_ms.unwrap_or(0)))
}

/// The same with one fault changed.
fn changed(schedule: &Schedule, index: usize, change: impl FnOnce(&mut Planned)) -> Schedule {
    let mut candidate = schedule.clone();
    if let Some(planned) = candidate.plan.faults_mut().into_iter().nth(index) {
        change(planned);
    }
    candidate
}

/// The server itself, or one that is there in its place.
fn another(id: NodeId, nodes: u64) -> NodeId {
    if id <= nodes { id } else { (id - 1) % nodes + 1 }
}

/// Fewer victims than these, the fewest first.
fn fewer(victims: &Victims) -> Vec<Victims> {
    match victims {
        Victims::All => vec![Victims::Random(1), Victims::Minority, Victims::Majority],
        Victims::Majority => vec![Victims::Random(1), Victims::Minority],
        Victims::Minority => vec![Victims::Random(1)],
        Victims::Random(count) if *count > 1 => vec![Victims::Random(1), Victims::Random(count - 1)],
        Victims::Random(_) | Victims::Leader | Victims::Follower(_) | Victims::Nodes(_) => Vec::new(),
    }
}

impl Shrinker<'_> {
    /// Leaves out faults, waits and conditions.
    pub(super) fn fewer_faults(&mut self) -> anyhow::Result<()> {
        let whole = self.current.clone();
        reduce(leaves(&whole.plan), |chosen| {
            let mut index = 0;
            let part = kept(&whole.plan, &mut |_| {
                index += 1;
                chosen.contains(&(index - 1))
            });
            self.accept("fewer faults", whole.with_plan(part))
        })?;
        Ok(())
    }

    /// Takes away the quiet before each fault, or half of it; what follows moves with it.
    pub(super) fn earlier(&mut self) -> anyhow::Result<()> {
        let mut starts: Vec<u64> = self.current.faults().iter().map(|planned| planned.at_ms).collect();
        starts.sort_unstable();
        starts.dedup();
        for index in 0..starts.len() {
            let mut times: Vec<(u64, u64)> = self.current.faults().into_iter().map(span).collect();
            times.sort_unstable();
            times.dedup_by_key(|(start, _)| *start);
            let Some(&(start, _)) = times.get(index) else { break };
            let over = times.iter().take(index).map(|(_, end)| *end).max().unwrap_or(0);
            let quiet = start.saturating_sub(over);
            for shift in [quiet, quiet / 2].into_iter().filter(|shift| *shift > 0) {
                let mut candidate = self.current.clone();
                for planned in candidate.plan.faults_mut().into_iter().filter(|p| p.at_ms >= start) {
                    planned.at_ms -= shift;
                }
                if self.accept("less quiet", candidate)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets clients run for a shorter time.
    pub(super) fn shorter(&mut self) -> anyhow::Result<()> {
        if let Some(last) = self.current.faults().into_iter().map(|planned| span(planned).1).max() {
            self.limit(last + REST_MS)?;
        }
        while self.limit(self.current.time_limit_ms / 2)? || self.limit(self.current.time_limit_ms * 3 / 4)? {
        }
        Ok(())
    }

    fn limit(&mut self, time_limit_ms: u64) -> anyhow::Result<bool> {
        let time_limit_ms = time_limit_ms.max(LEAST_RUN_MS);
        if time_limit_ms >= self.current.time_limit_ms {
            return Ok(false);
        }
        let candidate = Schedule { time_limit_ms, ..self.current.clone() };
        self.accept("a shorter run", candidate.without_late_faults())
    }

    /// Takes servers away; what was done to these is done to others, as far as there are any.
    pub(super) fn fewer_servers(&mut self) -> anyhow::Result<()> {
        for nodes in (1..self.current.nodes).filter(|nodes| nodes % 2 == 1) {
            let mut candidate = Schedule { nodes, ..self.current.clone() };
            for planned in candidate.plan.faults_mut() {
                if let Some(Victims::Nodes(named)) = planned.fault.victims_mut() {
                    named.iter_mut().for_each(|id| *id = another(*id, nodes));
                    named.sort_unstable();
                    named.dedup();
                }
                if let Some(links) = planned.fault.links_mut() {
                    for link in links.iter_mut() {
                        *link = LinkId { from: another(link.from, nodes), to: another(link.to, nodes) };
                    }
                    links.sort_unstable();
                    links.dedup();
                    links.retain(|link| link.from != link.to);
                }
            }
            let fits = |step: &Step| match step {
                Step::Inject(planned) => planned.fault.check(nodes).is_ok(),
                _ => true,
            };
            let plan = kept(&candidate.plan, &mut { fits });
            if self.accept("fewer servers", candidate.with_plan(plan))? {
                break;
            }
        }
        Ok(())
    }

    /// Lowers an option that is a number: 1, then halves, then one less.
    pub(super) fn fewer(&mut self, option: &str) -> anyhow::Result<()> {
        let change = if option == "concurrency" { "fewer clients" } else { "fewer keys" };
        while let Some(number) = self.current.number_of(option).filter(|number| *number > 1) {
            let mut smaller = vec![1, number / 2, number - 1];
            smaller.dedup();
            let mut found = false;
            for number in smaller {
                found = self.accept(change, self.current.with_number(option, number))?;
                if found {
                    break;
                }
            }
            if !found {
                break;
            }
        }
        Ok(())
    }

    /// Lets each fault hit fewer servers, or links.
    pub(super) fn fewer_victims(&mut self) -> anyhow::Result<()> {
        for index in 0..self.current.faults().len() {
            let whole = self.current.clone();
            let Some(planned) = whole.faults().get(index).copied().cloned() else { break };
            for role in planned.fault.victims().map(fewer).unwrap_or_default() {
                let set = |planned: &mut Planned| {
                    planned.fault.victims_mut().into_iter().for_each(|victims| *victims = role.clone());
                };
                if self.accept("fewer victims", changed(&whole, index, set))? {
                    break;
                }
            }
            if let Some(Victims::Nodes(named)) = planned.fault.victims() {
                self.fewer_named(&whole, index, named)?;
            }
            let links = planned.clone().fault.links_mut().cloned().unwrap_or_default();
            reduce(links.len(), |chosen| {
                let some = chosen.iter().filter_map(|item| links.get(*item).copied()).collect();
                let set = |planned: &mut Planned| {
                    planned.fault.links_mut().into_iter().for_each(|links| links.clone_from(&some));
                };
                self.accept("fewer links", changed(&whole, index, set))
            })?;
        }
        Ok(())
    }

    fn fewer_named(&mut self, whole: &Schedule, index: usize, named: &[NodeId]) -> anyhow::Result<()> {
        reduce(named.len(), |chosen| {
            let some: Vec<NodeId> = chosen.iter().filter_map(|item| named.get(*item).copied()).collect();
            let set = |planned: &mut Planned| {
                let victims = planned.fault.victims_mut().into_iter();
                victims.for_each(|victims| *victims = Victims::Nodes(some.clone()));
            };
            self.accept("fewer victims", changed(whole, index, set))
        })?;
        Ok(())
    }

    /// Lets faults last for a shorter time: all together, then each.
    pub(super) fn briefer(&mut self) -> anyhow::Result<()> {
        let halve = |planned: &mut Planned| {
            planned.duration_ms = planned.duration_ms.map(|ms| (ms / 2).max(LEAST_FAULT_MS.min(ms)));
        };
        loop {
            let mut candidate = self.current.clone();
            candidate.plan.faults_mut().into_iter().for_each(halve);
            if !self.accept("briefer faults", candidate)? {
                break;
            }
        }
        for index in 0..self.current.faults().len() {
            while self.accept("a briefer fault", changed(&self.current, index, halve))? {}
        }
        Ok(())
    }
}
