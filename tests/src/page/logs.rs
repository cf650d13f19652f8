//! The servers' log lines around what went wrong: all servers together, in order of time.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::draw::number;
use super::{Material, escape};
use crate::report::Validity;
use crate::schedule::NodeId;

/// So long before the anomaly, in seconds.
const BEFORE: f64 = 1.5;
/// And so long after it.
const AFTER: f64 = 0.75;
/// At most so many lines are shown.
const MOST_LINES: usize = 300;
const LONGEST_LINE: usize = 400;
/// At most so much of a log is read.
const MOST_BYTES: u64 = 1 << 30;

/// A line of a log.
struct Line {
    /// Seconds since the start of the run.
    at: f64,
    node: NodeId,
    text: String,
}

/// The stretch of time to look at, in seconds, and why.
fn anomaly(material: &Material) -> Option<(f64, f64, String)> {
    if let Some(conflict) = material.judged.as_ref().and_then(|judged| judged.conflict.as_ref()) {
        return Some((conflict.span.0, conflict.span.1, "the minimal conflict".to_owned()));
    }
    let found = material.series.availability()?;
    let what = match material.run.validity() {
        Some(Validity::True) => "the longest silence (nothing was violated)",
        _ => "the longest silence",
    };
    Some((found.silent_from, found.silent_from + found.silence, what.to_owned()))
}

pub(super) fn section(material: &Material) -> String {
    let origin_ms = material.run.at("/harness/origin_unix_ms").and_then(serde_json::Value::as_u64);
    let (Some(origin_ms), Some((from, to, what))) = (origin_ms, anomaly(material)) else {
        return String::new();
    };
    let (from, to) = (from - BEFORE, to + AFTER);
    let mut lines = Vec::new();
    let mut missing = Vec::new();
    for node in material.run.nodes() {
        let path = material.run.folder().join(format!("nodes/n{node}/server.log"));
        match read(&path, node, origin_ms, (from, to)) {
            Some(mut of) => lines.append(&mut of),
            None => missing.push(format!("n{node}")),
        }
    }
    lines.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut html = format!(
        "<section><h2>The servers' logs around {}</h2><p class=\"faint\">Seconds {} to {}, {} lines{}.</p>",
        escape(&what),
        number(from.max(0.0)),
        number(to),
        lines.len(),
        if missing.is_empty() { String::new() } else { format!("; no log of {}", missing.join(", ")) },
    );
    if lines.is_empty() {
        html.push_str("<p>No server said anything.</p></section>\n");
        return html;
    }
    html.push_str("<div class=\"log\">");
    for line in lines.iter().take(MOST_LINES) {
        let level = if line.text.contains(" ERROR ") {
            "error"
        } else if line.text.contains(" WARN ") {
            "warn"
        } else {
            ""
        };
        // Writing into a String cannot fail.
        let _ = write!(
            html,
            "<p class=\"{level}\"><i>{:>8.3}</i><b class=\"node c{}\">n{}</b> {}</p>",
            line.at,
            line.node % 6,
            line.node,
            escape(&line.text)
        );
    }
    html.push_str("</div>");
    if lines.len() > MOST_LINES {
        let _ = write!(html, "<p class=\"faint\">and {} more in the logs</p>", lines.len() - MOST_LINES);
    }
    html.push_str("</section>\n");
    html
}

/// The lines of a log between these seconds. A line without a time belongs to the one before it.
fn read(path: &Path, node: NodeId, origin_ms: u64, (from, to): (f64, f64)) -> Option<Vec<Line>> {
    let file = File::open(path).ok()?;
    let origin = i128::from(origin_ms) * 1_000_000;
    let mut lines = Vec::new();
    let mut last = None;
    for bytes in BufReader::new(file.take(MOST_BYTES)).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&bytes);
        let (stamp, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let (at, said) = match unix_nanos(stamp) {
            Some(nanos) => ((i128::from(nanos) - origin) as f64 / 1e9, rest),
            None => match last {
                Some(at) => (at, &*text),
                None => continue,
            },
        };
        last = Some(at);
        if (from..=to).contains(&at) && !said.trim().is_empty() {
            let text: String = format!(" {}", said.trim()).chars().take(LONGEST_LINE).collect();
            lines.push(Line { at, node, text });
        }
    }
    Some(lines)
}

/// A moment as the servers write it, `2026-01-02T03:04:05.678901Z`, in nanoseconds of the Unix clock.
fn unix_nanos(stamp: &str) -> Option<i64> {
    let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
        let mut parts = text.split(between).map(|part| part.parse::<i64>().ok());
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(whole, ':')?);
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let days = days_from_civil(year, month, day)?;
    let seconds = days.checked_mul(86_400)?.checked_add(hour * 3_600 + minute * 60 + second)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days since 1 January 1970 (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`): years begin in March,
/// so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_moments_are_understood() {
        for (stamp, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.5Z", 951_782_400_500_000_000),
            ("2024-02-29T23:59:59.000001Z", 1_709_251_199_000_001_000),
            ("2026-11-25T09:43:45.652407Z", 1_795_599_825_652_407_000),
        ] {
            assert_eq!(unix_nanos(stamp), Some(nanos), "{stamp}");
        }
        for stamp in [
            "",
            "thread",
            "2024-02-29",
            "2024-13-01T00:00:00Z",
            "2024-02-29T23:59Z",
            "99999999999-01-01T00:00:00Z",
            "2024-01-01T00:00:00.xZ",
        ] {
            assert_eq!(unix_nanos(stamp), None, "{stamp}");
        }
    }

    #[test]
    fn lines_of_the_time_asked_for_are_found_with_those_that_follow_them() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        let text = "before all\n1970-01-01T00:00:10Z  INFO early\n1970-01-01T00:00:12.5Z  WARN now\n  at line 3\n1970-01-01T00:00:20Z late\n";
        std::fs::write(&log, text).unwrap();
        let lines = read(&log, 2, 10_000, (1.0, 5.0)).unwrap();
        let said: Vec<(f64, &str)> = lines.iter().map(|line| (line.at, line.text.trim())).collect();
        assert_eq!(said, [(2.5, "WARN now"), (2.5, "at line 3")]);
        assert!(read(&folder.path().join("none"), 1, 0, (0.0, 1.0)).is_none());
    }
}
