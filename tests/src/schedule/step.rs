//! The tree that a plan is: faults, and how they follow each other.

use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Fault;

/// The most steps a plan may have, drawn mixes included.
const MAX_STEPS: usize = 100_000;
/// The shortest period of [`Step::Every`].
const LEAST_PERIOD_MS: u64 = 10;

/// One part of a plan. Whatever still goes on when the clients' time is up, or when what encloses it ends, is healed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A fault is injected, lasts, and is healed.
    Inject(Planned),
    /// Nothing happens for so many milliseconds.
    WaitMs(u64),
    /// One after the other: each begins when the one before it is over.
    Sequence(Vec<Step>),
    /// All begin now; it is over when the last one is.
    Parallel(Vec<Step>),
    /// One after the other, and from the first again, for ever.
    FlipFlop(Vec<Step>),
    /// Again and again, for ever.
    Every(Every),
    /// Until something is so.
    Until(Until),
    /// Random ones of these, one after the other; drawn when the plan is made.
    Mix(Mix),
}

/// One fault with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// How long after its turn has come it is injected, in milliseconds: in a plan made from a seed, since the clients started.
    #[serde(default)]
    pub at_ms: u64,
    /// How long it lasts before it is healed, in milliseconds; without, until what encloses it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its number in the plan. What is drawn when it fires comes from a stream of the seed of this number, so that it hits the
    /// same ones when others are taken away. (0: none given yet.)
    #[serde(default)]
    pub number: u64,
    /// What happens.
    pub fault: Fault,
}

/// Again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// How far the beginnings lie apart, in milliseconds. One that finds the last one still going on is left out.
    pub period_ms: u64,
    /// What happens.
    pub step: Box<Step>,
}

/// Until something is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// What is waited for.
    pub condition: Condition,
    /// How long it is waited for at most, in milliseconds; without, until the clients' time is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// What goes on meanwhile. It is ended when the condition holds; if it ends by itself, the condition is still waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Box<Step>>,
}

/// Something that may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Some server leads.
    Leader,
    /// Since it is waited for, a server leads in a later term than any before.
    Election,
    /// Since it is waited for, a server has taken a snapshot of its own or got another's.
    Snapshot,
    /// Since it is waited for, a server has installed a snapshot that another one sent it.
    SnapshotInstalled,
    /// Since it is waited for, so many operations have succeeded.
    Operations(u64),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Leader => f.write_str("somebody leads"),
            Condition::Election => f.write_str("a leader was elected"),
            Condition::Snapshot => f.write_str("a server has a new snapshot"),
            Condition::SnapshotInstalled => {
                f.write_str("a server has installed a snapshot that was sent to it")
            }
            Condition::Operations(count) => write!(f, "{count} operations succeeded"),
        }
    }
}

/// Random ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// How many are drawn.
    pub times: u64,
    /// From what.
    pub of: Vec<Choice>,
}

/// What may be drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// How likely it is, relative to the others: 1 if not given.
    #[serde(default = "one")]
    pub weight: u32,
    /// What happens.
    pub step: Step,
}

fn one() -> u32 {
    1
}

impl Step {
    /// The steps within this one.
    #[must_use]
    pub fn parts(&self) -> Vec<&Step> {
        match self {
            Step::Inject(_) | Step::WaitMs(_) => Vec::new(),
            Step::Sequence(steps) | Step::Parallel(steps) | Step::FlipFlop(steps) => steps.iter().collect(),
            Step::Every(every) => vec![&every.step],
            Step::Until(until) => until.step.iter().map(Box::as_ref).collect(),
            Step::Mix(mix) => mix.of.iter().map(|choice| &choice.step).collect(),
        }
    }

    /// The steps within this one, to be changed.
    pub fn parts_mut(&mut self) -> Vec<&mut Step> {
        match self {
            Step::Inject(_) | Step::WaitMs(_) => Vec::new(),
            Step::Sequence(steps) | Step::Parallel(steps) | Step::FlipFlop(steps) => {
                steps.iter_mut().collect()
            }
            Step::Every(every) => vec![&mut every.step],
            Step::Until(until) => until.step.iter_mut().map(Box::as_mut).collect(),
            Step::Mix(mix) => mix.of.iter_mut().map(|choice| &mut choice.step).collect(),
        }
    }

    /// Every fault in it, in the order in which it is written.
    #[must_use]
    pub fn faults(&self) -> Vec<&Planned> {
        match self {
            Step::Inject(planned) => vec![planned],
            _ => self.parts().into_iter().flat_map(Step::faults).collect(),
        }
    }

    /// Every fault in it, to be changed.
    pub fn faults_mut(&mut self) -> Vec<&mut Planned> {
        match self {
            Step::Inject(planned) => vec![planned],
            _ => self.parts_mut().into_iter().flat_map(Step::faults_mut).collect(),
        }
    }

    /// Gives a number to each fault that has none.
    pub(super) fn number(&mut self) {
        let mut last = self.faults().iter().map(|planned| planned.number).max().unwrap_or(0);
        for planned in self.faults_mut() {
            if planned.number == 0 {
                last += 1;
                planned.number = last;
            }
        }
    }

    /// The same with the choices of each mix drawn.
    pub(super) fn drawn(&self, rng: &mut ChaCha8Rng) -> Step {
        let mut drawn = match self {
            Step::Mix(mix) => {
                let times = 0..mix.times.min(MAX_STEPS as u64);
                Step::Sequence(times.filter_map(|_| mix.draw(rng)).cloned().collect())
            }
            other => other.clone(),
        };
        for part in drawn.parts_mut() {
            *part = part.drawn(rng);
        }
        drawn
    }

    fn count(&self) -> usize {
        1 + self.parts().into_iter().map(Step::count).sum::<usize>()
    }

    /// Whether it makes sense by itself, whatever the cluster.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.count() > MAX_STEPS {
            return Err(format!("the schedule has more than {MAX_STEPS} steps: repeat some with \"every\""));
        }
        self.check_parts()
    }

    fn check_parts(&self) -> Result<(), String> {
        match self {
            Step::Every(every) if every.period_ms < LEAST_PERIOD_MS => {
                return Err(format!("\"every\" needs a \"period_ms\" of at least {LEAST_PERIOD_MS}"));
            }
            Step::FlipFlop(steps) if steps.is_empty() => {
                return Err("\"flip-flop\" needs something to do".to_owned());
            }
            Step::Mix(_) => return Err("a \"mix\" whose choices were not drawn".to_owned()),
            _ => {}
        }
        self.parts().into_iter().try_for_each(Step::check_parts)
    }
}

impl Mix {
    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<&Step> {
        let sum: u64 = self.of.iter().map(|choice| u64::from(choice.weight)).sum();
        if sum == 0 {
            return None;
        }
        let mut left = rng.random_range(0..sum);
        self.of.iter().find_map(|choice| {
            let weight = u64::from(choice.weight);
            if left < weight {
                return Some(&choice.step);
            }
            left -= weight;
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let step = |text: &str| serde_json::from_str::<Step>(text).unwrap().check();
        let kill = r#"{"inject": {"fault": {"kill": "all"}}}"#;
        assert!(step(&format!(r#"{{"every": {{"period_ms": 9, "step": {kill}}}}}"#)).is_err());
        assert!(
            step(&format!(r#"{{"sequence": [{{"every": {{"period_ms": 0, "step": {kill}}}}}]}}"#)).is_err()
        );
        assert!(step(&format!(r#"{{"every": {{"period_ms": 10, "step": {kill}}}}}"#)).is_ok());
        assert!(step(r#"{"flip-flop": []}"#).is_err());
        assert!(step(r#"{"mix": {"times": 3, "of": []}}"#).is_err());
    }

    #[test]
    fn a_plan_that_grows_beyond_all_bounds_is_refused() {
        let mut text = r#"{"wait-ms": 1}"#.to_owned();
        for _ in 0..3 {
            text = format!(r#"{{"mix": {{"times": 60, "of": [{{"step": {text}}}]}}}}"#);
        }
        let step: Step = serde_json::from_str(&text).unwrap();
        let mut rng = rand::SeedableRng::seed_from_u64(1);
        assert!(step.drawn(&mut rng).check().unwrap_err().contains("more than"));
    }

    #[test]
    fn numbers_that_were_given_stay() {
        let text = r#"{"parallel": [
            {"inject": {"fault": {"kill": "all"}}},
            {"inject": {"number": 7, "fault": {"kill": "all"}}},
            {"sequence": [{"inject": {"fault": {"kill": "all"}}}]}]}"#;
        let mut step: Step = serde_json::from_str(text).unwrap();
        step.number();
        let numbers: Vec<u64> = step.faults().iter().map(|planned| planned.number).collect();
        assert_eq!(numbers, [8, 7, 9]);
    }
}
