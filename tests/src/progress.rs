//! What a person at the terminal sees while a run lasts: one live line, and each fault as it comes. Everything goes to
//! standard error; standard output is for the result.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::schedule::NodeId;
use crate::stats::Counts;
use crate::units::millis;

/// Prints a line on standard error. That nobody may be listening there any more is no reason to end a run.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The live line of one run. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    live: bool,
    quiet: bool,
}

impl Progress {
    /// A line for a run of this length. Where standard error is not a terminal, faults are printed as plain lines and
    /// there is no live line; `quiet` prints nothing at all.
    #[must_use]
    pub fn new(length: Duration, quiet: bool) -> Progress {
        let live = !quiet && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(millis(length)), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:20} {msg}") {
            bar.set_style(style);
        }
        Progress { bar, live, quiet }
    }

    /// Shows how far the run is.
    pub fn tick(&self, elapsed: Duration, counts: Counts, leader: Option<(u64, NodeId)>) {
        let leader =
            leader.map_or("nobody leads".to_owned(), |(term, node)| format!("n{node} leads term {term}"));
        let Counts { ok, fail, info } = counts;
        self.bar.set_position(millis(elapsed));
        self.bar.set_prefix(format!("{:>4}s", elapsed.as_secs()));
        self.bar.set_message(format!(
            "{} operations: {ok} ok, {fail} fail, {info} info; {leader}",
            counts.total()
        ));
    }

    /// Tells of a fault.
    pub fn event(&self, f: &str, what: &str) {
        self.note(&format!("  {f:<15} {what}"));
    }

    /// Prints a line above the live one.
    pub fn note(&self, line: &str) {
        if self.live {
            self.bar.println(line);
        } else if !self.quiet {
            tell(line);
        }
    }

    /// Takes the live line away.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
