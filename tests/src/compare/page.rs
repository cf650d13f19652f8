//! Two runs side by side on one page: figures in a table, latencies on the same scale.

use std::fmt::Write as _;

use super::{Comparison, Read};
use crate::page::draw::{Chart, Scale, TimeAxis, legend, number};
use crate::page::{badge, escape, whole};

/// Into so many stretches both runs are divided.
const STRETCHES: usize = 90;

impl Comparison {
    /// The page.
    pub(crate) fn html(&self, a: &Read, b: &Read) -> String {
        let mut body = String::from("<h1>Two runs side by side</h1><div class=\"twice\">");
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let (class, word) = badge(side.valid);
            // Writing into a String cannot fail.
            let _ = write!(
                body,
                "<div><h2><span class=\"verdict {class}\">{word}</span> {name}: {} <span class=\"faint\">seed {}</span></h2>\
                 <p class=\"faint\">{}</p><ul>",
                escape(&side.test),
                side.seed.map_or_else(|| "?".to_owned(), |seed| seed.to_string()),
                escape(&side.folder.display().to_string())
            );
            for finding in &side.findings {
                let _ = write!(body, "<li>{}</li>", escape(finding));
            }
            body.push_str("</ul></div>");
        }
        body.push_str("</div>");
        body.push_str(&charts(a, b));
        self.tables(&mut body);
        whole("two runs side by side", &body)
    }

    fn tables(&self, body: &mut String) {
        if !self.settings.is_empty() {
            body.push_str("<h2>Different settings</h2><table><thead><tr><th></th><th>A</th><th>B</th></tr></thead><tbody>");
            for (name, a, b) in &self.settings {
                let _ = write!(
                    body,
                    "<tr><th>{}</th><td>{}</td><td>{}</td></tr>",
                    escape(name),
                    escape(a),
                    escape(b)
                );
            }
            body.push_str("</tbody></table>");
        }
        body.push_str("<h2>Figures</h2><table><thead><tr><th></th><th>A</th><th>B</th><th>B to A</th></tr></thead><tbody>");
        for row in &self.rows {
            let cell = |value: Option<f64>| {
                value.map_or_else(String::new, |value| format!("{} {}", number(value), row.unit))
            };
            let _ = write!(
                body,
                "<tr><th>{}</th><td>{}</td><td>{}</td><td class=\"{}\">{}</td></tr>",
                escape(&row.what),
                cell(row.a),
                cell(row.b),
                row.judgement(),
                row.says()
            );
        }
        body.push_str("</tbody></table>");
    }
}

/// Latency and rate of both, each on one scale for the two.
fn charts(a: &Read, b: &Read) -> String {
    if a.series.points.is_empty() || b.series.points.is_empty() {
        return String::new();
    }
    let axis = TimeAxis { end: a.series.end.max(b.series.end) };
    let windows = [a, b].map(|read| read.series.windows(STRETCHES));
    let latencies = windows.iter().flatten().filter_map(|window| window.quantiles);
    let latency = Scale::log(latencies.flat_map(|[median, _, p99, _]| [median, p99]));
    let length = |read: &Read| (read.series.end / STRETCHES as f64).max(1e-9);
    let lengths = [length(a), length(b)];
    let rates = windows.iter().zip(lengths).flat_map(|(windows, length)| {
        windows.iter().map(move |window| window.ok.iter().sum::<u64>() as f64 / length)
    });
    let rate = Scale::linear(rates.fold(0.0, f64::max));
    let mut html = String::from("<div class=\"twice\">");
    for (name, (windows, length)) in ["A", "B"].into_iter().zip(windows.iter().zip(lengths)) {
        let mut chart = Chart::new("latency", "ms", axis, latency, 260.0, &[]);
        let at = |four: Option<[f64; 4]>, which: usize| four.and_then(|four| four.get(which).copied());
        chart.line("c0", windows.iter().map(|window| (window.at, at(window.quantiles, 0))));
        chart.line("c2", windows.iter().map(|window| (window.at, at(window.quantiles, 2))));
        let mut second = Chart::new("rate", "ok per second", axis, rate, 180.0, &[]);
        let sum = |window: &crate::page::series::Window| Some(window.ok.iter().sum::<u64>() as f64 / length);
        second.line("c1", windows.iter().map(|window| (window.at, sum(window))));
        let _ =
            write!(html, "<div><h3>{name}: latency and rate</h3>{}{}</div>", chart.finish(), second.finish());
    }
    html.push_str("</div>");
    html.push_str(&legend(&[
        ("c0".to_owned(), "median latency".to_owned()),
        ("c2".to_owned(), "99 of 100".to_owned()),
        ("c1".to_owned(), "successes per second".to_owned()),
    ]));
    html
}
