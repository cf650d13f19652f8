//! What came of hunting seeded bugs: a table that is kept with the source, and compared with what comes of it today.

use std::fmt::Write as _;

use raft_core::{Mutant, MutantSwitch};
use serde::Serialize;

use crate::bounds::BoundsError;
use crate::check::{Engine, Options, Progress, Report, Verdict, explore};
use crate::mutants::{Hunt, NoScenario, hunt};

const HEAD: &str = "\
# The seeded bugs of the core, as the models catch them

Made by `cargo run --release --features mutants -- model mutants --write models/MUTANTS.md`, with one thread. A test compares
everything but the seconds. Each world was searched breadth-first, so the trace is a shortest one; then the same world without
the bug, somewhat further. Logs count the no-ops with which leaders begin.

| Seeded bug | Law it breaks | Steps | States until then | Seconds | Without it | World |
|---|---|--:|--:|--:|---|---|
";

/// Where the seconds are among the cells of a line.
const SECONDS: usize = 5;

/// What came of one seeded bug.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hunted {
    /// Its name.
    pub mutant: &'static str,
    /// With the bug.
    pub with: Report,
    /// The same world without it, somewhat further.
    pub without: Report,
}

impl Hunted {
    /// Hunts a seeded bug (`on` is the switch with it on, which only some builds have), and then searches the same world
    /// without it, 10,000 states further. `progress` is told now and then how far it is.
    ///
    /// # Errors
    /// Bounds out of range.
    pub fn down(
        hunt: &Hunt,
        on: MutantSwitch,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Self, BoundsError> {
        let mutant = hunt.mutant.name();
        let mut search = |mutant_switch, max_states| {
            let laws = hunt.laws.to_vec();
            let options = Options {
                engine: Engine::Layered,
                mutant: mutant_switch,
                laws,
                max_states,
                ..Options::default()
            };
            explore(mutant, hunt.bounds, &[], &options, &mut progress)
        };
        let with = search(on, None)?;
        let without = search(MutantSwitch::default(), Some(with.unique_states + 10_000))?;
        Ok(Hunted { mutant, with, without })
    }

    /// The law that is broken with the bug.
    #[must_use]
    pub fn law(&self) -> Option<&str> {
        self.with.counterexample.as_ref().map(|story| story.law.as_str())
    }

    /// The length of the trace.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.with.counterexample.as_ref().map_or(0, |story| story.steps.len())
    }

    /// Whether it is caught, and it and nothing else: without it the search finds nothing, and went at least as deep.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        let is_deep = self.without.exhausted || self.without.depth as usize > self.steps();
        self.law().is_some() && self.without.verdict != Verdict::Violated && is_deep
    }

    fn row(&self) -> String {
        let caught = self.law().unwrap_or("**survives**");
        let quiet = if self.without.verdict == Verdict::Violated { "ALSO VIOLATED" } else { "nothing" };
        format!(
            "| {} | {caught} | {} | {} | {:.2} | {quiet} in {} states | {} |",
            self.mutant,
            self.steps(),
            self.with.unique_states,
            self.with.seconds,
            self.without.unique_states,
            self.with.bounds.summary()
        )
    }
}

/// The table of all seeded bugs, those for which there is no world included: those survive.
#[must_use]
pub fn table(hunted: &[Hunted]) -> String {
    let mut text = HEAD.to_owned();
    for mutant in Mutant::ALL {
        let name = mutant.name();
        let row = match (hunted.iter().find(|hunted| hunted.mutant == name), hunt(*mutant)) {
            (Some(hunted), _) => hunted.row(),
            (None, Err(why)) => surviving(name, &why),
            (None, Ok(_)) => format!("| {name} | **not hunted** | | | | | |"),
        };
        let _ = writeln!(text, "{row}");
    }
    text
}

fn surviving(name: &str, why: &NoScenario) -> String {
    format!("| {name} | **survives**: {why} | | | | | believed: {} |", why.believed())
}

/// The first line in which two tables differ, the seconds left out, as each has it; nothing if they agree.
#[must_use]
pub fn difference(one: &str, other: &str) -> Option<(String, String)> {
    let lines = |text: &str| text.lines().map(without_seconds).collect::<Vec<_>>();
    let (one, other) = (lines(one), lines(other));
    let at = |lines: &[String], place: usize| lines.get(place).cloned().unwrap_or_default();
    let place = (0..one.len().max(other.len())).find(|&place| one.get(place) != other.get(place))?;
    Some((at(&one, place), at(&other, place)))
}

fn without_seconds(line: &str) -> String {
    let is_number = |cell: &str| !cell.trim().is_empty() && cell.trim().parse::<f64>().is_ok();
    let cells = line.split('|').enumerate();
    let cells =
        cells.map(|(place, cell)| if place == SECONDS && is_number(cell) { " seconds " } else { cell });
    cells.collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_differ_in_anything_but_the_seconds() {
        let row = "| two-votes | election safety | 6 | 128 | 0.01 | nothing in 10128 states | small |";
        let slower = row.replace("0.01", "17.30");
        assert_eq!(difference(row, &slower), None);
        for (from, to) in
            [("6", "7"), ("128", "129"), ("election", "selection"), ("10128", "1"), ("0.01", "-")]
        {
            let (one, other) = difference(row, &row.replacen(from, to, 1)).unwrap_or_default();
            assert_ne!(one, other, "{from} {to}");
        }
        let missing = difference(&format!("{row}\n{row}"), row);
        assert!(missing.is_some_and(|(one, other)| one.contains("two-votes") && other.is_empty()));
    }

    #[test]
    fn what_survives_is_in_the_table() {
        let table = table(&[]);
        assert!(Mutant::ALL.iter().all(|mutant| table.contains(&format!("| {mutant} |"))));
        assert!(table.contains("| echo-stale-round | **survives**"), "{table}");
        assert!(table.contains("| two-votes | **not hunted**"), "{table}");
    }
}
