//! Pictures of a verdict: one page for a browser ([`Picture::write_html`]), one drawing for a report ([`Picture::write_svg`]).
//!
//! ```text
//!   History, Report ──► Picture ──► svg    the operations that matter, a lane per process, a column per event
//!                       orders,     page   that drawing first, why every continuation fails, then the whole history on a
//!                       states             canvas: zoom, search, linearization points, states, faults
//! ```
//!
//! Both are whole by themselves: no script, style, font or picture is fetched, and the page forbids itself to. Texts of the
//! history are only ever put in as text. Both have a light and a dark side and follow what the reader's system asks for.
//!
//! Limits: the page carries at most [`MOST_OPERATIONS`] operations (those around what matters) and [`MOST_STATES`] texts of
//! states; the drawing has at most [`MOST_DRAWN`] operations. What was left out is said.

mod bands;
mod page;
mod svg;

use rustc_hash::FxHashMap;

use crate::spec::with_specification;
use crate::{Explanation, History, Model, Outcome, Report, Specification, Verdict};

/// The most operations that a page carries.
pub const MOST_OPERATIONS: usize = 200_000;
/// The most texts of states that a page carries.
pub const MOST_STATES: usize = 200_000;
/// The most operations in a drawing.
pub const MOST_DRAWN: usize = 60;
/// The longest text of a value or a state, in characters.
const LONGEST: usize = 160;

/// An order of operations, with the state after each of them.
struct Order {
    /// The key's text, or nothing.
    key: Option<String>,
    /// Indices into the history's operations.
    operations: Vec<u32>,
    /// After each of them: indices into [`Picture::states`].
    states: Vec<u32>,
}

/// What is needed to draw a verdict.
pub struct Picture<'a> {
    history: &'a History,
    report: &'a Report,
    /// Texts of states; the first is the state at the start.
    states: Vec<String>,
    /// The linearization of each key, or the longest order of the key that has none.
    orders: Vec<Order>,
    /// Ways to go on after that longest order.
    ends: Vec<Order>,
}

impl Model {
    /// A picture of what [`Model::check`] said of this history.
    #[must_use]
    pub fn picture<'a>(&self, history: &'a History, report: &'a Report) -> Picture<'a> {
        with_specification!(self, spec => Picture::new(spec, history, report))
    }
}

impl<'a> Picture<'a> {
    /// A picture of what [`crate::check()`] said of this history by this specification.
    #[must_use]
    pub fn new<S: Specification>(spec: &S, history: &'a History, report: &'a Report) -> Self {
        let mut replay = Replay { spec, history, texts: Vec::new(), numbers: FxHashMap::default() };
        replay.number(&spec.initial());
        let mut orders = Vec::new();
        let mut ends = Vec::new();
        match &report.verdict {
            Verdict::Linearizable { witness } => {
                for one in witness {
                    let (order, _) = replay.order(spec.initial(), one.key.as_ref(), &one.order);
                    orders.push(order);
                }
            }
            Verdict::NotLinearizable { explanation: why } => {
                let (order, end) = replay.order(spec.initial(), why.key.as_ref(), &why.prefix);
                orders.push(order);
                for way in why.ends.iter().filter(|way| !way.through.is_empty()) {
                    ends.push(replay.order(end.clone(), why.key.as_ref(), &way.through).0);
                }
            }
            Verdict::Unknown { .. } => {}
        }
        Self { history, report, states: replay.texts, orders, ends }
    }

    fn explanation(&self) -> Option<&Explanation> {
        match &self.report.verdict {
            Verdict::NotLinearizable { explanation } => Some(explanation),
            _ => None,
        }
    }
}

/// Replays orders, to know the states.
struct Replay<'a, S: Specification> {
    spec: &'a S,
    history: &'a History,
    texts: Vec<String>,
    numbers: FxHashMap<S::State, u32>,
}

impl<S: Specification> Replay<'_, S> {
    fn number(&mut self, state: &S::State) -> u32 {
        if let Some(number) = self.numbers.get(state) {
            return *number;
        }
        if self.texts.len() >= MOST_STATES {
            return u32::MAX;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(short(&self.spec.describe_state(state)));
        self.numbers.insert(state.clone(), number);
        number
    }

    fn order(
        &mut self,
        start: S::State,
        key: Option<&crate::Value>,
        operations: &[u32],
    ) -> (Order, S::State) {
        let mut state = start;
        let mut states = Vec::with_capacity(operations.len());
        for id in operations {
            let op = self.history.operations.get(*id as usize);
            let op = op.and_then(|op| self.spec.parse(&op).ok().flatten());
            // The order was replayed by the validator: what does not step is not this history's.
            state = op.and_then(|op| self.spec.step(&state, &op)).unwrap_or(state);
            states.push(self.number(&state));
        }
        let key = key.map(|key| short(&key.to_string()));
        (Order { key, operations: operations.to_vec(), states }, state)
    }
}

/// A text that fits.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Where an operation ends, as a position; `None` if it never does, for all we know.
fn end(operation: &crate::Operation) -> Option<u32> {
    operation.completed.filter(|_| operation.outcome != Outcome::Info).map(|mark| mark.position)
}

/// The operation as text, without its key.
fn label(operation: &crate::Operation) -> String {
    let keyless = crate::Operation { key: None, ..operation.clone() };
    let text = keyless.to_string();
    short(text.trim_end_matches(" (outcome unknown)").trim_end_matches(" (refused)"))
}

/// Text inside HTML or SVG.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML knows no other control characters, not even as numbers.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests;
