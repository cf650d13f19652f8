//! The drawing: a lane per process, a column per event, so that the order in real time shows and every text has room.

use std::fmt::Write as _;
use std::io;

use super::bands::bands;
use super::{MOST_DRAWN, Order, Picture, end, escape, label};
use crate::{Operation, Outcome, Verdict};

const LANE: usize = 54;
const BAR: usize = 26;
const LETTER: usize = 8;
const STEP: usize = 26;
const MARGIN: usize = 16;

/// The colours of both sides. Class names are long since the drawing also stands inside the page.
const STYLE: &str = "\
.drawing{--ink:#1c2330;--faint:#6b7485;--paper:#ffffff;--lane:#e3e7ee;--ok:#d8e6fb;--ok-edge:#3f73c4;--bad:#fbd9d6;\
--bad-edge:#c0392b;--other:#eceff4;--other-edge:#9aa4b5;--point:#1c2330;--band:#f3e3c3;font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}\
@media(prefers-color-scheme:dark){.drawing{--ink:#e6eaf2;--faint:#98a2b5;--paper:#14181f;--lane:#2b323d;--ok:#20385e;\
--ok-edge:#7fabf0;--bad:#5a2420;--bad-edge:#ff8a7d;--other:#262c36;--other-edge:#77829a;--point:#ffffff;--band:#3d3320}}\
.drawing-paper{fill:var(--paper)}.drawing-lane{stroke:var(--lane)}.drawing text{fill:var(--ink)}.drawing .drawing-faint{fill:var(--faint)}\
.drawing-bar{stroke-width:1.5;fill:var(--ok);stroke:var(--ok-edge)}.drawing-blocked{fill:var(--bad);stroke:var(--bad-edge);stroke-width:2.5}\
.drawing-context{fill:var(--other);stroke:var(--other-edge);stroke-dasharray:4 3}.drawing-point{stroke:var(--point);stroke-width:2.5}\
.drawing-band{fill:var(--band)}.drawing .drawing-small{font-size:11px}";

impl Picture<'_> {
    /// Writes the drawing: the minimal conflict if there is one, else the beginning of the history.
    ///
    /// # Errors
    /// What the output says.
    pub fn write_svg(&self, out: &mut impl io::Write) -> io::Result<()> {
        out.write_all(self.svg().as_bytes())
    }

    pub(super) fn svg(&self) -> String {
        Drawing::new(self).map_or_else(|| empty(&self.report.summary()), |drawing| drawing.draw())
    }

    /// What is drawn, by invocation, and what was left out.
    fn drawn(&self) -> (Vec<u32>, usize) {
        let mut ids: Vec<u32> = match &self.report.verdict {
            Verdict::NotLinearizable { explanation } => {
                explanation.conflict.iter().chain(&explanation.related).copied().collect()
            }
            _ => (0..).take(self.history.operations.len()).collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        let left_out = ids.len().saturating_sub(MOST_DRAWN);
        match &self.report.verdict {
            // The end of the story matters most.
            Verdict::NotLinearizable { .. } => drop(ids.drain(..left_out)),
            _ => ids.truncate(MOST_DRAWN),
        }
        (ids, left_out)
    }
}

fn empty(summary: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" width=\"640\" height=\"60\" role=\"img\"><style>{STYLE}</style>\
         <rect class=\"drawing-paper\" width=\"640\" height=\"60\"/><text x=\"16\" y=\"35\">{}</text></svg>\n",
        escape(summary)
    )
}

struct Drawing<'a> {
    picture: &'a Picture<'a>,
    operations: Vec<(u32, Operation)>,
    left_out: usize,
    lanes: Vec<i64>,
    /// Position of each column, ascending, and where it stands.
    columns: Vec<(u32, usize)>,
    left: usize,
    width: usize,
    /// Whether there is more than one key, so that each text has to say its own.
    keys: bool,
}

impl<'a> Drawing<'a> {
    fn new(picture: &'a Picture<'a>) -> Option<Self> {
        let (ids, left_out) = picture.drawn();
        let operations: Vec<(u32, Operation)> = ids
            .iter()
            .filter_map(|id| picture.history.operations.get(*id as usize).map(|operation| (*id, operation)))
            .collect();
        if operations.is_empty() {
            return None;
        }
        let mut lanes: Vec<i64> = operations.iter().map(|(_, operation)| operation.process).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let left =
            lanes.iter().map(|lane| format!("process {lane}").len()).max().unwrap_or(0) * LETTER + 2 * MARGIN;
        let mut positions: Vec<u32> =
            operations.iter().flat_map(|(_, op)| [Some(op.invoked.position), end(op)]).flatten().collect();
        positions.sort_unstable();
        positions.dedup();
        let keys = operations.windows(2).any(|pair| match pair {
            [(_, a), (_, b)] => a.key != b.key,
            _ => false,
        });
        let columns = Vec::new();
        let mut drawing = Self { picture, operations, left_out, lanes, columns, left, width: 0, keys };
        drawing.place(&positions);
        Some(drawing)
    }

    /// Columns as close as the texts allow.
    fn place(&mut self, positions: &[u32]) {
        for position in positions {
            let mut x = self.columns.last().map_or(self.left, |(_, x)| x + STEP);
            for (_, operation) in self.operations.iter().filter(|(_, op)| end(op) == Some(*position)) {
                x = x.max(self.x(operation.invoked.position) + self.room(operation));
            }
            self.columns.push((*position, x));
        }
        let last = self.columns.last().map_or(self.left, |(_, x)| *x);
        let open = self.operations.iter().filter(|(_, op)| end(op).is_none());
        let open = open.map(|(_, op)| self.x(op.invoked.position) + self.room(op)).max().unwrap_or(0);
        self.width = (last + STEP).max(open) + MARGIN;
    }

    /// Where a position stands: at its column, or at the last one before it.
    fn x(&self, position: u32) -> usize {
        let at = self.columns.partition_point(|(known, _)| *known <= position);
        at.checked_sub(1).and_then(|at| self.columns.get(at)).map_or(self.left, |(_, x)| *x)
    }

    fn draw(&self) -> String {
        let title = self.picture.report.summary();
        let top = 2 * MARGIN + 20;
        let height = top + self.lanes.len() * LANE + MARGIN + if self.left_out > 0 { 20 } else { 0 };
        let width = self.width.max(title.chars().count() * LETTER + 2 * MARGIN);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{title}</title><style>{STYLE}</style>\
             <rect class=\"drawing-paper\" width=\"{width}\" height=\"{height}\"/><text x=\"{MARGIN}\" y=\"{y}\">{title}</text>\n",
            title = escape(&title),
            y = MARGIN + 12,
        );
        self.bands(&mut svg, top);
        for (at, lane) in self.lanes.iter().enumerate() {
            let y = top + at * LANE + BAR / 2;
            // Writing into a String cannot fail.
            let _ = writeln!(
                svg,
                "<line class=\"drawing-lane\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/><text class=\"drawing-faint\" x=\"{MARGIN}\" y=\"{}\">process {lane}</text>",
                self.left - MARGIN / 2,
                width - MARGIN,
                y + 5,
            );
        }
        for (id, operation) in &self.operations {
            self.bar(&mut svg, *id, operation, top);
        }
        self.points(&mut svg, top);
        if self.left_out > 0 {
            let _ = writeln!(
                svg,
                "<text class=\"drawing-faint\" x=\"{MARGIN}\" y=\"{}\">… and {} more operations</text>",
                height - MARGIN,
                self.left_out
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn bands(&self, svg: &mut String, top: usize) {
        let first = self.columns.first().map_or(0, |(position, _)| *position);
        let last = self.columns.last().map_or(0, |(position, _)| *position);
        for band in bands(self.picture.history) {
            let to = band.to.unwrap_or(u32::MAX);
            if to <= first || band.from > last {
                continue;
            }
            let from = if band.from <= first { self.left - MARGIN / 2 } else { self.x(band.from) };
            let to = if to > last { self.width - MARGIN } else { self.x(to) };
            let name = escape(&format!("{} {}", band.name, band.detail));
            let _ = writeln!(
                svg,
                "<rect class=\"drawing-band\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{name}</title></rect>",
                top - 8,
                to.saturating_sub(from).max(4),
                self.lanes.len() * LANE,
            );
        }
    }

    fn y(&self, process: i64, top: usize) -> usize {
        top + self.lanes.partition_point(|lane| *lane < process) * LANE
    }

    fn bar(&self, svg: &mut String, id: u32, operation: &Operation, top: usize) {
        let (x, y) = (self.x(operation.invoked.position), self.y(operation.process, top));
        let why = self.picture.explanation();
        let class = match why {
            Some(why) if why.blocked == id => "drawing-bar drawing-blocked",
            Some(why) if !why.conflict.contains(&id) => "drawing-bar drawing-context",
            None if operation.outcome != Outcome::Ok => "drawing-bar drawing-context",
            _ => "drawing-bar",
        };
        let text = escape(&self.text(operation));
        let hover =
            escape(&format!("{operation}, process {}, line {}", operation.process, operation.invoked.line));
        let shape = match end(operation) {
            Some(end) => {
                let width = self.x(end) - x;
                format!(
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"4\"/>"
                )
            }
            None => {
                // It may take effect at any later time: open to the right.
                let (to, tip, half, low) =
                    (self.width - MARGIN - 10, self.width - MARGIN, y + BAR / 2, y + BAR);
                format!("<path class=\"{class}\" d=\"M{x} {y}H{to}L{tip} {half}L{to} {low}H{x}Z\"/>")
            }
        };
        let _ = writeln!(
            svg,
            "<g>{shape}<text x=\"{}\" y=\"{}\">{text}</text><text class=\"drawing-faint drawing-small\" x=\"{x}\" y=\"{}\">line {}</text><title>{hover}</title></g>",
            x + 8,
            y + BAR / 2 + 5,
            y + BAR + 15,
            operation.invoked.line,
        );
    }

    /// Where the operations took effect in the longest order, or in the linearization of their key.
    fn points(&self, svg: &mut String, top: usize) {
        for order in &self.picture.orders {
            for (id, x) in self.effects(order) {
                let Some((_, operation)) = self.operations.iter().find(|(known, _)| *known == id) else {
                    continue;
                };
                let y = self.y(operation.process, top);
                // A stroke above and one below, so that the text between them can be read.
                let (above, below) = (y - 7, y + BAR - 3);
                let _ = writeln!(svg, "<path class=\"drawing-point\" d=\"M{x} {above}v10M{x} {below}v7\"/>");
            }
        }
    }

    /// Each drawn operation of that order takes effect as soon as it may: after the invocations of all before it.
    fn effects(&self, order: &Order) -> Vec<(u32, usize)> {
        let mut latest = 0;
        let mut slots: Vec<(u32, u32)> = Vec::new();
        for id in &order.operations {
            let Some(operation) = self.picture.history.operations.get(*id as usize) else { continue };
            latest = operation.invoked.position.max(latest);
            if self.operations.iter().any(|(known, _)| known == id) {
                slots.push((*id, latest));
            }
        }
        let column = |position: u32| self.columns.partition_point(|(known, _)| *known <= position);
        let mut placed = Vec::with_capacity(slots.len());
        for group in slots.chunk_by(|a, b| column(a.1) == column(b.1)) {
            let Some((_, position)) = group.first() else { continue };
            let from = self.x(*position);
            let to = self.columns.get(column(*position)).map_or(from + STEP, |(_, x)| *x);
            for (at, (id, _)) in group.iter().enumerate() {
                placed.push((*id, from + (to - from) * (at + 1) / (group.len() + 1)));
            }
        }
        placed
    }

    fn text(&self, operation: &Operation) -> String {
        match operation.key.as_ref().filter(|_| self.keys) {
            Some(key) => super::short(&format!("{key} {}", label(operation))),
            None => label(operation),
        }
    }

    /// The least width of a bar.
    fn room(&self, operation: &Operation) -> usize {
        self.text(operation).chars().count() * LETTER + 24
    }
}
