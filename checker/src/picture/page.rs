//! The page: the conflict first, then the whole history, in one file that needs nothing else.

use std::fmt::Write as _;
use std::io::{self, Write};

use rustc_hash::FxHashMap;

use super::bands::bands;
use super::{MOST_OPERATIONS, Order, Picture, end, escape, label, short};
use crate::value::push_json_string;
use crate::{End, Explanation, Operation, Outcome, Sequential, Verdict};

const STYLE: &str = include_str!("page.css");
const VIEW: &str = include_str!("view.js");
const PAGE: &str = include_str!("page.js");
const BODY: &str = include_str!("page.html");

/// How many rows of a table are seen at first.
const FIRST_ROWS: usize = 6;
/// The most rows of a list on the page.
const MOST_ROWS: usize = 200;

impl Picture<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// What the output says.
    pub fn write_html(&self, out: &mut impl Write) -> io::Result<()> {
        let title = escape(&format!("{}: {}", self.history.name, self.report.summary()));
        // The page may not fetch anything, whatever a history says.
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n"
        )?;
        out.write_all(self.head().as_bytes())?;
        out.write_all(BODY.as_bytes())?;
        out.write_all(b"<script type=\"application/json\" id=\"data\">")?;
        // Nothing in the data can end the element, or begin another.
        out.write_all(self.data().replace('<', "\\u003c").as_bytes())?;
        write!(out, "</script>\n<script>\n{VIEW}</script>\n<script>\n{PAGE}</script>\n</body></html>\n")
    }

    /// The verdict, the conflict, and why every continuation fails.
    fn head(&self) -> String {
        let (class, word) = match &self.report.verdict {
            Verdict::Linearizable { .. } => ("good", "linearizable"),
            Verdict::NotLinearizable { .. } => ("bad", "NOT linearizable"),
            Verdict::Unknown { .. } => ("open", "unknown"),
        };
        let counts = self.report.counts;
        let mut html = format!(
            "<header><h1><span class=\"verdict {class}\">{word}</span> {}</h1><p>{}</p>\
             <p class=\"faint\">{} invoked, {} ok, {} fail, {} info, {} without completion; decided in {:.3} s</p></header>\n",
            escape(&self.history.name),
            escape(&self.report.summary()),
            counts.invoke,
            counts.ok,
            counts.fail,
            counts.info,
            counts.open,
            self.report.elapsed.as_secs_f64(),
        );
        if let Some(why) = self.explanation() {
            html.push_str(&self.why(why));
        }
        html
    }

    fn why(&self, why: &Explanation) -> String {
        let mut html = String::from("<section><h2>The minimal conflict</h2>");
        let many = why.conflict.len();
        let say = if many == 1 { "This operation is impossible" } else { "These operations conflict" };
        let sure = match (why.minimal, why.confirmed) {
            (true, true) => "Each of them is needed, and an independent judge has confirmed the conflict.",
            (true, false) => "Each of them is needed; for the independent judge there were too many orders.",
            (false, true) => "Perhaps not all are needed; an independent judge has confirmed the conflict.",
            (false, false) => {
                "Perhaps not all are needed; for the independent judge there were too many orders."
            }
        };
        // Writing into a String cannot fail.
        let _ = write!(
            html,
            "<p>{say} already, even if any of the others had never happened. {sure} Dashed: for context. The strokes are \
             where the longest order lets them take effect.</p><div class=\"picture\">{}</div>",
            self.svg()
        );
        if let Some(fault) = why.read_fault.and_then(|fault| fault.describe(self.history)) {
            let _ = write!(html, "<p class=\"fault\">{}</p>", escape(&fault));
        }
        html.push_str("</section>\n<section><h2>Why it goes no further</h2>");
        self.ends(&mut html, why);
        self.sequential(&mut html, &why.sequential);
        html.push_str("</section>\n");
        html
    }

    fn ends(&self, html: &mut String, why: &Explanation) {
        let blocked = self.link(why.blocked);
        let whole = if why.prefix_complete { "One of the longest orders" } else { "An order" };
        let _ = write!(
            html,
            "<p>{whole} takes {} operations and ends before {blocked}. States possible when that had to happen: {}{}.</p>",
            why.prefix.len(),
            why.states
                .iter()
                .map(|state| format!("<code>{}</code>", escape(&short(state))))
                .collect::<Vec<_>>()
                .join(" "),
            if why.states_complete { "" } else { ", perhaps others" },
        );
        if why.ends.is_empty() {
            return;
        }
        let name = self.history.operations.get(why.blocked as usize).map(|op| label(&op)).unwrap_or_default();
        let rows = |html: &mut String, ends: &[End]| {
            html.push_str("<table><thead><tr><th>after that order, and</th><th>the state is</th><th>where</th></tr></thead><tbody>");
            for end in ends {
                let through: Vec<String> = end.through.iter().map(|id| self.link(*id)).collect();
                let through = if through.is_empty() { "nothing more".to_owned() } else { through.join(", ") };
                let _ = write!(
                    html,
                    "<tr><td>{through}</td><td><code>{}</code></td><td><code>{}</code> is not legal</td></tr>",
                    escape(&short(&end.state)),
                    escape(&name)
                );
            }
            html.push_str("</tbody></table>");
        };
        let (first, rest) = why.ends.split_at(why.ends.len().min(FIRST_ROWS));
        rows(html, first);
        if !rest.is_empty() {
            let _ = write!(html, "<details><summary>{} more</summary>", rest.len());
            rows(html, rest);
            html.push_str("</details>");
        }
        if !why.ends_complete {
            html.push_str("<p class=\"faint\">Other ways to go on are not listed.</p>");
        }
    }

    fn sequential(&self, html: &mut String, sequential: &Sequential) {
        match sequential {
            Sequential::Yes { .. } => html.push_str(
                "<p><b>What it still is:</b> sequentially consistent. Some order is legal and keeps each process' own order, if \
                 real time is not looked at.</p>",
            ),
            Sequential::Unknown { reason } => {
                let _ = write!(
                    html,
                    "<p><b>What it still is:</b> unknown whether sequentially consistent ({}).</p>",
                    escape(reason)
                );
            }
            Sequential::No { cycle } if cycle.is_empty() => html.push_str(
                "<p><b>Not sequentially consistent either:</b> no interleaving of the processes is legal.</p>",
            ),
            Sequential::No { cycle } => {
                html.push_str("<p><b>Not sequentially consistent either,</b> whatever the real times were. ");
                html.push_str(match cycle.len() {
                    1 => "This alone is impossible:",
                    _ => "Each of these must come before the next, and the last before the first:",
                });
                html.push_str("</p><ol>");
                for id in cycle.iter().take(MOST_ROWS) {
                    let _ = write!(html, "<li>{}</li>", self.link(*id));
                }
                html.push_str("</ol>");
            }
        }
    }

    /// An operation to click on.
    fn link(&self, id: u32) -> String {
        let Some(operation) = self.history.operations.get(id as usize) else { return String::new() };
        format!(
            "<button class=\"link\" data-line=\"{line}\">{text}</button> <span class=\"faint\">line {line}</span>",
            line = operation.invoked.line,
            text = escape(&label(&operation)),
        )
    }

    /// Which operations the page carries.
    fn carried(&self) -> Vec<u32> {
        let all = u32::try_from(self.history.operations.len()).unwrap_or(u32::MAX);
        let most = u32::try_from(MOST_OPERATIONS).unwrap_or(u32::MAX);
        let Some(why) = self.explanation().filter(|_| all > most) else {
            return (0..all.min(most)).collect();
        };
        let end = why.blocked.saturating_add(most / 10).min(all);
        let start = end.saturating_sub(most);
        let mut carried: Vec<u32> =
            (start..end).chain(why.conflict.iter().chain(&why.related).copied()).collect();
        carried.sort_unstable();
        carried.dedup();
        carried
    }

    fn data(&self) -> String {
        let carried = self.carried();
        let operations: Vec<Operation> =
            carried.iter().filter_map(|id| self.history.operations.get(*id as usize)).collect();
        let places: FxHashMap<u32, usize> = carried.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut json = Json(String::with_capacity(operations.len() * 64));
        json.0.push('{');
        json.number("left_out", self.history.operations.len() - operations.len());
        json.list("process", operations.iter().map(|op| op.process));
        json.list("inv", operations.iter().map(|op| i64::from(op.invoked.position)));
        json.list("ret", operations.iter().map(|op| end(op).map_or(-1, i64::from)));
        json.list(
            "gone",
            operations.iter().map(|op| op.completed.map_or(-1, |mark| i64::from(mark.position))),
        );
        json.list("line", operations.iter().map(|op| op.invoked.line));
        json.list("end_line", operations.iter().map(|op| op.completed.map_or(0, |mark| mark.line)));
        json.texts("text", operations.iter().map(label));
        let kinds: String = operations.iter().map(kind).collect();
        json.name("kind");
        push_json_string(&mut json.0, &kinds);
        keys(&mut json, &operations);
        times(&mut json, &operations);
        json.texts("states", self.states.iter().cloned());
        json.orders("orders", &self.orders, &places);
        json.orders("ways", &self.ends, &places);
        let at = |id: &u32| places.get(id).copied();
        let why = self.explanation();
        json.list("conflict", why.into_iter().flat_map(|why| &why.conflict).filter_map(at));
        json.list("related", why.into_iter().flat_map(|why| &why.related).filter_map(at));
        if let Some(blocked) = why.and_then(|why| at(&why.blocked)) {
            json.number("blocked", blocked);
        }
        let bands = bands(self.history);
        json.list("band_from", bands.iter().map(|band| band.from));
        json.list("band_to", bands.iter().map(|band| band.to.map_or(-1, i64::from)));
        json.list("band_line", bands.iter().map(|band| band.line));
        json.texts("band_name", bands.iter().map(|band| band.name.clone()));
        json.texts("band_detail", bands.iter().map(|band| band.detail.clone()));
        json.0.push('}');
        json.0
    }
}

fn kind(operation: &Operation) -> char {
    match (operation.outcome, operation.completed) {
        (Outcome::Ok, _) => 'o',
        (Outcome::Fail, _) => 'f',
        (Outcome::Info, Some(_)) => 'i',
        // Nothing was ever heard of it.
        (Outcome::Info, None) => 'n',
    }
}

fn keys(json: &mut Json, operations: &[Operation]) {
    let mut names: Vec<String> = Vec::new();
    let mut numbers = FxHashMap::default();
    let mut of = Vec::with_capacity(operations.len());
    for operation in operations {
        of.push(match &operation.key {
            None => -1,
            Some(key) => *numbers.entry(key).or_insert_with(|| {
                names.push(short(&key.to_string()));
                i64::try_from(names.len()).unwrap_or(0) - 1
            }),
        });
    }
    json.list("key", of.into_iter());
    json.texts("keys", names.into_iter());
}

/// Nanoseconds since the first, where every event has a time.
fn times(json: &mut Json, operations: &[Operation]) {
    let timed =
        |op: &Operation| op.invoked.time.is_some() && op.completed.is_none_or(|mark| mark.time.is_some());
    if operations.is_empty() || !operations.iter().all(timed) {
        return;
    }
    let first = operations.iter().filter_map(|op| op.invoked.time).min().unwrap_or(0);
    let since = |time: Option<i64>| time.map_or(-1, |time| time.saturating_sub(first));
    json.list("began", operations.iter().map(|op| since(op.invoked.time)));
    json.list("ended", operations.iter().map(|op| since(op.completed.and_then(|mark| mark.time))));
}

/// JSON in the making, a member at a time.
struct Json(String);

impl Json {
    fn name(&mut self, name: &str) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        push_json_string(&mut self.0, name);
        self.0.push(':');
    }

    fn number(&mut self, name: &str, number: impl std::fmt::Display) {
        self.name(name);
        let _ = write!(self.0, "{number}");
    }

    fn list<T: std::fmt::Display>(&mut self, name: &str, items: impl Iterator<Item = T>) {
        self.name(name);
        self.0.push('[');
        for (at, item) in items.enumerate() {
            let _ = write!(self.0, "{}{item}", if at > 0 { "," } else { "" });
        }
        self.0.push(']');
    }

    fn texts(&mut self, name: &str, items: impl Iterator<Item = String>) {
        self.name(name);
        self.0.push('[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            push_json_string(&mut self.0, &item);
        }
        self.0.push(']');
    }

    /// Orders, of the operations that the page carries.
    fn orders(&mut self, name: &str, orders: &[Order], places: &FxHashMap<u32, usize>) {
        self.name(name);
        self.0.push('[');
        for order in orders {
            self.0.push_str(if self.0.ends_with('[') { "{" } else { ",{" });
            if let Some(key) = &order.key {
                self.name("key");
                push_json_string(&mut self.0, key);
            }
            let steps = || order.operations.iter().zip(&order.states);
            let carried = || steps().filter_map(|(id, state)| places.get(id).map(|at| (*at, *state)));
            self.number("skipped", order.operations.len() - carried().count());
            self.list("ops", carried().map(|(at, _)| at));
            self.list(
                "states",
                carried().map(|(_, state)| if state == u32::MAX { -1 } else { i64::from(state) }),
            );
            self.0.push('}');
        }
        self.0.push(']');
    }
}
