//! The verdict on traces.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::check::Verdict;

/// Where to look: a record of a trace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Place {
    /// The trace.
    pub file: PathBuf,
    /// The record's number in it, counted from 1.
    pub record: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.record)
    }
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TraceFinding {
    /// The rule.
    pub rule: &'static str,
    /// Whether it is broken, or only cannot be judged.
    pub is_violation: bool,
    /// What happened.
    pub what: String,
    /// Where, if it is at one place.
    pub place: Option<Place>,
}

impl fmt::Display for TraceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What the traces of a cluster come to.
#[derive(Clone, Debug, Serialize)]
pub struct Validated {
    /// [`Verdict::Holds`] only if everything was replayed and judged.
    pub verdict: Verdict,
    /// Servers with a trace.
    pub servers: usize,
    /// How often they were started.
    pub lives: u64,
    /// Lives that end in the middle of a record.
    pub torn: u64,
    /// Steps of the core that were replayed.
    pub inputs: u64,
    /// Messages that were received, and found to have been sent.
    pub messages: u64,
    /// Elections that were won.
    pub elections: u64,
    /// Snapshots that servers installed, sent by their leaders.
    pub installs: u64,
    /// Entries that some server has applied.
    pub committed: u64,
    /// The traces' bytes.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// What is not as it should be, violations first.
    pub findings: Vec<TraceFinding>,
}

impl Validated {
    /// The verdict in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let counted = format!("{} servers, {} inputs replayed", self.servers, grouped(self.inputs));
        match (self.verdict, self.findings.first()) {
            (Verdict::Holds, _) => format!("{counted}, laws hold"),
            (Verdict::Violated, Some(first)) => format!("{counted}, VIOLATED: {first}"),
            (_, Some(first)) => format!("{counted}, UNKNOWN: {first}"),
            (_, None) => format!("{counted}, UNKNOWN"),
        }
    }
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (812_331, "812,331"), (1_234_567, "1,234,567")]
        {
            assert_eq!(super::grouped(number), text);
        }
    }
}
