//! The curves of a sweep: one drawing that stands by itself, and one page.

use std::fmt::Write as _;

use super::{MEASURES, Measure, Sweep};
use crate::page::draw::{Chart, Scale, legend};
use crate::page::{STYLE, badge, escape, whole};

/// A drawing: what it shows, its unit, which figures, and whether on a logarithmic scale.
struct Panel {
    title: &'static str,
    unit: &'static str,
    measures: &'static [&'static str],
    log: bool,
}

const PANELS: [Panel; 6] = [
    Panel {
        title: "Latency",
        unit: "ms",
        measures: &["mean latency", "median latency", "p95 latency", "p99 latency", "longest latency"],
        log: true,
    },
    Panel { title: "Answered requests", unit: "per second", measures: &["answered"], log: false },
    Panel { title: "Longest time without an answer", unit: "ms", measures: &["longest silence"], log: false },
    Panel {
        title: "Messages between servers for a request",
        unit: "messages",
        measures: &["messages between servers"],
        log: false,
    },
    Panel { title: "Unanswered requests", unit: "%", measures: &["unanswered"], log: false },
    Panel {
        title: "Leaders, and redirects for a request",
        unit: "",
        measures: &["leaders", "redirects"],
        log: false,
    },
];
const HEIGHT: f64 = 170.0;

impl Sweep {
    fn panel(&self, panel: &Panel) -> String {
        let names: Vec<String> = self.points.iter().map(|point| point.value.clone()).collect();
        let measures: Vec<&Measure> = panel
            .measures
            .iter()
            .filter_map(|name| MEASURES.iter().find(|measure| measure.name == *name))
            .collect();
        let all =
            self.points.iter().flat_map(|point| measures.iter().flat_map(|measure| point.spread(measure)));
        let scale = if panel.log { Scale::log(all) } else { Scale::linear(all.fold(0.0, f64::max)) };
        let mut chart = Chart::named(panel.title, panel.unit, &names, scale, HEIGHT);
        for (at, measure) in measures.iter().enumerate() {
            let class = format!("c{at}");
            let middle = |number: usize| number as f64 + 0.5;
            for (number, point) in self.points.iter().enumerate() {
                let [least, _, most] = point.spread(measure);
                chart.line(&class, [least, most].into_iter().map(|value| (middle(number), Some(value))));
            }
            let medians = self.points.iter().enumerate();
            chart.line(
                &class,
                medians.map(|(number, point)| (middle(number), Some(point.spread(measure)[1]))),
            );
            let medians = self.points.iter().enumerate();
            chart.dots(&class, medians.map(|(number, point)| (middle(number), point.spread(measure)[1])));
        }
        chart.finish()
    }

    fn legend(&self, panel: &Panel) -> String {
        let items =
            panel.measures.iter().enumerate().map(|(at, name)| (format!("c{at}"), (*name).to_owned()));
        legend(&items.collect::<Vec<_>>())
    }

    /// All curves in one drawing that needs nothing else.
    #[must_use]
    pub fn svg(&self) -> String {
        let room = HEIGHT + 74.0;
        let height = room * PANELS.len() as f64 + 40.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1200 {height}\" width=\"1200\" height=\"{height}\">\
             <style>{STYLE}</style><rect width=\"1200\" height=\"{height}\" style=\"fill:var(--paper)\"/>\
             <g class=\"chart\"><text x=\"16\" y=\"26\" style=\"font-size:17px\">{} varied</text></g>\n",
            escape(self.parameter.name())
        );
        for (at, panel) in PANELS.iter().enumerate() {
            let y = room * at as f64 + 40.0;
            let chart = self.panel(panel).replacen(
                "<svg class",
                &format!("<svg x=\"0\" y=\"{}\" width=\"1200\" height=\"{}\" class", y + 26.0, HEIGHT + 34.0),
                1,
            );
            let _ = write!(
                svg,
                "<g class=\"chart\"><text x=\"72\" y=\"{:.0}\" style=\"font-weight:600\">{}</text>",
                y + 20.0,
                escape(panel.title)
            );
            let mut x = 420.0;
            for (number, name) in panel.measures.iter().enumerate() {
                let _ = write!(
                    svg,
                    "<rect class=\"block c{number}\" x=\"{x}\" y=\"{}\" width=\"18\" height=\"5\" style=\"fill-opacity:1\"/>\
                     <text class=\"tick\" x=\"{}\" y=\"{:.0}\">{}</text>",
                    y + 13.0,
                    x + 24.0,
                    y + 20.0,
                    escape(name)
                );
                x += 40.0 + name.len() as f64 * 7.5;
            }
            let _ = write!(svg, "</g>{chart}");
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Curves and table on one page.
    #[must_use]
    pub fn html(&self) -> String {
        let (class, word) = badge(Some(self.valid));
        let mut body = format!(
            "<header><h1><span class=\"verdict {class}\">{word}</span> {} varied</h1><p class=\"faint\">{}</p>\
             <nav class=\"faint\"><a href=\"table.csv\">table.csv</a> <a href=\"table.md\">table.md</a> \
             <a href=\"curves.svg\">curves.svg</a> <a href=\"results.json\">results.json</a></nav></header>\n<section>",
            escape(self.parameter.name()),
            escape(&self.common)
        );
        for panel in &PANELS {
            let _ =
                write!(body, "<h3>{}</h3>{}{}", escape(panel.title), self.panel(panel), self.legend(panel));
        }
        let _ = writeln!(
            body,
            "</section><section><h2>The figures</h2><p class=\"faint\">Medians; point at one for the least and the most.</p>{}</section>",
            self.html_table()
        );
        whole(&format!("{} varied", self.parameter.name()), &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Validity;
    use crate::scenario::Figures;
    use crate::sweep::{Parameter, Point};

    fn sweep() -> Sweep {
        let point = |value: &str, factor: f64| Point {
            value: value.to_owned(),
            valid: Validity::True,
            figures: [1.0, 2.0, 3.0]
                .map(|ms| Figures {
                    mean_latency_ms: ms * factor,
                    get_requests: 10,
                    messages_between_servers: 80,
                    ..Figures::default()
                })
                .to_vec(),
            stores: Vec::new(),
        };
        Sweep {
            valid: Validity::True,
            test: "sweep-servers".to_owned(),
            seed: 1,
            parameter: Parameter::Servers,
            common: "a < b".to_owned(),
            points: vec![point("3", 1.0), point("5", 10.0)],
        }
    }

    #[test]
    fn tables_and_curves_say_the_same_medians() {
        let sweep = sweep();
        let csv = sweep.csv();
        assert!(csv.lines().nth(2).unwrap().starts_with("5,pass,3,20,10,30,"), "{csv}");
        assert!(csv.lines().all(|line| line.matches(',').count() == 2 + 3 * MEASURES.len()), "{csv}");
        let markdown = sweep.markdown();
        assert!(markdown.contains("| 5 | 20 (10 to 30) |"), "{markdown}");
        assert!(markdown.contains("| 8 (8 to 8) |"), "messages for a request: {markdown}");
        let html = sweep.html();
        assert!(html.contains("a &lt; b") && html.contains("<td title=\"10 to 30\">20</td>"));
        for drawn in [html, sweep.svg()] {
            assert_eq!(
                drawn.matches("class=\"curve c0\"").count(),
                6 * 3,
                "a line and two whiskers on each panel"
            );
        }
    }
}
