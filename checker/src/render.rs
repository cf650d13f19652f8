//! A verdict for people: one line first, then where to look.

use std::fmt::Write as _;

use crate::sequential::Sequential;
use crate::staleness::ReadFault;
use crate::verdict::{Explanation, Report, Verdict};
use crate::{History, Operation, Outcome};

/// How many operations are drawn or listed at most.
const MOST: usize = 24;
/// How much of the end of an order is told, and how many of its continuations.
const LAST: usize = 6;

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reads = matches!(&*self.f, "read" | "get" | "r");
        f.write_str(&self.f)?;
        if let Some(key) = &self.key {
            write!(f, " {key}")?;
        }
        match self.outcome {
            Outcome::Ok if reads => write!(f, " → {}", self.output),
            Outcome::Info if reads => f.write_str(" → ?"),
            _ if self.input.is_nil() && self.output.is_nil() && !reads && &*self.f != "write" => Ok(()),
            _ => write!(f, " {}", self.effective()),
        }?;
        match self.outcome {
            Outcome::Ok => Ok(()),
            Outcome::Fail => f.write_str(" (refused)"),
            Outcome::Info => f.write_str(" (outcome unknown)"),
        }
    }
}

impl Report {
    /// The verdict in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let keys = match self.partitions {
            0 | 1 => String::new(),
            keys => format!(" on {keys} keys"),
        };
        let looked = format!("checked operations: {}{keys}", self.checked);
        match &self.verdict {
            Verdict::Linearizable { .. } => format!("linearizable ({}; {looked})", self.model),
            Verdict::NotLinearizable { explanation } => {
                let key = explanation.key.as_ref().map_or(String::new(), |key| format!(", key {key}"));
                format!("NOT linearizable ({}{key}; {looked})", self.model)
            }
            Verdict::Unknown { reason } => format!("unknown: {reason} ({}; {looked})", self.model),
        }
    }
}

impl Explanation {
    /// The explanation as text, with a drawing of the operations that matter. `history` is the one that was checked.
    #[must_use]
    pub fn render(&self, history: &History) -> String {
        let mut text = String::new();
        self.write(history, &mut text).map_or_else(|_| String::new(), |()| text)
    }

    fn write(&self, history: &History, out: &mut String) -> std::fmt::Result {
        let get = |id: &u32| history.operations.get(*id as usize);
        let Some(blocked) = get(&self.blocked) else { return Ok(()) };
        writeln!(out, "cannot be linearized: {}", located(&history.name, &blocked))?;
        if self.conflict.is_empty() {
            return writeln!(out, "  not explained: no time was given for it");
        }
        self.write_fault(history, out)?;
        self.write_way(history, out)?;
        let sure = match (self.minimal, self.confirmed) {
            (true, true) => "",
            (true, false) => "; too many orders for the independent judge",
            (false, true) => "; perhaps not all are needed",
            (false, false) => "; perhaps not all are needed, and too many orders for the independent judge",
        };
        let many = self.conflict.len();
        writeln!(
            out,
            "{many} {} already, even if any of the others had never happened{sure}:",
            if many == 1 { "operation is impossible" } else { "operations conflict" }
        )?;
        let context = |id: &u32| self.related.contains(id);
        let ids = self.conflict.iter().chain(&self.related);
        let mut drawn: Vec<_> = ids.filter_map(|id| get(id).map(|op| (op, context(id)))).collect();
        drawn.sort_by_key(|(op, _)| op.invoked.position);
        draw(&drawn, &blocked, out)?;
        let shown = |id: &u32| self.conflict.contains(id) || context(id);
        let concurrent: Vec<_> = self.concurrent.iter().filter(|id| !shown(id)).collect();
        if !concurrent.is_empty() {
            writeln!(out, "open at the same time as the operation that cannot be linearized:")?;
            for operation in concurrent.iter().take(MOST).filter_map(|id| get(id)) {
                writeln!(out, "  {}", located("", &operation))?;
            }
            if concurrent.len() > MOST {
                writeln!(out, "  … and {} more", concurrent.len() - MOST)?;
            }
        }
        self.write_sequential(history, out)
    }

    /// How far an order could be taken, and why no further.
    fn write_way(&self, history: &History, out: &mut String) -> std::fmt::Result {
        let names = |ids: &[u32]| {
            let name = |id: &u32| history.operations.get(*id as usize).map(|op| named(&op));
            ids.iter().filter_map(name).collect::<Vec<_>>().join(", ")
        };
        if self.prefix.is_empty() {
            writeln!(out, "  nothing had been linearized before it")?;
        } else {
            let (all, tail) = (self.prefix.len(), self.prefix.len().saturating_sub(LAST));
            let longest = if self.prefix_complete { "longest order" } else { "an order" };
            let tail = names(self.prefix.get(tail..).unwrap_or_default());
            writeln!(out, "  {longest} ({all} operations) ends: {tail}")?;
        }
        if !self.states.is_empty() {
            let more = if self.states_complete { "" } else { " | perhaps others" };
            writeln!(out, "  states possible when it had to happen: {}{more}", self.states.join(" | "))?;
        }
        if self.ends.is_empty() {
            return Ok(());
        }
        writeln!(out, "  every way to go on fails, since it is not legal")?;
        for end in self.ends.iter().take(LAST) {
            match end.through.as_slice() {
                [] => writeln!(out, "    at once, in state {}", end.state)?,
                through => writeln!(out, "    in state {} after {}", end.state, names(through))?,
            }
        }
        match self.ends.len().saturating_sub(LAST) {
            0 if self.ends_complete => Ok(()),
            0 => writeln!(out, "    nor in others"),
            more => writeln!(out, "    nor in {more} other states"),
        }
    }

    fn write_fault(&self, history: &History, out: &mut String) -> std::fmt::Result {
        match self.read_fault.and_then(|fault| fault.describe(history)) {
            Some(said) => writeln!(out, "  {said}"),
            None => Ok(()),
        }
    }

    fn write_sequential(&self, history: &History, out: &mut String) -> std::fmt::Result {
        match &self.sequential {
            Sequential::Yes { .. } => {
                writeln!(out, "what it still is: sequentially consistent (each process' own order holds)")
            }
            Sequential::Unknown { reason } => {
                writeln!(out, "what it still is: unknown whether sequentially consistent ({reason})")
            }
            Sequential::No { cycle } if cycle.is_empty() => {
                writeln!(out, "not sequentially consistent either: no interleaving of the processes is legal")
            }
            Sequential::No { cycle } => {
                writeln!(out, "not sequentially consistent either, whatever the real times were:")?;
                let each = if cycle.len() == 1 { "" } else { " before the next, the last before the first" };
                writeln!(out, "  impossible{each}:")?;
                let operations = cycle.iter().filter_map(|id| history.operations.get(*id as usize));
                for operation in operations.take(MOST) {
                    writeln!(out, "  {}", located("", &operation))?;
                }
                Ok(())
            }
        }
    }
}

impl ReadFault {
    /// The fault in one line; `None` if `history` is not the one that was checked.
    #[must_use]
    pub fn describe(&self, history: &History) -> Option<String> {
        let get = |id: u32| history.operations.get(id as usize);
        Some(match self {
            Self::NeverWritten { read } => format!("nobody ever wrote what {} saw", named(&get(*read)?)),
            Self::NotYetWritten { read, writer } => format!(
                "{} had returned before the first to write that, {}, began",
                named(&get(*read)?),
                named(&get(*writer)?)
            ),
            Self::Stale(stale) => {
                let time = match stale.time(history) {
                    Some(time) => format!(", for {time:.1?} at least"),
                    None => String::new(),
                };
                let (many, s) = (stale.overwrites, if stale.overwrites == 1 { "" } else { "s" });
                format!(
                    "{} is stale by {many} write{s}{time}: the value was gone since {} returned",
                    named(&get(stale.read)?),
                    named(&get(stale.since)?)
                )
            }
        })
    }
}

fn named(operation: &Operation) -> String {
    format!("{operation} (line {})", operation.invoked.line)
}

fn located(file: &str, operation: &Operation) -> String {
    let end = match operation.completed {
        Some(mark) => format!("{}", mark.line),
        None => "…".to_owned(),
    };
    let file = if file.is_empty() { String::new() } else { format!("{file}:{}: ", operation.invoked.line) };
    format!("{file}{operation} by process {} (lines {}–{end})", operation.process, operation.invoked.line)
}

/// A line per operation; a column per event, so that only the order in real time shows, not how long it took.
///
/// `operations` come with whether they are only there for context.
fn draw(operations: &[(Operation, bool)], blocked: &Operation, out: &mut String) -> std::fmt::Result {
    const STEP: usize = 3;
    // The end of the story matters most.
    let shown = operations.get(operations.len().saturating_sub(MOST)..).unwrap_or_default();
    if operations.len() > shown.len() {
        writeln!(out, "  … {} more, and", operations.len() - shown.len())?;
    }
    let end = |op: &Operation| match (op.outcome, op.completed) {
        (Outcome::Info, _) | (_, None) => u32::MAX,
        (_, Some(mark)) => mark.position,
    };
    let mut events: Vec<u32> = shown.iter().flat_map(|(op, _)| [op.invoked.position, end(op)]).collect();
    events.sort_unstable();
    events.dedup();
    let column = |position: u32| events.partition_point(|event| *event < position) * STEP;
    let width = events.len() * STEP;
    let label = |op: &Operation| format!("line {:<7} process {:<4} {op}", op.invoked.line, op.process);
    let labels = shown.iter().map(|(op, _)| label(op).chars().count()).max().unwrap_or(0);
    for (op, context) in shown {
        let (from, to) = (column(op.invoked.position), column(end(op)));
        let mut bar = " ".repeat(from);
        bar.push('├');
        bar.push_str(&"─".repeat((to - from).saturating_sub(1)));
        bar.push(if end(op) == u32::MAX { '▶' } else { '┤' });
        let name = label(op);
        let padding = " ".repeat(labels.saturating_sub(name.chars().count()));
        let tail = " ".repeat((width + 1).saturating_sub(bar.chars().count()));
        let mark = match (op.invoked == blocked.invoked, context) {
            (true, _) => " ◀ cannot be linearized",
            (_, true) => " (for context)",
            _ => "",
        };
        writeln!(out, "  {name}{padding}  {}", format!("{bar}{tail}{mark}").trim_end())?;
    }
    Ok(())
}
