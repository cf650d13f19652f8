//! The tables of a sweep: for spreadsheets and for documents.

use std::fmt::Write as _;

use super::{MEASURES, Measure, Sweep};
use crate::page::draw::number;
use crate::report::Validity;

/// What stands above a figure.
fn head(measure: &Measure) -> String {
    if measure.unit.is_empty() {
        measure.name.to_owned()
    } else {
        format!("{} ({})", measure.name, measure.unit)
    }
}

fn word(valid: Validity) -> &'static str {
    match valid {
        Validity::True => "pass",
        Validity::False => "FAIL",
        Validity::Unknown => "unknown",
    }
}

impl Sweep {
    /// One row for each value: for each figure the median, the least and the most.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = format!("{},verdict,experiments", self.parameter.name());
        // Writing into a String cannot fail.
        for measure in &MEASURES {
            let name = head(measure);
            let _ = write!(text, ",{name},{name} least,{name} most");
        }
        text.push('\n');
        for point in &self.points {
            let _ = write!(text, "{},{},{}", point.value, word(point.valid), point.figures.len());
            for measure in &MEASURES {
                let [least, median, most] = point.spread(measure);
                let _ = write!(text, ",{median},{least},{most}");
            }
            text.push('\n');
        }
        text
    }

    /// One row for each value, medians with least and most where there were several experiments.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text =
            format!("# {} varied\n\n{}\n\n| {} |", self.parameter.name(), self.common, self.parameter.name());
        for measure in &MEASURES {
            let _ = write!(text, " {} |", head(measure));
        }
        text.push_str(" verdict |\n|---|");
        text.push_str(&"---|".repeat(MEASURES.len() + 1));
        text.push('\n');
        for point in &self.points {
            let _ = write!(text, "| {} |", point.value);
            for measure in &MEASURES {
                let [least, median, most] = point.spread(measure);
                let _ = match point.figures.len() {
                    0 | 1 => write!(text, " {} |", number(median)),
                    _ => write!(text, " {} ({} to {}) |", number(median), number(least), number(most)),
                };
            }
            let _ = writeln!(text, " {} |", word(point.valid));
        }
        text
    }

    /// The same as a table for a page.
    pub(super) fn html_table(&self) -> String {
        let mut html = format!("<table><thead><tr><th>{}</th>", self.parameter.name());
        for measure in &MEASURES {
            let _ = write!(html, "<th>{}</th>", crate::page::escape(&head(measure)));
        }
        html.push_str("<th>verdict</th></tr></thead><tbody>");
        for point in &self.points {
            let _ = write!(html, "<tr><th>{}</th>", crate::page::escape(&point.value));
            for measure in &MEASURES {
                let [least, median, most] = point.spread(measure);
                let _ = write!(
                    html,
                    "<td title=\"{} to {}\">{}</td>",
                    number(least),
                    number(most),
                    number(median)
                );
            }
            let _ = write!(html, "<td>{}</td></tr>", word(point.valid));
        }
        html.push_str("</tbody></table>");
        html
    }
}
