//! Faults as bands of time: from the line that injects one to the line that heals it.

use rustc_hash::FxHashMap;

use crate::{Event, History};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Band {
    /// What the nemesis called it.
    pub(super) name: String,
    /// What it did, if it said so.
    pub(super) detail: String,
    /// Position before which it began.
    pub(super) from: u32,
    /// Position before which it ended; `None` if nothing says that it did.
    pub(super) to: Option<u32>,
    /// Line of its beginning.
    pub(super) line: u32,
}

/// The bands of a history's nemesis. A line `heal-x`, `stop-x` or `x-stop` ends the last open band of that `x`, plain `stop`
/// or `heal` all of them; `start-x` and `x-start` are `x`. Jepsen's nemesis says everything twice (it invokes, and
/// completes): the second time is not another fault.
pub(super) fn bands(history: &History) -> Vec<Band> {
    let positions = Positions::new(history);
    let mut bands: Vec<Band> = Vec::new();
    let mut open: FxHashMap<String, usize> = FxHashMap::default();
    for (line, event) in &history.annotations {
        let at = positions.before(*line);
        match phase(&event.f) {
            Phase::End("") => {
                for (_, band) in open.drain() {
                    close(&mut bands, band, at);
                }
            }
            Phase::End(name) => {
                if let Some(band) = open.remove(name) {
                    close(&mut bands, band, at);
                }
            }
            Phase::Begin(name) => {
                let detail = if event.value.is_nil() { String::new() } else { super::short(&detail(event)) };
                if let Some(known) = open.get(name).and_then(|band| bands.get_mut(*band)) {
                    // Its completion often says more than its invocation did.
                    if !detail.is_empty() {
                        known.detail = detail;
                    }
                    continue;
                }
                open.insert(name.to_owned(), bands.len());
                bands.push(Band { name: name.to_owned(), detail, from: at, to: None, line: *line });
            }
        }
    }
    bands
}

fn close(bands: &mut [Band], band: usize, at: u32) {
    if let Some(band) = bands.get_mut(band) {
        band.to = Some(at);
    }
}

fn detail(event: &Event) -> String {
    event.value.text().map_or_else(|| event.value.to_string(), str::to_owned)
}

enum Phase<'a> {
    Begin(&'a str),
    End(&'a str),
}

fn phase(f: &str) -> Phase<'_> {
    let ends = ["stop", "heal", "end", "resume", "recover"];
    if ends.contains(&f) {
        return Phase::End("");
    }
    for word in ends {
        let name = f.strip_prefix(word).and_then(|rest| rest.strip_prefix('-'));
        let name = name.or_else(|| f.strip_suffix(word).and_then(|rest| rest.strip_suffix('-')));
        if let Some(name) = name {
            return Phase::End(name);
        }
    }
    let name = f.strip_prefix("start-").or_else(|| f.strip_suffix("-start"));
    Phase::Begin(name.unwrap_or(f))
}

/// Positions of client events by line: annotations have lines only.
struct Positions {
    marks: Vec<(u32, u32)>,
}

impl Positions {
    fn new(history: &History) -> Self {
        if history.annotations.is_empty() {
            return Self { marks: Vec::new() };
        }
        let ends = |op: crate::Operation| [Some(op.invoked), op.completed];
        let marks = history.operations.iter().flat_map(ends).flatten();
        let mut marks: Vec<(u32, u32)> = marks.map(|mark| (mark.line, mark.position)).collect();
        marks.sort_unstable();
        Self { marks }
    }

    /// The position of the first client event on or after that line.
    fn before(&self, line: u32) -> u32 {
        let at = self.marks.partition_point(|(other, _)| *other < line);
        match (self.marks.get(at), self.marks.last()) {
            (Some((_, position)), _) => *position,
            (None, Some((_, last))) => last + 1,
            (None, None) => 0,
        }
    }
}
